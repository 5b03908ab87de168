package auth

import (
	"slices"
	"time"

	"twinbore/ike/wire"
)

// A CertifiedPeer is a peer with which certificates prove who is who, both ways.
type CertifiedPeer struct {
	Peer    string    // "connection/tunnel"
	Signers []*Signer // ours, best first; several while one takes over from another
	Trust   *Trust    // whom we believe
	Policy  Policy
}

// String names the peer and nothing of the keys.
func (p CertifiedPeer) String() string { return p.Peer + " by certificate" }

// Certified returns how peer is authenticated by certificates; nil when by pre-shared keys.
func (c Credentials) Certified(peer string) *CertifiedPeer {
	for i := range c.Certificates {
		if c.Certificates[i].Peer == peer {
			return &c.Certificates[i]
		}
	}
	return nil
}

// Signer picks the certificate to show at now: one that is valid, whose signature the peer can verify (hashes is what it
// announced), and that is of an authority the peer asks for by reqs. That last is a wish: when none is, the first of the
// others is taken (RFC 7296 §3.7). The error is an ErrNoSigner.
func (p *CertifiedPeer) Signer(now time.Time, reqs []*wire.CertReq, hashes []Hash) (*Signer, error) {
	var usable []*Signer
	var first error
	for _, s := range p.Signers {
		err := s.usable(now, hashes, p.Policy)
		if err == nil {
			usable = append(usable, s)
		} else if first == nil {
			first = err
		}
	}
	switch {
	case len(usable) > 0:
		asked := wanted(reqs)
		i := slices.IndexFunc(usable, func(s *Signer) bool { return s.issuedUnder(asked, p.Trust) })
		return usable[max(i, 0)], nil
	case first != nil:
		return nil, first
	}
	return nil, refuse(ErrNoSigner, "no certificate of ours is configured for this peer")
}

func (s *Signer) usable(now time.Time, hashes []Hash, policy Policy) error {
	if c := s.Certificate(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return refuse(ErrNoSigner, "our certificate %s is valid from %s to %s, which now is not; hint: renew it, or set the clock",
			s, c.NotBefore.UTC().Format(time.RFC3339), c.NotAfter.UTC().Format(time.RFC3339))
	}
	_, err := s.choose(hashes, policy)
	return err
}

// Verify tells whether a peer is id: certs are its CERT payloads in their order, proof its AUTH, octets what that covers
// (SignedOctets), announced what we said in SIGNATURE_HASH_ALGORITHMS. The first certificate must hold the key of AUTH
// (RFC 7296 §3.6), be trusted, and name id. Whether id is whom this peer should be is the caller's to compare, before.
// The error, an ErrCertificate, ErrIdentity or ErrSignature, is for us alone: the peer learns AUTHENTICATION_FAILED.
func (p *CertifiedPeer) Verify(now time.Time, id ID, certs []*wire.Cert, proof *wire.Auth, octets []byte, announced []Hash) error {
	if len(certs) > MaxPeerCerts {
		return refuse(ErrCertificate, "the peer sent %d certificates, %d are the limit", len(certs), MaxPeerCerts)
	}
	var chain [][]byte
	for _, c := range certs {
		if c.Encoding != wire.CertX509Signature {
			return refuse(ErrCertificate, "the peer sent a certificate in encoding %d, we take X.509 in DER (4) only", c.Encoding)
		}
		chain = append(chain, c.Data)
	}
	leaf, err := p.Trust.VerifyChain(chain, now, id)
	if err != nil {
		return err
	}
	return VerifySignature(proof.Method, proof.Data, octets, leaf.PublicKey, announced, p.Policy)
}
