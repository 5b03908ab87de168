package datapath

import (
	"encoding/binary"
	"net/netip"
)

// sum16 adds b to a sum of 16-bit words (RFC 1071). An odd last octet counts as the high one.
func sum16(sum uint32, b []byte) uint32 {
	for len(b) >= 2 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return sum
}

// checksum folds a sum into the value that goes on the wire.
func checksum(sum uint32) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// adjust returns the checksum old after one of the words it covers has changed (RFC 1624 §3, equation 3).
func adjust(old, from, to uint16) uint16 {
	return checksum(uint32(^old) + uint32(^from) + uint32(to))
}

// pseudoHeader6 is the sum of the IPv6 pseudo-header (RFC 8200 §8.1).
func pseudoHeader6(src, dst netip.Addr, proto uint8, length int) uint32 {
	s, d := src.As16(), dst.As16()
	return sum16(sum16(uint32(length)+uint32(proto), s[:]), d[:])
}
