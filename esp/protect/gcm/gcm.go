package gcm

import (
	"encoding/binary"
	"runtime"
	"slices"
	"unsafe"
)

const (
	// SaltLen and IVLen are the octets of the two parts of a nonce; TagLen is what a sealed packet has more than its
	// plaintext (RFC 4106 §3.1, §4, §6).
	SaltLen, IVLen, TagLen = 4, 8, 16

	blockLen = 16
	maxLen   = 1<<36 - 32 // octets under one nonce, NIST SP 800-38D §5.2.1.1
)

// A Key seals and opens with one AES key and one salt. It never changes after New, so any number of goroutines may use it.
type Key struct {
	schedule         // first: the kernels' vectors are aligned as this is
	salt      uint32 // big-endian
	kernel    kernel
	shortKeys bool // AES-128, otherwise AES-256
	// No pointers: an object of this size with pointers begins 8 octets off the line.
}

// New makes a Key of 16 or 32 octets of key and the salt that begins each nonce, for the kernel that Select chose. It
// returns nil when there is none: then the standard library has to do. key may be cleared afterwards.
func New(key []byte, salt [SaltLen]byte) *Key {
	if len(key) != 16 && len(key) != 32 {
		panic("bug: a key of AES-GCM has 16 or 32 octets")
	}
	kernel := selected()
	if kernel == none {
		return nil
	}
	return newKey(kernel, key, salt)
}

func newKey(kernel kernel, key []byte, salt [SaltLen]byte) *Key {
	k := &Key{salt: binary.BigEndian.Uint32(salt[:]), kernel: kernel, shortKeys: len(key) == 16}
	k.schedule.init(key)
	runtime.SetFinalizer(k, (*Key).wipe)
	return k
}

// wipe forgets the key once nobody can use it any more: its first round key is the key itself.
func (k *Key) wipe() { *k = Key{} }

// Seal appends to dst the ciphertext of plaintext and its tag. iv has 8 octets and is never used twice with one Key.
// plaintext may lie exactly at dst[len(dst):], which seals in place; any other overlap is a bug. Nothing is allocated
// when dst has room for TagLen octets more than plaintext has.
func (k *Key) Seal(dst, iv, plaintext, aad []byte) []byte {
	n := len(plaintext)
	if n > maxLen {
		panic("bug: plaintext is too long for GCM")
	}
	all := slices.Grow(dst, n+TagLen)[:len(dst)+n+TagLen]
	out := all[len(dst):]
	mustNotOverlap(out, plaintext)
	j0Low, j0High := k.j0(iv)
	aadLow, aadHigh := k.hashable(aad)
	k.seal(unsafe.SliceData(out), unsafe.SliceData(plaintext), n, j0Low, j0High, aadLow, aadHigh, uint64(len(aad))*8)
	runtime.KeepAlive(k)
	return all
}

// Open appends to dst the plaintext of sealed, ciphertext and tag, and reports whether the tag is right. If it is not, dst comes
// back as it was, and what came after it is zeroed as far as the plaintext would have gone. dst may be sealed[:0], which opens
// in place; any other overlap is a bug. The comparison takes the same time wherever the tags differ.
func (k *Key) Open(dst, iv, sealed, aad []byte) ([]byte, bool) {
	n := len(sealed) - TagLen
	if n < 0 || n > maxLen {
		return dst, false
	}
	all := slices.Grow(dst, n)[:len(dst)+n]
	out := all[len(dst):]
	mustNotOverlap(out, sealed)
	j0Low, j0High := k.j0(iv)
	aadLow, aadHigh := k.hashable(aad)
	if !k.open(unsafe.SliceData(out), unsafe.SliceData(sealed), n, j0Low, j0High, aadLow, aadHigh, uint64(len(aad))*8) {
		clear(out)
		return dst, false
	}
	runtime.KeepAlive(k)
	return all, true
}

// j0 returns the counter block of a packet as a number: salt, iv, 1 (NIST SP 800-38D §7.1).
func (k *Key) j0(iv []byte) (low, high uint64) {
	if len(iv) != IVLen {
		panic("bug: the IV of a packet has 8 octets")
	}
	v := binary.BigEndian.Uint64(iv)
	return v<<32 | 1, uint64(k.salt)<<32 | v>>32
}

// hashable returns the one block, as a number, that aad is for a kernel: aad itself with zeros behind it. Of more than 16
// octets (IKE has such) all but the last block is hashed here.
func (k *Key) hashable(aad []byte) (low, high uint64) {
	switch len(aad) {
	case 8:
		return 0, binary.BigEndian.Uint64(aad)
	case 12:
		return uint64(binary.BigEndian.Uint32(aad[8:])) << 32, binary.BigEndian.Uint64(aad)
	}
	for {
		var block [blockLen]byte
		n := copy(block[:], aad)
		low ^= binary.BigEndian.Uint64(block[8:])
		high ^= binary.BigEndian.Uint64(block[:8])
		if aad = aad[n:]; len(aad) == 0 {
			return low, high
		}
		low, high = k.timesH(low, high)
	}
}

// mustNotOverlap panics when two slices share octets and do not begin at the same one.
func mustNotOverlap(out, in []byte) {
	if len(out) == 0 || len(in) == 0 {
		return
	}
	a, b := uintptr(unsafe.Pointer(unsafe.SliceData(out))), uintptr(unsafe.Pointer(unsafe.SliceData(in)))
	if a != b && a < b+uintptr(len(in)) && b < a+uintptr(len(out)) {
		panic("bug: plaintext and ciphertext overlap in part")
	}
}
