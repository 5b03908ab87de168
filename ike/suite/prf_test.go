package suite

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"twinbore/esp/protect/vectors"
)

func prfNamed(t *testing.T, name string) *PRF {
	t.Helper()
	r, ok := Lookup(name)
	if !ok || r.prf == nil {
		t.Fatalf("no PRF %q in the table", name)
	}
	return r.prf
}

// CRY-04: the derivations of RFC 7296 §2.14, §2.17 and §2.18, as an independent implementation has them.
func TestPRFAgreesWithLibreswan(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-kdf-cavp.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			prf := prfNamed(t, c.Text(t, "prf"))
			get := func(key string) []byte { return c.Hex(t, key) }
			nonces := slices.Concat(get("ni"), get("nr"))
			plus := func(key []byte, n int, seed ...[]byte) []byte {
				out, err := prf.Plus(key, slices.Concat(seed...), n)
				if err != nil {
					t.Fatal(err)
				}
				return out
			}
			skeyseed := prf.Sum(nonces, get("gir"))
			dkm := plus(skeyseed, len(get("dkm")), nonces, get("spii"), get("spir"))
			skd := dkm[:prf.KeyLen]
			for key, got := range map[string][]byte{
				"skeyseed":       skeyseed,
				"dkm":            dkm,
				"child":          plus(skd, len(get("child")), nonces),
				"child-dh":       plus(skd, len(get("child-dh")), get("gir-new"), nonces),
				"skeyseed-rekey": prf.Sum(skd, get("gir-new"), nonces),
			} {
				if !bytes.Equal(got, get(key)) {
					t.Errorf("%s is\n%x, want\n%x", key, got, get(key))
				}
			}
		})
	}
}

// CRY-04: prf+ has 255 blocks and no more (RFC 7296 §2.13).
func TestPlusAgreesWithPythonAndEnds(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-kdf-prfplus.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			prf := prfNamed(t, c.Text(t, "prf"))
			out, err := prf.Plus(c.Hex(t, "key"), c.Hex(t, "seed"), int(c.Uint(t, "length")))
			if c.Text(t, "expect") == "too-long" {
				if err == nil {
					t.Errorf("%d octets came out, want an error", len(out))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want, got := []byte(nil), out
			if c.Has("out") {
				want = c.Hex(t, "out")
			} else {
				sum := sha256.Sum256(out)
				want, got = c.Hex(t, "out-sha256"), sum[:]
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got %x, want %x", got, want)
			}
		})
	}
}

func TestPlusOfNothingAndOfLess(t *testing.T) {
	if out, err := prfSHA256.Plus([]byte("key"), nil, 0); err != nil || len(out) != 0 {
		t.Errorf("0 octets: got %x, %v", out, err)
	}
	if _, err := prfSHA256.Plus([]byte("key"), nil, -1); err == nil {
		t.Error("a negative length came without an error")
	}
}

// The octets of the last block that nobody asked for must not lie behind the key.
func TestPlusLeavesNoKeyBehindItsResult(t *testing.T) {
	out, err := prfSHA512.Plus([]byte("key"), []byte("seed"), 65)
	if err != nil {
		t.Fatal(err)
	}
	if cap(out) != len(out) {
		t.Errorf("the result has room for %d octets, want %d", cap(out), len(out))
	}
}

// MAL-13: a nonce has at least 16 octets and at least half the PRF's key (RFC 7296 §2.10). The table of the other
// lengths is with the nonce payload.
func TestMinNonce(t *testing.T) {
	for name, want := range map[string]int{"prfsha1": 16, "prfsha256": 16, "prfsha384": 24, "prfsha512": 32} {
		if got := prfNamed(t, name).MinNonce(); got != want {
			t.Errorf("%s: %d octets, want %d", name, got, want)
		}
	}
}

// N-13, RFC 7296 §5: a PRF has at least 128 bits of output.
func TestPRFsAreLongEnough(t *testing.T) {
	for _, r := range Table() {
		if r.Kind == KindPRF && (r.prf.OutLen < 16 || r.prf.Name != r.Name || r.prf.ID != r.ID || r.prf.OutLen != len(r.prf.Sum(nil))) {
			t.Errorf("%s: %+v does not fit its row", r.Name, *r.prf)
		}
	}
}
