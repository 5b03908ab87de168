package suite

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"twinbore/esp/protect/vectors"
)

// seeded is a random source that gives the same octets each time.
func seeded(seed byte) io.Reader { return rand.NewChaCha8([32]byte{seed}) }

func groupNamed(t testing.TB, name string) *Group {
	t.Helper()
	r, ok := Lookup(name)
	if !ok || r.group == nil {
		t.Fatalf("no group %q in the table", name)
	}
	return r.group
}

func allGroups() []*Group {
	var all []*Group
	for _, r := range table {
		if r.Kind == KindGroup {
			all = append(all, r.group)
		}
	}
	return all
}

// dhGroups leaves out the KEMs, whose halves differ.
func dhGroups() []*Group {
	return slices.DeleteFunc(allGroups(), func(g *Group) bool { return g.encapsulate != nil })
}

// RFC 5903 §8, RFC 7748 §6.1, and CRY-02: what begins with zeros keeps them on both sides.
func TestGroupsAgreeWithVectors(t *testing.T) {
	for _, c := range append(vectors.Load(t, "ike-dh-rfc.txt"), vectors.Load(t, "ike-dh-zeros.txt")...) {
		t.Run(c.Name(), func(t *testing.T) {
			g := groupNamed(t, c.Text(t, "group"))
			k, err := g.Generate(bytes.NewReader(c.Hex(t, "private")))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := k.Public(), c.Hex(t, "public"); !bytes.Equal(got, want) {
				t.Errorf("public value is\n%x, want\n%x", got, want)
			}
			got, err := k.Shared(c.Hex(t, "peer"))
			if err != nil {
				t.Fatal(err)
			}
			if want := c.Hex(t, "shared"); !bytes.Equal(got, want) {
				t.Errorf("shared secret is\n%x, want\n%x", got, want)
			}
		})
	}
}

// CRY-01, MAL-12, D-01, D-02: values out of range, off the curve, of small order or of a wrong length (RFC 6989 §2).
func TestSharedRefusesBadPublicValues(t *testing.T) {
	pairs := map[string]*KeyPair{}
	for _, c := range vectors.Load(t, "ike-dh-refused.txt") {
		name := c.Text(t, "group")
		if public, shared, err := groupNamed(t, name).Respond(seeded(1), c.Hex(t, "peer")); !errors.Is(err, ErrPublicValue) || public != nil || shared != nil {
			t.Errorf("%s: a responder gives %x, %x and error %v, want ErrPublicValue", c.Name(), public, shared, err)
		}
		if pairs[name] == nil {
			k, err := groupNamed(t, name).Generate(seeded(1))
			if err != nil {
				t.Fatal(err)
			}
			pairs[name] = k
		}
		if got, err := pairs[name].Shared(c.Hex(t, "peer")); !errors.Is(err, ErrPublicValue) {
			t.Errorf("%s: got secret %x and error %v, want ErrPublicValue", c.Name(), got, err)
		}
	}
	if len(pairs) != len(dhGroups()) {
		t.Errorf("the vectors are about %d groups of %d", len(pairs), len(dhGroups()))
	}
}

// Whatever the group, an initiator and a responder have the same secret.
func TestGroupsAgreeWithThemselves(t *testing.T) {
	for _, g := range allGroups() {
		k, err := g.Generate(seeded(1))
		if err != nil {
			t.Fatal(g.Name, err)
		}
		answer, responder, err := g.Respond(seeded(2), k.Public())
		if err != nil {
			t.Fatal(g.Name, err)
		}
		initiator, err := k.Shared(answer)
		if err != nil {
			t.Fatal(g.Name, err)
		}
		if !bytes.Equal(initiator, responder) {
			t.Errorf("%s: the two ends have different secrets", g.Name)
		}
		if len(k.Public()) != g.PublicLen || len(answer) != g.ResponseLen || len(initiator) != g.SharedLen {
			t.Errorf("%s: %d, %d and %d octets, want %d, %d and %d", g.Name, len(k.Public()), len(answer), len(initiator),
				g.PublicLen, g.ResponseLen, g.SharedLen)
		}
		again, other, err := g.Respond(seeded(3), k.Public())
		if err != nil || bytes.Equal(again, answer) || bytes.Equal(other, responder) {
			t.Errorf("%s: two answers are equal (%v)", g.Name, err)
		}
		if k.Group() != g {
			t.Errorf("%s: its pair is of %s", g.Name, k.Group().Name)
		}
	}
}

// A responder that puts the shared secret off uses a pair as an initiator does.
func TestGroupsOfTwoEqualHalves(t *testing.T) {
	for _, g := range dhGroups() {
		a, errA := g.Generate(seeded(1))
		b, errB := g.Generate(seeded(2))
		if errA != nil || errB != nil {
			t.Fatal(g.Name, errA, errB)
		}
		ab, errA := a.Shared(b.Public())
		ba, errB := b.Shared(a.Public())
		if errA != nil || errB != nil || !bytes.Equal(ab, ba) || g.PublicLen != g.ResponseLen {
			t.Errorf("%s: the two ends have %x, %v and %x, %v", g.Name, ab, errA, ba, errB)
		}
		answer, shared, err := g.Respond(seeded(2), a.Public())
		if err != nil || !bytes.Equal(answer, b.Public()) || !bytes.Equal(shared, ab) {
			t.Errorf("%s: Respond differs from a pair of the same octets (%v)", g.Name, err)
		}
	}
}

// Transcripts and simulations rely on it: crypto/ecdh's own GenerateKey ignores its reader.
func TestGenerateFollowsItsRandomSource(t *testing.T) {
	for _, g := range allGroups() {
		a, errA := g.Generate(seeded(7))
		b, errB := g.Generate(seeded(7))
		if errA != nil || errB != nil {
			t.Fatal(g.Name, errA, errB)
		}
		if !bytes.Equal(a.Public(), b.Public()) {
			t.Errorf("%s: the same octets give two keys", g.Name)
		}
	}
}

// A broken source must not end in a weak key or an endless loop. X25519 and ML-KEM make a sound key of any octets.
func TestGenerateRefusesABrokenSource(t *testing.T) {
	for _, g := range allGroups() {
		if _, err := g.Generate(bytes.NewReader(make([]byte, 8))); err == nil {
			t.Errorf("%s: a source that ends gives a key", g.Name)
		}
		if g == x25519 || g.encapsulate != nil {
			continue
		}
		if _, err := g.Generate(zeros{}); err == nil {
			t.Errorf("%s: a source of zeros gives a key", g.Name)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestGroupByID(t *testing.T) {
	for _, g := range allGroups() {
		if GroupByID(g.ID) != g {
			t.Errorf("number %d does not lead to %s", g.ID, g.Name)
		}
	}
	for _, id := range []uint16{0, 1, 17, 22, 23, 24, 32, 35, 38, 1025, 65535} { // MAL-12, D-04
		if g := GroupByID(id); g != nil {
			t.Errorf("number %d leads to %s, want none", id, g.Name)
		}
	}
}

func TestWipedPairIsNotUsed(t *testing.T) {
	for _, g := range allGroups() {
		k, err := g.Generate(seeded(3))
		if err != nil {
			t.Fatal(err)
		}
		peer := k.Public()
		k.Wipe()
		k.Wipe()
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: a wiped pair still gives secrets", g.Name)
				}
			}()
			_, _ = k.Shared(peer)
		}()
	}
}

func TestWipeClearsTheExponent(t *testing.T) {
	k, err := modp2048.Generate(seeded(3))
	if err != nil {
		t.Fatal(err)
	}
	x := k.private.(*modpKey).x
	k.Wipe()
	if !bytes.Equal(x, make([]byte, len(x))) {
		t.Error("the exponent is still in memory")
	}
}

// The primes follow from pi, which nobody chose (RFC 2409 §6.2, RFC 3526), and they are safe primes, on which the range check of
// RFC 6989 §2.1 relies.
func TestPrimesAreThoseOfTheirFormula(t *testing.T) {
	const scale = 4096
	pi := piTimes2To(scale)
	for _, p := range []struct {
		bits  uint
		c     int64
		group *Group
		prime string
	}{
		{1024, 129093, insecureMODP1024, prime1024},
		{1536, 741804, insecureMODP1536, prime1536},
		{2048, 124476, modp2048, prime2048},
		{3072, 1690314, modp3072, prime3072},
		{4096, 240904, modp4096, prime4096},
	} {
		want := new(big.Int).Rsh(pi, scale-(p.bits-130))
		want.Add(want, big.NewInt(p.c)).Lsh(want, 64)
		want.Add(want, new(big.Int).Lsh(big.NewInt(1), p.bits))
		want.Sub(want, new(big.Int).Lsh(big.NewInt(1), p.bits-64))
		want.Sub(want, big.NewInt(1))
		if got := hex.EncodeToString(want.Bytes()); got != p.prime {
			t.Errorf("modp%d is\n%s, want\n%s", p.bits, p.prime, got)
		}
		if got, want := p.group.PublicLen, int(p.bits/8); got != want {
			t.Errorf("%s has %d octets, want %d", p.group.Name, got, want)
		}
		// One round each: the numbers are known primes, this finds a misprint that the formula shares.
		if !want.ProbablyPrime(0) || p.bits < 3000 && !new(big.Int).Rsh(want, 1).ProbablyPrime(0) {
			t.Errorf("modp%d: no safe prime", p.bits)
		}
	}
}

// piTimes2To is pi * 2^n, rounded down, by Machin's formula with 64 bits to spare.
func piTimes2To(n uint) *big.Int {
	one := new(big.Int).Lsh(big.NewInt(1), n+64)
	pi := arctanInverse(5, one)
	pi.Lsh(pi, 2).Sub(pi, arctanInverse(239, one)).Lsh(pi, 2)
	return pi.Rsh(pi, 64)
}

// arctanInverse is arctan(1/x) in units of 1/one.
func arctanInverse(x int64, one *big.Int) *big.Int {
	square := big.NewInt(x * x)
	term := new(big.Int).Quo(one, big.NewInt(x))
	sum := new(big.Int).Set(term)
	part := new(big.Int)
	for n := int64(3); term.Sign() != 0; n += 2 {
		term.Quo(term, square)
		part.Quo(term, big.NewInt(n))
		if n%4 == 3 {
			sum.Sub(sum, part)
		} else {
			sum.Add(sum, part)
		}
	}
	return sum
}

// DOS-11, RFC 3526 §8, the higher estimate: an exponent of twice the strength.
func TestExponentsAreLongEnough(t *testing.T) {
	for g, bits := range map[*Group]int{insecureMODP1024: 240, insecureMODP1536: 240, modp2048: 320, modp3072: 420, modp4096: 480} {
		if got := g.method.(modp).exponentLen * 8; got < bits {
			t.Errorf("%s: %d bits, want at least %d", g.Name, got, bits)
		}
	}
}

func BenchmarkGroup(b *testing.B) {
	for _, g := range allGroups() {
		k, err := g.Generate(seeded(1))
		if err != nil {
			b.Fatal(err)
		}
		answer, _, err := g.Respond(seeded(2), k.Public())
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/generate+shared", g.Name), func(b *testing.B) {
			src := seeded(3)
			for b.Loop() {
				k, err := g.Generate(src)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := k.Shared(answer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%s/respond", g.Name), func(b *testing.B) {
			src := seeded(3)
			for b.Loop() {
				if _, _, err := g.Respond(src, k.Public()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
