package ikev2

import (
	"crypto/sha256"
	"math/rand/v2"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// story is what the loss tests live through: up, both kinds of rekey from both ends, liveness.
func story(l *lab) []func() {
	return []func(){
		func() { l.initiate(l.a) },
		func() { l.do(l.a, session.Rekey{}) },
		func() { l.do(l.b, session.Rekey{}) },
		func() { l.do(l.a, session.Rekey{IKE: true}) },
		func() { l.do(l.b, session.Rekey{IKE: true}) },
		func() { l.do(l.b, session.Probe{}) },
		func() { l.do(l.a, session.Rekey{}) },
	}
}

// TestLossMatrix loses the nth message of one side over a whole life; SM-08, EV-06. One repetition must be enough.
func TestLossMatrix(t *testing.T) {
	for _, side := range []string{"a", "b"} {
		for n := 1; n <= 30; n++ {
			l := newLab(t)
			sent := 0
			settle := func() {
				for len(l.a.queue)+len(l.b.queue) > 0 {
					g := l.a
					if len(g.queue) == 0 {
						g = l.b
					}
					if g.name == side {
						if sent++; sent == n {
							l.take(g)
							continue
						}
					}
					l.deliver(g)
				}
			}
			for _, step := range story(l) {
				step()
				settle()
				l.wait(20*time.Second, settle)
			}
			if problem := l.unpaired(); problem != "" {
				t.Errorf("message %d of %s lost: %s\n%s", n, side, problem, l.log.String())
			}
			if ups := len(filter(l.a.events, session.IKEUp)); ups != 1 {
				t.Errorf("message %d of %s lost: %d IKE SAs were needed, want 1", n, side, ups)
			}
		}
	}
}

// TestEveryMessageTwice is SM-07: with each message arriving twice, and with each arriving thrice, the end is the same.
func TestEveryMessageTwice(t *testing.T) {
	for copies := 2; copies <= 3; copies++ {
		l := newLab(t)
		settle := func() {
			for len(l.a.queue)+len(l.b.queue) > 0 {
				g := l.a
				if len(g.queue) == 0 {
					g = l.b
				}
				d := l.take(g)
				for range copies {
					l.receive(l.other(g), d.Bytes, d.Path.Reverse())
				}
			}
		}
		for _, step := range story(l) {
			step()
			settle()
			l.wait(20*time.Second, settle)
		}
		l.paired()
		if len(l.a.children) != 1 || len(l.b.children) != 1 || len(l.a.alloc) != 1 || len(l.b.alloc) != 1 {
			t.Errorf("%d copies: %d and %d Child SAs are left in the data paths", copies, len(l.a.children), len(l.b.children))
		}
	}
}

// TestMessagesOutOfOrder is SM-07 and DOS-06: of whatever is on its way the later comes first. With messages in fragments, and
// with both ends asking at once, that is most of them.
func TestMessagesOutOfOrder(t *testing.T) {
	for _, size := range []int{150, 300, 1280} {
		l := newLab(t)
		l.a.cfg.FragmentSize, l.b.cfg.FragmentSize = size, size
		late := 0
		settle := func() {
			for len(l.a.queue)+len(l.b.queue) > 0 {
				g := l.a
				if len(l.b.queue) > len(g.queue) {
					g = l.b
				}
				if n := len(g.queue); n > 1 {
					late++
					g.queue[0], g.queue[1] = g.queue[1], g.queue[0]
				}
				l.deliver(g)
			}
		}
		for i, step := range append(story(l), func() { l.do(l.a, session.Rekey{}); l.do(l.b, session.Rekey{}) },
			func() { l.do(l.a, session.Rekey{}); l.do(l.b, session.Rekey{IKE: true}) }) {
			step()
			settle()
			l.wait(20*time.Second, settle)
			if l.mustBeSound(); late == 0 && i > 1 && size < 1000 {
				t.Fatal("nothing was out of order")
			}
		}
		l.unharmed()
		if ups := len(filter(l.a.events, session.IKEUp)); ups != 1 {
			t.Errorf("fragments of %d: %d IKE SAs were needed, want 1", size, ups)
		}
	}
}

func filter(events []session.Event, kind session.Kind) (out []session.Event) {
	for _, e := range events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// day lives through 24 hours in which each message is lost with the given chance, then ten minutes without loss. When
// the IKE SA dies a asks for a new one, as the connection logic would.
func day(t *testing.T, seed uint64, loss float64) *lab {
	l := newLab(t)
	for _, g := range []*gateway{l.a, l.b} {
		g.cfg.ChildLifetime, g.cfg.IKELifetime, g.cfg.Jitter, g.cfg.InitialContact = 10*time.Minute, time.Hour, 0.04, true
		g.cfg.DPD.Interval = 30 * time.Second
	}
	chance := rand.New(rand.NewPCG(seed, 0))
	lossy := func() {
		for len(l.a.queue)+len(l.b.queue) > 0 {
			g := l.a
			if len(g.queue) == 0 {
				g = l.b
			}
			if chance.Float64() < loss {
				l.take(g)
				continue
			}
			l.deliver(g)
		}
	}
	for l.now.Before(start.Add(24 * time.Hour)) {
		if l.a.sa() == nil || len(l.a.sa().children) == 0 {
			l.initiate(l.a)
			lossy()
		}
		l.wait(15*time.Second, lossy)
		l.traffic()
	}
	loss = 0
	for range 20 {
		if l.a.sa() == nil || len(l.a.sa().children) == 0 {
			l.initiate(l.a)
			lossy()
		}
		l.wait(30*time.Second, lossy)
	}
	return l
}

// traffic flows both ways where both ends have the Child SA.
func (l *lab) traffic() {
	for _, g := range []*gateway{l.a, l.b} {
		for id, c := range g.children {
			if peer := l.other(g).children[esp.ChildID(c.Out.SPI)]; peer != nil && peer.active {
				g.heard[id] = l.now
			}
		}
	}
}

// TestADayWithAThirdLost: EV-07, EV-29, SM-08, the same transcript each run, and never an IV twice (CRY-05).
func TestADayWithAThirdLost(t *testing.T) {
	for seed := range uint64(3) {
		l := day(t, seed, 1.0/3)
		if problem := l.unpaired(); problem != "" {
			t.Fatalf("seed %d: %s", seed, problem)
		}
		rekeys := len(filter(l.a.events, session.ChildRekeyed)) + len(filter(l.a.events, session.IKERekeyed))
		if rekeys < 100 {
			t.Errorf("seed %d: only %d rekeys in a day", seed, rekeys)
		}
		if len(l.a.alloc) != 1 || len(l.b.alloc) != 1 || len(l.a.children) != 1 || len(l.b.children) != 1 {
			t.Errorf("seed %d: left in the data paths %d and %d Child SAs, %d and %d SPIs", seed, len(l.a.children), len(l.b.children), len(l.a.alloc), len(l.b.alloc))
		}
		again := day(t, seed, 1.0/3)
		if one, two := sha256.Sum256([]byte(l.log.String())), sha256.Sum256([]byte(again.log.String())); one != two {
			t.Errorf("seed %d: two runs gave two transcripts", seed)
		}
		t.Logf("seed %d: %d rekeys, %d IKE SAs from scratch, %d octets of transcript", seed, rekeys, len(filter(l.a.events, session.IKEUp)), l.log.Len())
	}
}
