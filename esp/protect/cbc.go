package protect

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/subtle"
	"fmt"
	"hash"
	"slices"
	"sync"
)

// cbcs holds each AES-CBC algorithm once, so that two that are the same have one pointer.
var cbcs = func() map[cbcKind]*Algorithm {
	all := make(map[cbcKind]*Algorithm)
	for _, keyBits := range []int{128, 256} {
		for _, integ := range []Integrity{HMACSHA256, HMACSHA384, HMACSHA512, InsecureHMACSHA1} {
			all[cbcKind{keyBits, integ}] = newCBC(keyBits, integ)
		}
	}
	return all
}()

type cbcKind struct {
	keyBits int
	integ   Integrity
}

// CBC returns AES-CBC (RFC 3602) with a key of keyBits (128 or 256) and integ over the ciphertext: the same pointer
// each time, or nil when there is no such algorithm. Its key is the encryption key, then the integrity key.
func CBC(keyBits int, integ Integrity) *Algorithm { return cbcs[cbcKind{keyBits, integ}] }

func newCBC(keyBits int, integ Integrity) *Algorithm {
	name := fmt.Sprintf("aes%d-%s", keyBits, integ)
	encLen := keyBits / 8
	keyLen := encLen + integ.KeyLen()
	return &Algorithm{
		Name:   name,
		KeyLen: keyLen,
		IVLen:  aes.BlockSize,
		TagLen: integ.TagLen(),
		Block:  aes.BlockSize,
		New: func(key []byte) (Protector, error) {
			if len(key) != keyLen {
				return nil, keyLenError(name, len(key), keyLen)
			}
			block, err := aes.NewCipher(key[:encLen])
			if err != nil {
				return nil, fmt.Errorf("key for %s: %w", name, err)
			}
			return newCBCProtector(block, key[encLen:], integ)
		},
	}
}

// A cbcProtector encrypts, then authenticates (RFC 4303 §3.3.2). Its cipher and hash states are kept and used again:
// making them for each packet would cost four allocations and two runs of the hash.
type cbcProtector struct {
	tagLen int
	states sync.Pool // *cbcState
}

// A cbcState serves one packet at a time.
type cbcState struct {
	encrypt, decrypt chainMode
	mac              hash.Hash
	sum              []byte // room for the whole HMAC
}

// A chainMode is a CBC mode that can begin anew. The standard library's modes have SetIV, which its TLS relies on,
// though cipher.BlockMode does not name it.
type chainMode interface {
	cipher.BlockMode
	SetIV(iv []byte)
}

func newCBCProtector(block cipher.Block, integKey []byte, integ Integrity) (*cbcProtector, error) {
	var zero [aes.BlockSize]byte
	if _, ok := cipher.NewCBCEncrypter(block, zero[:]).(chainMode); !ok {
		return nil, fmt.Errorf("the cipher of this build cannot be given a new IV (%T)", cipher.NewCBCEncrypter(block, zero[:]))
	}
	integKey = slices.Clone(integKey)
	p := &cbcProtector{tagLen: integ.TagLen()}
	p.states.New = func() any {
		mac := hmac.New(integrities[integ].hash, integKey)
		return &cbcState{
			encrypt: cipher.NewCBCEncrypter(block, zero[:]).(chainMode),
			decrypt: cipher.NewCBCDecrypter(block, zero[:]).(chainMode),
			mac:     mac,
			sum:     make([]byte, 0, mac.Size()),
		}
	}
	return p, nil
}

func (p *cbcProtector) Seal(dst, iv, plaintext, aad, tail []byte) []byte {
	if len(plaintext)%aes.BlockSize != 0 {
		panic("bug: plaintext for CBC is not whole blocks")
	}
	s := p.states.Get().(*cbcState)
	from := len(dst)
	dst = slices.Grow(dst, len(plaintext)+p.tagLen)[:from+len(plaintext)]
	s.encrypt.SetIV(iv)
	s.encrypt.CryptBlocks(dst[from:], plaintext)
	dst = append(dst, s.tag(p.tagLen, aad, iv, dst[from:], tail)...)
	p.states.Put(s)
	return dst
}

func (p *cbcProtector) Open(dst, iv, sealed, aad, tail []byte) ([]byte, error) {
	n := len(sealed) - p.tagLen
	if n < 0 || n%aes.BlockSize != 0 {
		return nil, ErrOpen
	}
	s := p.states.Get().(*cbcState)
	defer p.states.Put(s)
	// The tag is checked before a block is decrypted: there is no padding oracle (RFC 4303 §3.4.4.1).
	if subtle.ConstantTimeCompare(s.tag(p.tagLen, aad, iv, sealed[:n], tail), sealed[n:]) != 1 {
		return nil, ErrOpen
	}
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	s.decrypt.SetIV(iv)
	s.decrypt.CryptBlocks(dst[from:], sealed[:n])
	return dst, nil
}

// tag returns the integrity check value; it is valid until s is used again.
func (s *cbcState) tag(n int, aad, iv, ciphertext, tail []byte) []byte {
	s.mac.Reset()
	s.mac.Write(aad)
	s.mac.Write(iv)
	s.mac.Write(ciphertext)
	s.mac.Write(tail)
	return s.mac.Sum(s.sum)[:n]
}
