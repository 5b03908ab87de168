package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"twinbore/esp/protect/vectors"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

func prfNamed(t *testing.T, name string) *suite.PRF {
	t.Helper()
	p, err := suite.ParseIKE("aes256gcm16-" + name + "-ecp256")
	if err != nil {
		t.Fatal(err)
	}
	offer := &wire.SA{Proposals: suite.Offer([]suite.Proposal{p}, wire.ProtoIKE, nil, suite.WithGroups)}
	s, err := suite.Select([]suite.Proposal{p}, offer, wire.ProtoIKE, suite.SelectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.Suite.PRF
}

// N-51, RFC 7296 §2.15: every PRF, and keys of 64 ASCII octets, with a NUL inside, and longer than the hash's block.
func TestPSKAgreesWithPython(t *testing.T) {
	for _, c := range vectors.Load(t, "ike-auth-psk.txt") {
		t.Run(c.Name(), func(t *testing.T) {
			prf := prfNamed(t, c.Text(t, "prf"))
			octets := SignedOctets(prf, c.Hex(t, "message"), c.Hex(t, "nonce"), c.Hex(t, "skp"), c.Hex(t, "id-body"))
			if want := c.Hex(t, "octets"); !bytes.Equal(octets, want) {
				t.Fatalf("signed octets are\n%x, want\n%x", octets, want)
			}
			want := c.Hex(t, "auth")
			if got := PSKAuth(prf, c.Hex(t, "psk"), octets); !bytes.Equal(got, want) {
				t.Errorf("AUTH is %x, want %x", got, want)
			}
			if !VerifyPSK(prf, c.Hex(t, "psk"), octets, want) {
				t.Error("the right AUTH is refused")
			}
		})
	}
}

// AUT-01: a key is its octets, all of them and no other form of them.
func TestVerifyPSKRefusesAnyOtherKey(t *testing.T) {
	prf := prfNamed(t, "prfsha256")
	psk, octets := []byte("correct horse battery staple"), []byte("signed octets")
	flipped := slices.Clone(psk)
	flipped[len(flipped)-1] ^= 1
	for name, other := range map[string][]byte{
		"wrong":                   []byte("incorrect horse"),
		"empty":                   nil,
		"with a newline":          append(slices.Clone(psk), '\n'),
		"with a CR":               append(slices.Clone(psk), '\r'),
		"with a blank before":     append([]byte{' '}, psk...),
		"a NUL inside":            append(append(slices.Clone(psk[:7]), 0), psk[7:]...),
		"cut":                     psk[:len(psk)-1],
		"one bit off":             flipped,
		"in upper case":           bytes.ToUpper(psk),
		"in hex":                  []byte(hex.EncodeToString(psk)),
		"in base64":               []byte(base64.StdEncoding.EncodeToString(psk)),
		"the padded key":          prf.Sum(psk, []byte(keyPad)),
		"64 octets that begin so": append(slices.Clone(psk), strings.Repeat("x", 64-len(psk))...),
	} {
		if VerifyPSK(prf, psk, octets, PSKAuth(prf, other, octets)) {
			t.Errorf("key %s is taken for the right one", name)
		}
	}
	long := []byte(strings.Repeat("0123456789abcdef", 4)) // 64 octets of ASCII, RFC 7296 §2.15
	if !VerifyPSK(prf, long, octets, PSKAuth(prf, long, octets)) || VerifyPSK(prf, long[:63], octets, PSKAuth(prf, long, octets)) {
		t.Error("the last of 64 octets does not count")
	}
}

// AUT-01: nobody is somebody by having no key, and an AUTH of another length is no AUTH.
func TestVerifyPSKRefusesEmptyAndCut(t *testing.T) {
	prf := prfNamed(t, "prfsha256")
	octets := []byte("signed octets")
	for _, empty := range [][]byte{nil, {}} {
		if VerifyPSK(prf, empty, octets, PSKAuth(prf, empty, octets)) {
			t.Error("the empty key authenticates")
		}
	}
	psk := []byte("a key")
	good := PSKAuth(prf, psk, octets)
	for _, got := range [][]byte{nil, {}, good[:len(good)-1], append(slices.Clone(good), 0), make([]byte, len(good))} {
		if VerifyPSK(prf, psk, octets, got) {
			t.Errorf("AUTH of %d octets is accepted", len(got))
		}
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x80
		if VerifyPSK(prf, psk, octets, bad) {
			t.Errorf("AUTH with octet %d changed is accepted", i)
		}
	}
}

// N-50: each part of what is signed counts.
func TestSignedOctetsCoverEverything(t *testing.T) {
	prf := prfNamed(t, "prfsha256")
	parts := func() [][]byte {
		return [][]byte{[]byte("message"), []byte("nonce of sixteen"), []byte("SK_p"), []byte("\x02\x00\x00\x00gw.example")}
	}
	sign := func(p [][]byte) string { return string(SignedOctets(prf, p[0], p[1], p[2], p[3])) }
	seen := map[string]bool{sign(parts()): true}
	for i := range parts() {
		p := parts()
		p[i][len(p[i])-1] ^= 1
		if s := sign(p); seen[s] {
			t.Errorf("part %d does not count", i)
		} else {
			seen[s] = true
		}
	}
	p := parts()
	p[3][2] = 1 // reserved, and covered as received (RFC 7296 §2.15)
	if seen[sign(p)] {
		t.Error("the reserved octets of the identity do not count")
	}
}
