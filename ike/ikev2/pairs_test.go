package ikev2

import (
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// several returns a lab in which a has two networks and wants one Child SA for both.
func several(t testing.TB) *lab {
	l := newLab(t)
	l.a.cfg.Local = prefixes("10.0.1.0/24", "10.0.3.0/24")
	l.b.cfg.Remote = l.a.cfg.Local
	return l
}

// joins checks that a and b have these Child SAs of a's networks, and that they fit together.
func (l *lab) joins(networks ...string) {
	l.t.Helper()
	for _, text := range networks {
		want := prefixes(text)[0]
		found := false
		for _, c := range l.a.sa().children {
			far := l.b.sa().childByOut(c.out)
			for _, other := range l.b.sa().children {
				if c.out == l.b.children[other.id].In.SPI {
					far = other
				}
			}
			if len(c.local) == 1 && c.local[0] == want && c.active && far != nil && len(far.remote) == 1 && far.remote[0] == want && far.active {
				found = true
			}
		}
		if !found {
			l.t.Errorf("no Child SA for %s\n%s", text, l.log.String())
		}
	}
	if got := len(l.a.sa().children); got != len(networks) {
		l.t.Errorf("%d Child SAs, want %d\n%s", got, len(networks), l.log.String())
	}
}

func TestSinglePairRequiredIsAnsweredPairByPair(t *testing.T) { // RFC 7296 §2.9
	l := several(t)
	l.b.cfg.Local = prefixes("172.16.0.0/12") // refuses the first request
	l.initiate(l.a)
	l.deliver(l.a)
	l.deliver(l.b)
	l.deliver(l.a)
	l.edit(l.b, func(list []wire.Payload) []wire.Payload {
		for _, p := range list {
			if n, ok := p.(*wire.Notify); ok && n.Kind == wire.NotifyTSUnacceptable {
				n.Kind = wire.NotifySinglePairRequired
			}
		}
		return list
	})
	for _, s := range l.b.sessions {
		s.(*peer).cfg.Local = prefixes("10.0.2.0/24")
	}
	l.settle()
	l.joins("10.0.1.0/24", "10.0.3.0/24")
	for _, e := range l.a.events {
		if e.Kind == session.ChildFailed {
			t.Errorf("reported as failed, though it was made: %s", e.Hint)
		}
	}
}

func TestAdditionalTSPossibleIsAskedFor(t *testing.T) { // RFC 7296 §2.9
	l := several(t)
	l.b.cfg.Remote = prefixes("10.0.1.0/24") // answers with the first network alone
	l.initiate(l.a)
	l.deliver(l.a)
	l.deliver(l.b)
	l.deliver(l.a)
	l.edit(l.b, func(list []wire.Payload) []wire.Payload {
		return append(list, &wire.Notify{Kind: wire.NotifyAdditionalTSPossible})
	})
	for _, s := range l.b.sessions {
		s.(*peer).cfg.Remote = l.a.cfg.Local
	}
	l.settle()
	l.joins("10.0.1.0/24", "10.0.3.0/24")
}

func TestSinglePairRequiredOfOnePairFails(t *testing.T) { // RFC 7296 §2.9: there is nothing smaller to ask for
	l := newLab(t)
	l.b.cfg.Local = prefixes("172.16.0.0/12")
	l.initiate(l.a)
	l.deliver(l.a)
	l.deliver(l.b)
	l.deliver(l.a)
	l.edit(l.b, func(list []wire.Payload) []wire.Payload {
		find[*wire.Notify](list).Kind = wire.NotifySinglePairRequired
		return list
	})
	l.settle()
	if e := l.event(l.a, session.ChildFailed); e.Reason != session.TSUnacceptable {
		t.Errorf("failed with %s", e.Reason)
	}
}

func TestAPairThatThePeerDeletesComesAgain(t *testing.T) {
	l := several(t)
	l.a.cfg.PerPair, l.a.cfg.DPD, l.b.cfg.DPD = true, DPD{}, DPD{}
	l.initiate(l.a)
	l.settle()
	l.joins("10.0.1.0/24", "10.0.3.0/24")
	s := l.b.sa()
	victim := s.children[1]
	victim.state = childDeleting
	s.want(l.now, task{opDeleteChild, victim.id})
	l.apply(l.b, s.p, s.p.finish())
	l.settle()
	l.joins("10.0.1.0/24")
	l.wait(refillAfter+time.Second, l.settle)
	l.joins("10.0.1.0/24", "10.0.3.0/24")
}

func TestAPacketOutsideThePolicyIsNotAskedFor(t *testing.T) { // RFC 7296 §2.9
	l := newLab(t)
	l.initiateFor(l.a, prefixes("10.9.9.9/32"), prefixes("10.0.2.9/32"))
	l.settle()
	l.paired()
	if got := l.a.sa().children[0].local; len(got) != 1 || got[0] != l.a.cfg.Local[0] {
		t.Errorf("the Child SA has %v", got)
	}
}
