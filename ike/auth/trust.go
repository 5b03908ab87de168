package auth

import (
	"crypto/fips140"
	"crypto/sha1"
	"crypto/x509"
	"fmt"
	"slices"
)

// A Trust says whom we believe: trust anchors, authorities below them that peers may leave out, and revocation lists. It
// does not change once made, is safe for concurrent use, and never asks a network for anything. A nil Trust believes
// nobody.
type Trust struct {
	roots       *x509.CertPool
	anchors     []*x509.Certificate // what is in roots
	authorities []*x509.Certificate // between the anchors and the peers
	lists       []*revocationList
	keyIDs      [][sha1.Size]byte // of the anchors, for CERTREQ
}

// NewTrust makes a Trust. roots are trusted for what they are: authorities, or the very certificate of a peer. At least
// one is needed. Keys outside our limits and revocation lists that cannot be relied on are errors. Everything is kept
// and must not be changed.
func NewTrust(roots, intermediates []*x509.Certificate, crls []*x509.RevocationList) (*Trust, error) {
	if len(roots) == 0 {
		return nil, fmt.Errorf("no trusted authority is given, nobody could be believed")
	}
	t := &Trust{roots: x509.NewCertPool(), anchors: slices.Clone(roots), authorities: slices.Clone(intermediates)}
	for _, c := range roots {
		if _, err := checkKey(c.PublicKey); err != nil {
			return nil, fmt.Errorf("trusted certificate %s: %w", subject(c), err)
		}
		t.roots.AddCert(c)
		t.keyIDs = append(t.keyIDs, keyID(c))
	}
	for _, c := range intermediates {
		if _, err := checkKey(c.PublicKey); err != nil {
			return nil, fmt.Errorf("intermediate certificate %s: %w", subject(c), err)
		}
	}
	for _, l := range crls {
		list, err := newRevocationList(l)
		if err != nil {
			return nil, fmt.Errorf("revocation list of %s: %w", printDN(l.RawIssuer), err)
		}
		t.lists = append(t.lists, list)
	}
	return t, nil
}

// keyID is how CERTREQ names an authority: SHA-1 of its SubjectPublicKeyInfo. The protocol wants SHA-1 (RFC 7296 §3.7) and
// nothing secret hangs on it, so it is made under a FIPS policy as well.
func keyID(c *x509.Certificate) (sum [sha1.Size]byte) {
	fips140.WithoutEnforcement(func() { sum = sha1.Sum(c.RawSubjectPublicKeyInfo) })
	return sum
}
