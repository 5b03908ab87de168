package ikev2

import (
	"errors"
	"fmt"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A message is one that was parsed whole and, after IKE_SA_INIT, was authentic.
type message struct {
	wire.Header
	raw  []byte   // the datagram; valid while it is handled
	path esp.Path // where it came from

	request *request // ours, if this answers one

	payloads []wire.Payload
	has      payloads // single payloads that are there
	doubled  payloads // single payloads that are there twice

	sa       *wire.SA
	ke       *wire.KE
	nonce    *wire.Nonce
	idi, idr *wire.ID
	auth     *wire.Auth
	tsi, tsr *wire.TS
	notifies []*wire.Notify
	deletes  []*wire.Delete
}

// payloads is a set of payload types that a message may carry once.
type payloads uint16

const (
	pSA payloads = 1 << iota
	pKE
	pNonce
	pIDi
	pIDr
	pAuth
	pTSi
	pTSr
)

// sort files the payloads by type. Types that may come once and come twice are noted for the rules.
func (m *message) sort(list []wire.Payload) {
	m.payloads = list
	once := func(p payloads) bool {
		if m.has&p != 0 {
			m.doubled |= p
			return false
		}
		m.has |= p
		return true
	}
	for _, payload := range list {
		switch p := payload.(type) {
		case *wire.SA:
			if once(pSA) {
				m.sa = p
			}
		case *wire.KE:
			if once(pKE) {
				m.ke = p
			}
		case *wire.Nonce:
			if once(pNonce) {
				m.nonce = p
			}
		case *wire.ID:
			if p.Initiator && once(pIDi) {
				m.idi = p
			} else if !p.Initiator && once(pIDr) {
				m.idr = p
			}
		case *wire.Auth:
			if once(pAuth) {
				m.auth = p
			}
		case *wire.TS:
			if p.Initiator && once(pTSi) {
				m.tsi = p
			} else if !p.Initiator && once(pTSr) {
				m.tsr = p
			}
		case *wire.Notify:
			m.notifies = append(m.notifies, p)
		case *wire.Delete:
			m.deletes = append(m.deletes, p)
		}
	}
}

// notify returns the first notify of a kind, or nil.
func (m *message) notify(kind wire.NotifyType) *wire.Notify {
	for _, n := range m.notifies {
		if n.Kind == kind {
			return n
		}
	}
	return nil
}

// refusal returns the first error notify as an error; an unknown one counts as well (RFC 7296 §3.10.1).
func (m *message) refusal() *peerError {
	for _, n := range m.notifies {
		if n.Kind.IsError() {
			return &peerError{notify: n.Kind, data: n.Data}
		}
	}
	return nil
}

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

// seal makes one message with everything inside the Encrypted payload (RFC 7296 §3.14).
func (s *SA) seal(now time.Time, h wire.Header, payloads []wire.Payload, story string) []byte {
	alg, out := s.keys.alg, s.keys.fromR
	if s.initiator {
		out = s.keys.fromI
	}
	plain := wire.PadSK(wire.AppendPayloads(nil, payloads), alg.Block)
	msg, aadLen := wire.BeginSK(h, wire.FirstType(payloads), alg.IVLen, len(plain)+alg.TagLen)
	msg = append(msg, s.nextIV()...)
	msg = out.Seal(msg, msg[aadLen:], plain, msg[:aadLen], nil)
	clear(plain)
	s.p.emit(session.Event{Kind: session.Message, Time: now, Sent: true, Exchange: h.Exchange.String(),
		MessageID: h.MessageID, Payloads: wire.Describe(payloads), Story: story, IKE: s.info()})
	return msg
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

var errNotAuthentic = errors.New("not authentic")

// open checks and opens a protected message. Nothing of it is looked at before its tag is good.
func (s *SA) openSealed(h wire.Header, raw []byte) (first wire.PayloadType, plain []byte, err error) {
	env, err := wire.FindEnvelope(raw, h)
	if err != nil {
		return 0, nil, err
	}
	if env.Kind != wire.TypeSK {
		return 0, nil, errors.New("a fragment, though fragmentation was not negotiated")
	}
	alg, in := s.keys.alg, s.keys.fromI
	if s.initiator {
		in = s.keys.fromR
	}
	if len(env.Body) < alg.IVLen+alg.TagLen {
		return 0, nil, fmt.Errorf("encrypted payload of %d octets is too short", len(env.Body))
	}
	iv, sealed := env.Body[:alg.IVLen], env.Body[alg.IVLen:]
	if plain, err = in.Open(nil, iv, sealed, raw[:env.AADLen], nil); err != nil {
		return 0, nil, errNotAuthentic
	}
	plain, err = wire.UnpadSK(plain)
	return env.Inner, plain, err
}
