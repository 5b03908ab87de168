package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"
)

// Limits of RSA keys, in bits of the modulus: below is too weak (RFC 8247 §3.1), above is a burden that a peer could put
// on us (DOS-13).
const (
	MinRSABits = 2048
	MaxRSABits = 4096
)

// A keyKind is what a key can sign with.
type keyKind string

const (
	keyRSA     keyKind = "RSA"
	keyECDSA   keyKind = "ECDSA"
	keyEd25519 keyKind = "Ed25519"
)

// A scheme is one way to sign.
type scheme struct {
	name string
	key  keyKind
	hash Hash
	pss  bool
	// id is the AlgorithmIdentifier as we write it, octet by octet what RFC 7427 Appendix A and RFC 8420 §2 print: there
	// are peers (OpenIKED) that compare octets.
	id string
}

// The AlgorithmIdentifier of RSASSA-PSS with everything spelled out, the trailer field included, although DER would leave
// that out: so has RFC 7427 A.4.3 it (erratum 4295).
const (
	pssHead   = "\x30\x46\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x39\xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
	pssMiddle = "\x05\x00\xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02"
	pssSalt   = "\x05\x00\xa2\x03\x02\x01"
	pssEnd    = "\xa3\x03\x02\x01\x01"

	rsaHead   = "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01"
	rsaEnd    = "\x05\x00"
	ecdsaHead = "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03"
)

// schemes are the ones that RFC 7427 signatures may use here.
var schemes = []*scheme{
	{name: "rsa-pss-sha256", key: keyRSA, hash: SHA256, pss: true, id: pssHead + "\x01" + pssMiddle + "\x01" + pssSalt + "\x20" + pssEnd},
	{name: "rsa-pss-sha384", key: keyRSA, hash: SHA384, pss: true, id: pssHead + "\x02" + pssMiddle + "\x02" + pssSalt + "\x30" + pssEnd},
	{name: "rsa-pss-sha512", key: keyRSA, hash: SHA512, pss: true, id: pssHead + "\x03" + pssMiddle + "\x03" + pssSalt + "\x40" + pssEnd},
	{name: "rsa-pkcs1-sha256", key: keyRSA, hash: SHA256, id: rsaHead + "\x0b" + rsaEnd},
	{name: "rsa-pkcs1-sha384", key: keyRSA, hash: SHA384, id: rsaHead + "\x0c" + rsaEnd},
	{name: "rsa-pkcs1-sha512", key: keyRSA, hash: SHA512, id: rsaHead + "\x0d" + rsaEnd},
	{name: "ecdsa-sha256", key: keyECDSA, hash: SHA256, id: ecdsaHead + "\x02"},
	{name: "ecdsa-sha384", key: keyECDSA, hash: SHA384, id: ecdsaHead + "\x03"},
	{name: "ecdsa-sha512", key: keyECDSA, hash: SHA512, id: ecdsaHead + "\x04"},
	{name: "ed25519", key: keyEd25519, hash: Identity, id: "\x30\x05\x06\x03\x2b\x65\x70"},
}

// insecureRSASHA1 is AUTH method 1 of peers that know no other hash; no AlgorithmIdentifier leads to it.
var insecureRSASHA1 = &scheme{name: "rsa-pkcs1-sha1", key: keyRSA, hash: InsecureSHA1}

// schemeOf finds a row of schemes; there is one for each of our hashes, nil otherwise.
func schemeOf(key keyKind, hash Hash, pss bool) *scheme {
	for _, s := range schemes {
		if s.key == key && s.hash == hash && s.pss == pss {
			return s
		}
	}
	return nil
}

// checkKey returns what kind of key it is, or why we do not work with it. A key that passes can be given to the
// standard library without a panic.
func checkKey(key crypto.PublicKey) (keyKind, error) {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return keyRSA, checkRSA(k)
	case *ecdsa.PublicKey:
		if curveBits(k) == 0 || k.X == nil || k.Y == nil {
			return keyECDSA, fmt.Errorf("ECDSA key on another curve than P-256, P-384 or P-521")
		}
		return keyECDSA, nil
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return keyEd25519, fmt.Errorf("Ed25519 key of %d octets, not %d", len(k), ed25519.PublicKeySize)
		}
		return keyEd25519, nil
	}
	return "", fmt.Errorf("key of a kind that is not supported, we know RSA, ECDSA and Ed25519")
}

func checkRSA(k *rsa.PublicKey) error {
	if k.N == nil || k.N.Sign() <= 0 || k.N.Bit(0) == 0 {
		return fmt.Errorf("RSA key with an impossible modulus")
	}
	if bits := k.N.BitLen(); bits < MinRSABits || bits > MaxRSABits {
		return fmt.Errorf("RSA key of %d bits, %d to %d are accepted", bits, MinRSABits, MaxRSABits)
	}
	if k.E < 3 || k.E%2 == 0 || k.E > 1<<31-1 {
		return fmt.Errorf("RSA key with the public exponent %d, which is impossible or out of use", k.E)
	}
	return nil
}

// curveBits is the size of the curve, 0 of one that is not supported.
func curveBits(k *ecdsa.PublicKey) int {
	switch k.Curve {
	case elliptic.P256():
		return 256
	case elliptic.P384():
		return 384
	case elliptic.P521():
		return 521
	}
	return 0
}
