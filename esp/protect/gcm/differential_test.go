package gcm

import (
	"bytes"
	"testing"
	"unsafe"
)

// maxTested is the longest packet that every test of lengths tries: two batches of the widest kernel are 512.
const maxTested = 4096

// TestEveryLength compares with crypto/cipher: each length up to 4,096, both key lengths, additional data of ESP with and without
// ESN, sealed and opened, apart and in place, at places that move with the length.
func TestEveryLength(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		text := random(maxTested)
		for _, keyLen := range []int{16, 32} {
			p := newPair(t, kernel, keyLen)
			for n := range maxTested + 1 {
				for _, aad := range [][]byte{text[7:15], text[9:21]} {
					p.compare(t, text[:n], aad, n*5%64, n*11%64)
				}
			}
		}
	})
}

// TestEveryAlignment has all pairs of places within 64 octets, for lengths of each way through the kernels.
func TestEveryAlignment(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		p, aad := newPair(t, kernel, 16), random(8)
		for _, n := range []int{40, 333} {
			text := random(n)
			for from := range 64 {
				for to := range 64 {
					p.compare(t, text, aad, from, to)
				}
			}
		}
	})
}

// TestEveryAAD has lengths that IKE's header and payloads come to.
func TestEveryAAD(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		p, aad := newPair(t, kernel, 32), random(200)
		for n := range aad {
			for _, length := range []int{0, 20, 300} {
				p.compare(t, random(length), aad[:n], 0, 0)
			}
		}
	})
}

// TestLongPackets goes past 65,535 octets and past 256 counters, where a carry is.
func TestLongPackets(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		text := random(70000)
		for _, keyLen := range []int{16, 32} {
			p := newPair(t, kernel, keyLen)
			for _, n := range []int{8944, 16383, 65519, 65520, 65535, 65536, 70000} {
				p.compare(t, text[:n], text[:8], 1, 2)
			}
		}
	})
}

// FuzzAgainstStandardLibrary tries what no table thought of.
func FuzzAgainstStandardLibrary(f *testing.F) {
	f.Add([]byte("key and nonce"), []byte("text"), []byte("additional data"), uint16(0))
	f.Add(random(44), random(1440), random(8), uint16(7))
	f.Add(random(44), random(60), random(12), uint16(0xffff))
	f.Fuzz(func(t *testing.T, secret, text, aad []byte, places uint16) {
		secret = append(secret, make([]byte, 32+SaltLen+IVLen)...)
		for _, kernel := range probed() {
			for _, keyLen := range []int{16, 32} {
				key, nonce := secret[:keyLen], secret[keyLen:][:SaltLen+IVLen]
				p := pair{Key: newKey(kernel, key, [SaltLen]byte(nonce)), std: standard(t, key), iv: nonce[SaltLen:], nonce: nonce}
				p.compare(t, text, aad, int(places%64), int(places>>8%64))
			}
		}
	})
}

// compare seals and opens text as the standard library does, apart and in place, with the input so many octets behind a place
// that is aligned and the output likewise. What lies around must not change.
func (p *pair) compare(t *testing.T, text, aad []byte, from, to int) {
	t.Helper()
	n := len(text)
	p.want = p.std.Seal(p.want[:0], p.nonce, text, aad)
	in, out := p.in.place(n+TagLen, from), p.out.place(n+TagLen, to)

	copy(in.b, text)
	sealed := p.Seal(out.b[:0], p.iv, in.b[:n], aad)
	if !out.holds(p.want) || !same(sealed, out.b) {
		t.Fatalf("%s, %d octets, aad %d: sealed\n got %x\nwant %x, and nothing around", p.kernel, n, len(aad), out.all, p.want)
	}
	if !in.holds(text) {
		t.Fatalf("%s, %d octets, aad %d: Seal wrote to its plaintext", p.kernel, n, len(aad))
	}

	copy(in.b, p.want)
	out = p.out.place(n, to)
	opened, ok := p.Open(out.b[:0], p.iv, in.b, aad)
	if !ok || !out.holds(text) || !same(opened, out.b) {
		t.Fatalf("%s, %d octets, aad %d: opened %v\n got %x\nwant %x, and nothing around", p.kernel, n, len(aad), ok, out.all, text)
	}
	if !in.holds(p.want) {
		t.Fatalf("%s, %d octets, aad %d: Open wrote to its ciphertext", p.kernel, n, len(aad))
	}

	opened, ok = p.Open(in.b[:0], p.iv, in.b, aad)
	if !ok || !in.holds(text) || !bytes.Equal(in.b[n:], p.want[n:]) || !same(opened, in.b[:n]) {
		t.Fatalf("%s, %d octets, aad %d: opened in place %v\n got %x\nwant %x, and nothing around", p.kernel, n, len(aad), ok, in.all, text)
	}
	sealed = p.Seal(in.b[:0], p.iv, in.b[:n], aad)
	if !in.holds(p.want) || !same(sealed, in.b) {
		t.Fatalf("%s, %d octets, aad %d: sealed in place\n got %x\nwant %x, and nothing around", p.kernel, n, len(aad), in.all, p.want)
	}
}

// same reports whether two slices are one.
func same(a, b []byte) bool { return len(a) == len(b) && unsafe.SliceData(a) == unsafe.SliceData(b) }

// An arena is memory to place buffers in.
type arena []byte

// A fence is a buffer b in an arena, with others around it that nobody may touch.
type fence struct{ b, before, after, all []byte }

// around is what stands on both sides.
var around = bytes.Repeat([]byte("fence"), 26)

// place makes room for n octets that are off octets, less than 64, behind an aligned place.
func (a *arena) place(n, off int) fence {
	if need := 64 + 64 + off + n + 64; len(*a) < need {
		*a = make([]byte, need)
	}
	all := (*a)[-uintptr(unsafe.Pointer(unsafe.SliceData(*a)))%64:]
	start := 64 + off
	f := fence{all[start : start+n : start+n], all[:start], all[start+n:][:64], all[:start+n+64]}
	copy(f.before, around)
	copy(f.after, around)
	return f
}

// holds reports whether the buffer begins with want and what is around it is as it was.
func (f fence) holds(want []byte) bool {
	return bytes.HasPrefix(f.b, want) && bytes.HasPrefix(around, f.before) && bytes.HasPrefix(around, f.after)
}
