package ikev2

import (
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// R24, product.md §3: what the peer refuses with has a code of its own wherever there is one, and REKEY_FAILED, with which
// whatever was up is up still, stands for nothing but a rekey: not for a first handshake, which has then failed.
func TestReasonsOfRefusals(t *testing.T) {
	cfg := newGateway(t, "a", 1).cfg
	for _, c := range []struct {
		notify wire.NotifyType
		want   [5]session.Reason // in IKE_SA_INIT, IKE_AUTH, for a new Child SA, for a rekeyed one, for a rekeyed IKE SA
	}{
		{wire.NotifyNoProposalChosen, [5]session.Reason{session.NoProposalIKE, session.NoProposalESP, session.NoProposalESP, session.NoProposalESP, session.NoProposalIKE}},
		{wire.NotifyInvalidKEPayload, [5]session.Reason{session.InvalidKELoop, session.InvalidKELoop, session.InvalidKELoop, session.InvalidKELoop, session.InvalidKELoop}},
		{wire.NotifyTSUnacceptable, [5]session.Reason{session.TSUnacceptable, session.TSUnacceptable, session.TSUnacceptable, session.TSUnacceptable, session.TSUnacceptable}},
		{wire.NotifyAuthenticationFailed, [5]session.Reason{session.AuthFailed, session.AuthFailed, session.AuthFailed, session.AuthFailed, session.AuthFailed}},
		{wire.NotifyTemporaryFailure, [5]session.Reason{session.NoProposalIKE, session.AuthFailed, session.NoProposalESP, session.RekeyFailed, session.RekeyFailed}},
		{wire.NotifyNoAdditionalSAs, [5]session.Reason{session.NoProposalIKE, session.AuthFailed, session.NoProposalESP, session.RekeyFailed, session.RekeyFailed}},
		{wire.NotifyInvalidSyntax, [5]session.Reason{session.NoProposalIKE, session.AuthFailed, session.NoProposalESP, session.RekeyFailed, session.RekeyFailed}},
		{8191, [5]session.Reason{session.NoProposalIKE, session.AuthFailed, session.NoProposalESP, session.RekeyFailed, session.RekeyFailed}},
	} {
		for i, about := range []op{opInit, opAuth, opNewChild, opRekeyChild, opRekeyIKE} {
			if got, hint := peerReason(&peerError{notify: c.notify}, about, &cfg); got != c.want[i] || hint == "" {
				t.Errorf("%v for request %d: %s %q, want %s", c.notify, about, got, hint, c.want[i])
			}
		}
	}
}

// TestRefusedRekeysSayWhy: a rekey that the peer refuses is REKEY_FAILED with the peer's word in the hint, and costs nothing.
func TestRefusedRekeysSayWhy(t *testing.T) {
	for _, cmd := range []session.Rekey{{}, {IKE: true}} {
		for _, kind := range []wire.NotifyType{wire.NotifyNoAdditionalSAs, wire.NotifyNoProposalChosen, wire.NotifyInvalidSyntax, 8191} {
			l := connected(t)
			l.do(l.a, cmd)
			h, err := wire.ParseHeader(l.take(l.a).Bytes)
			if err != nil {
				t.Fatal(err)
			}
			l.arrive(l.b, forge(l.b.sa(), wire.CreateChildSA, h.MessageID, true, &wire.Notify{Kind: kind}))
			l.b.sa().nextIn = h.MessageID + 1
			if e := l.event(l.a, session.Failed); e.Reason != session.RekeyFailed || e.Hint == "" {
				t.Errorf("%+v refused with %v: %s %q", cmd, kind, e.Reason, e.Hint)
			}
			l.unharmed()
		}
	}
}
