package gcm

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"
)

// TestKnownAnswersAreTheStandardLibrarys makes the constants of the self-test again.
func TestKnownAnswersAreTheStandardLibrarys(t *testing.T) {
	for keyLen, want := range knownAnswers {
		std, nonce := standard(t, counting(keyLen)), slices.Concat(counting(SaltLen), counting(IVLen))
		h := sha256.New()
		for n := range knownLens {
			h.Write(std.Seal(nil, nonce, counting(n), counting(n%24)))
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("key of %d octets: the known answer is %s, selftest.go has %s", keyLen, got, want)
		}
	}
}
