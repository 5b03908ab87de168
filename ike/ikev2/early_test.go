package ikev2

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// childRequest is what asks for a Child SA with the lab's defaults.
func (l *lab) childRequest(from *gateway, spi uint32) []wire.Payload {
	return []wire.Payload{&wire.SA{Proposals: suite.Offer(from.cfg.ESP, wire.ProtoESP, binary.BigEndian.AppendUint32(nil, spi), suite.WithGroups)},
		&wire.Nonce{Data: make([]byte, 32)}, toWire(from.cfg.Local, true), toWire(from.cfg.Remote, false)}
}

// ikeRequest is what asks to rekey the IKE SA.
func (l *lab) ikeRequest(from *gateway, spi uint64) []wire.Payload {
	group := suite.Groups(from.cfg.IKE)[0]
	pair, err := group.Generate(from.cfg.Rand)
	if err != nil {
		l.t.Fatal(err)
	}
	return []wire.Payload{&wire.SA{Proposals: suite.Offer(from.cfg.IKE, wire.ProtoIKE, ikeSPIBytes(spi), suite.WithGroups)},
		&wire.Nonce{Data: make([]byte, 32)}, &wire.KE{Group: group.ID, Data: pair.Public()}}
}

// TestNothingBeforeAuth is SM-01 (CVE-2014-2338, CVE-2019-12312): whoever has done the key exchange but proved nothing
// asks for everything but IKE_AUTH, at either end. Nothing comes up, nothing is answered, and the real IKE_AUTH, if it
// comes in time, still works.
func TestNothingBeforeAuth(t *testing.T) {
	for _, end := range []string{"responder", "initiator"} {
		l := atAuth(t, nil)
		victim, from := l.b, l.a.sessions[0].(*peer).sas[0]
		if end == "initiator" {
			victim, from = l.a, l.b.sessions[0].(*peer).sas[0]
			if err := from.completeKeys(); err != nil { // b would do so when IKE_AUTH comes
				t.Fatal(err)
			}
		}
		to := victim.sessions[0].(*peer).sas[0]
		for name, list := range map[string][]wire.Payload{
			"a new child":      l.childRequest(l.a, 0x7777),
			"a rekeyed child":  append(l.childRequest(l.a, 0x7777), &wire.Notify{Protocol: wire.ProtoESP, SPI: []byte{0, 0, 1, 1}, Kind: wire.NotifyRekeySA}),
			"a rekeyed IKE SA": l.ikeRequest(l.a, 99),
			"a Delete":         {&wire.Delete{Protocol: wire.ProtoIKE}}, "nothing": nil, "a refusal": {&wire.Notify{Kind: wire.NotifyAuthenticationFailed}},
			"INITIAL_CONTACT": {&wire.Notify{Kind: wire.NotifyInitialContact}}, "what cannot be read": {&wire.Unknown{Kind: wire.TypeTSi}}, "a critical one": {&wire.Unknown{Kind: 250, Critical: true}},
		} {
			for _, exchange := range []wire.ExchangeType{wire.CreateChildSA, wire.Informational, wire.IKEIntermediate, wire.IKESessionResume, 250} {
				for _, id := range []uint32{to.nextIn, to.nextIn + 1} {
					before := to.heardAt
					l.quiet(victim, end+": "+name+" in "+exchange.String(), forge(from, exchange, id, false, list...))
					to.heardAt = before // it was authentic, which counts as a sign of life and as nothing else
				}
			}
		}
		l.settle()
		l.unharmed()
	}
	l := atAuth(t, nil) // and if IKE_AUTH never comes, it ends
	l.a.queue = nil
	l.arrive(l.a, forge(l.a.sessions[0].(*peer).sas[0], wire.CreateChildSA, 1, false, l.childRequest(l.a, 0x7777)...))
	l.wait(halfOpenLife+time.Second, func() { l.a.queue = nil })
	l.empty(l.b)
}

// quiet is ignored for a message that is authentic: that it was heard may show.
func (l *lab) quiet(g *gateway, name string, msg []byte) {
	l.t.Helper()
	sa := g.sessions[0].(*peer).sas[0]
	heard, keys := sa.heardAt, sa.keys
	sa.heardAt = l.now
	l.ignored(g, name, msg)
	if sa.heardAt = heard; keys != nil && sa.keys != keys {
		l.t.Errorf("%s: the keys were made again", name)
	}
}

// TestAuthTwice is SM-01: a second IKE_AUTH, be it the same or another, does nothing once the IKE SA is up.
func TestAuthTwice(t *testing.T) {
	l := atAuth(t, nil)
	first := l.open(l.a, l.queued(l.a))
	l.settle()
	l.paired()
	for name, id := range map[string]uint32{"with the next ID": 2, "with the first ID": 0} {
		again := first
		again.MessageID, again.sender, again.iv = id, l.a.sa(), []byte{0xf0, 0, 0, 0, 0, 0, 0, byte(id)}
		l.ignored(l.b, name, again.seal())
	}
	for name, response := range map[string]bool{"as a request of the responder": false, "as an answer": true} {
		l.ignored(l.a, name, forge(l.b.sa(), wire.IKEAuth, l.a.sa().nextIn, response, first.payloads()...))
	}
	l.unharmed()
}

// TestAuthAnswers is SM-02, MAL-16 and N-34 (RFC 7296 §2.21.2): what an IKE_AUTH answer must have. A Child SA that is refused does
// not fail the authentication; what proves nothing does.
func TestAuthAnswers(t *testing.T) {
	only := func(kinds ...wire.PayloadType) func([]wire.Payload) []wire.Payload {
		return func(list []wire.Payload) []wire.Payload {
			return slices.DeleteFunc(list, func(p wire.Payload) bool { return !slices.Contains(kinds, p.Type()) })
		}
	}
	refusing := func(kind wire.NotifyType) func([]wire.Payload) []wire.Payload {
		return func(list []wire.Payload) []wire.Payload {
			return append(only(wire.TypeIDr, wire.TypeAuth)(list), &wire.Notify{Kind: kind})
		}
	}
	for _, c := range []struct {
		name   string
		change func([]wire.Payload) []wire.Payload
		up     bool
		reason session.Reason
	}{
		{"nothing", only(), false, session.AuthFailed},
		{"no AUTH", only(wire.TypeIDr, wire.TypeSA, wire.TypeTSi, wire.TypeTSr), false, session.AuthFailed},
		{"no IDr", only(wire.TypeAuth, wire.TypeSA, wire.TypeTSi, wire.TypeTSr), false, session.AuthFailed},
		{"a Child SA alone", only(wire.TypeSA, wire.TypeTSi, wire.TypeTSr), false, session.AuthFailed},
		{"an unknown error alone", func([]wire.Payload) []wire.Payload { return []wire.Payload{&wire.Notify{Kind: 9999}} }, false, session.AuthFailed},
		{"an error, and a Child SA", func(list []wire.Payload) []wire.Payload {
			return append(only(wire.TypeSA, wire.TypeTSi, wire.TypeTSr)(list), &wire.Notify{Kind: wire.NotifyAuthenticationFailed})
		}, false, session.AuthFailed},
		{"proof, no proposal", refusing(wire.NotifyNoProposalChosen), true, session.NoProposalESP},
		{"proof, no selectors", refusing(wire.NotifyTSUnacceptable), true, session.TSUnacceptable},
		{"proof, an address wanted", refusing(wire.NotifyFailedCPRequired), true, session.NoProposalESP},
		{"proof, an unknown error", refusing(9999), true, session.NoProposalESP},
		{"proof alone", only(wire.TypeIDr, wire.TypeAuth), true, session.AuthFailed},
		{"proof, selectors but no SA", only(wire.TypeIDr, wire.TypeAuth, wire.TypeTSi, wire.TypeTSr), true, session.AuthFailed},
		{"proof, an SA without selectors", only(wire.TypeIDr, wire.TypeAuth, wire.TypeSA), true, session.AuthFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := atAuth(t, nil)
			l.deliver(l.a)
			l.edit(l.b, c.change)
			l.deliver(l.b)
			l.mustBeSound()
			kind := session.Failed
			if c.up {
				kind = session.ChildFailed
			}
			if got := l.event(l.a, kind); got.Reason != c.reason {
				t.Errorf("a says %s: %s, want %s", got.Reason, got.Hint, c.reason)
			}
			if up := l.a.sa() != nil; up != c.up || len(l.a.children) > 0 {
				t.Errorf("the IKE SA is up: %v, want %v; %d Child SAs", up, c.up, len(l.a.children))
			}
			if l.mustBeSound(); c.up && c.reason != session.AuthFailed {
				return // b was made to say no to what it has made, and keeps it
			}
			l.heals()
		})
	}
}

// TestProofBeforeProof is AUT-11 (CVE-2015-4171): the responder shows identity and AUTH only to an initiator that it has
// verified, the initiator takes nothing of the responder's into use before.
func TestProofBeforeProof(t *testing.T) {
	l := atAuth(t, func(l *lab) { l.secrets([]byte("one of them"), []byte("the other one")) })
	l.deliver(l.a)
	for _, p := range l.peek(l.b) {
		if p.Type() != wire.TypeNotify {
			t.Errorf("b shows %v to somebody it did not verify", p.Type())
		}
	}
	l = atAuth(t, nil)
	l.deliver(l.a)
	l.edit(l.b, func(list []wire.Payload) []wire.Payload {
		find[*wire.Auth](list).Data[0] ^= 1
		return list
	})
	l.deliver(l.b)
	if len(l.a.children) > 0 || len(filter(l.a.events, session.ChildUp)) > 0 {
		t.Error("a installs a Child SA of a responder that it did not verify")
	}
	l.heals()
}

// TestInitialContactOnlyInAuth is SM-12 and N-27: it counts in IKE_AUTH, once the peer is authenticated.
func TestInitialContactOnlyInAuth(t *testing.T) {
	l := connected(t)
	l.request(l.a, wire.Informational, &wire.Notify{Kind: wire.NotifyInitialContact})
	if answer := l.answered(l.b); len(answer) > 0 {
		t.Errorf("answered {%s}", wire.Describe(answer))
	}
	for _, e := range l.b.events {
		if e.IKE.InitialContact {
			t.Errorf("%v says initial contact", e.Kind)
		}
	}
	l.unharmed()

	claim := func(l *lab) { l.a.cfg.InitialContact = true }
	l = atAuth(t, func(l *lab) { claim(l); l.secrets([]byte("one of them"), []byte("the other one")) })
	l.settle()
	for _, e := range l.b.events {
		if e.IKE.InitialContact {
			t.Errorf("a stranger's initial contact counts in %v", e.Kind)
		}
	}
	l = atAuth(t, claim)
	l.settle()
	if up := l.event(l.b, session.IKEUp); !up.IKE.InitialContact {
		t.Error("the peer's initial contact is lost")
	}
	l.do(l.a, session.Rekey{IKE: true})
	l.settle()
	if rekeyed := l.event(l.b, session.IKERekeyed); rekeyed.IKE.InitialContact {
		t.Error("a successor says initial contact again")
	}
	l.wait(time.Minute, l.settle)
	l.unharmed()
}
