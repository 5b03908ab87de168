package datapath

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"testing"
)

func addr(s string) netip.Addr      { return netip.MustParseAddr(s) }
func prefix(s string) netip.Prefix  { return netip.MustParsePrefix(s) }
func port(s string) netip.AddrPort  { return netip.MustParseAddrPort(s) }
func be16(b []byte, at int) uint16  { return binary.BigEndian.Uint16(b[at:]) }
func put16(b []byte, at int, v int) { binary.BigEndian.PutUint16(b[at:], uint16(v)) }
func prefixes(s ...string) (out []netip.Prefix) {
	for _, p := range s {
		out = append(out, prefix(p))
	}
	return out
}

// ip builds an IP packet around an upper layer; the family is that of the addresses.
func ip(src, dst string, proto uint8, upper []byte) []byte {
	s, d := addr(src), addr(dst)
	if s.Is6() {
		b := make([]byte, 40, 40+len(upper))
		b[0], b[6], b[7] = 0x60, proto, 64
		put16(b, 4, len(upper))
		copy(b[8:], s.AsSlice())
		copy(b[24:], d.AsSlice())
		return append(b, upper...)
	}
	b := make([]byte, 20, 20+len(upper))
	b[0], b[8], b[9] = 0x45, 64, proto
	put16(b, 2, 20+len(upper))
	copy(b[12:], s.AsSlice())
	copy(b[16:], d.AsSlice())
	put16(b, 10, int(onesComplement(b)))
	return append(b, upper...)
}

// udp builds a UDP packet with a payload of n octets that count up.
func udp(src, dst string, sport, dport, n int) []byte {
	u := make([]byte, 8+n)
	put16(u, 0, sport)
	put16(u, 2, dport)
	put16(u, 4, len(u))
	for i := range n {
		u[8+i] = byte(i)
	}
	return ip(src, dst, protoUDP, u)
}

// tcp builds a TCP segment with flags and options, whose length is a multiple of 4, and a right checksum.
func tcp(src, dst string, sport, dport int, flags byte, options ...byte) []byte {
	t := make([]byte, 20+len(options))
	put16(t, 0, sport)
	put16(t, 2, dport)
	t[12], t[13] = byte(len(t)/4)<<4, flags
	copy(t[20:], options)
	b := ip(src, dst, protoTCP, t)
	put16(b, len(b)-len(t)+16, int(upperChecksum(b, protoTCP, len(t))))
	return b
}

// echo builds an ICMP or ICMPv6 echo request with n octets of data.
func echo(src, dst string, n int) []byte {
	if addr(src).Is6() {
		b := ip(src, dst, protoICMPv6, append([]byte{128, 0, 0, 0, 0, 1, 0, 1}, make([]byte, n)...))
		put16(b, 42, int(upperChecksum(b, protoICMPv6, 8+n)))
		return b
	}
	b := ip(src, dst, protoICMP, append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, make([]byte, n)...))
	put16(b, 22, int(onesComplement(b[20:])))
	return b
}

// unreachable builds the ICMP or ICMPv6 error that quotes a packet.
func unreachable(src, dst string, quoted []byte) []byte {
	if addr(src).Is6() {
		return ip(src, dst, protoICMPv6, append([]byte{1, 4, 0, 0, 0, 0, 0, 0}, quoted...))
	}
	return ip(src, dst, protoICMP, append([]byte{3, 1, 0, 0, 0, 0, 0, 0}, quoted[:min(len(quoted), 28)]...))
}

// withDF sets DF, fragment the place of a fragment (offset in octets).
func withDF(b []byte) []byte {
	b[6] |= 0x40
	return rehash(b)
}

func fragment(b []byte, offset int, more bool) []byte {
	b = append([]byte(nil), b...)
	v := offset / 8
	if more {
		v |= moreFragments
	}
	put16(b, 6, v)
	return rehash(b)
}

func rehash(b []byte) []byte {
	put16(b, 10, 0)
	put16(b, 10, int(onesComplement(b[:int(b[0]&15)*4])))
	return b
}

// onesComplement is the Internet checksum, computed another way than the package does: b as one number, modulo 2^16-1.
func onesComplement(b []byte) uint16 {
	if len(b)%2 != 0 {
		b = append(append([]byte(nil), b...), 0)
	}
	n := new(big.Int).SetBytes(b)
	m := n.Mod(n, big.NewInt(65535)).Int64()
	return ^uint16(m)
}

// upperChecksum is the checksum of the last n octets of b with the pseudo-header of b's family, the field taken as 0
// if the caller left it so.
func upperChecksum(b []byte, proto uint8, n int) uint16 {
	var pseudo []byte
	if b[0]>>4 == 4 {
		pseudo = append(append(pseudo, b[12:20]...), 0, proto, byte(n>>8), byte(n))
	} else {
		pseudo = append(append(pseudo, b[8:40]...), 0, 0, byte(n>>8), byte(n), 0, 0, 0, proto)
	}
	return onesComplement(append(pseudo, b[len(b)-n:]...))
}

// valid reports whether the checksum over data that includes its own field is right: the sum is 0 or, the same, all ones.
func valid(checksum uint16) bool { return checksum == 0 || checksum == 0xffff }

func parsed(t testing.TB, b []byte) packet {
	t.Helper()
	p, ok := parse(b)
	if !ok {
		t.Fatalf("% x does not parse", b[:min(len(b), 48)])
	}
	return p
}
