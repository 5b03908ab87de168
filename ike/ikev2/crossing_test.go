package ikev2

import (
	"testing"
	"time"

	"twinbore/ike/session"
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
