package datapath

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// sum16 adds b to a sum of 16-bit words (RFC 1071). An odd last octet counts as the high one.
func sum16(sum uint32, b []byte) uint32 {
	if len(b) >= 64 {
		whole := len(b) &^ 31
		sum += uint32(sumLong(b[:whole]))
		b = b[whole:]
	}
	for len(b) >= 2 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// sumLong is the folded sum of b, whose length is a multiple of 32. The sum does not depend on the order of octets but for
// a turn of its own at the end (RFC 1071 §2), so it takes words as this machine likes them.
func sumLong(b []byte) uint16 {
	var sum, carry uint64
	for len(b) >= 32 {
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.LittleEndian.Uint64(b[24:]), carry)
		b = b[32:]
	}
	half := sum>>32 + sum&0xffffffff + carry
	half = half>>32 + half&0xffffffff
	return bits.ReverseBytes16(fold(uint32(half)))
}

// fold reduces a sum to 16 bits.
func fold(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}

// checksum turns a sum into the value that goes on the wire.
func checksum(sum uint32) uint16 { return ^fold(sum) }

// adjust returns the checksum old after one of the words it covers has changed (RFC 1624 §3, equation 3).
func adjust(old, from, to uint16) uint16 {
	return checksum(uint32(^old) + uint32(^from) + uint32(to))
}

// pseudoHeader6 is the sum of the IPv6 pseudo-header (RFC 8200 §8.1).
func pseudoHeader6(src, dst netip.Addr, proto uint8, length int) uint32 {
	s, d := src.As16(), dst.As16()
	return sum16(sum16(uint32(length)+uint32(proto), s[:]), d[:])
}

// pseudoHeader is the sum of the pseudo-header of the IP packet that b begins with, but for the length of the upper
// layer (RFC 9293 §3.1, RFC 8200 §8.1). The extension headers of IPv6 play no part.
func pseudoHeader(b []byte, proto uint8) uint32 {
	if b[0]>>4 == 6 {
		return sum16(uint32(proto), b[8:40])
	}
	return sum16(uint32(proto), b[12:20])
}
