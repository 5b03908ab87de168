package protect

import (
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
)

// An Integrity is a separate integrity transform: an HMAC cut to half its length, except for SHA-1.
type Integrity uint8

// The integrity transforms. Insecure: SHA-1 is MUST- in RFC 8221 §6 and is here for peers that have nothing better.
const (
	HMACSHA256       Integrity = iota + 1 // HMAC-SHA2-256-128, RFC 4868
	HMACSHA384                            // HMAC-SHA2-384-192, RFC 4868
	HMACSHA512                            // HMAC-SHA2-512-256, RFC 4868
	InsecureHMACSHA1                      // HMAC-SHA1-96, RFC 2404
)

// integrities says what each transform is. RFC 4868 §2.1.1 and RFC 2404 §3 want keys as long as the hash.
var integrities = [...]struct {
	name           string
	hash           func() hash.Hash
	keyLen, tagLen int // octets
}{
	HMACSHA256:       {"sha256", sha256.New, 32, 16},
	HMACSHA384:       {"sha384", sha512.New384, 48, 24},
	HMACSHA512:       {"sha512", sha512.New, 64, 32},
	InsecureHMACSHA1: {"sha1", sha1.New, 20, 12},
}

func (i Integrity) known() bool { return i > 0 && int(i) < len(integrities) }

// String returns the name in configuration and logs: "sha256".
func (i Integrity) String() string {
	if !i.known() {
		return "unknown integrity"
	}
	return integrities[i].name
}

// KeyLen returns the octets of keying material of the transform, 0 for a value that is none of the constants.
func (i Integrity) KeyLen() int {
	if !i.known() {
		return 0
	}
	return integrities[i].keyLen
}

// TagLen returns the octets of the transform's integrity check value, 0 for a value that is none of the constants.
func (i Integrity) TagLen() int {
	if !i.known() {
		return 0
	}
	return integrities[i].tagLen
}
