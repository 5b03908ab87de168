package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// ESP without UDP: a raw socket of IP protocol 50. The kernel knows no runs here, so each packet is a message of its own, in
// both directions: some dozens to a system call, from the slab that they were sealed into and into the buffers that they
// are opened in. That, and not the kind of the socket, makes it less than half as fast as ESP in UDP.
//
// The kernel puts the fragments of outer packets together before a raw socket sees them. Such a socket also keeps it
// from answering ESP with an ICMP error. What it gets, every raw socket on the same address gets a copy of: so there is one
// for all workers, and no group of them as of UDP sockets.

// protocolESP is the number in the IP header (RFC 4303 §2).
const protocolESP = 50

// outerHeaders has room for the IPv4 headers of a batch, without options.
type outerHeaders [batch][ipv4HeaderLen]byte

const (
	ipv4HeaderLen = 20
	ipv4Fragment  = 0x3fff // the flag "more fragments", and the offset
)

// ListenESP opens a raw socket that carries ESP and nothing else; its ports are all 0. The error names the address and
// what the operating system said: it is EPERM without CAP_NET_RAW.
func ListenESP(cfg Config) (Socket, error) {
	addr := cfg.Addr.Addr().Unmap()
	if !addr.IsValid() {
		return nil, errors.New("listen for ESP: no local address")
	}
	network := "ip4"
	if addr.Is6() {
		network = "ip6"
	}
	s, err := open(fmt.Sprintf("%s:%d", network, protocolESP), addr.String(), cfg)
	if err != nil {
		return nil, fmt.Errorf("listen on ESP (IP protocol %d) %s: %w", protocolESP, addr, explain(err))
	}
	s.bare, s.bound = true, netip.AddrPortFrom(addr, 0)
	if addr.Is4() {
		s.heads = new(outerHeaders)
	}
	return s, nil
}

// payload returns how many octets of buf message i has filled, once the IP header in front is off. It reports false for
// a packet that is not whole.
func (s *socket) payload(i int, buf []byte) (length int, ok bool) {
	n := int(s.in.msgs[i].n)
	if s.heads == nil {
		return n, true
	}
	return behindHeader(&s.heads[i], buf, n)
}

// behindHeader takes off the IPv4 header of a packet of n octets that lies in head and buf, and returns the length of
// what is left at the start of buf. Options are all of the header that is ever in buf.
func behindHeader(head *[ipv4HeaderLen]byte, buf []byte, n int) (length int, ok bool) {
	header := int(head[0]&0x0f) * 4
	if header < ipv4HeaderLen || n < header || binary.BigEndian.Uint16(head[6:])&ipv4Fragment != 0 { // E-07
		return 0, false
	}
	length = n - ipv4HeaderLen
	if options := header - ipv4HeaderLen; options > 0 {
		length = copy(buf, buf[options:length])
	}
	return length, true
}
