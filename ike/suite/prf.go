package suite

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
)

// A PRF is a pseudorandom function: what keys are derived with and what AUTH is computed with (RFC 7296 §2.13).
// All of ours are HMACs (RFC 2104, RFC 4868). PRFs are package variables and never change; two are the same
// when their pointers are.
type PRF struct {
	Name   string // "prfsha256"
	ID     uint16 // IKEv2 transform ID of type 2
	KeyLen int    // octets of the preferred key, which SK_d, SK_pi and SK_pr have (RFC 7296 §2.14)
	OutLen int    // octets of output
	hash   func() hash.Hash
}

var (
	insecurePRFSHA1 = &PRF{Name: "prfsha1", ID: 2, KeyLen: sha1.Size, OutLen: sha1.Size, hash: sha1.New}
	prfSHA256       = &PRF{Name: "prfsha256", ID: 5, KeyLen: sha256.Size, OutLen: sha256.Size, hash: sha256.New}
	prfSHA384       = &PRF{Name: "prfsha384", ID: 6, KeyLen: sha512.Size384, OutLen: sha512.Size384, hash: sha512.New384}
	prfSHA512       = &PRF{Name: "prfsha512", ID: 7, KeyLen: sha512.Size, OutLen: sha512.Size, hash: sha512.New}
)

// Sum returns prf(key, data...), the data joined; OutLen octets. A key may have any length: HMAC pads a short one
// with zeros and hashes a long one.
func (p *PRF) Sum(key []byte, data ...[]byte) []byte {
	m := hmac.New(p.hash, key)
	for _, d := range data {
		m.Write(d)
	}
	return m.Sum(nil)
}

// Plus returns n octets of prf+(key, seed), RFC 7296 §2.13. The block counter is one octet, so n is at most
// 255*OutLen; more is an error, never a stream that starts over.
func (p *PRF) Plus(key, seed []byte, n int) ([]byte, error) {
	if most := 255 * p.OutLen; n < 0 || n > most {
		return nil, fmt.Errorf("prf+ with %s: %d octets asked, 0 to %d possible", p.Name, n, most)
	}
	m := hmac.New(p.hash, key)
	out := make([]byte, 0, n+p.OutLen)
	var block []byte
	for i := 1; len(out) < n; i++ {
		m.Reset()
		m.Write(block)
		m.Write(seed)
		m.Write([]byte{byte(i)})
		start := len(out)
		out = m.Sum(out)
		block = out[start:]
	}
	clear(out[n:cap(out)]) // the rest of the last block belongs to no key
	return out[:n:n], nil
}

// MinNonce is the fewest octets a nonce may have under this PRF: at least half the key, and never below 16
// (RFC 7296 §2.10).
func (p *PRF) MinNonce() int { return max(16, p.KeyLen/2) }
