package ike

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

func TestMatchesPeersByAddress(t *testing.T) {
	bound := peer("bound/1", "192.0.2.1")
	bound.LocalAddrs = []netip.Addr{netip.MustParseAddr("203.0.113.10")}
	d := newDirectory([]Peer{peer("anywhere/1"), peer("fixed/1", "192.0.2.1", "2001:db8::1"), bound, peer("fixed/2", "192.0.2.2")})
	for _, c := range []struct {
		local, remote string
		want          []string
		configured    bool
	}{
		{"203.0.113.10", "192.0.2.1", []string{"fixed/1", "bound/1", "anywhere/1"}, true},
		{"203.0.113.11", "192.0.2.1", []string{"fixed/1", "anywhere/1"}, true},
		{"203.0.113.10", "::ffff:192.0.2.1", []string{"fixed/1", "bound/1", "anywhere/1"}, true},
		{"2001:db8::9", "2001:db8::1%eth0", []string{"fixed/1", "anywhere/1"}, true},
		{"203.0.113.10", "198.51.100.1", []string{"anywhere/1"}, false},
	} {
		var got []string
		remote := netip.MustParseAddr(c.remote)
		for _, p := range d.match(netip.MustParseAddr(c.local), remote) {
			got = append(got, p.Peer)
		}
		if !slices.Equal(got, c.want) || d.configured(remote) != c.configured {
			t.Errorf("%s to %s: got %v, configured %v; want %v, %v", c.remote, c.local, got, d.configured(remote), c.want, c.configured)
		}
	}
}

// A rivalry is two sessions of one peer that come up one after the other.
type rivalry struct {
	name           string
	began          time.Duration // when the second began; the first began at 0
	upFirst, upNew time.Duration
	spiFirst, spi  uint64 // SPIi of each
	byUs           bool   // we began the first, the peer the second; otherwise the other way round
	contact        bool   // the second one's peer says that it knows no other
	other          bool   // the second is another peer's
	firstDies      time.Duration
	newDies        time.Duration
	wantFirst      string // how it ends: "", "quiet", "delete"
	wantNew        string
	notBefore, by  time.Duration // of the end, after upNew
}

// SM-12, EV-05: at the end one session of a peer is left, whichever way round they came, and never none.
func TestRivals(t *testing.T) {
	const s = time.Second
	for _, c := range []rivalry{
		{name: "INITIAL_CONTACT after the first was up", upFirst: s, began: 20 * s, upNew: 21 * s, spiFirst: 9, spi: 1, contact: true, wantFirst: "quiet"},
		{name: "INITIAL_CONTACT soon after the first was up", upFirst: s, began: 2 * s, upNew: 3 * s, spiFirst: 9, spi: 1, contact: true, wantFirst: "quiet"},
		{name: "INITIAL_CONTACT of both at once: the lower SPI goes, the first is ours and lower", byUs: true, upFirst: s, began: 0, upNew: 2 * s, spiFirst: 1, spi: 9, contact: true,
			wantFirst: "delete", notBefore: s, by: 1500 * time.Millisecond},
		{name: "INITIAL_CONTACT of both at once: the second is lower, and theirs to delete", byUs: true, upFirst: s, began: 0, upNew: 2 * s, spiFirst: 9, spi: 1, contact: true,
			wantNew: "delete", notBefore: 10 * s, by: 10 * s},
		{name: "INITIAL_CONTACT of another peer", upFirst: s, began: 20 * s, upNew: 21 * s, spiFirst: 9, spi: 1, contact: true, other: true},
		{name: "both at once, ours is lower and second", upFirst: s, upNew: 2 * s, spiFirst: 9, spi: 1, wantNew: "delete", notBefore: s, by: 1500 * time.Millisecond},
		{name: "both at once, theirs is lower and first", upFirst: s, upNew: 2 * s, spiFirst: 1, spi: 9, wantFirst: "delete", notBefore: 10 * s, by: 10 * s},
		{name: "far apart: the older goes whatever its SPI", upFirst: s, began: 30 * s, upNew: 31 * s, spiFirst: 9, spi: 1, wantFirst: "delete", notBefore: s, by: s},
		{name: "the one that stays dies first: the other stays", upFirst: s, upNew: 2 * s, spiFirst: 1, spi: 9, newDies: 5 * s},
		{name: "the one that goes dies first", upFirst: s, upNew: 2 * s, spiFirst: 1, spi: 9, firstDies: 5 * s},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.play(t) })
		})
	}
}

// play makes both sessions by a first message: whose they are is only what they say when they come up.
func (c rivalry) play(t *testing.T) {
	start := time.Now()
	second := "a/1"
	if c.other {
		second = "b/1"
	}
	lives := []*life{
		{name: "a/1", spi: c.spiFirst, initiator: c.byUs, upAt: start.Add(c.upFirst), dies: c.firstDies},
		{name: second, spi: c.spi, initiator: !c.byUs, contact: c.contact, upAt: start.Add(c.upNew), dies: c.newDies},
	}
	n := 0
	b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1")}}, nil, func([]Peer) session.Session { n++; return lives[n-1].script() }).run(t)
	b.deliver(packet{firstRequest(1, make([]byte, 32), nil), from("192.0.2.1:500")})
	time.Sleep(c.began)
	b.deliver(packet{firstRequest(2, make([]byte, 32), nil), from("192.0.2.1:500")})
	time.Sleep(time.Minute)
	synctest.Wait()
	for i, want := range []string{c.wantFirst, c.wantNew} {
		l := lives[i]
		if l.end != want {
			t.Errorf("session %d ended %q, want %q", i+1, l.end, want)
		} else if wait := l.endAt.Sub(start.Add(c.upNew)); want != "" && (wait < c.notBefore || wait > c.by) {
			t.Errorf("session %d ended %v after the second came up, want %v to %v", i+1, wait, c.notBefore, c.by)
		}
	}
	want := 1
	if c.other {
		want = 2
	}
	if got := b.Counters().Sessions; got != want {
		t.Errorf("%d sessions left, want %d", got, want)
	}
}

// A life is a session that comes up at upAt and, if dies is set, ends by itself so long after.
type life struct {
	name               string
	spi                uint64
	initiator, contact bool
	upAt               time.Time
	dies               time.Duration
	up                 bool

	end   string // how the engine ended it: quiet or delete
	endAt time.Time
}

func (l *life) script() *script {
	return &script{
		receive: func(now time.Time, _ []byte, _ esp.Path) session.Output { return l.live(now) },
		expire:  l.live,
		do: func(now time.Time, cmd session.Command) session.Output {
			c, ok := cmd.(session.Close)
			if !ok {
				return l.live(now)
			}
			if l.end, l.endAt = "delete", now; c.Quiet {
				l.end = "quiet"
			}
			return session.Output{Done: true}
		},
	}
}

func (l *life) live(now time.Time) (out session.Output) {
	if now.Before(l.upAt) {
		return session.Output{Wake: l.upAt}
	}
	if !l.up {
		l.up = true
		ev := up(now, l.name, l.spi, l.spi, l.initiator)
		ev.IKE.InitialContact = l.contact
		out.Events = []session.Event{ev}
	}
	if l.dies != 0 {
		out.Wake = l.upAt.Add(l.dies)
		out.Done = !now.Before(out.Wake)
	}
	return out
}

// When the peer's session comes up while ours is only asking, ours is not needed: at the peer it is half-open at most. Once
// ours may have said INITIAL_CONTACT it must go on, for the peer may be about to believe it.
func TestOurAttemptGivesWay(t *testing.T) {
	for _, c := range []struct {
		name string
		sent wire.ExchangeType
		end  string
	}{
		{"while it asks for IKE_SA_INIT", wire.IKESAInit, "quiet"},
		{"not once it has sent IKE_AUTH", wire.IKEAuth, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours := &life{name: "a/1", upAt: time.Now().Add(time.Hour)}
				theirs := &life{name: "a/1", upAt: time.Now(), spi: 5}
				b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
					s := ours.script()
					do := s.do
					s.do = func(now time.Time, cmd session.Command) session.Output {
						out := do(now, cmd)
						if _, first := cmd.(session.Initiate); first {
							out.Send = []session.Datagram{{Bytes: message(wire.Header{SPIi: 1, Exchange: c.sent, Flags: wire.FlagInitiator}), Path: from("192.0.2.1:500")}}
						}
						return out
					}
					return s
				}, func([]Peer) session.Session { return theirs.script() }).run(t)
				b.Do("a/1", session.Initiate{})
				synctest.Wait()
				b.deliver(packet{firstRequest(1, make([]byte, 32), nil), from("192.0.2.1:500")})
				if ours.end != c.end || theirs.end != "" {
					t.Errorf("ours ended %q and theirs %q, want %q and none", ours.end, theirs.end, c.end)
				}
			})
		})
	}
}

// Three sessions of one peer: each newcomer is weighed against the one that stays, and one is left.
func TestThreeRivals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var lives []*life
		for i, spi := range []uint64{5, 9, 1} {
			lives = append(lives, &life{name: "a/1", spi: spi, initiator: i%2 == 0, upAt: start.Add(time.Duration(i) * 100 * time.Millisecond)})
		}
		n := 0
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, func([]Peer) session.Session { n++; return lives[n-1].script() }).run(t)
		for i := range lives {
			b.deliver(packet{firstRequest(uint64(i+1), make([]byte, 32), nil), from("192.0.2.1:500")})
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if lives[0].end != "delete" || lives[1].end != "" || lives[2].end != "delete" {
			t.Errorf("ended %q, %q, %q; want the second, whose SPI is highest, to stay", lives[0].end, lives[1].end, lives[2].end)
		}
	})
}
