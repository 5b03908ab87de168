package auth

import (
	"crypto"
	_ "crypto/sha1" // for peers that know nothing else, where the operator allows it
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"twinbore/ike/wire"
)

// A Hash is a hash algorithm of signatures, by its number in SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4, RFC 8420 §2).
type Hash uint16

const (
	InsecureSHA1 Hash = 1 // never announced and never accepted with RFC 7427 (RFC 8247 §3.2)
	SHA256       Hash = 2
	SHA384       Hash = 3
	SHA512       Hash = 4
	Identity     Hash = 5 // the octets themselves: Ed25519
)

// String returns the name that IANA gives it, "SHA2-256", or "HASH_99".
func (h Hash) String() string {
	switch h {
	case InsecureSHA1:
		return "SHA1"
	case SHA256:
		return "SHA2-256"
	case SHA384:
		return "SHA2-384"
	case SHA512:
		return "SHA2-512"
	case Identity:
		return "Identity"
	}
	return fmt.Sprintf("HASH_%d", uint16(h))
}

// function is the hash as the standard library has it; 0 for Identity.
func (h Hash) function() crypto.Hash {
	switch h {
	case InsecureSHA1:
		return crypto.SHA1
	case SHA256:
		return crypto.SHA256
	case SHA384:
		return crypto.SHA384
	case SHA512:
		return crypto.SHA512
	}
	return 0
}

// digest is what is signed in place of octets.
func (h Hash) digest(octets []byte) []byte {
	if h == Identity {
		return octets
	}
	sum := h.function().New()
	sum.Write(octets)
	return sum.Sum(nil)
}

// Hashes is what we announce and accept, in the order of the numbers. The caller may change it.
func Hashes() []Hash { return []Hash{SHA256, SHA384, SHA512, Identity} }

// HashesNotify is SIGNATURE_HASH_ALGORITHMS with list, for IKE_SA_INIT (RFC 7427 §4).
func HashesNotify(list []Hash) *wire.Notify {
	n := &wire.Notify{Kind: wire.NotifySignatureHashAlgorithms}
	for _, h := range list {
		n.Data = binary.BigEndian.AppendUint16(n.Data, uint16(h))
	}
	return n
}

// ParseHashes reads the data of a peer's SIGNATURE_HASH_ALGORITHMS. Numbers that we do not know are left out, so that
// none may remain; data of an odd length is an error.
func ParseHashes(data []byte) ([]Hash, error) {
	if len(data)%2 != 0 {
		return nil, fmt.Errorf("SIGNATURE_HASH_ALGORITHMS of %d octets, which is no row of 16 bit numbers", len(data))
	}
	var list []Hash
	for ; len(data) > 0; data = data[2:] {
		h := Hash(binary.BigEndian.Uint16(data))
		if h >= InsecureSHA1 && h <= Identity && !slices.Contains(list, h) {
			list = append(list, h)
		}
	}
	return list, nil
}

func hashNames(list []Hash) string {
	names := make([]string, len(list))
	for i, h := range list {
		names[i] = h.String()
	}
	return strings.Join(names, ", ")
}
