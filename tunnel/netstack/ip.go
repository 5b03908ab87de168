package netstack

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

// An ipPacket is what there is to know of an IP packet without extension headers, which is all that the data path shows.
type ipPacket struct {
	src, dst netip.Addr
	ttl      uint8
	proto    tcpip.TransportProtocolNumber
	upper    []byte
}

// parseIP reads a packet, or the beginning of one that an ICMP error quotes.
func parseIP(b []byte) (ipPacket, bool) {
	switch {
	case len(b) < header.IPv4MinimumSize:
		return ipPacket{}, false
	case b[0]>>4 == 4:
		h := header.IPv4(b)
		size := int(h.HeaderLength())
		if size < header.IPv4MinimumSize || len(b) < size {
			return ipPacket{}, false
		}
		return ipPacket{netip.AddrFrom4(h.SourceAddress().As4()), netip.AddrFrom4(h.DestinationAddress().As4()), h.TTL(), h.TransportProtocol(), b[size:]}, true
	case b[0]>>4 == 6 && len(b) >= header.IPv6MinimumSize:
		h := header.IPv6(b)
		return ipPacket{netip.AddrFrom16(h.SourceAddress().As16()), netip.AddrFrom16(h.DestinationAddress().As16()), h.HopLimit(), tcpip.TransportProtocolNumber(h.NextHeader()), b[header.IPv6MinimumSize:]}, true
	}
	return ipPacket{}, false
}

// A tuple says between whom a packet of TCP goes.
type tuple struct{ src, dst netip.AddrPort }

// tcp returns the tuple of a packet of TCP.
func (p *ipPacket) tcp() (tuple, bool) {
	if p.proto != header.TCPProtocolNumber || len(p.upper) < 4 {
		return tuple{}, false
	}
	port := func(at int) uint16 { return binary.BigEndian.Uint16(p.upper[at:]) }
	return tuple{netip.AddrPortFrom(p.src, port(0)), netip.AddrPortFrom(p.dst, port(2))}, true
}
