package auth

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"twinbore/ike/wire"
)

// A Signer is a certificate of ours with its private key, wherever that lives. It does not change once made and may be
// shared if its key may.
type Signer struct {
	chain []*x509.Certificate // ours first, then what leads up to the trust anchor, without that
	kind  keyKind
	key   crypto.Signer
}

// NewSigner joins a key with its certificate. certs holds that and may hold the authorities above it, in any order: the
// one with the key's public half is taken, whichever it is, and a self-signed authority is left out because a peer
// must have it already. At most MaxPeerCerts go out. The certificates are kept and must not be changed.
func NewSigner(certs []*x509.Certificate, key crypto.Signer) (*Signer, error) {
	kind, err := checkKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("our private key: %w", err)
	}
	ours := slices.IndexFunc(certs, func(c *x509.Certificate) bool { return samePublicKey(c.PublicKey, key.Public()) })
	if ours < 0 {
		return nil, errors.New("certificate and private key do not belong together (the certificate has another public key); " +
			"hint: give the key that the certificate was requested with")
	}
	s := &Signer{kind: kind, key: key, chain: []*x509.Certificate{certs[ours]}}
	for i, c := range certs {
		if i != ours && !issued(c, c) {
			s.chain = append(s.chain, c)
		}
	}
	if len(s.chain) > MaxPeerCerts {
		return nil, fmt.Errorf("our certificate comes with %d more, %d are the limit; hint: leave out those that are not above it",
			len(s.chain)-1, MaxPeerCerts-1)
	}
	for _, c := range s.chain {
		if len(c.Raw) > MaxCertLen {
			return nil, fmt.Errorf("our certificate %s has %d octets, %d are the limit", subject(c), len(c.Raw), MaxCertLen)
		}
	}
	return s, nil
}

// samePublicKey compares keys of the standard library.
func samePublicKey(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

// Certificate is the certificate that holds the key's public half. The caller must not change it.
func (s *Signer) Certificate() *x509.Certificate { return s.chain[0] }

// Payloads are the CERT payloads that go with our AUTH: the first is the certificate of the key (RFC 7296 §3.6).
func (s *Signer) Payloads() []*wire.Cert {
	list := make([]*wire.Cert, len(s.chain))
	for i, c := range s.chain {
		list[i] = &wire.Cert{Encoding: wire.CertX509Signature, Data: bytes.Clone(c.Raw)}
	}
	return list
}

// Identity is id as our certificate has it, which is what we claim to a peer: it gives up when id is not in the
// certificate, for no peer would believe it (RFC 4301 §4.4.3.2). A distinguished name comes back in the certificate's own
// octets, because there are peers that compare those; for the zero ID that is the answer as well.
func (s *Signer) Identity(id ID) (ID, error) {
	own := ID{Type: wire.IDDERASN1DN, Data: string(s.chain[0].RawSubject)}
	if id == (ID{}) {
		id = own
	}
	if err := id.NamedIn(s.chain[0]); err != nil {
		return ID{}, fmt.Errorf("our own certificate: %w", err)
	}
	if id.Type == wire.IDDERASN1DN {
		return own, nil
	}
	return id, nil
}

// String says whose certificate it is and nothing of the key.
func (s *Signer) String() string { return subject(s.chain[0]) }

// GoString does the same for %#v.
func (s *Signer) GoString() string { return s.String() }

// A way is how an AUTH is going to be made.
type way struct {
	method wire.AuthMethod
	*scheme
}

// Sign makes our AUTH payload over octets (SignedOctets). hashes is what the peer announced in SIGNATURE_HASH_ALGORITHMS,
// nothing if it did not: then one of the old methods is taken (RFC 7427 §3, G-01). randomness feeds the salt of RSASSA-PSS
// and keys that live elsewhere; nil means crypto/rand. Other keys sign the same octets with the same result (RFC 6979 for
// ECDSA). It is an ErrNoSigner when the peer can verify nothing that this key makes.
func (s *Signer) Sign(randomness io.Reader, octets []byte, hashes []Hash, policy Policy) (*wire.Auth, error) {
	w, err := s.choose(hashes, policy)
	if err != nil {
		return nil, err
	}
	sig, err := w.sign(randomness, s.key, octets)
	if err != nil {
		return nil, fmt.Errorf("sign with the key of certificate %s: %w", s, err)
	}
	switch {
	case w.method == wire.AuthDigitalSignature:
		sig = slices.Concat([]byte{byte(len(w.id))}, []byte(w.id), sig)
	case s.kind == keyECDSA:
		if sig, err = splitECDSA(sig, (oldECDSA[w.method].bits+7)/8); err != nil {
			return nil, fmt.Errorf("sign with the key of certificate %s: %w", s, err)
		}
	}
	return &wire.Auth{Method: w.method, Data: sig}, nil
}

// choose takes the first hash of the key's liking that the peer announced.
func (s *Signer) choose(hashes []Hash, policy Policy) (way, error) {
	liked, old := []Hash{SHA256, SHA384, SHA512}, way{}
	switch s.kind {
	case keyEd25519:
		liked = []Hash{Identity}
	case keyECDSA:
		switch curveBits(s.key.Public().(*ecdsa.PublicKey)) {
		case 256:
			old = way{wire.AuthECDSA256, schemeOf(keyECDSA, SHA256, false)}
		case 384:
			liked = []Hash{SHA384, SHA512, SHA256}
			old = way{wire.AuthECDSA384, schemeOf(keyECDSA, SHA384, false)}
		case 521:
			liked = []Hash{SHA512, SHA384, SHA256}
			old = way{wire.AuthECDSA521, schemeOf(keyECDSA, SHA512, false)}
		}
	case keyRSA:
		if policy.InsecureSHA1 {
			old = way{wire.AuthRSA, insecureRSASHA1}
		}
	}
	for _, h := range liked {
		if slices.Contains(hashes, h) {
			return way{wire.AuthDigitalSignature, schemeOf(s.kind, h, s.kind == keyRSA && policy.RSA == PaddingPSS)}, nil
		}
	}
	if old.scheme != nil {
		return old, nil
	}
	if len(hashes) > 0 {
		return way{}, refuse(ErrNoSigner, "the peer verifies signatures with %s, our certificate %s has an %s key", hashNames(hashes), s, s.kind)
	}
	if s.kind == keyRSA {
		return way{}, refuse(ErrNoSigner, "the peer does not know RFC 7427 signatures, which leaves SHA-1 for our RSA certificate %s; "+
			"turn on signature authentication (RFC 7427) at the peer, or use an ECDSA certificate", s)
	}
	return way{}, refuse(ErrNoSigner, "the peer does not know RFC 7427 signatures, which our certificate %s with its %s key needs; "+
		"turn on signature authentication (RFC 7427) at the peer", s, s.kind)
}

// sign does the arithmetic. What comes out is the signature as RFC 7427 has it: DER for ECDSA.
func (s *scheme) sign(randomness io.Reader, key crypto.Signer, octets []byte) ([]byte, error) {
	if randomness == nil {
		randomness = rand.Reader
	}
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		randomness = nil // RFC 6979: no random number whose weakness would tell the key
	}
	var opts crypto.SignerOpts = s.hash.function()
	if s.pss {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: s.hash.function()}
	}
	return key.Sign(randomness, s.hash.digest(octets), opts)
}

// splitECDSA turns the DER form into r and s of n octets each (RFC 4754 §7).
func splitECDSA(sig []byte, n int) ([]byte, error) {
	var seq cryptobyte.String
	var r, s []byte
	in := cryptobyte.String(sig)
	if !in.ReadASN1(&seq, der.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&r) || !seq.ReadASN1Integer(&s) ||
		!seq.Empty() || len(r) > n || len(s) > n {
		return nil, errors.New("the signature that came back is no ECDSA signature")
	}
	out := make([]byte, 2*n)
	copy(out[n-len(r):n], r)
	copy(out[2*n-len(s):], s)
	return out, nil
}
