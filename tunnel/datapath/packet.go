package datapath

import (
	"encoding/binary"
	"net/netip"
)

// IP protocol numbers, and next header values of IPv6.
const (
	protoHopByHop  = 0
	protoICMP      = 1
	protoTCP       = 6
	protoUDP       = 17
	protoRouting   = 43
	protoFragment  = 44
	protoESP       = 50
	protoICMPv6    = 58
	protoNoNext    = 59
	protoDestOpts  = 60
	protoDCCP      = 33
	protoSCTP      = 132
	protoUDPLite   = 136
	ipv4HeaderLen  = 20
	ipv6HeaderLen  = 40
	minIPv6MTU     = 1280 // RFC 8200 §5
	maxExtensions  = 8    // extension headers that are followed; a packet with more is malformed
	visibleOctets  = 4    // of an upper-layer header: enough for ports, and for ICMP's type and code
	fragmentMask   = 0x1fff
	dontFragment   = 0x4000
	moreFragments  = 0x2000
	fragmentHdrLen = 8
)

// A packet is what the data path knows of one inner IP packet: its headers, read once.
type packet struct {
	src, dst     netip.Addr
	length       int    // octets of the whole packet, as its header says
	upper        int    // where the upper-layer header starts
	proto        uint8  // of the upper layer
	sport, dport uint16 // ports; for ICMP both are type and code (RFC 7296 §3.13.1)
	hidden       bool   // the ports cannot be seen: a later fragment, or a protocol without
	later        bool   // a fragment that is not the first
	cut          bool   // a fragment, the first one too
	flowing      bool   // whole TCP or UDP: every packet of its flow shows the ports
	df           bool   // IPv4 with DF
}

// parse reads the headers of the IP packet that b starts with; octets after it, as TFC padding leaves (RFC 4303
// §2.7), are no part of it. It reports false for anything that is not a whole and plausible packet.
func parse(b []byte) (packet, bool) {
	p, ok := parseHeaders(b)
	return p, ok && p.length <= len(b)
}

// parseHeaders is parse for a packet whose end may be missing, as in the body of an ICMP error.
func parseHeaders(b []byte) (packet, bool) {
	if len(b) < ipv4HeaderLen {
		return packet{}, false
	}
	switch b[0] >> 4 {
	case 4:
		return parseIPv4(b)
	case 6:
		return parseIPv6(b)
	}
	return packet{}, false
}

func parseIPv4(b []byte) (packet, bool) {
	frag := binary.BigEndian.Uint16(b[6:])
	p := packet{
		src:    netip.AddrFrom4([4]byte(b[12:16])),
		dst:    netip.AddrFrom4([4]byte(b[16:20])),
		length: int(binary.BigEndian.Uint16(b[2:])),
		upper:  int(b[0]&0x0f) * 4,
		proto:  b[9],
		later:  frag&fragmentMask != 0,
		cut:    frag&(fragmentMask|moreFragments) != 0,
		df:     frag&dontFragment != 0,
	}
	if p.upper < ipv4HeaderLen || p.length < p.upper || len(b) < p.upper {
		return packet{}, false
	}
	return p, p.readPorts(b)
}

func parseIPv6(b []byte) (packet, bool) {
	if len(b) < ipv6HeaderLen {
		return packet{}, false
	}
	payload := int(binary.BigEndian.Uint16(b[4:]))
	p := packet{
		src:    netip.AddrFrom16([16]byte(b[8:24])),
		dst:    netip.AddrFrom16([16]byte(b[24:40])),
		length: ipv6HeaderLen + payload,
		upper:  ipv6HeaderLen,
		proto:  b[6],
	}
	if payload == 0 && p.proto != protoNoNext { // a jumbogram (RFC 2675), which no path of ours carries
		return packet{}, false
	}
	for range maxExtensions {
		size := 0
		rest := b[p.upper:min(p.length, len(b))]
		switch p.proto {
		case protoHopByHop, protoRouting, protoDestOpts:
			if len(rest) < 8 {
				return packet{}, false
			}
			size = (int(rest[1]) + 1) * 8
		case protoFragment:
			if len(rest) < fragmentHdrLen {
				return packet{}, false
			}
			size = fragmentHdrLen
			field := binary.BigEndian.Uint16(rest[2:])
			p.later, p.cut = field&^7 != 0, p.cut || field&^6 != 0
		default:
			return p, p.readPorts(b)
		}
		if len(rest) < size {
			return packet{}, false
		}
		p.proto = rest[0]
		p.upper += size
		if p.later { // what follows is the middle of something
			return p, p.readPorts(b)
		}
	}
	return packet{}, false
}

// readPorts fills the ports from the upper-layer header, and reports false if the protocol has some but the packet is
// too short to show them: a first fragment that hides its ports is an attack (RFC 1858 §3).
func (p *packet) readPorts(b []byte) bool {
	b = b[p.upper:min(p.length, len(b))]
	switch {
	case p.later:
		p.hidden = true
		return true
	case p.proto == protoTCP, p.proto == protoUDP, p.proto == protoSCTP, p.proto == protoDCCP, p.proto == protoUDPLite:
		if len(b) < visibleOctets {
			return false
		}
		p.sport, p.dport = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		p.flowing = !p.cut && (p.proto == protoTCP || p.proto == protoUDP)
	case p.isICMP():
		if len(b) < visibleOctets {
			return false
		}
		p.sport = binary.BigEndian.Uint16(b)
		p.dport = p.sport
	default:
		p.hidden = true
	}
	return true
}

// isICMP reports whether the packet is ICMP of its own family.
func (p *packet) isICMP() bool {
	return p.proto == protoICMP && p.src.Is4() || p.proto == protoICMPv6 && p.src.Is6()
}

// isICMPError reports whether the packet is an ICMP message that quotes another packet, and where the quote starts.
func (p *packet) isICMPError() (quote int, yes bool) {
	if p.hidden || !p.isICMP() {
		return 0, false
	}
	kind := p.sport >> 8
	if p.src.Is6() {
		return p.upper + 8, kind < 128 // RFC 4443 §2.1
	}
	switch kind {
	case 3, 4, 5, 11, 12: // unreachable, source quench, redirect, time exceeded, parameter problem: RFC 792
		return p.upper + 8, true
	}
	return 0, false
}

// martian reports whether addr is one that no host may use towards another network (RFC 6890): nothing that
// comes out of a tunnel may have it as source or destination.
func martian(addr netip.Addr) bool {
	switch {
	case !addr.IsGlobalUnicast(), addr.Is4In6():
		return true // unspecified, loopback, multicast, link-local, limited broadcast, mapped
	case addr.Is4():
		first := addr.As4()[0]
		return first == 0 || first >= 240
	}
	return false
}
