package ikev2

import (
	"fmt"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// stubborn makes b answer each request of a's first session to rekey with an error and nothing else. It returns when they
// came.
func (l *lab) stubborn(kind wire.NotifyType) (asked *[]time.Time, between func()) {
	asked = new([]time.Time)
	first := l.a.sa()
	return asked, func() {
		for len(l.a.queue)+len(l.b.queue) > 0 {
			if len(l.a.queue) == 0 {
				l.deliver(l.b)
				continue
			}
			h, err := wire.ParseHeader(l.a.queue[0].Bytes)
			if err != nil {
				l.t.Fatal(err)
			}
			if h.Exchange != wire.CreateChildSA || h.SPIi != first.spiI {
				l.deliver(l.a)
				continue
			}
			l.take(l.a)
			*asked = append(*asked, l.now)
			b := l.b.saOf(h)
			b.nextIn = h.MessageID + 1
			l.arrive(l.b, forge(b, wire.CreateChildSA, h.MessageID, true, &wire.Notify{Kind: kind}))
		}
	}
}

// TestRekeysRefusedForever is SM-16 and EV-30 (RFC 7296 §1.3, §2.25): the peer refuses to rekey the Child SA, or the IKE SA, as long as they live.
// We ask again every few seconds, never in a rhythm, begin another IKE SA before the hard end, and have a Child SA in use at
// every moment; of the old ones nothing is left.
func TestRekeysRefusedForever(t *testing.T) {
	for _, kind := range []wire.NotifyType{wire.NotifyTemporaryFailure, wire.NotifyNoAdditionalSAs, 9999} {
		for _, what := range []string{"Child SA", "IKE SA"} {
			t.Run(fmt.Sprintf("%s, %v", what, kind), func(t *testing.T) {
				const life = 10 * time.Minute
				l := newLab(t)
				for _, g := range []*gateway{l.a, l.b} {
					g.cfg.ChildLifetime, g.cfg.IKELifetime = 24*time.Hour, 24*time.Hour
				}
				if l.a.cfg.ChildLifetime = life; what == "IKE SA" {
					l.a.cfg.ChildLifetime, l.a.cfg.IKELifetime = 24*time.Hour, life
				}
				l.initiate(l.a)
				l.settle()
				first := l.a.sa()
				asked, settle := l.stubborn(kind)
				between := func() {
					settle()
					l.mustBeSound()
					used := 0
					for _, c := range l.a.children {
						if c.active {
							used++
						}
					}
					if used == 0 {
						t.Fatalf("no Child SA is in use\n%s", l.log.String())
					}
				}
				l.wait(life-renewAhead(life), between)
				if n := len(*asked); n < 5 || n > 30 || len(l.a.sessions) != 1 {
					t.Fatalf("asked %d times, %d sessions", n, len(l.a.sessions))
				}
				gaps := map[time.Duration]bool{}
				for i, at := range (*asked)[1:] {
					gap := at.Sub((*asked)[i])
					if gaps[gap] = true; gap < 5*time.Second {
						t.Errorf("asked again after %v", gap)
					}
				}
				if len(gaps) < len(*asked)/2 {
					t.Errorf("asked %d times in %d different intervals: no jitter", len(*asked), len(gaps))
				}
				l.wait(time.Second, between)
				if ups := filter(l.a.events, session.IKEUp); len(ups) != 2 || ups[1].IKE.InitialContact || l.a.sa() != first {
					t.Fatalf("%d IKE SAs came up before the hard end\n%s", len(ups), l.log.String())
				}
				l.apply(l.a, first.p, first.p.Do(l.now, session.Close{})) // the engine's part, a second after
				l.wait(life/5, between)
				if l.unharmed(); len(l.a.sessions) != 1 || l.a.sa() == first {
					t.Errorf("%d sessions are left", len(l.a.sessions))
				}
			})
		}
	}
}

// TestRenewalIsTheInitiators: whoever was asked has nowhere to begin from, and a peer that lets itself be rekeyed gets no second IKE SA.
func TestRenewalIsTheInitiators(t *testing.T) {
	l := newLab(t)
	for _, g := range []*gateway{l.a, l.b} {
		g.cfg.ChildLifetime, g.cfg.IKELifetime = 10*time.Minute, 10*time.Minute
	}
	l.initiate(l.a)
	l.settle()
	l.b.sa().denied, l.b.sa().children[0].denied = true, true
	l.wait(time.Hour, func() { l.settle(); l.mustBeSound() })
	l.unharmed()
	if n := len(filter(l.a.events, session.IKEUp)); n != 1 {
		t.Errorf("%d IKE SAs came up", n)
	}
}

// What begins beside an SA that cannot be rekeyed may be lost like anything else. It is begun again before the hard end,
// and no two at once.
func TestRenewalIsBegunAgain(t *testing.T) {
	const life = 20 * time.Minute // so that a minute is left
	l := newLab(t)
	l.a.cfg.ChildLifetime, l.b.cfg.ChildLifetime = life, 24*time.Hour
	l.a.cfg.DPD, l.b.cfg.DPD = DPD{}, DPD{}
	l.initiate(l.a)
	l.settle()
	first := l.a.sa()
	_, settle := l.stubborn(wire.NotifyTemporaryFailure)
	var begun []time.Time
	most := 0
	lossy := func() {
		settle()
		most = max(most, len(l.a.sessions))
	}
	l.wait(life-renewAhead(life)-time.Second, lossy)
	deaf := func() {
		for len(l.a.queue) > 0 {
			if h, err := wire.ParseHeader(l.a.queue[0].Bytes); err == nil && h.Exchange == wire.IKESAInit {
				if n := len(begun); n == 0 || l.now.Sub(begun[n-1]) > 10*time.Second {
					begun = append(begun, l.now)
				}
				l.take(l.a)
				continue
			}
			lossy()
		}
		lossy()
	}
	l.wait(40*time.Second, deaf)
	if len(begun) < 2 || most > 2 {
		t.Errorf("begun %d times, %d sessions at once\n%s", len(begun), most, l.log.String())
	}
	l.wait(8*time.Second, lossy)
	if ups := filter(l.a.events, session.IKEUp); len(ups) != 2 || first.state != established {
		t.Errorf("%d IKE SAs came up before the hard end\n%s", len(ups), l.log.String())
	}
}
