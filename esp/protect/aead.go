package protect

import (
	"crypto/cipher"
	"fmt"
	"sync"
)

const (
	saltLen      = 4  // octets at the end of the keying material, RFC 4106 §4, RFC 7634 §2
	explicitLen  = 8  // octets of nonce in the packet, RFC 4106 §3.1
	aeadNonceLen = 12 // salt, then IV
	aeadTagLen   = 16
)

// newAEAD describes an AEAD of keyLen octets of key (the salt comes on top) whose Protectors are made by open.
func newAEAD(name string, keyLen int, open func(key []byte, salt [saltLen]byte) (Protector, error)) *Algorithm {
	return &Algorithm{
		Name:   name,
		KeyLen: keyLen + saltLen,
		IVLen:  explicitLen,
		TagLen: aeadTagLen,
		Block:  1,
		AEAD:   true,
		New: func(key []byte) (Protector, error) {
			if len(key) != keyLen+saltLen {
				return nil, keyLenError(name, len(key), keyLen+saltLen)
			}
			p, err := open(key[:keyLen], [saltLen]byte(key[keyLen:]))
			if err != nil {
				return nil, fmt.Errorf("key for %s: %w", name, err)
			}
			return p, nil
		},
	}
}

// keyLenError is a bug of the caller, but New has an error to return and IKE may have computed the length.
func keyLenError(name string, got, want int) error {
	return fmt.Errorf("key for %s has %d octets, not %d", name, got, want)
}

// library makes Protectors out of a constructor of ciphers.
func library(open func(key []byte) (cipher.AEAD, error)) func(key []byte, salt [saltLen]byte) (Protector, error) {
	return func(key []byte, salt [saltLen]byte) (Protector, error) {
		c, err := open(key)
		if err != nil {
			return nil, err
		}
		return newAEADProtector(c, salt), nil
	}
}

// An aeadProtector seals with nonce = salt | IV (RFC 4106 §4, RFC 7634 §2).
type aeadProtector struct {
	aead   cipher.AEAD
	nonces sync.Pool // *[aeadNonceLen]byte that begins with the salt: a nonce on the stack would escape into the cipher
}

func newAEADProtector(c cipher.AEAD, salt [saltLen]byte) *aeadProtector {
	return &aeadProtector{aead: c, nonces: sync.Pool{New: func() any {
		n := new([aeadNonceLen]byte)
		copy(n[:], salt[:])
		return n
	}}}
}

func (p *aeadProtector) Seal(dst, iv, plaintext, aad, _ []byte) []byte {
	n := p.nonce(iv)
	dst = p.aead.Seal(dst, n[:], plaintext, aad)
	p.nonces.Put(n)
	return dst
}

func (p *aeadProtector) Open(dst, iv, sealed, aad, _ []byte) ([]byte, error) {
	n := p.nonce(iv)
	out, err := p.aead.Open(dst, n[:], sealed, aad)
	p.nonces.Put(n)
	if err != nil {
		return nil, ErrOpen
	}
	return out, nil
}

func (p *aeadProtector) nonce(iv []byte) *[aeadNonceLen]byte {
	if len(iv) != explicitLen {
		panic("bug: an AEAD's IV has 8 octets")
	}
	n := p.nonces.Get().(*[aeadNonceLen]byte)
	copy(n[saltLen:], iv)
	return n
}
