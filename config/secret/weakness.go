package secret

import (
	"fmt"
	"math"
)

// What a secret should be worth, bits: guessing it offline from a recorded handshake must be out of the question
// (CVE-2018-5389), for a PPK even for a quantum computer, against which half of the bits count (RFC 8784 §6).
const (
	WantBits    = 128
	WantPPKBits = 256
)

// StrongHint is how to get a secret that is worth that much.
const StrongHint = "openssl rand -hex 32 makes a good one; a weak one can be guessed by whoever records a handshake"

// Weakness says what is weak about a secret that should be worth so many bits; empty when nothing is. It judges by the number
// and the kinds of characters, so that what a person thought up may still be worth less. It tells nothing of the
// characters themselves.
func (s Secret) Weakness(want int) string {
	octets := s.Reveal()
	if n := len(octets); n > 0 && octets[n-1] == 0 {
		// HMAC fills a key up with zeros (RFC 2104 §2), so that this is the same secret as without them.
		return "the secret ends with a zero octet, which counts for nothing: it is as good as one without"
	}
	if bits := estimate(octets); bits < want {
		return fmt.Sprintf("the secret is worth at most %d bits by its length and its characters, %d are wanted", bits, want)
	}
	return ""
}

// estimate is how many bits octets are worth at most: each is worth what one drawn from the kinds of characters that occur
// would be, but one that continues a long run like aaaaa or 12345 nothing, and a repetition counts once.
func estimate(octets []byte) int {
	octets = octets[:period(octets)]
	worth, run := 0, 0
	for i := range octets {
		if i >= 2 && octets[i]-octets[i-1] == octets[i-1]-octets[i-2] && octets[i]-octets[i-1]+1 <= 2 { // a step of -1, 0 or 1
			run++
		} else {
			run = 0
		}
		if run < 3 {
			worth++
		}
	}
	return int(float64(worth) * math.Log2(float64(kinds(octets))))
}

// period is the length of what octets are a repetition of, or their own.
func period(octets []byte) int {
next:
	for n := 1; n <= len(octets)/2; n++ {
		for i := n; i < len(octets); i++ {
			if octets[i] != octets[i-n] {
				continue next
			}
		}
		return n
	}
	return len(octets)
}

// kinds is how many characters there are of the kinds that occur. Hexadecimal digits are a kind of their own, and octets
// that are no text are drawn from all 256.
func kinds(octets []byte) int {
	const digit, hexLower, lower, hexUpper, upper, other = 1, 2, 4, 8, 16, 32
	seen := 0
	for _, b := range octets {
		switch {
		case b >= '0' && b <= '9':
			seen |= digit
		case b >= 'a' && b <= 'f':
			seen |= hexLower
		case b >= 'a' && b <= 'z':
			seen |= lower
		case b >= 'A' && b <= 'F':
			seen |= hexUpper
		case b >= 'A' && b <= 'Z':
			seen |= upper
		case b >= ' ' && b <= '~':
			seen |= other
		default:
			return 256
		}
	}
	if seen == digit {
		return 10
	}
	if seen&^(digit|hexLower) == 0 || seen&^(digit|hexUpper) == 0 {
		return 16
	}
	n := 0
	for kind, size := range map[int]int{digit: 10, hexLower | lower: 26, hexUpper | upper: 26, other: 33} {
		if seen&kind != 0 {
			n += size
		}
	}
	return max(n, 1)
}
