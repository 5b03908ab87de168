package gcm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"twinbore/esp/protect/vectors"
)

// forEachKernel runs f as a test for each kernel of this CPU.
func forEachKernel(t *testing.T, f func(*testing.T, kernel)) {
	t.Helper()
	if len(probed()) == 0 {
		t.Skip("this CPU has no vector AES; to run it: use a machine with VAES and VPCLMULQDQ")
	}
	for _, k := range probed() {
		t.Run(k.String(), func(t *testing.T) { f(t, k) })
	}
}

// standard is crypto/cipher's AES-GCM with the same key.
func standard(t testing.TB, key []byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return aead
}

// A pair is a Key and the standard library's, for one nonce, and what they work on.
type pair struct {
	*Key
	std       cipher.AEAD
	iv, nonce []byte
	want      []byte
	in, out   arena
}

func newPair(t testing.TB, k kernel, keyLen int) *pair {
	t.Helper()
	key, nonce := random(keyLen), random(SaltLen+IVLen)
	return &pair{Key: newKey(k, key, [SaltLen]byte(nonce)), std: standard(t, key), iv: nonce[SaltLen:], nonce: nonce}
}

// random returns n octets that are the same in every run.
func random(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

// TestVectors has NIST's and Wycheproof's, CRY-07 among them: tags and lengths that must be refused.
func TestVectors(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		for _, c := range vectors.Load(t, "aes-gcm-*.txt") {
			nonce, sealed := c.Hex(t, "nonce"), c.Hex(t, "sealed")
			k := newKey(kernel, c.Hex(t, "key"), [SaltLen]byte(nonce))
			out, ok := k.Open(nil, nonce[SaltLen:], sealed, c.Hex(t, "aad"))
			if c.Text(t, "expect") == "bad-icv" {
				if ok || len(out) != 0 {
					t.Errorf("%s: opened", c.Name())
				}
				continue
			}
			if !ok || !bytes.Equal(out, c.Hex(t, "plaintext")) {
				t.Errorf("%s: opened %x, %v", c.Name(), out, ok)
			}
			if got := k.Seal(nil, nonce[SaltLen:], c.Hex(t, "plaintext"), c.Hex(t, "aad")); !bytes.Equal(got, sealed) {
				t.Errorf("%s: sealed\n got %x\nwant %x", c.Name(), got, sealed)
			}
		}
	})
}

// TestOpenRefusesEveryFlippedBit is CRY-07. What would have been plaintext is zero afterwards.
func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		for _, keyLen := range []int{16, 32} {
			p := newPair(t, kernel, keyLen)
			for _, n := range []int{0, 1, 16, 40, 64, 131, 300} {
				parts := [][]byte{p.iv, random(8), p.std.Seal(nil, p.nonce, random(n), random(8))}
				for i, name := range []string{"IV", "aad", "sealed"} {
					for bit := range len(parts[i]) * 8 {
						broken := slices.Clone(parts)
						broken[i] = bytes.Clone(parts[i])
						broken[i][bit/8] ^= 1 << (bit % 8)
						dst := append(make([]byte, 0, 3+n), "abc"...)
						out, ok := p.Open(dst, broken[0], broken[2], broken[1])
						if ok || string(out) != "abc" {
							t.Fatalf("%d octets, bit %d of %s flipped: %x, %v", n, bit, name, out, ok)
						}
						if after := dst[3:cap(dst)]; !bytes.Equal(after, make([]byte, len(after))) {
							t.Fatalf("%d octets, bit %d of %s flipped: %x is left", n, bit, name, after)
						}
					}
				}
				for short := range TagLen {
					if _, ok := p.Open(nil, p.iv, parts[2][:short], parts[1]); ok {
						t.Fatalf("opened %d octets, less than a tag", short)
					}
				}
			}
		}
	})
}

func TestManyGoroutinesShareAKey(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		p := newPair(t, kernel, 32)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				for n := range 100 {
					nonce := bytes.Clone(p.nonce)
					nonce[SaltLen] = byte(g)
					text, aad := random(8*n), random(12)
					sealed := p.Seal(nil, nonce[SaltLen:], text, aad)
					if !bytes.Equal(sealed, p.std.Seal(nil, nonce, text, aad)) {
						t.Errorf("goroutine %d: packet of %d octets is sealed otherwise", g, len(text))
					}
					if out, ok := p.Open(sealed[:0], nonce[SaltLen:], sealed, aad); !ok || !bytes.Equal(out, text) {
						t.Errorf("goroutine %d: packet of %d octets does not open", g, len(text))
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestSealAndOpenAllocateNothing(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		p, aad := newPair(t, kernel, 16), random(8)
		buf := make([]byte, 1440, 1440+TagLen)
		if n := testing.AllocsPerRun(100, func() {
			sealed := p.Seal(buf[:0], p.iv, buf, aad)
			if _, ok := p.Open(sealed[:0], p.iv, sealed, aad); !ok {
				t.Fatal("what was sealed does not open")
			}
		}); n != 0 {
			t.Errorf("%v allocations for a packet sealed and opened, want 0", n)
		}
	})
}

func TestCallersBugsPanic(t *testing.T) {
	forEachKernel(t, func(t *testing.T, kernel kernel) {
		p, buf := newPair(t, kernel, 16), make([]byte, 100)
		for name, f := range map[string]func(){
			"key of 24 octets":         func() { New(make([]byte, 24), [SaltLen]byte{}) },
			"IV of 12 octets":          func() { p.Seal(nil, make([]byte, 12), nil, nil) },
			"Seal one octet further":   func() { p.Seal(buf[1:1], p.iv, buf[:50], nil) },
			"Seal one octet before":    func() { p.Seal(buf[:0], p.iv, buf[1:50], nil) },
			"tag over the plaintext":   func() { p.Seal(buf[:0], p.iv, buf[0:0:0], nil); p.Seal(buf[:0:20], p.iv, buf[10:14], nil) },
			"Open one octet further":   func() { p.Open(buf[1:1], p.iv, buf[:50], nil) },
			"Open into the tag's half": func() { p.Open(buf[40:40], p.iv, buf[:50], nil) },
		} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("%s: no panic", name)
					}
				}()
				f()
			}()
		}
	})
}
