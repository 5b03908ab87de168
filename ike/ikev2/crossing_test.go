package ikev2

import (
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// childless takes the Child SAs away on both sides, as a Delete would; the IKE SA stays.
func (l *lab) childless() {
	l.t.Helper()
	for _, g := range []*gateway{l.a, l.b} {
		sa := g.sa()
		sa.drop(l.now, sa.children[0])
		l.apply(g, sa.p, sa.p.finish())
	}
	l.mustBeSound()
}

// TestOneChildWhenBothAsk: both ends miss the Child SA and ask for it, at once or one behind the other; one is made.
func TestOneChildWhenBothAsk(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(l *lab)
	}{
		{"at once", func(l *lab) {
			l.initiate(l.a)
			l.initiate(l.b)
		}},
		{"while the one asks, the other waits for its window", func(l *lab) {
			l.do(l.b, session.Probe{})
			l.initiate(l.b)
			l.initiate(l.a)
			l.deliver(l.a)
		}},
		{"while the other asks, the one waits for its window", func(l *lab) {
			l.do(l.a, session.Probe{})
			l.initiate(l.a)
			l.initiate(l.b)
			l.deliver(l.b)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := connected(t)
			l.childless()
			c.do(l)
			l.settle()
			l.unharmed()
			for _, g := range []*gateway{l.a, l.b} {
				if failed := filter(g.events, session.ChildFailed); len(failed) > 0 {
					t.Errorf("%s reports %v although the Child SA is there", g.name, failed)
				}
			}
		})
	}
}

// TestSuccessorThatIsGoneInheritsNothing: both rekey the IKE SA at once, one end decides and deletes what it made, and
// the other, which never hears the answer to its own request, must not hand its Child SAs to an SA that is deleted.
func TestSuccessorThatIsGoneInheritsNothing(t *testing.T) {
	for _, name := range []string{"a", "b"} {
		l := connected(t)
		deaf, other := l.a, l.b
		if name == "b" {
			deaf, other = l.b, l.a
		}
		l.do(deaf, session.Rekey{IKE: true})
		l.do(other, session.Rekey{IKE: true})
		l.deliver(deaf)
		l.deliver(other)
		lost := l.take(other) // the answer to the deaf end's request, now and each time it is repeated
		drop := func() {
			for len(l.a.queue)+len(l.b.queue) > 0 {
				for _, g := range []*gateway{l.a, l.b} {
					if len(g.queue) > 0 && string(g.queue[0].Bytes) == string(lost.Bytes) {
						l.take(g)
					} else if len(g.queue) > 0 {
						l.deliver(g)
					}
					l.mustBeSound()
				}
			}
		}
		drop()
		l.wait(2*time.Minute, drop)
		l.initiate(l.a)
		l.settle()
		l.wait(2*time.Minute, l.settle)
		l.unharmed()
	}
}

// TestRivalThatIsGone: both rekey the Child SA at once, and the peer deletes what it made before it answers us. The old
// one is what is left, and must not wait for ever, nor must what is gone be taken into use.
func TestRivalThatIsGone(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(l *lab, a *SA, b *SA, old *child)
		want int // Child SAs of a afterwards
	}{
		{"then it refuses", func(l *lab, a, b *SA, old *child) {
			l.arrive(l.b, forge(b, wire.CreateChildSA, a.open.id, true, &wire.Notify{Kind: wire.NotifyTemporaryFailure}))
			if old.state != childUp || old.rekeyAt.IsZero() {
				t.Errorf("the old Child SA is in state %d, its rekey is planned for %v", old.state, old.rekeyAt)
			}
		}, 1},
		{"then it answers nonsense", func(l *lab, a, b *SA, old *child) {
			l.arrive(l.b, forge(b, wire.CreateChildSA, a.open.id, true))
			if old.state != childUp || old.rekeyAt.IsZero() {
				t.Errorf("the old Child SA is in state %d, its rekey is planned for %v", old.state, old.rekeyAt)
			}
		}, 1},
		{"then it deletes the old one too", func(l *lab, a, b *SA, old *child) {
			l.arrive(l.b, forge(b, wire.Informational, a.nextIn, false, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(old.out)}}))
		}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := connected(t)
			old := l.a.sa().children[0]
			l.do(l.a, session.Rekey{})
			l.do(l.b, session.Rekey{})
			l.deliver(l.b)
			rival := l.a.sa().children[1]
			l.arrive(l.b, forge(l.b.sa(), wire.Informational, l.a.sa().nextIn, false, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(rival.out)}}))
			c.then(l, l.a.sa(), l.b.sa(), old)
			if problem := l.sound(l.a); problem != "" {
				t.Errorf("%s\n%s", problem, l.log.String())
			}
			if got := len(l.a.sa().children); got != c.want {
				t.Errorf("a has %d Child SAs, want %d\n%s", got, c.want, l.log.String())
			}
		})
	}
}

// TestSuccessorIsNotRekeyedBeforeThePeerHasIt: the answer with which b made a successor is lost, and b is told to rekey.
// If it asked for the successor's successor, a would know nothing of the SA to replace, and both would end without.
func TestSuccessorIsNotRekeyedBeforeThePeerHasIt(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Rekey{})
	l.deliver(l.a)
	l.take(l.b)
	l.do(l.b, session.Rekey{})
	if len(l.b.queue) != 0 {
		t.Errorf("b rekeys what a does not have yet\n%s", l.log.String())
	}
	l.settle()
	l.wait(30*time.Second, l.settle)
	l.unharmed()
	if down := filter(l.b.events, session.ChildDown); len(down) > 0 {
		t.Errorf("b lost %v", down)
	}
	if rekeyed := filter(l.b.events, session.ChildRekeyed); len(rekeyed) < 2 {
		t.Errorf("b did not come back to its rekey")
	}
}

// TestPeerDecidesFirst: both rekey the IKE SA at once, a hears its answer first, decides for its own successor and deletes
// a replaced Child SA on it, while b has not heard its answer yet and does not know which successor stays. The Delete counts.
func TestPeerDecidesFirst(t *testing.T) {
	for seed := range byte(8) { // the nonces decide who would be right: some of these for a
		l := newLab(t)
		l.a.cfg.Rand = seeded(seed)
		l.initiate(l.a)
		l.settle()
		l.do(l.a, session.Rekey{})
		l.do(l.a, session.Rekey{IKE: true})
		l.deliver(l.a)
		l.do(l.b, session.Rekey{IKE: true})
		l.deliver(l.b) // a has its Child SA, and asks to rekey the IKE SA before it deletes the old one
		l.deliver(l.a)
		l.deliver(l.b)
		delayed := l.take(l.a)   // a's answer
		l.deliver(l.b)           // b's answer: a decides
		if len(l.a.queue) == 2 { // for its own; the Delete of the Child SA overtakes that of the IKE SA
			slices.Reverse(l.a.queue)
		}
		l.settle()
		l.mustBeSound()
		l.receive(l.b, delayed.Bytes, delayed.Path.Reverse())
		l.settle()
		l.wait(10*time.Second, l.settle)
		if problem := l.unpaired(); problem != "" {
			t.Errorf("seed %d: %s\n%s", seed, problem, l.log.String())
			continue
		}
		l.unharmed()
		for _, g := range []*gateway{l.a, l.b} {
			if down := append(filter(g.events, session.IKEDown), filter(g.events, session.ChildDown)...); len(down) > 0 {
				t.Errorf("seed %d: %s lost something: %v %s", seed, g.name, down[0].Kind, down[0].Hint)
			}
		}
	}
}
