package suite

import (
	"bytes"
	"errors"
	"testing"
	"testing/cryptotest"

	"twinbore/esp/protect/vectors"
)

func kemGroups() []*Group { return []*Group{mlkem768, mlkem1024} }

// FIPS 203 by other people's vectors: both halves, implicit rejection, and keys that are refused.
func TestMLKEMAgreesWithVectors(t *testing.T) {
	seen := map[string]int{}
	for _, c := range vectors.Load(t, "ike-kem.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			g, verdict := groupNamed(t, c.Text(t, "group")), c.Text(t, "expect")
			seen[verdict+" "+g.Name]++
			if verdict == "refused" {
				if public, shared, err := g.Respond(seeded(1), c.Hex(t, "public")); !errors.Is(err, ErrPublicValue) {
					t.Errorf("got %x, %x and error %v, want ErrPublicValue", public, shared, err)
				}
				return
			}
			k, err := g.Generate(bytes.NewReader(c.Hex(t, "seed")))
			if err != nil {
				t.Fatal(err)
			}
			if got, want := k.Public(), c.Hex(t, "public"); !bytes.Equal(got, want) {
				t.Errorf("encapsulation key is\n%x, want\n%x", got, want)
			}
			got, err := k.Shared(c.Hex(t, "ciphertext"))
			if err != nil {
				t.Fatal(err)
			}
			if want := c.Hex(t, "shared"); !bytes.Equal(got, want) {
				t.Errorf("shared secret is\n%x, want\n%x", got, want)
			}
		})
	}
	for _, g := range kemGroups() {
		for _, verdict := range []string{"ok", "rejected", "refused"} {
			if seen[verdict+" "+g.Name] == 0 {
				t.Errorf("%s: no vector is %s", g.Name, verdict)
			}
		}
	}
}

// draft-ietf-ipsecme-ikev2-mlkem §2.1: the two KE payloads differ in length, and no other length is read.
func TestMLKEMRefusesWrongLengths(t *testing.T) {
	for g, want := range map[*Group][2]int{mlkem768: {1184, 1088}, mlkem1024: {1568, 1568}} {
		if g.PublicLen != want[0] || g.ResponseLen != want[1] || g.SharedLen != 32 {
			t.Errorf("%s: lengths are %d, %d and %d, want %d, %d and 32", g.Name, g.PublicLen, g.ResponseLen, g.SharedLen, want[0], want[1])
		}
		k, err := g.Generate(seeded(1))
		if err != nil {
			t.Fatal(err)
		}
		answer, _, err := g.Respond(nil, k.Public())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 32, 768, 800, 1087, 1088, 1089, 1183, 1184, 1185, 1567, 1568, 1569, 65535} {
			if n != g.PublicLen {
				public, shared, err := g.Respond(nil, resized(k.Public(), n))
				if !errors.Is(err, ErrPublicValue) || public != nil || shared != nil {
					t.Errorf("%s: a responder takes a key of %d octets: %v", g.Name, n, err)
				}
			}
			if n != g.ResponseLen {
				if shared, err := k.Shared(resized(answer, n)); !errors.Is(err, ErrPublicValue) || shared != nil {
					t.Errorf("%s: an initiator takes a ciphertext of %d octets: %v", g.Name, n, err)
				}
			}
		}
	}
}

func resized(b []byte, n int) []byte {
	out := make([]byte, n)
	copy(out, b)
	return out
}

// A changed ciphertext is no error: it gives a secret that nobody else has, the same each time (FIPS 203 §6.3). So the
// keys of the two ends differ and the next message does not open.
func TestMLKEMRejectsImplicitly(t *testing.T) {
	for _, g := range kemGroups() {
		k, err := g.Generate(seeded(1))
		if err != nil {
			t.Fatal(err)
		}
		answer, shared, err := g.Respond(nil, k.Public())
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{string(shared): true}
		for _, at := range []int{0, 1, len(answer) / 2, len(answer) - 1} {
			changed := bytes.Clone(answer)
			changed[at] ^= 1
			got, err := k.Shared(changed)
			if err != nil || len(got) != g.SharedLen {
				t.Fatalf("%s: octet %d changed: got %x, %v", g.Name, at, got, err)
			}
			if seen[string(got)] {
				t.Errorf("%s: octet %d changed gives a secret that another ciphertext has", g.Name, at)
			}
			seen[string(got)] = true
			if again, _ := k.Shared(changed); !bytes.Equal(again, got) {
				t.Errorf("%s: octet %d changed gives two secrets", g.Name, at)
			}
		}
		other, err := g.Generate(seeded(2))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := other.Shared(answer); err != nil || bytes.Equal(got, shared) {
			t.Errorf("%s: a ciphertext for another key gives %x, %v", g.Name, got, err)
		}
	}
}

// Encapsulation has no reader of its own: transcripts set the process's source instead.
func TestMLKEMRespondsByTheGlobalSource(t *testing.T) {
	for _, g := range kemGroups() {
		k, err := g.Generate(seeded(1))
		if err != nil {
			t.Fatal(err)
		}
		respond := func(seed uint64) (public, shared []byte) {
			cryptotest.SetGlobalRandom(t, seed)
			public, shared, err := g.Respond(nil, k.Public())
			if err != nil {
				t.Fatal(err)
			}
			return public, shared
		}
		p1, s1 := respond(7)
		p2, s2 := respond(7)
		p3, s3 := respond(8)
		if !bytes.Equal(p1, p2) || !bytes.Equal(s1, s2) {
			t.Errorf("%s: the same source gives two answers", g.Name)
		}
		if bytes.Equal(p1, p3) || bytes.Equal(s1, s3) {
			t.Errorf("%s: two sources give one answer", g.Name)
		}
	}
}
