package ikev2

import (
	"encoding/binary"
	"slices"
	"time"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// Key exchanges that are agreed besides the first take place between IKE_SA_INIT and IKE_AUTH, one IKE_INTERMEDIATE
// each, in the order of their transform types and none left out (RFC 9370 §2.2.2, H-04). Each gives all keys of the IKE
// SA anew, so that the next message is sealed with keys that hang on all exchanges so far (H-06):
//
//	IKE_SA_INIT       SKEYSEED(0) = prf(Ni | Nr, SK(0))             seals the first IKE_INTERMEDIATE
//	IKE_INTERMEDIATE  SKEYSEED(1) = prf(SK_d(0), SK(1) | Ni | Nr)   seals the second
//	IKE_INTERMEDIATE  SKEYSEED(2) = prf(SK_d(1), SK(2) | Ni | Nr)   seals IKE_AUTH
//
// AUTH covers them all, each under the SK_p of its moment (RFC 9242 §3.3.2, H-02).

// intermediates is what an IKE SA remembers of its IKE_INTERMEDIATE exchanges until the peer is authenticated.
type intermediates struct {
	done         int    // how many are complete
	fromI, fromR []byte // IntAuth_iN and IntAuth_rN
	pair         *suite.KeyPair
}

// announcesIntermediate reports whether a policy holds more than one key exchange: then IKE_INTERMEDIATE is announced, and
// only then (RFC 9242 §3.1, H-01).
func announcesIntermediate(policy []suite.Proposal) bool {
	return slices.ContainsFunc(policy, func(p suite.Proposal) bool {
		return slices.ContainsFunc(p.Additional[:], func(rows []suite.Row) bool { return len(rows) > 0 })
	})
}

func supportsIntermediate() wire.Payload {
	return &wire.Notify{Kind: wire.NotifyIntermediateExchangeSupported}
}

// intermediateMissing refuses an answer that wants more key exchanges and has no exchange to put them in (RFC 9370 §2.2.1).
func intermediateMissing() *localError {
	return &localError{reason: session.NoProposalIKE,
		hint: "the peer chose an additional key exchange and did not announce IKE_INTERMEDIATE; take ke1_ to ke7_ out of the proposal, or mend the peer"}
}

// agreed reports whether an exchange makes sense on this SA: IKE_INTERMEDIATE does only where it was agreed on (H-01).
func (s *SA) agreed(exchange wire.ExchangeType) bool {
	return exchange != wire.IKEIntermediate || len(s.suite.Additional) > 0
}

// goOn sends the next IKE_INTERMEDIATE, or IKE_AUTH when there is none left.
func (s *SA) goOn(now time.Time) {
	h := &s.handshake.intermediates
	if h.done == len(s.suite.Additional) {
		s.sendAuth(now)
		return
	}
	group := s.suite.Additional[h.done]
	pair, err := group.Generate(s.p.source())
	if err != nil {
		s.end(now, session.DatapathError, err.Error())
		return
	}
	h.pair = pair
	s.state = intermediateSent
	s.ask(now, wire.IKEIntermediate, []wire.Payload{&wire.KE{Group: group.ID, Data: pair.Public()}},
		"go on with "+group.Name, &request{op: opIntermediate})
}

// answerIntermediate is the responder's half. Whoever sends it has done the key exchange so far with us, and is otherwise
// unknown: any fault ends the half-open SA.
func (s *SA) answerIntermediate(now time.Time, m *message) error {
	h := &s.handshake.intermediates
	if h.done == len(s.suite.Additional) {
		return invalidSyntax("it has one IKE_INTERMEDIATE more than was agreed")
	}
	group := s.suite.Additional[h.done]
	if m.ke.Group != group.ID {
		return otherMethod(m.ke.Group, group)
	}
	public, shared, err := group.Respond(s.p.source(), m.ke.Data)
	if err != nil {
		return badPublicValue(err)
	}
	s.cover(true, m.covered)
	s.reply(now, m, []wire.Payload{&wire.KE{Group: group.ID, Data: public}})
	return s.renewKeys(shared)
}

// intermediateAnswered takes the responder's value and goes on.
func (s *SA) intermediateAnswered(now time.Time, m *message) error {
	h := &s.handshake.intermediates
	defer h.pair.Wipe()
	group := h.pair.Group()
	if m.ke.Group != group.ID {
		return otherMethod(m.ke.Group, group)
	}
	shared, err := h.pair.Shared(m.ke.Data)
	if err != nil {
		return badPublicValue(err)
	}
	s.cover(false, m.covered)
	if err := s.renewKeys(shared); err != nil {
		return err
	}
	s.goOn(now)
	return nil
}

// intermediateRefused is an answer without a key exchange. It is no more authentic than authRefused's.
func (s *SA) intermediateRefused(now time.Time, m *message) error {
	reason, hint := session.AuthFailed, "the peer's answer to an additional key exchange has none"
	if refusal := m.refusal(); refusal != nil {
		reason, hint = s.reasonOf(refusal, opInit)
	}
	s.end(now, reason, hint)
	return nil
}

// otherMethod refuses a key exchange that is not the next of those agreed (H-04).
func otherMethod(id uint16, want *suite.Group) *localError {
	name := "an unknown method"
	if group := suite.GroupByID(id); group != nil {
		name = group.Name
	}
	return invalidSyntax("it has a key exchange with " + name + " where " + want.Name + " is due")
}

// renewKeys replaces all keys by ones that hang on one more shared secret (RFC 9370 §2.2.2) and wipes it.
func (s *SA) renewKeys(shared []byte) error {
	defer clear(shared)
	h := s.handshake
	next, err := deriveKeys(s.suite, rekeySeed(s.suite.PRF, s.keys.d, shared, h.ni, h.nr), h.ni, h.nr, s.spiI, s.spiR)
	if err != nil {
		return err
	}
	next.sealed = s.keys.sealed // one count of IVs for the whole IKE SA: simpler to trust
	s.keys.wipe()
	s.keys = next
	h.done++
	return nil
}

// cover takes one IKE_INTERMEDIATE message into what AUTH covers, under the keys that it is sealed with (RFC 9242 §3.3.2).
func (s *SA) cover(fromInitiator bool, covered []byte) {
	h := &s.handshake.intermediates
	if fromInitiator {
		h.fromI = s.suite.PRF.Sum(s.keys.pi, h.fromI, covered)
	} else {
		h.fromR = s.suite.PRF.Sum(s.keys.pr, h.fromR, covered)
	}
}

// intAuth is what the signed octets of both ends have at their end: nothing without IKE_INTERMEDIATE, else what covers the
// messages of each side, and the message ID of IKE_AUTH, so that none can be missing (RFC 9242 §3.3.2).
func (h *intermediates) intAuth() []byte {
	if h.done == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint32(slices.Concat(h.fromI, h.fromR), uint32(1+h.done))
}

// complete refuses an IKE_AUTH that comes before all key exchanges have taken place (H-04, AUT-07).
func (s *SA) complete() error {
	if missing := len(s.suite.Additional) - s.handshake.done; missing > 0 {
		return invalidSyntax("it authenticates before " + s.suite.Additional[s.handshake.done].Name + ", a key exchange that was agreed")
	}
	return nil
}

// coveredSent is a message of ours as AUTH covers it: header, generic header and payloads, with the lengths that these
// have, whether or not the message goes out in fragments.
func coveredSent(h wire.Header, first wire.PayloadType, plain []byte) []byte {
	msg, _ := wire.BeginSK(h, first, 0, len(plain))
	return append(msg, plain...)
}

// coveredReceived is the same of the peer's: everything before the Encrypted payload's IV as it came, reserved bits and
// all, with the lengths adjusted. A message that came in fragments is put together as if it had not: raw is its first
// fragment, whose generic headers count (RFC 9242 §3.3.2). raw has been through FindEnvelope.
func coveredReceived(raw []byte, env wire.Envelope, plain []byte) []byte {
	const nextInHeader, lengthInHeader, generic, fragment = 16, 24, 4, 4
	end := env.AADLen
	if env.Kind == wire.TypeSKF {
		end -= fragment
	}
	out := append(slices.Clone(raw[:end]), plain...)
	next := nextInHeader
	for at := wire.HeaderLen; at < end-generic; { // payloads in clear
		next = at
		at += int(binary.BigEndian.Uint16(out[at+2:]))
	}
	out[next] = byte(wire.TypeSK)
	binary.BigEndian.PutUint16(out[end-2:], uint16(generic+len(plain)))
	binary.BigEndian.PutUint32(out[lengthInHeader:], uint32(len(out)))
	return out
}

// signedOctets is what the AUTH of one end covers (RFC 7296 §2.15, RFC 9242 §3.3.2), under the keys of this moment.
func (s *SA) signedOctets(initiator bool, idBody []byte) []byte {
	h := s.handshake
	message, nonce, skp := h.response, h.ni, s.keys.pr
	if initiator {
		message, nonce, skp = h.request, h.nr, s.keys.pi
	}
	return append(auth.SignedOctets(s.suite.PRF, message, nonce, skp, idBody), h.intAuth()...)
}
