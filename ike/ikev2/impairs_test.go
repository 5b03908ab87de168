package ikev2

import (
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// The impairments that impair_test.go does itself, in its order.

// oneWayIsBlocked: for ten seconds nothing gets through one way, whatever was about to be said. Nothing begins anew.
func oneWayIsBlocked(t *testing.T) {
	for _, deaf := range []string{"a", "b"} {
		for _, cmd := range []session.Command{session.Rekey{}, session.Rekey{IKE: true}, session.Probe{}} {
			l := connected(t)
			l.do(l.a, cmd)
			l.do(l.b, cmd)
			l.wait(10*time.Second, func() {
				if deaf == "a" {
					l.b.queue = nil
				} else {
					l.a.queue = nil
				}
				l.settle()
			})
			l.heals()
			if n := len(filter(l.a.events, session.IKEUp)); n != 1 {
				t.Errorf("%s deaf, %#v: %d IKE SAs, want the first to live", deaf, cmd, n)
			}
		}
	}
}

// messagesDrip: everything is late and comes one by one, two seconds apart, behind its own repetitions.
func messagesDrip(t *testing.T) {
	l := newLab(t)
	for _, step := range story(l) {
		step()
		for range 40 {
			l.wait(2*time.Second, func() {})
			for _, g := range []*gateway{l.a, l.b} {
				if len(g.queue) > 0 {
					l.deliver(g)
				}
			}
			l.mustBeSound()
		}
	}
	l.heals()
}

// nothingIsRepeated: what is lost stays lost. The exchange ends the IKE SA, and a new one can be had at once.
func nothingIsRepeated(t *testing.T) {
	for _, cmd := range []session.Command{session.Rekey{}, session.Rekey{IKE: true}, session.Probe{}} {
		l := connected(t)
		l.do(l.a, cmd)
		l.a.queue = nil
		l.wait(time.Minute, func() { l.a.queue = nil }) // its repetitions
		if e := l.event(l.a, session.IKEDown); e.Reason != session.DPDTimeout {
			t.Errorf("%#v: %s", cmd, e.Reason)
		}
		l.wait(2*time.Minute, l.settle)
		l.empty(l.a)
		l.initiate(l.a)
		l.settle()
		l.wait(2*time.Minute, l.settle)
		l.unpairedButFor(l.a.sa())
	}
}

// unpairedButFor checks that b has no more than what fits to a's only IKE SA.
func (l *lab) unpairedButFor(sa *SA) {
	l.t.Helper()
	if sa == nil || l.onePair() != "" {
		l.t.Errorf("%s\n%s", l.onePair(), l.log.String())
	}
}

// gaveUpAtOnce: an end that sends everything once only.
func gaveUpAtOnce(t *testing.T) {
	l := newLab(t)
	l.a.cfg.Retransmit = session.Backoff{First: 500 * time.Millisecond, Factor: 1, Tries: 1}
	l.initiate(l.a)
	l.take(l.a)
	l.wait(time.Second, l.settle)
	if e := l.event(l.a, session.Failed); e.Reason != session.NoResponse {
		t.Errorf("failed with %s", e.Reason)
	}
	l.empty(l.a)
	l.heals()
}

// slowPeer: b needs two seconds for each answer, so that a has asked again twice before it comes.
func slowPeer(t *testing.T) {
	l := newLab(t)
	for _, step := range story(l) {
		step()
		for range 12 {
			for len(l.a.queue) > 0 {
				l.deliver(l.a)
			}
			late := l.b.queue
			l.b.queue = nil
			l.wait(2*time.Second, func() {
				for len(l.a.queue) > 0 {
					l.deliver(l.a)
				}
			})
			l.b.queue = append(late, l.b.queue...)
			for len(l.b.queue) > 0 {
				l.deliver(l.b)
			}
			l.mustBeSound()
		}
	}
	l.heals()
}

// publicValuesOfOneOctet is `ke_payload N`: the right length, and of one octet throughout.
func publicValuesOfOneOctet(t *testing.T) {
	for _, m := range moments {
		if !m.has(t, wire.TypeKE) {
			continue
		}
		for _, octet := range []byte{0, 1, 0x55, 0xff} {
			l, g := m.reach(t)
			m.change(l, g, true, func(list []wire.Payload) []wire.Payload {
				ke := find[*wire.KE](list)
				ke.Data = slices.Repeat([]byte{octet}, len(ke.Data))
				return list
			})
			l.deliver(g)
			l.settle()
			if l.unpaired() != "" && !m.clear() { // new keys that differ cannot be seen from within IKE; the next ones fit
				l.do(l.a, session.Rekey{})
			}
			l.heals()
		}
	}
}

// has reports whether the moment's message has a payload of a type.
func (m moment) has(t *testing.T, kind wire.PayloadType) bool {
	l, g := m.reach(t)
	return slices.ContainsFunc(l.peek(g), func(p wire.Payload) bool { return p.Type() == kind })
}

// otherSPIs: either SPI of each message is 0, all ones, or another.
func otherSPIs(t *testing.T) {
	for _, m := range moments {
		for _, at := range []int{0, 8} {
			for _, octet := range []byte{0, 0xff, 0x11} {
				l, g := m.reach(t)
				msg := slices.Clone(l.take(g).Bytes)
				copy(msg[at:], slices.Repeat([]byte{octet}, 8))
				l.arrive(g, msg)
				l.heals()
			}
		}
	}
}

// otherExchanges: each sealed message says that it is of another exchange. Where that makes sense the two are at different Message
// IDs from then on, and the IKE SA is given up.
func otherExchanges(t *testing.T) {
	for _, m := range moments {
		for _, x := range []wire.ExchangeType{wire.IKESAInit, wire.IKEAuth, wire.CreateChildSA, wire.Informational, wire.IKEIntermediate, wire.IKEFollowupKE, 250} {
			if l, g := m.reach(t); !m.clear() && l.header(g).Exchange != x {
				l.rewrite(g, func(s *sealed) { s.Exchange = x })
				l.deliver(g)
				l.wait(stalled+time.Minute, l.settle)
				l.heals()
			}
		}
	}
}

// header is that of the oldest message of g.
func (l *lab) header(g *gateway) wire.Header {
	h, err := wire.ParseHeader(g.queue[0].Bytes)
	if err != nil {
		l.t.Fatal(err)
	}
	return h
}

// headerBits: each sealed message has a minor version and all the flags that mean nothing. It is as good as without.
func headerBits(t *testing.T) {
	for _, m := range moments {
		if m.clear() {
			continue
		}
		l, g := m.reach(t)
		l.rewrite(g, func(s *sealed) {
			s.Flags |= 0xd7 // but for initiator and response
			s.Version |= 9
		})
		dropped := len(filter(l.other(g).events, session.Dropped))
		l.deliver(g)
		if got := filter(l.other(g).events, session.Dropped); len(got) > dropped {
			t.Errorf("%s: dropped: %s", m.name, got[dropped].Story)
		}
		l.heals()
	}
}

// payloadBits: each payload of each sealed message has all reserved bits of its header set.
func payloadBits(t *testing.T) {
	for _, m := range moments {
		if m.clear() {
			continue
		}
		l, g := m.reach(t)
		l.rewrite(g, func(s *sealed) {
			for at := 0; at+4 <= len(s.plain); at += int(s.plain[at+2])<<8 | int(s.plain[at+3]) {
				s.plain[at+1] |= 0x7f
			}
		})
		l.deliver(g)
		l.settle()
		if m.name[:10] == "delete IKE" {
			l.mustBeGone()
			continue
		}
		l.unharmed()
	}
}

// rekeyOfAnotherProtocol: REKEY_SA names an SA of AH, of IKE, or of no protocol: it is refused, and costs nothing.
func rekeyOfAnotherProtocol(t *testing.T) {
	for _, protocol := range []wire.ProtocolID{0, wire.ProtoIKE, wire.ProtoAH, 200} {
		l := connected(t)
		l.request(l.a, wire.CreateChildSA, append(l.childRequest(l.a, 0x1001),
			&wire.Notify{Protocol: protocol, SPI: spiBytes(l.b.sa().children[0].out), Kind: wire.NotifyRekeySA})...)
		if answer := l.answered(l.b); says(answer) != wire.NotifyInvalidSyntax {
			t.Errorf("protocol %d: answered {%s}", protocol, wire.Describe(answer))
		}
		l.unharmed()
	}
}

// shortProofs: AUTH is cut off, or empty. Nobody is up with it, and both are at the next attempt.
func shortProofs(t *testing.T) {
	for _, m := range moments {
		if !m.auth() {
			continue
		}
		for _, n := range []int{0, 1, 16, 31} {
			l, g := m.reach(t)
			l.edit(g, func(list []wire.Payload) []wire.Payload {
				proof := find[*wire.Auth](list)
				proof.Data = proof.Data[:n]
				return list
			})
			to := l.other(g)
			l.deliver(g)
			if len(filter(to.events, session.IKEUp)) > 0 {
				t.Errorf("%s with %d octets of proof: up", m.name, n)
			}
			l.settle()
			if failed := filter(to.events, session.Failed); len(failed) != 1 || failed[0].Reason != session.AuthFailed {
				t.Errorf("%s with %d octets of proof: %v", m.name, n, failed)
			}
			l.heals()
		}
	}
}

// unknownPayloads: one that nobody knows is skipped, wherever it stands and however many there are; one that is critical costs
// the exchange, and a request with it is told which it was (RFC 7296 §2.5).
func unknownPayloads(t *testing.T) {
	one := &wire.Unknown{Kind: 222, Data: []byte("?")}
	for _, m := range moments {
		for name, change := range map[string]func([]wire.Payload) []wire.Payload{
			"first": func(list []wire.Payload) []wire.Payload { return slices.Insert(list, 0, wire.Payload(one)) },
			"last":  func(list []wire.Payload) []wire.Payload { return append(list, one) },
			"padded": func(list []wire.Payload) []wire.Payload {
				return append(list, slices.Repeat([]wire.Payload{one}, 20)...)
			},
		} {
			l, g := m.reach(t)
			m.change(l, g, true, change)
			l.deliver(g)
			l.settle()
			if m.name[:10] == "delete IKE" {
				l.mustBeGone()
				continue
			}
			if l.unpaired() != "" {
				t.Errorf("%s, an unknown payload %s: %s", m.name, name, l.unpaired())
			}
			l.unharmed()
		}
		l, g := m.reach(t)
		m.change(l, g, false, func(list []wire.Payload) []wire.Payload {
			return append(list, &wire.Unknown{Kind: 222, Critical: true})
		})
		l.deliver(g)
		if to := l.other(g); !m.answer() && says(l.peek(to)) != wire.NotifyUnsupportedCriticalPayload {
			t.Errorf("%s: a critical payload is answered {%s}", m.name, wire.Describe(l.peek(to)))
		}
		if m.name == "delete child request" { // what it should have deleted has its own end
			l.wait(l.b.cfg.ChildLifetime, l.settle)
		}
		l.heals()
	}
}

// endsWithoutAWord: a ends and tells nobody. b finds out, and both have nothing until they are asked again.
func endsWithoutAWord(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Close{Quiet: true})
	l.empty(l.a)
	l.wait(2*time.Minute, l.settle)
	if e := l.event(l.b, session.IKEDown); e.Reason != session.DPDTimeout {
		t.Errorf("b says %s", e.Reason)
	}
	l.empty(l.b)
	l.initiate(l.a)
	l.settle()
	l.unharmed()
}
