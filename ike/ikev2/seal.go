package ikev2

import (
	"errors"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// header begins a message of this SA.
func (s *SA) header(exchange wire.ExchangeType, id uint32, response bool) wire.Header {
	h := wire.Header{SPIi: s.spiI, SPIr: s.spiR, Version: wire.V2, Exchange: exchange, MessageID: id}
	if s.initiator {
		h.Flags |= wire.FlagInitiator
	}
	if response {
		h.Flags |= wire.FlagResponse
	}
	return h
}

// seal makes one message with everything inside the Encrypted payload (RFC 7296 §3.14), or the fragments of one that is
// too long for a datagram.
func (s *SA) seal(now time.Time, h wire.Header, payloads []wire.Payload, story string) [][]byte {
	plain := wire.AppendPayloads(nil, payloads)
	defer clear(plain)
	sealed := s.sealPlain(h, wire.FirstType(payloads), plain)
	s.p.emit(session.Event{Kind: session.Message, Time: now, Sent: true, Exchange: h.Exchange.String(), Size: size(sealed), Answer: h.Response(),
		MessageID: h.MessageID, Payloads: wire.Describe(payloads), Story: story, IKE: s.info()})
	return sealed
}

// sealPlain seals the payloads in plain, the first of which is of this type.
func (s *SA) sealPlain(h wire.Header, first wire.PayloadType, plain []byte) [][]byte {
	if h.Exchange == wire.IKEIntermediate && s.handshake != nil {
		s.cover(s.initiator, coveredSent(h, first, plain))
	}
	if s.fragments && s.sealedLen(len(plain)) > s.p.maxMessage(s.path) {
		return s.sealFragments(h, first, plain)
	}
	plain = wire.PadSK(plain, s.keys.alg.Block)
	msg, aadLen := wire.BeginSK(h, first, s.keys.alg.IVLen, len(plain)+s.keys.alg.TagLen)
	return [][]byte{s.sealBody(msg, aadLen, plain)}
}

// size is the octets of a message's datagrams.
func size(datagrams [][]byte) (n int) {
	for _, b := range datagrams {
		n += len(b)
	}
	return n
}

// sealBody appends IV, ciphertext and tag to a message whose header stands.
func (s *SA) sealBody(msg []byte, aadLen int, plain []byte) []byte {
	out := s.keys.fromR
	if s.initiator {
		out = s.keys.fromI
	}
	msg = append(msg, s.nextIV()...)
	return out.Seal(msg, msg[aadLen:], plain, msg[:aadLen], nil)
}

// nextIV is a counter for an AEAD, which wants it never to repeat, and random for CBC, which wants it
// unpredictable (RFC 7296 §3.14, CVE-2022-46397).
func (s *SA) nextIV() []byte {
	iv := make([]byte, s.keys.alg.IVLen)
	if !s.keys.alg.AEAD {
		s.p.random(iv)
		return iv
	}
	s.keys.sealed++
	for i, n := len(iv)-1, s.keys.sealed; i >= 0; i, n = i-1, n>>8 {
		iv[i] = byte(n)
	}
	return iv
}

// errNotAuthentic means that the sender may be anybody.
var errNotAuthentic = errors.New("not authentic")

// openEnvelope checks and opens what env holds of raw. Nothing of it is looked at before its tag is good.
func (s *SA) openEnvelope(raw []byte, env wire.Envelope) ([]byte, error) {
	in := s.keys.fromI
	if s.initiator {
		in = s.keys.fromR
	}
	iv, sealed, err := env.Cut(s.keys.alg.IVLen, s.keys.alg.TagLen)
	if err != nil {
		return nil, err
	}
	plain, err := in.Open(nil, iv, sealed, raw[:env.AADLen], nil)
	if err != nil {
		return nil, errNotAuthentic
	}
	return wire.UnpadSK(plain)
}
