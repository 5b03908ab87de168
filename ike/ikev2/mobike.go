package ikev2

import (
	"bytes"
	"crypto/subtle"
	"net/netip"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// MOBIKE (RFC 4555): the end that began the first IKE SA may say that its address is another now, and the IKE SA and its
// Child SAs go on. Each end has one address at a time: ADDITIONAL_IP4_ADDRESS and its kin are ignored.

// A mobike is what an IKE SA and its successors know of it.
type mobike struct {
	on     bool   // both ends support it
	began  bool   // on, and the first IKE SA was begun here: it is for us to say which addresses count (RFC 4555 §2.1)
	seenAs []byte // the peer's hash of our address as it last saw it; nil: not asked on this IKE SA yet
	unsure bool   // the path is new, and nobody has shown yet that the peer is at its end
}

// supportsMOBIKE goes into IKE_AUTH (RFC 4555 §3.1).
func (c *Config) supportsMOBIKE() []wire.Payload {
	if !c.MOBIKE {
		return nil
	}
	return []wire.Payload{&wire.Notify{Kind: wire.NotifyMOBIKESupported}}
}

// learnMOBIKE reads the peer's IKE_AUTH message.
func (s *SA) learnMOBIKE(m *message) {
	s.mobike.on = s.p.cfg.MOBIKE && m.notify(wire.NotifyMOBIKESupported) != nil
	s.mobike.began = s.mobike.on && s.initiator
}

// askUpdate says where we are now (RFC 4555 §3.5).
func (s *SA) askUpdate(now time.Time) {
	list := append([]wire.Payload{&wire.Notify{Kind: wire.NotifyUpdateSAAddresses}}, s.natNotifies(s.spiI, s.spiR, s.path)...)
	s.ask(now, wire.Informational, list, "tell the peer our new address", &request{op: opUpdate})
}

// updated is the peer's answer.
func (s *SA) updated(now time.Time, m *message) error {
	if refusal := m.refusal(); refusal != nil {
		return &localError{reason: session.NoResponse,
			hint: "the peer does not take our new outside address (" + refusal.notify.String() + "); beginning anew"}
	}
	if !slices.Contains(s.pending, task{op: opUpdate}) { // else the answer is about a path that we have left
		s.renat(now, m)
	}
	s.mobike.seenAs = seenAs(m)
	return nil
}

// answerMobility does what an INFORMATIONAL request says of addresses and returns what the answer carries for it. What
// was not negotiated means nothing (MAL-25).
func (s *SA) answerMobility(now time.Time, m *message) []wire.Payload {
	if !s.mobike.on || s.state != established || s.closing() {
		return nil
	}
	var list []wire.Payload
	if cookie := m.notify(wire.NotifyCookie2); cookie != nil { // RFC 4555 §3.7
		list = append(list, &wire.Notify{Kind: wire.NotifyCookie2, Data: cookie.Data})
	}
	if allowed := m.notify(wire.NotifyNoNATsAllowed); allowed != nil && !bytes.Equal(allowed.Data, untranslated(m.path)) { // RFC 4555 §3.9
		return append(list, &wire.Notify{Kind: wire.NotifyUnexpectedNATDetected})
	}
	if m.notify(wire.NotifyUpdateSAAddresses) != nil && !s.mobike.began {
		if m.path.Local.Port() != s.path.Local.Port() {
			return append(list, &wire.Notify{Kind: wire.NotifyUnacceptableAddresses})
		}
		moved := m.path != s.path
		if s.learnNAT(m); moved {
			s.move(now, m.path)
		}
		s.renat(now, m)
		if moved && !s.closing() {
			s.checkPath(now)
		}
	}
	if detectNAT(m).supported { // RFC 4555 §3.5, §3.8: how the peer learns of a NAT that has another mapping
		list = append(list, s.natNotifies(s.spiI, s.spiR, m.path)...)
	}
	return list
}

// untranslated is what NO_NATS_ALLOWED says when no NAT is on the way: source and destination, then their ports.
func untranslated(path esp.Path) []byte {
	source, destination := path.Remote, path.Local
	b := append(plainAddr(source.Addr()), plainAddr(destination.Addr())...)
	return append(b, byte(source.Port()>>8), byte(source.Port()), byte(destination.Port()>>8), byte(destination.Port()))
}

func plainAddr(a netip.Addr) []byte { return a.Unmap().AsSlice() }

// checkPath asks whether the peer really is at the end of a new path (RFC 4555 §3.7). If it is not, the IKE SA ends as
// after any other silence.
func (s *SA) checkPath(now time.Time) {
	s.mobike.unsure = true
	s.want(now, task{op: opLiveness})
}

// askLiveness asks whether the peer is there. Where MOBIKE lets us say so, the question also finds out whether a NAT
// before us has another mapping (RFC 4555 §3.8), and whether who answers has read the question.
func (s *SA) askLiveness(now time.Time) {
	var list []wire.Payload
	r := &request{op: opLiveness, backoff: s.p.livenessBackoff()}
	story := "ask whether the peer is alive"
	if s.mobike.unsure {
		story = "ask whether the peer is at the end of the new path"
		s.mobike.unsure = false
		if s.mobike.on {
			r.cookie2 = make([]byte, 16)
			s.p.random(r.cookie2)
			list = append(list, &wire.Notify{Kind: wire.NotifyCookie2, Data: r.cookie2})
		}
	}
	if s.watchesNAT() {
		list = append(list, s.natNotifies(s.spiI, s.spiR, s.path)...)
	}
	s.ask(now, wire.Informational, list, story, r)
}

// watchesNAT reports whether questions of liveness also ask how the peer sees our address: a NAT before us may get another
// mapping (RFC 4555 §3.8); and ESP without UDP stops where a NAT comes in.
func (s *SA) watchesNAT() bool { return s.mobike.began && (s.nat.local || !s.encap()) }

// alive is the answer to it.
func (s *SA) alive(now time.Time, m *message) error {
	if want := m.request.cookie2; want != nil {
		got := m.notify(wire.NotifyCookie2)
		if got == nil || subtle.ConstantTimeCompare(got.Data, want) != 1 { // RFC 4555 §3.7
			return &localError{reason: session.AuthFailed, hint: "the peer does not return COOKIE2 as we sent it"}
		}
	}
	if s.watchesNAT() {
		had := s.mobike.seenAs
		if had == nil && !s.nat.local {
			had = natHash(s.spiI, s.spiR, s.path.Local)
		}
		if seen := seenAs(m); seen != nil && !bytes.Equal(seen, had) {
			s.mobike.seenAs = seen
			s.want(now, task{op: opUpdate})
		}
	}
	return nil
}

// seenAs is the peer's hash of our address as it sees it, or nil.
func seenAs(m *message) []byte {
	if n := m.notify(wire.NotifyNATDetectionDestinationIP); n != nil {
		return n.Data
	}
	return nil
}
