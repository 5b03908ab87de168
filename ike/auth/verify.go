package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/fips140"
	"crypto/rsa"
	"slices"

	"golang.org/x/crypto/cryptobyte"
	der "golang.org/x/crypto/cryptobyte/asn1"

	"twinbore/ike/wire"
)

// VerifySignature tells whether method and data, of a peer's AUTH payload, sign octets (SignedOctets) with the private half
// of key. announced is what we said in SIGNATURE_HASH_ALGORITHMS: a signature of RFC 7427 needs it and must use one of
// those hashes (G-01, G-02). RSA keys have MinRSABits to MaxRSABits. Every error is an ErrSignature.
//
//	method 14    one octet of length, AlgorithmIdentifier, signature        RFC 7427 §3
//	method 1     RSASSA-PKCS1-v1_5 over SHA-2, or SHA-1 if policy lets it   RFC 7296 §3.8
//	method 9-11  ECDSA as r and s of the curve's length, its hash fixed     RFC 4754 §7
func VerifySignature(method wire.AuthMethod, data, octets []byte, key crypto.PublicKey, announced []Hash, policy Policy) error {
	kind, err := checkKey(key)
	if err != nil {
		return refuse(ErrSignature, "the key of the peer's certificate: %v", err)
	}
	switch method {
	case wire.AuthDigitalSignature:
		return verifyDigital(data, octets, kind, key, announced)
	case wire.AuthRSA:
		if kind == keyRSA {
			return verifyOldRSA(data, octets, key.(*rsa.PublicKey), policy)
		}
	case wire.AuthECDSA256, wire.AuthECDSA384, wire.AuthECDSA521:
		if kind == keyECDSA {
			return verifyOldECDSA(method, data, octets, key.(*ecdsa.PublicKey))
		}
	case wire.AuthSharedKey:
		return refuse(ErrSignature, "the peer authenticates by a pre-shared key, we expect its certificate; set the peer to certificates")
	default:
		return refuse(ErrSignature, "the peer authenticates by method %s, which is not accepted; we expect a signature by its certificate", method)
	}
	return refuse(ErrSignature, "the peer's signature is of kind %s, its certificate has an %s key", method, kind)
}

func verifyDigital(data, octets []byte, kind keyKind, key crypto.PublicKey, announced []Hash) error {
	if len(announced) == 0 {
		return refuse(ErrSignature, "the peer signs by RFC 7427 though we did not say that we understand it")
	}
	if len(data) == 0 || data[0] == 0 || len(data) <= 1+int(data[0]) {
		return refuse(ErrSignature, "the peer's signature is cut short")
	}
	algorithm, sig := data[1:1+int(data[0])], data[1+int(data[0]):]
	s, err := parseAlgorithm(algorithm)
	if err != nil {
		return refuse(ErrSignature, "the peer's signature: %v", err)
	}
	if s.key != kind {
		return refuse(ErrSignature, "the peer's signature is of kind %s, its certificate has an %s key", s.name, kind)
	}
	if !slices.Contains(announced, s.hash) {
		return refuse(ErrSignature, "the peer's signature uses %s, we announced %s", s.hash, hashNames(announced))
	}
	if !s.verify(key, octets, sig) {
		return wrongSignature(s.name)
	}
	return nil
}

// verifyOldRSA tries every hash that is allowed: the method names none, and the signature's own padding binds the one that
// was used, so no other can pass for it. RFC 7296 §3.8 wishes for SHA-1; differs: it takes the operator's word.
func verifyOldRSA(sig, octets []byte, key *rsa.PublicKey, policy Policy) error {
	tried := []*scheme{schemeOf(keyRSA, SHA256, false), schemeOf(keyRSA, SHA384, false), schemeOf(keyRSA, SHA512, false), insecureRSASHA1}
	for _, s := range tried {
		if s == insecureRSASHA1 && fips140.Enforced() { // where SHA-1 panics
			break
		}
		if !s.verify(key, octets, sig) {
			continue
		}
		if s == insecureRSASHA1 && !policy.InsecureSHA1 {
			return refuse(ErrSignature, "the peer signs with SHA-1; turn on RFC 7427 signatures (signature authentication) at the peer")
		}
		return nil
	}
	return wrongSignature("rsa-pkcs1")
}

// oldECDSA is what the methods of RFC 4754 mean.
var oldECDSA = map[wire.AuthMethod]struct {
	bits int
	hash Hash
}{
	wire.AuthECDSA256: {256, SHA256},
	wire.AuthECDSA384: {384, SHA384},
	wire.AuthECDSA521: {521, SHA512},
}

func verifyOldECDSA(method wire.AuthMethod, sig, octets []byte, key *ecdsa.PublicKey) error {
	old, bits := oldECDSA[method], curveBits(key)
	if old.bits != bits {
		return refuse(ErrSignature, "the peer's signature is of kind %s, its certificate has a key on P-%d", method, bits)
	}
	octetsEach := (bits + 7) / 8
	if len(sig) != 2*octetsEach {
		return refuse(ErrSignature, "the peer's signature has %d octets, r and s have %d", len(sig), 2*octetsEach)
	}
	var b cryptobyte.Builder
	b.AddASN1(der.SEQUENCE, func(b *cryptobyte.Builder) {
		addUnsigned(b, sig[:octetsEach])
		addUnsigned(b, sig[octetsEach:])
	})
	if !schemeOf(keyECDSA, old.hash, false).verify(key, octets, b.BytesOrPanic()) {
		return wrongSignature(method.String())
	}
	return nil
}

// addUnsigned adds a non-negative INTEGER of big-endian octets.
func addUnsigned(b *cryptobyte.Builder, n []byte) {
	for len(n) > 1 && n[0] == 0 {
		n = n[1:]
	}
	b.AddASN1(der.INTEGER, func(b *cryptobyte.Builder) {
		if n[0] >= 0x80 {
			b.AddUint8(0)
		}
		b.AddBytes(n)
	})
}

func wrongSignature(name string) error {
	return refuse(ErrSignature, "the peer's signature (%s) is wrong: it has another key than its certificate says, or the messages were changed on the way", name)
}

// verify does the arithmetic; key is of s.key and has passed checkKey.
func (s *scheme) verify(key crypto.PublicKey, octets, sig []byte) bool {
	digest := s.hash.digest(octets)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if s.pss {
			return rsa.VerifyPSS(k, s.hash.function(), digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(k, s.hash.function(), digest, sig) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case ed25519.PublicKey:
		return ed25519.Verify(k, digest, sig)
	}
	return false
}
