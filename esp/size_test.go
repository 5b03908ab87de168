package esp

import (
	"testing"

	"twinbore/esp/protect"
)

// TestMaxInnerMakesTheProvidersTable has the inner MTU that providers publish for a path of 1500 over IPv4, as bare ESP
// and in UDP.
func TestMaxInnerMakesTheProvidersTable(t *testing.T) {
	const ipv4, udp = 20, 8
	for _, c := range []struct {
		alg       *protect.Algorithm
		bare, nat int
	}{
		{protect.AES128GCM16, 1446, 1438},
		{protect.AES256GCM16, 1446, 1438},
		{protect.ChaCha20Poly1305, 1446, 1438},
		{protect.CBC(128, protect.InsecureHMACSHA1), 1438, 1422},
		{protect.CBC(256, protect.HMACSHA256), 1438, 1422},
		{protect.CBC(256, protect.HMACSHA384), 1422, 1422},
		{protect.CBC(256, protect.HMACSHA512), 1422, 1406},
	} {
		if got := MaxInner(c.alg, 1500-ipv4); got != c.bare {
			t.Errorf("%s: %d octets in bare ESP, want %d", c.alg.Name, got, c.bare)
		}
		if got := MaxInner(c.alg, 1500-ipv4-udp); got != c.nat {
			t.Errorf("%s: %d octets in UDP, want %d", c.alg.Name, got, c.nat)
		}
	}
}

// TestSizesAgree: MaxInner is the largest that SealedLen lets in, and nothing adds more than Overhead.
func TestSizesAgree(t *testing.T) {
	for _, alg := range every {
		worst := 0
		for inner := range 200 {
			worst = max(worst, SealedLen(alg, inner)-inner)
		}
		if worst != Overhead(alg) {
			t.Errorf("%s: Overhead %d, the most that SealedLen adds is %d", alg.Name, Overhead(alg), worst)
		}
		for room := range 300 {
			got := MaxInner(alg, room)
			if got > 0 && SealedLen(alg, got) > room || SealedLen(alg, got+1) <= room {
				t.Errorf("%s: MaxInner(%d) = %d, which seals to %d, and one more to %d", alg.Name, room, got, SealedLen(alg, got), SealedLen(alg, got+1))
			}
		}
	}
}
