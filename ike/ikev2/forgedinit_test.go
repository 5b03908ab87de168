package ikev2

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// clearAnswer is what anybody on the way can send to the initiator of msg.
func clearAnswer(msg []byte, spiR uint64, exchange wire.ExchangeType, list ...wire.Payload) []byte {
	return (&wire.Message{Header: wire.Header{SPIi: binary.BigEndian.Uint64(msg), SPIr: spiR, Version: wire.V2, Exchange: exchange,
		Flags: wire.FlagResponse, MessageID: binary.BigEndian.Uint32(msg[20:])}, Payloads: list}).Marshal()
}

func asRequest(msg []byte) []byte { return withOctet(msg, 19, msg[19]&^byte(wire.FlagResponse)) }

// TestForgedRefusals is SM-13, DOS-17 and N-41 (RFC 7296 §2.21.1): clear answers, and clear requests, that anybody can send while
// IKE_SA_INIT is open. The real answer comes second and counts.
func TestForgedRefusals(t *testing.T) {
	refuse := func(kind wire.NotifyType, data ...byte) wire.Payload { return &wire.Notify{Kind: kind, Data: data} }
	forged := map[string]func(msg []byte) []byte{}
	for _, kind := range []wire.NotifyType{wire.NotifyNoProposalChosen, wire.NotifyInvalidSyntax, wire.NotifyAuthenticationFailed, wire.NotifyInvalidIKESPI,
		wire.NotifyInvalidMajorVersion, wire.NotifyUnsupportedCriticalPayload, wire.NotifyTemporaryFailure, 9999, wire.NotifyRedirect} {
		forged[kind.String()] = func(msg []byte) []byte { return clearAnswer(msg, 0, wire.IKESAInit, refuse(kind)) }
		forged[kind.String()+" with an SPI"] = func(msg []byte) []byte { return clearAnswer(msg, 7, wire.IKESAInit, refuse(kind)) }
		forged[kind.String()+" in INFORMATIONAL"] = func(msg []byte) []byte { return clearAnswer(msg, 0, wire.Informational, refuse(kind)) }
	}
	for _, group := range []uint16{0, 1, 2, 19, 1025, 65535} { // MODP-768 and others that were not offered
		forged[fmt.Sprint("INVALID_KE_PAYLOAD for group ", group)] = func(msg []byte) []byte {
			return clearAnswer(msg, 0, wire.IKESAInit, refuse(wire.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, group)...))
		}
	}
	for _, n := range []int{0, 1, 3} {
		forged[fmt.Sprintf("INVALID_KE_PAYLOAD with %d octets", n)] = func(msg []byte) []byte {
			return clearAnswer(msg, 0, wire.IKESAInit, refuse(wire.NotifyInvalidKEPayload, make([]byte, n)...))
		}
	}
	for _, n := range []int{0, 65, 1000} {
		forged[fmt.Sprintf("COOKIE of %d octets", n)] = func(msg []byte) []byte {
			return clearAnswer(msg, 0, wire.IKESAInit, refuse(wire.NotifyCookie, make([]byte, n)...))
		}
	}
	forged["nothing inside"] = func(msg []byte) []byte { return clearAnswer(msg, 0, wire.IKESAInit) }
	forged["an SA of nothing"] = func(msg []byte) []byte {
		return clearAnswer(msg, 7, wire.IKESAInit, &wire.SA{Proposals: []wire.Proposal{{Number: 1, Protocol: wire.ProtoIKE}}}, &wire.KE{Group: 31, Data: make([]byte, 32)}, &wire.Nonce{Data: make([]byte, 32)})
	}
	forged["CRY-01: a public value of zeros"] = func(msg []byte) []byte {
		offer := suite.Offer(ikeProposals(t, defaultIKE), wire.ProtoIKE, nil, suite.WithGroups)
		return clearAnswer(msg, 7, wire.IKESAInit, &wire.SA{Proposals: offer}, &wire.KE{Group: 31, Data: make([]byte, 32)}, &wire.Nonce{Data: make([]byte, 32)})
	}
	forged["a short public value"] = func(msg []byte) []byte {
		offer := suite.Offer(ikeProposals(t, defaultIKE), wire.ProtoIKE, nil, suite.WithGroups)
		return clearAnswer(msg, 7, wire.IKESAInit, &wire.SA{Proposals: offer}, &wire.KE{Group: 31, Data: make([]byte, 31)}, &wire.Nonce{Data: make([]byte, 32)})
	}
	forged["no SPI of the responder's"] = func(msg []byte) []byte {
		offer := suite.Offer(ikeProposals(t, defaultIKE), wire.ProtoIKE, nil, suite.WithGroups)
		return clearAnswer(msg, 0, wire.IKESAInit, &wire.SA{Proposals: offer}, &wire.KE{Group: 31, Data: make([]byte, 32)}, &wire.Nonce{Data: make([]byte, 32)})
	}
	forged["a request with a body that cannot be opened"] = func(msg []byte) []byte {
		return asRequest(clearAnswer(msg, 0, wire.Informational, &wire.Unknown{Kind: wire.TypeSK, Data: make([]byte, 60)}))
	}
	forged["a request in clear"] = func(msg []byte) []byte {
		return asRequest(clearAnswer(msg, 0, wire.Informational, &wire.Delete{Protocol: wire.ProtoIKE}))
	}
	forged["a first request"] = func(msg []byte) []byte {
		return asRequest(clearAnswer(msg, 0, wire.IKESAInit, &wire.Nonce{Data: make([]byte, 16)}))
	}
	for name, forge := range forged {
		l := newLab(t)
		l.initiate(l.a)
		msg := forge(l.queued(l.a))
		for range 3 {
			l.arrive(l.b, msg)
			l.mustBeSound()
		}
		if len(l.a.queue) != 1 {
			t.Errorf("%s: a sends %d messages instead of one", name, len(l.a.queue))
		}
		l.settle()
		if problem := l.unpaired(); problem != "" {
			t.Errorf("%s: the real answer does not count any more: %s\n%s", name, problem, l.log.String())
			continue
		}
		for range 3 { // SM-13: and later it means nothing at all, N-26
			before := l.a.snapshot()
			l.arrive(l.b, msg)
			sa := l.a.sa()
			binary.BigEndian.PutUint64(msg[8:], sa.spiR)
			binary.BigEndian.PutUint32(msg[20:], sa.nextIn)
			l.arrive(l.b, msg)
			if l.a.snapshot() != before || len(l.a.queue) > 0 {
				t.Errorf("%s: an IKE SA that is up listens to it", name)
			}
		}
		l.unharmed()
	}
}

// TestForgedRestarts is SM-14: cookies and groups that send the initiator back to the start, alone and mixed, without end.
// It follows three times and then keeps to its own pace and patience.
func TestForgedRestarts(t *testing.T) {
	cookie := func(i int) wire.Payload {
		return &wire.Notify{Kind: wire.NotifyCookie, Data: []byte{byte(i), byte(i >> 8)}}
	}
	group := func(i int) wire.Payload {
		return &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, []byte{31, 19, 20}[i%3]}}
	}
	for name, next := range map[string]func(i int) wire.Payload{
		"cookies": cookie, "groups": group, "both": func(i int) wire.Payload {
			if i%2 == 0 {
				return cookie(i)
			}
			return group(i)
		},
	} {
		l := newLab(t)
		l.a.cfg.IKE = ikeProposals(t, "aes128gcm16-prfsha256-curve25519-ecp256-ecp384")
		l.b.cfg.IKE = l.a.cfg.IKE
		l.initiate(l.a)
		sent := 0
		for i := range 100 {
			for len(l.a.queue) > 0 {
				sent++
				l.arrive(l.b, clearAnswer(l.take(l.a).Bytes, 0, wire.IKESAInit, next(i)))
			}
			l.mustBeSound()
		}
		if sent > 1+maxRestarts {
			t.Errorf("%s: %d requests at once", name, sent)
		}
		i := 0
		l.wait(time.Minute, func() {
			for len(l.a.queue) > 0 {
				sent, i = sent+1, i+1
				l.arrive(l.b, clearAnswer(l.take(l.a).Bytes, 0, wire.IKESAInit, next(i)))
			}
		})
		if sent > 1+maxRestarts+session.DefaultBackoff.Tries {
			t.Errorf("%s: %d requests in all", name, sent)
		}
		l.empty(l.a)
		l.heals()
	}
}

// TestGivenUpKeyPairIsWiped: another group than the first is asked for; the first private value is forgotten (RFC 7296 §2.12).
func TestGivenUpKeyPairIsWiped(t *testing.T) {
	l := newLab(t)
	l.a.cfg.IKE = ikeProposals(t, "aes128gcm16-prfsha256-curve25519-ecp256")
	l.initiate(l.a)
	first := l.a.sessions[0].(*peer).sas[0].handshake.pair
	l.arrive(l.b, clearAnswer(l.take(l.a).Bytes, 0, wire.IKESAInit, &wire.Notify{Kind: wire.NotifyInvalidKEPayload, Data: []byte{0, 19}}))
	if second := l.a.sessions[0].(*peer).sas[0].handshake.pair; second.Group().Name != "ecp256" {
		t.Fatalf("the second group is %s", second.Group().Name)
	}
	other, err := first.Group().Generate(seeded(3))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("the first private value can still be used")
		}
	}()
	first.Shared(other.Public())
}
