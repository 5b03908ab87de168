package secret

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
	"testing"
)

// AUT-13 (CVE-2018-5389): what is worth less than 128 bits at the very best is warned of.
func TestWeakSecrets(t *testing.T) {
	for text, want := range map[string]string{
		"password":                                  "at most 37 bits",
		"12345678901234567890":                      "at most 16 bits", // a row of ten, twice
		"1234567890123456789":                       "bits",
		strings.Repeat("a", 64):                     "at most 4 bits",
		strings.Repeat("ab", 32):                    "at most 8 bits",
		strings.Repeat("Xk7.", 16):                  "at most 26 bits",
		"abcdefghijklmnopqrstuvwxyzabc":             "bits",
		"kqzwmxrtplvnhsjygd":                        "at most 84 bits",
		"correct horse battery":                     "bits", // 21 of 59 characters
		"00112233445566778899aabbccddee":            "at most 120 bits",
		"\x00\x01\x02\x03\x04\x05\x06\x07":          "bits",
		"XkQ7.vRm2wLp9zTc4nBh8s":                    "",
		"00f1c22d33b4a5566e778899aabbc0d1":          "",
		"correct horse battery staple":              "",
		"T9#k2!mQz&7Lp@4wRv^8":                      "",
		"a secret that was good\x00":                "zero octet",
		strings.Repeat("\x93\x1f\xaa\x05", 8) + "x": "",
	} {
		got := New([]byte(text)).Weakness(WantBits)
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if got != "" && len(text) > 8 && strings.Contains(got, text[:8]) {
			t.Errorf("%q is repeated", text)
		}
	}
}

// Whatever is drawn at random of 128 bits or more is good, and so is what we generate (R62); a PPK wants twice as many.
func TestRandomSecretsAreGood(t *testing.T) {
	for range 500 {
		random := make([]byte, 17)
		rand.Read(random)
		random[16] |= 0x80
		text, err := draw(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, octets := range [][]byte{random, []byte(hex.EncodeToString(random)), text} {
			if got := New(octets).Weakness(WantBits); got != "" {
				t.Errorf("%q: %s", octets, got)
			}
		}
		if len(text) < 32 || New(text).Weakness(WantPPKBits) == "" {
			t.Errorf("%q is good enough for a PPK", text)
		}
		if got := New([]byte(hex.EncodeToString(append(random, random[:16]...)))).Weakness(WantPPKBits); got != "" {
			t.Errorf("33 octets are no good PPK: %s", got)
		}
	}
}
