package ikev2

import (
	"slices"

	"twinbore/ike/auth"
	"twinbore/ike/wire"
)

// announce says in IKE_SA_INIT which hashes we verify signatures with, if the peer is to prove itself by one (RFC 7427 §4).
func (s *SA) announce() []wire.Payload {
	if s.p.cfg.Auth.Certified(s.p.cfg.Peer) == nil {
		return nil
	}
	s.handshake.announced = auth.Hashes()
	return []wire.Payload{auth.HashesNotify(s.handshake.announced)}
}

// askForCertificate is the same in the answer, with the authorities that we trust (RFC 7296 §3.7). We do not know yet who
// asks, so it is for all candidates. answer holds what is said besides: the whole stays no longer than the request, whose
// sender may be anybody (DOS-05). So no hash is named that the peer does not name itself; and where the authorities have
// no room the list is empty, which asks for any certificate (RFC 4945 §3.2.7.1).
func (s *SA) askForCertificate(m *message, answer []wire.Payload) []wire.Payload {
	var trusts []*auth.Trust
	for i := range s.p.candidates {
		cfg := &s.p.candidates[i]
		if c := cfg.Auth.Certified(cfg.Peer); c != nil && allows(cfg.IKE, s.handshake.chosen) {
			trusts = append(trusts, c.Trust)
		}
	}
	if trusts == nil {
		return nil
	}
	s.noteWishes(m)
	var list []wire.Payload
	s.handshake.announced = slices.DeleteFunc(auth.Hashes(), func(h auth.Hash) bool { return !slices.Contains(s.handshake.hashes, h) })
	if len(s.handshake.announced) > 0 {
		list = append(list, auth.HashesNotify(s.handshake.announced))
	}
	room := len(m.raw) - wire.HeaderLen - len(wire.AppendPayloads(nil, slices.Concat(answer, list)))
	for _, ask := range []*wire.CertReq{auth.CertReq(trusts...), {Encoding: wire.CertX509Signature}} {
		if ask != nil && len(wire.AppendPayloads(nil, []wire.Payload{ask})) <= room {
			return append(list, ask)
		}
	}
	return list
}

// noteWishes keeps which hashes the peer verifies signatures with, and whose certificates it asks for. Numbers that cannot
// be read count as none: AUTH covers them, so that nobody gains by breaking them on the way.
func (s *SA) noteWishes(m *message) {
	if n := m.notify(wire.NotifySignatureHashAlgorithms); n != nil {
		if hashes, err := auth.ParseHashes(n.Data); err == nil {
			s.handshake.hashes = hashes
		}
	}
	s.handshake.certReqs = m.certReqs
}

// wishes asks in IKE_AUTH for a certificate of an authority that we trust.
func (s *SA) wishes() []wire.Payload {
	if c := s.p.cfg.Auth.Certified(s.p.cfg.Peer); c != nil {
		if ask := auth.CertReq(c.Trust); ask != nil {
			return []wire.Payload{ask}
		}
	}
	return nil
}
