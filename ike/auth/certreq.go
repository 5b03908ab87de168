package auth

import (
	"crypto/sha1"
	"crypto/x509"
	"slices"

	"twinbore/ike/wire"
)

// maxAuthorities bounds how many authorities of a peer's CERTREQs are looked at.
const maxAuthorities = 256

// CertReq asks a peer for a certificate of one of the authorities of any of these (RFC 7296 §3.7). A responder asks
// before it knows its peer, hence several. nil when there is none to name.
func CertReq(trusts ...*Trust) *wire.CertReq {
	var authorities []byte
	var seen [][sha1.Size]byte
	for _, t := range trusts {
		if t == nil {
			continue
		}
		for _, id := range t.keyIDs {
			if !slices.Contains(seen, id) {
				seen = append(seen, id)
				authorities = append(authorities, id[:]...)
			}
		}
	}
	if len(seen) == 0 {
		return nil
	}
	return &wire.CertReq{Encoding: wire.CertX509Signature, Authorities: authorities}
}

// wanted collects the authorities that a peer names. Other encodings and broken lists count for nothing: it is a wish only.
func wanted(reqs []*wire.CertReq) (ids [][sha1.Size]byte) {
	for _, req := range reqs {
		if req.Encoding != wire.CertX509Signature || len(req.Authorities)%sha1.Size != 0 {
			continue
		}
		for one := range slices.Chunk(req.Authorities, sha1.Size) {
			if len(ids) == maxAuthorities {
				return ids
			}
			ids = append(ids, [sha1.Size]byte(one))
		}
	}
	return ids
}

// issuedUnder reports whether one of ids is above our certificate: in what we send with it, or an anchor or authority of
// our own Trust that issued the last of that.
func (s *Signer) issuedUnder(ids [][sha1.Size]byte, t *Trust) bool {
	for _, c := range s.chain[1:] {
		if slices.Contains(ids, keyID(c)) {
			return true
		}
	}
	if t == nil {
		return false
	}
	last := s.chain[len(s.chain)-1]
	return slices.ContainsFunc(slices.Concat(t.anchors, t.authorities), func(c *x509.Certificate) bool {
		return issued(c, last) && slices.Contains(ids, keyID(c))
	})
}
