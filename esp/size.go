package esp

import "twinbore/esp/protect"

const (
	headerLen  = 8 // SPI and sequence number
	trailerLen = 2 // pad length and next header

	maxTrailer = 15 + trailerLen // with the padding that blocks of 16 octets need
)

// Headroom returns the octets that Seal puts before the inner packet: SPI, sequence number and IV.
func Headroom(alg *protect.Algorithm) int { return headerLen + alg.IVLen }

// Overhead returns the most octets by which an ESP packet of alg is longer than what it carries.
func Overhead(alg *protect.Algorithm) int {
	return Headroom(alg) + align(alg) - 1 + trailerLen + alg.TagLen
}

// SealedLen returns the octets of the ESP packet that carries inner octets.
func SealedLen(alg *protect.Algorithm, inner int) int {
	return Headroom(alg) + inner + padLen(alg, inner) + trailerLen + alg.TagLen
}

// MaxInner returns the most octets that an ESP packet of at most room octets can carry; 0 when there is no room. Outer
// IP and UDP headers are not in room.
func MaxInner(alg *protect.Algorithm, room int) int {
	body := room - Headroom(alg) - alg.TagLen
	return max(body-body%align(alg)-trailerLen, 0)
}

// align returns what the encrypted part must be a multiple of: whole blocks, and at least four octets (RFC 4303 §2.4).
func align(alg *protect.Algorithm) int { return max(alg.Block, 4) }

func padLen(alg *protect.Algorithm, inner int) int {
	a := align(alg)
	return (a - (inner+trailerLen)%a) % a
}
