package protect

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"

	"twinbore/esp/protect/vectors"
)

// every lists the package's algorithms, in the order of their names in the README.
func every() []*Algorithm {
	all := []*Algorithm{AES128GCM16, AES256GCM16, ChaCha20Poly1305}
	for _, keyBits := range []int{128, 256} {
		for _, integ := range []Integrity{HMACSHA256, HMACSHA384, HMACSHA512, InsecureHMACSHA1} {
			all = append(all, CBC(keyBits, integ))
		}
	}
	return all
}

func named(t *testing.T, name string) *Algorithm {
	t.Helper()
	for _, a := range every() {
		if a.Name == name {
			return a
		}
	}
	t.Fatalf("no algorithm %q", name)
	return nil
}

// octets returns n octets that are not all equal.
func octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + n)
	}
	return b
}

func protector(t testing.TB, a *Algorithm) Protector {
	t.Helper()
	p, err := a.New(octets(a.KeyLen))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestAlgorithmsAreWhatTheirNamesSay(t *testing.T) { // P-09, RFC 4301 §4.5.2
	for name, want := range map[string]Algorithm{
		"aes128gcm16":      {KeyLen: 20, IVLen: 8, TagLen: 16, Block: 1, AEAD: true},
		"aes256gcm16":      {KeyLen: 36, IVLen: 8, TagLen: 16, Block: 1, AEAD: true},
		"chacha20poly1305": {KeyLen: 36, IVLen: 8, TagLen: 16, Block: 1, AEAD: true},
		"aes128-sha256":    {KeyLen: 48, IVLen: 16, TagLen: 16, Block: 16},
		"aes128-sha384":    {KeyLen: 64, IVLen: 16, TagLen: 24, Block: 16},
		"aes128-sha512":    {KeyLen: 80, IVLen: 16, TagLen: 32, Block: 16},
		"aes128-sha1":      {KeyLen: 36, IVLen: 16, TagLen: 12, Block: 16},
		"aes256-sha256":    {KeyLen: 64, IVLen: 16, TagLen: 16, Block: 16},
		"aes256-sha384":    {KeyLen: 80, IVLen: 16, TagLen: 24, Block: 16},
		"aes256-sha512":    {KeyLen: 96, IVLen: 16, TagLen: 32, Block: 16},
		"aes256-sha1":      {KeyLen: 52, IVLen: 16, TagLen: 12, Block: 16},
	} {
		a := named(t, name)
		if a.KeyLen != want.KeyLen || a.IVLen != want.IVLen || a.TagLen != want.TagLen || a.Block != want.Block || a.AEAD != want.AEAD {
			t.Errorf("%s: key %d, IV %d, tag %d, block %d, AEAD %v; want %d, %d, %d, %d, %v", name,
				a.KeyLen, a.IVLen, a.TagLen, a.Block, a.AEAD, want.KeyLen, want.IVLen, want.TagLen, want.Block, want.AEAD)
		}
	}
}

func TestSameAlgorithmIsSamePointer(t *testing.T) {
	all := every()
	for i, a := range all {
		for j, b := range every() {
			if (a == b) != (i == j) {
				t.Errorf("%s and %s: equal pointers is %v", a.Name, b.Name, a == b)
			}
		}
	}
	for _, a := range []*Algorithm{CBC(192, HMACSHA256), CBC(128, 0), CBC(128, InsecureHMACSHA1+1)} {
		if a != nil {
			t.Errorf("%s exists", a.Name)
		}
	}
	if n := Integrity(99).KeyLen() + Integrity(99).TagLen(); n != 0 || Integrity(99).String() != "unknown integrity" {
		t.Errorf("Integrity(99) has lengths (%d) or a name (%s)", n, Integrity(99))
	}
}

func TestNewRefusesOtherKeyLengths(t *testing.T) {
	for _, a := range every() {
		for _, n := range []int{0, a.KeyLen - 1, a.KeyLen + 1} {
			if _, err := a.New(make([]byte, n)); err == nil {
				t.Errorf("%s takes a key of %d octets", a.Name, n)
			}
		}
	}
}

// TestVectorsESP seals and opens the packets of other implementations and of RFC 7634 Appendix A and RFC 4106's test cases.
func TestVectorsESP(t *testing.T) {
	for _, c := range vectors.Load(t, "esp-*.txt") {
		if c.Text(t, "expect") != "ok" && c.Text(t, "expect") != "bad-icv" {
			continue // a matter of ESP, not of its protection
		}
		t.Run(c.Name(), func(t *testing.T) {
			a := named(t, c.Text(t, "algorithm"))
			p, err := a.New(c.Hex(t, "key"))
			if err != nil {
				t.Fatal(err)
			}
			pkt, seq := c.Hex(t, "esp"), c.Uint(t, "seq")
			aad, iv, sealed := pkt[:8:8], pkt[8:8+a.IVLen], pkt[8+a.IVLen:]
			var tail []byte
			if c.Text(t, "esn") == "yes" {
				high := binary.BigEndian.AppendUint32(nil, uint32(seq>>32))
				if tail = high; a.AEAD {
					aad = slices.Concat(pkt[:4], high, pkt[4:8])
				}
			}
			plaintext, err := p.Open(nil, iv, sealed, aad, tail)
			if c.Text(t, "expect") == "bad-icv" {
				if !errors.Is(err, ErrOpen) {
					t.Fatalf("opened: error %v, want ErrOpen", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.HasPrefix(plaintext, c.Hex(t, "inner")) {
				t.Errorf("plaintext %x does not begin with the inner packet", plaintext)
			}
			if got := p.Seal(nil, iv, plaintext, aad, tail); !bytes.Equal(got, sealed) {
				t.Errorf("sealed\n got %x\nwant %x", got, sealed)
			}
		})
	}
}

// TestVectorsSK has RFC 7634 Appendix B.
func TestVectorsSK(t *testing.T) {
	for _, c := range vectors.Load(t, "sk-*.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			p, err := named(t, c.Text(t, "algorithm")).New(c.Hex(t, "key"))
			if err != nil {
				t.Fatal(err)
			}
			iv, aad, plaintext, sealed := c.Hex(t, "iv"), c.Hex(t, "aad"), c.Hex(t, "plaintext"), c.Hex(t, "sealed")
			if got := p.Seal(nil, iv, plaintext, aad, nil); !bytes.Equal(got, sealed) {
				t.Errorf("sealed\n got %x\nwant %x", got, sealed)
			}
			if got, err := p.Open(nil, iv, sealed, aad, nil); err != nil || !bytes.Equal(got, plaintext) {
				t.Errorf("opened %x, %v; want %x", got, err, plaintext)
			}
		})
	}
}

// TestInPlaceEqualsApart seals and opens over its own input and elsewhere, and compares.
func TestInPlaceEqualsApart(t *testing.T) {
	for _, a := range every() {
		p, iv, aad, tail := protector(t, a), octets(a.IVLen), octets(8), octets(4)
		for _, n := range []int{0, 16, 48, 1408} {
			plaintext := octets(n)
			before := bytes.Clone(plaintext)
			apart := p.Seal([]byte("head"), iv, plaintext, aad, tail)
			if !bytes.Equal(plaintext, before) {
				t.Fatalf("%s %d: Seal wrote into its plaintext", a.Name, n)
			}

			buf := append([]byte("head"), plaintext...)
			buf = slices.Grow(buf, a.TagLen)
			in := p.Seal(buf[:4], iv, buf[4:4+n], aad, tail)
			if !bytes.Equal(in, apart) {
				t.Fatalf("%s %d: sealed in place\n got %x\nwant %x", a.Name, n, in, apart)
			}
			if &in[0] != &buf[0] {
				t.Errorf("%s %d: Seal moved although there was room", a.Name, n)
			}

			sealed := in[4:]
			away, err := p.Open(nil, iv, sealed, aad, tail)
			if err != nil || !bytes.Equal(away, plaintext) {
				t.Fatalf("%s %d: opened apart %x, %v", a.Name, n, away, err)
			}
			here, err := p.Open(sealed[:0], iv, sealed, aad, tail)
			if err != nil || !bytes.Equal(here, plaintext) {
				t.Fatalf("%s %d: opened in place %x, %v", a.Name, n, here, err)
			}
		}
	}
}

// TestOpenRefusesEveryFlippedBit is CRY-07 for what a tag covers.
func TestOpenRefusesEveryFlippedBit(t *testing.T) {
	for _, a := range every() {
		p := protector(t, a)
		parts := [][]byte{octets(a.IVLen), nil, octets(8), octets(4)}
		parts[1] = p.Seal(nil, parts[0], octets(48), parts[2], parts[3])
		names := []string{"IV", "sealed", "aad", "tail"}
		if a.AEAD {
			parts[3], names = nil, names[:3] // an AEAD has no tail
		}
		for i, name := range names {
			for bit := range len(parts[i]) * 8 {
				broken := slices.Clone(parts)
				broken[i] = bytes.Clone(parts[i])
				broken[i][bit/8] ^= 1 << (bit % 8)
				if out, err := p.Open(nil, broken[0], broken[1], broken[2], broken[3]); !errors.Is(err, ErrOpen) || out != nil {
					t.Fatalf("%s: bit %d of %s flipped: %x, %v", a.Name, bit, name, out, err)
				}
			}
		}
		if _, err := p.Open(nil, parts[0], parts[1], parts[2], parts[3]); err != nil {
			t.Fatalf("%s: the packet itself: %v", a.Name, err)
		}
	}
}

func TestOpenRefusesEveryShorterLength(t *testing.T) {
	for _, a := range every() {
		p, iv, aad := protector(t, a), octets(a.IVLen), octets(8)
		sealed := p.Seal(nil, iv, octets(32), aad, nil)
		for n := range sealed {
			if _, err := p.Open(nil, iv, sealed[:n], aad, nil); !errors.Is(err, ErrOpen) {
				t.Fatalf("%s: %d of %d octets: error %v, want ErrOpen", a.Name, n, len(sealed), err)
			}
		}
	}
}

// TestCBCRefusesPartOfABlockWithAGoodTag: who has the key can send what no Seal makes.
func TestCBCRefusesPartOfABlockWithAGoodTag(t *testing.T) {
	a := CBC(128, HMACSHA256)
	p, iv, aad := protector(t, a), octets(16), octets(8)
	for n := range 33 {
		ciphertext := octets(n)
		mac := hmac.New(sha256.New, octets(a.KeyLen)[16:])
		mac.Write(slices.Concat(aad, iv, ciphertext))
		_, err := p.Open(nil, iv, append(ciphertext, mac.Sum(nil)[:16]...), aad, nil)
		if want := n%16 != 0; errors.Is(err, ErrOpen) != want {
			t.Errorf("%d octets of ciphertext: error %v", n, err)
		}
	}
}

func TestKeyMayBeClearedAfterNew(t *testing.T) {
	for _, a := range every() {
		key := octets(a.KeyLen)
		p, err := a.New(key)
		if err != nil {
			t.Fatal(err)
		}
		clear(key)
		iv, aad := octets(a.IVLen), octets(8)
		if got, want := p.Seal(nil, iv, octets(16), aad, nil), protector(t, a).Seal(nil, iv, octets(16), aad, nil); !bytes.Equal(got, want) {
			t.Errorf("%s: a cleared key changed the protection", a.Name)
		}
	}
}

func TestManyGoroutinesShareAProtector(t *testing.T) {
	for _, a := range every() {
		p := protector(t, a)
		var wg sync.WaitGroup
		for g := range 8 {
			wg.Go(func() {
				iv, aad, tail := octets(a.IVLen), octets(8), octets(4)
				for i := range 50 {
					iv[0], aad[0] = byte(g), byte(i)
					plaintext := octets(16 * (1 + i%7))
					sealed := p.Seal(nil, iv, plaintext, aad, tail)
					out, err := p.Open(sealed[:0], iv, sealed, aad, tail)
					if err != nil || !bytes.Equal(out, plaintext) {
						t.Errorf("%s: goroutine %d packet %d: %x, %v", a.Name, g, i, out, err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
}

func TestSealPanicsOnCallersBugs(t *testing.T) {
	for name, f := range map[string]func(){
		"AEAD with an IV of 12": func() { protector(t, AES128GCM16).Seal(nil, octets(12), nil, nil, nil) },
		"CBC with half a block": func() { protector(t, CBC(128, HMACSHA256)).Seal(nil, octets(16), octets(8), nil, nil) },
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
}
