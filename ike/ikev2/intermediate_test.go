package ikev2

import (
	"slices"
	"strings"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

const twoMore = defaultIKE + "-ke1_ecp256-ke2_ecp384"

// inIntermediate is a lab in which a's first IKE_INTERMEDIATE waits to be delivered.
func inIntermediate(t *testing.T) *lab {
	return atAuth(t, func(l *lab) {
		l.a.cfg.IKE, l.b.cfg.IKE = ikeProposals(t, twoMore), ikeProposals(t, twoMore)
	})
}

// mustFail plays on: neither end may come up, and nothing is left of it.
func (l *lab) mustFail(want string) {
	l.t.Helper()
	l.settle()
	for _, g := range []*gateway{l.a, l.b} {
		if len(filter(g.events, session.IKEUp)) > 0 {
			l.t.Errorf("%s is up\n%s", g.name, l.log.String())
		}
	}
	if !strings.Contains(l.log.String(), want) {
		l.t.Errorf("nobody says %q\n%s", want, l.log.String())
	}
	l.mustBeGone()
}

// TestIntermediateFails is AUT-07 and H-04 (RFC 9370 §2.2.2, RFC 9242 §3.3.2): additional key exchanges that are left out,
// in another order, once too often, with something else beside, or with what is no public value.
func TestIntermediateFails(t *testing.T) {
	editKE := func(change func(*wire.KE)) func(*lab) {
		return func(l *lab) {
			l.edit(l.a, func(list []wire.Payload) []wire.Payload { change(find[*wire.KE](list)); return list })
		}
	}
	for name, c := range map[string]struct {
		do   func(*lab)
		want string
	}{
		"all left out": {func(l *lab) {
			sa := l.a.sessions[0].(*peer).sas[0]
			l.a.queue = nil
			l.arrive(l.a, forge(sa, wire.IKEAuth, 1, false, l.authRequest()...))
		}, "it authenticates before ecp256"},
		"the last left out": {func(l *lab) {
			l.deliver(l.a)
			l.deliver(l.b)
			sa := l.a.sessions[0].(*peer).sas[0]
			l.a.queue = nil
			l.arrive(l.a, forge(sa, wire.IKEAuth, 2, false, l.authRequest()...))
		}, "it authenticates before ecp384"},
		"another method":        {editKE(func(ke *wire.KE) { ke.Group = 20 }), "it has a key exchange with ecp384 where ecp256 is due"},
		"an unknown method":     {editKE(func(ke *wire.KE) { ke.Group = 999 }), "an unknown method where ecp256 is due"},
		"no point of the curve": {editKE(func(ke *wire.KE) { ke.Data[5] ^= 1 }), "public value refused"},
		"a value that is short": {editKE(func(ke *wire.KE) { ke.Data = ke.Data[1:] }), "public value refused"},
		"no key exchange in it": {func(l *lab) { l.edit(l.a, func([]wire.Payload) []wire.Payload { return nil }) }, "a payload is missing"},
		"two key exchanges":     {func(l *lab) { l.edit(l.a, func(list []wire.Payload) []wire.Payload { return doubled(list, 0) }) }, "a payload is there twice"},
		"a payload put in": {func(l *lab) {
			l.edit(l.a, func(list []wire.Payload) []wire.Payload { return append(list, &wire.Notify{Kind: 40000}) })
		}, "AUTH_FAILED"},
		"the peer refuses it":    {func(l *lab) { l.refuseNext(wire.NotifyInvalidSyntax) }, "the peer answered INVALID_SYNTAX"},
		"an answer with nothing": {func(l *lab) { l.refuseNext(wire.NotifyInitialContact) }, "has none"},
		"one too many": {func(l *lab) {
			for range 2 {
				l.deliver(l.a)
				l.deliver(l.b)
			}
			sa := l.a.sessions[0].(*peer).sas[0]
			l.a.queue = nil
			l.arrive(l.a, forge(sa, wire.IKEIntermediate, 3, false, &wire.KE{Group: 19, Data: make([]byte, 64)}))
		}, "one IKE_INTERMEDIATE more than was agreed"},
	} {
		t.Run(name, func(t *testing.T) {
			l := inIntermediate(t)
			c.do(l)
			l.mustFail(c.want)
		})
	}
}

// authRequest is an IKE_AUTH of a, with a proof that nobody will come to look at.
func (l *lab) authRequest() []wire.Payload {
	return append(l.childRequest(l.a, 0x7777), l.a.cfg.LocalID.Wire(true), &wire.Auth{Method: wire.AuthSharedKey, Data: make([]byte, 32)})
}

// refuseNext puts an answer of one notify in the place of b's.
func (l *lab) refuseNext(kind wire.NotifyType) {
	sa := l.a.sessions[0].(*peer).sas[0]
	l.a.queue = nil
	l.arrive(l.b, forgeTo(sa, wire.IKEIntermediate, 1, true, &wire.Notify{Kind: kind}))
}

// A message that comes twice is answered twice and counts once (AUT-07, RFC 7296 §2.1).
func TestIntermediateRepeated(t *testing.T) {
	l := inIntermediate(t)
	for range 3 {
		l.a.queue = append(l.a.queue[:1:1], l.a.queue...)
		l.deliver(l.a)
		l.deliver(l.a)
		l.b.queue = append(l.b.queue[:1:1], l.b.queue[0])
		l.deliver(l.b)
		l.deliver(l.b)
	}
	l.settle()
	l.unharmed()
}

// H-01, RFC 9370 §2.2.1: whoever is in the middle takes the announcement out of the answer, and nothing comes of it; out of
// the request, and the responder cannot choose.
func TestIntermediateNotAnnounced(t *testing.T) {
	strip := func(m *wire.Message) {
		m.Payloads = slices.DeleteFunc(m.Payloads, func(p wire.Payload) bool {
			n, ok := p.(*wire.Notify)
			return ok && n.Kind == wire.NotifyIntermediateExchangeSupported
		})
	}
	for side, want := range map[string]string{"answer": "did not announce IKE_INTERMEDIATE", "request": "mlkem768 without IKE_INTERMEDIATE"} {
		l := newLab(t)
		l.a.cfg.IKE, l.b.cfg.IKE = ikeProposals(t, defaultIKE+"-ke1_mlkem768"), ikeProposals(t, defaultIKE+"-ke1_mlkem768")
		l.initiate(l.a)
		for range 3 {
			if side == "answer" {
				l.deliver(l.a)
				l.editClear(l.b, strip)
				l.deliver(l.b)
			} else {
				l.editClear(l.a, strip)
				l.deliver(l.a)
				l.deliver(l.b)
			}
			l.wait(l.a.cfg.DPD.Interval/4, func() {})
			if len(l.a.queue) == 0 {
				break
			}
		}
		l.a.queue, l.b.queue = nil, nil
		if e := l.event(l.a, session.Failed); e.Reason != session.NoProposalIKE {
			t.Errorf("%s: failed with %s", side, e.Reason)
		}
		l.mustFail(want)
	}
}
