package ikev2

import (
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// spoilKE makes the public value of a message one that is none.
func spoilKE(list []wire.Payload) []wire.Payload {
	clear(find[*wire.KE](list).Data)
	return list
}

// pfsLab is a lab whose Child SAs have a key exchange of their own and whose SAs all have a second one.
func pfsLab(t *testing.T) *lab {
	l := newLab(t)
	for _, g := range []*gateway{l.a, l.b} {
		g.cfg.IKE, g.cfg.ESP = ikeProposals(t, defaultIKE+"-ke1_ecp256"), espProposals(t, "aes128gcm16-curve25519-ke1_ecp256-noesn")
	}
	l.initiate(l.a)
	l.settle()
	return l
}

// D-03 (RFC 6989 §2.5): a public value that fails its test, once both are authenticated, ends the IKE SA: the responder
// says INVALID_SYNTAX and drops it, the initiator deletes it. Nothing is made with it, and the pair comes up again.
func TestBadPublicValueEndsTheIKESA(t *testing.T) {
	for name, cmd := range map[string]session.Command{"rekey child": session.Rekey{}, "rekey IKE": session.Rekey{IKE: true}} {
		for before := range 4 { // messages that pass: the first key exchange, the second, and their answers
			l := pfsLab(t)
			l.do(l.a, cmd)
			from := l.a
			for range before {
				l.deliver(from)
				from = l.other(from)
			}
			to := l.other(from)
			l.edit(from, spoilKE)
			l.deliver(from)
			if answer := before%2 == 1; !answer && says(l.peek(to)) != wire.NotifyInvalidSyntax {
				t.Errorf("%s, message %d: answered {%s}", name, before, wire.Describe(l.peek(to)))
			} else if answer && find[*wire.Delete](l.peek(to)).Protocol != wire.ProtoIKE {
				t.Errorf("%s, message %d: followed by {%s}", name, before, wire.Describe(l.peek(to)))
			}
			if down := l.event(to, session.IKEDown); down.Reason != session.AuthFailed {
				t.Errorf("%s, message %d: down with %s", name, before, down.Reason)
			}
			if n := len(to.children); n > 0 || to.sa() != nil {
				t.Errorf("%s, message %d: %d Child SAs go on", name, before, n)
			}
			l.mustBeSound()
			l.heals()
		}
	}
}

// D-03 before authentication: the value may be anybody's, so that an initiator waits for a better one, and a responder, which
// looks at it when IKE_AUTH comes, forgets the SA without a word.
func TestBadPublicValueBeforeAuth(t *testing.T) {
	spoil := func(m *wire.Message) { spoilKE(m.Payloads) }
	l := newLab(t)
	l.initiate(l.a)
	l.deliver(l.a)
	good := l.queued(l.b)
	l.editClear(l.b, spoil)
	l.deliver(l.b)
	if len(l.a.queue) > 0 {
		t.Error("a goes on with it")
	}
	l.arrive(l.b, good)
	l.settle()
	l.unharmed()

	l = newLab(t)
	l.initiate(l.a)
	l.sayClear(l.a, spoil)
	l.deliver(l.a)
	l.deliver(l.b)
	l.deliver(l.a)
	if len(l.b.queue) > 0 {
		t.Error("b answers")
	}
	l.empty(l.b)
}
