package gcm

import (
	"crypto/aes"
	"encoding/binary"
	"math/bits"
)

// maxPower is the number of blocks in the longest last turn of a kernel, the length block among them.
const maxPower = 17

// A schedule is what the kernels take from a key. They know where its parts are (asm/kernel.go).
type schedule struct {
	rounds [15][blockLen]byte             // round keys; AES-128 has 11
	powers [maxPower][blockLen]byte       // H^17, H^16, … H
	_      [3][blockLen]byte              // read with the last powers, and multiplied with zeros
	sums   [maxPower/2 + 1][blockLen]byte // of H^9, … H: in the first half the sum of both halves
}

// init fills s. The time that it takes does not depend on the key.
func (s *schedule) init(key []byte) {
	s.expand(key)
	var h [blockLen]byte
	block, err := aes.NewCipher(key)
	if err != nil {
		panic("bug: a key of AES-GCM has 16 or 32 octets")
	}
	block.Encrypt(h[:], h[:])
	s.raise(h)
}

// expand makes the round keys, FIPS 197 §5.2. A word has its first octet lowest.
func (s *schedule) expand(key []byte) {
	var w [15 * 4]uint32
	n := len(key) / 4
	for i := range n {
		w[i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	total, rcon := 4*(n+7), uint32(1)
	for i := n; i < total; i++ {
		t := w[i-1]
		switch {
		case i%n == 0:
			t = bits.RotateLeft32(substitute(t), -8) ^ rcon
			rcon = rcon<<1 ^ rcon>>7*0x11b // in GF(2^8); public
		case n == 8 && i%n == 4:
			t = substitute(t)
		}
		w[i] = w[i-n] ^ t
	}
	for i := range total {
		binary.LittleEndian.PutUint32(s.rounds[i/4][i%4*4:], w[i])
	}
	clear(w[:])
}

// raise makes the powers of H, each divided by x and as a number (asm/ghash.go says why).
func (s *schedule) raise(h [blockLen]byte) {
	high, low := binary.BigEndian.Uint64(h[:8]), binary.BigEndian.Uint64(h[8:])
	carry := -(high >> 63) // x^0, which becomes 1/x = x^127 + x^6 + x + 1
	high, low = high<<1|low>>63, low<<1
	high, low = high^carry&(0xc2<<56), low^carry&1
	first := &s.powers[maxPower-1]
	binary.LittleEndian.PutUint64(first[:8], low)
	binary.LittleEndian.PutUint64(first[8:], high)
	for i := maxPower - 2; i >= 0; i-- {
		s.powers[i] = s.powers[i+1]
		multiply(&s.powers[i][0], &first[0])
	}
	for i := range s.sums {
		p := &s.powers[maxPower-len(s.sums)+i]
		binary.LittleEndian.PutUint64(s.sums[i][:], binary.LittleEndian.Uint64(p[:8])^binary.LittleEndian.Uint64(p[8:]))
	}
}

// timesH multiplies a number with H.
func (s *schedule) timesH(low, high uint64) (uint64, uint64) {
	var x [blockLen]byte
	binary.LittleEndian.PutUint64(x[:8], low)
	binary.LittleEndian.PutUint64(x[8:], high)
	multiply(&x[0], &s.powers[maxPower-1][0])
	return binary.LittleEndian.Uint64(x[:8]), binary.LittleEndian.Uint64(x[8:])
}
