package ikev2

import (
	"slices"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// withoutChild takes the Child SA out of an IKE_AUTH request.
func withoutChild(list []wire.Payload, kinds ...wire.PayloadType) []wire.Payload {
	return slices.DeleteFunc(list, func(p wire.Payload) bool { return slices.Contains(kinds, p.Type()) })
}

// RFC 6023 §3: an IKE SA without a Child SA comes up, and CREATE_CHILD_SA makes the first one.
func TestChildlessIsAnswered(t *testing.T) {
	l := atAuth(t, func(l *lab) {
		l.a.cfg.ESP, l.b.cfg.ESP = espProposals(t, "aes128gcm16-curve25519-noesn"), espProposals(t, "aes128gcm16-curve25519-noesn")
	})
	l.edit(l.a, func(list []wire.Payload) []wire.Payload {
		return withoutChild(list, wire.TypeSA, wire.TypeTSi, wire.TypeTSr)
	})
	l.deliver(l.a)
	if got, want := wire.Describe(l.peek(l.b)), "IDr AUTH"; got != want {
		t.Errorf("answered with %q, want %q", got, want)
	}
	if sa := l.b.sa(); sa == nil || len(sa.children) > 0 || len(filter(l.b.events, session.ChildFailed)) > 0 {
		t.Fatalf("b has %v\n%s", sa, l.log.String())
	}
	l.settle()
	l.initiate(l.a)
	l.settle()
	l.unharmed()
	if got := l.b.sa().children[0].suite.String(); got != "aes128gcm16-curve25519" {
		t.Errorf("the Child SA has %s: its first key exchange is its own", got)
	}
}

// What asks for half a Child SA is malformed, as before (N-34).
func TestHalfAChildIsMalformed(t *testing.T) {
	for _, kinds := range [][]wire.PayloadType{{wire.TypeSA}, {wire.TypeTSi}, {wire.TypeTSr, wire.TypeTSi}, {wire.TypeSA, wire.TypeTSr}} {
		l := atAuth(t, nil)
		l.edit(l.a, func(list []wire.Payload) []wire.Payload { return withoutChild(list, kinds...) })
		l.deliver(l.a)
		if got, want := wire.Describe(l.peek(l.b)), "N(INVALID_SYNTAX)"; got != want {
			t.Errorf("without %v: answered with %q, want %q", kinds, got, want)
		}
		l.settle()
		l.mustBeGone()
	}
}

// RFC 6023 §3, DOS-05: it is announced where the answer stays no longer than the request.
func TestChildlessAnnounced(t *testing.T) {
	for more, want := range map[int]bool{0: false, 1: true} {
		l := newLab(t)
		l.initiate(l.a)
		l.editClear(l.a, func(m *wire.Message) {
			for range more {
				m.Payloads = append(m.Payloads, &wire.Notify{Kind: wire.NotifyRedirectSupported})
			}
		})
		request := len(l.a.queue[0].Bytes)
		l.deliver(l.a)
		answer := len(l.b.queue[0].Bytes)
		got := slices.ContainsFunc(l.peek(l.b), func(p wire.Payload) bool {
			n, ok := p.(*wire.Notify)
			return ok && n.Kind == wire.NotifyChildlessIKEv2Supported
		})
		if got != want || answer > request {
			t.Errorf("with %d more notifies: announced %v, want %v; %d octets answered with %d", more, got, want, request, answer)
		}
	}
}

// MAL-25, AUT-10, RFC 5685, RFC 5723: what is not built is not acted on, wherever it comes: a redirection, a ticket, EAP, an
// address to be given out, however many octets it claims to have, transport mode, compression, certificates to be fetched.
func TestNotBuiltIsNotActedOn(t *testing.T) {
	odd := []wire.Payload{&wire.Notify{Kind: wire.NotifyRedirect, Data: []byte{1, 4, 203, 0, 113, 9}}, &wire.Notify{Kind: wire.NotifyRedirectSupported},
		&wire.Notify{Kind: 16409}, &wire.Notify{Kind: 16410, Data: make([]byte, 40)}, // TICKET_LT_OPAQUE, TICKET_REQUEST
		&wire.Unknown{Kind: wire.TypeCP, Data: []byte{1, 0, 0, 0, 0, 1, 0, 0}}, &wire.Unknown{Kind: wire.TypeEAP, Data: []byte{3, 1, 0, 4}},
		&wire.Notify{Kind: wire.NotifyUseTransportMode}, &wire.Notify{Kind: wire.NotifyIPCompSupported, Data: []byte{0, 9, 2}},
		&wire.Notify{Kind: wire.NotifyHTTPCertLookupSupported}, &wire.Notify{Kind: wire.NotifyMOBIKESupported}, &wire.Notify{Kind: wire.NotifyUpdateSAAddresses}}
	for n := range byte(4) { // INTERNAL_IP4_ADDRESS shorter than an address, as request and as an address given
		for _, kind := range []byte{1, 2} {
			odd = append(odd, &wire.Unknown{Kind: wire.TypeCP, Data: append([]byte{kind, 0, 0, 0, 0, 1, 0, n}, make([]byte, n)...)})
		}
	}
	add := func(list []wire.Payload) []wire.Payload { return append(list, odd...) }
	l := atAuth(t, nil)
	l.edit(l.a, add)
	l.deliver(l.a)
	for _, p := range l.peek(l.b) {
		if n, ok := p.(*wire.Notify); ok {
			t.Errorf("IKE_AUTH is answered with %v", n.Kind)
		}
	}
	l.edit(l.b, add)
	l.settle()
	l.paired()
	for name, msg := range map[string][]byte{
		"a resumption":                        forge(l.a.sa(), wire.IKESessionResume, l.b.sa().nextIn, false, odd...),
		"a resumption, of no IKE SA":          (&wire.Message{Header: wire.Header{SPIi: 77, Version: wire.V2, Exchange: wire.IKESessionResume, Flags: wire.FlagInitiator}, Payloads: odd}).Marshal(),
		"an IKE_INTERMEDIATE, never agreed":   forge(l.a.sa(), wire.IKEIntermediate, l.b.sa().nextIn, false, &wire.KE{Group: 31, Data: make([]byte, 32)}),
		"EAP in an IKE_AUTH that comes again": forge(l.a.sa(), wire.IKEAuth, l.b.sa().nextIn, false, odd...),
	} {
		before := l.b.snapshot()
		heard := l.b.sa().heardAt
		l.arrive(l.a, msg)
		if l.b.sa().heardAt = heard; l.b.snapshot() != before || len(l.b.queue) > 0 {
			t.Errorf("%s changes something or is answered\n%s", name, l.log.String())
		}
	}
	l.do(l.a, session.Probe{})
	l.edit(l.a, add)
	l.deliver(l.a)
	if got := l.peek(l.b); len(got) != 0 {
		t.Errorf("answered with %s", wire.Describe(got))
	}
	l.settle()
	l.unharmed()

	l = newLab(t) // a redirection in place of the answer, by whoever wants to send us elsewhere
	l.initiate(l.a)
	l.deliver(l.a)
	l.editClear(l.b, func(m *wire.Message) { m.Payloads = odd[:1] })
	l.deliver(l.b)
	l.wait(l.a.cfg.DPD.Interval/10, l.settle)
	l.unharmed()
}
