package netstack

import (
	"encoding/binary"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
)

const (
	hopLimit   = 64
	echoHeader = 8 // octets: type, code, checksum, identifier, sequence number; an error has as many before its quote
)

// A message is an ICMP or ICMPv6 message (RFC 792, RFC 4443), parsed from its IP packet.
type message struct {
	src, dst netip.Addr
	ttl      uint8
	body     []byte // from the type on; echoHeader octets at least
}

// parse reads an IP packet. It reports false for one that holds no whole ICMP message of its own family, or whose checksum
// is wrong.
func parse(b []byte) (message, bool) {
	m, ok := parseHeader(b)
	return m, ok && checksum.Checksum(m.body, pseudoHeader(m.src, m.dst, len(m.body))) == 0xffff
}

// parseHeader is parse for a packet that an error quotes: its end may be missing, and its checksum is not looked at.
func parseHeader(b []byte) (message, bool) {
	p, ok := parseIP(b)
	icmp := p.src.Is4() && p.proto == header.ICMPv4ProtocolNumber || p.src.Is6() && p.proto == header.ICMPv6ProtocolNumber
	if !ok || !icmp || len(p.upper) < echoHeader {
		return message{}, false
	}
	return message{p.src, p.dst, p.ttl, p.upper}, true
}

// A kind is what an ICMP message says, in either family.
type kind uint8

const (
	other kind = iota
	echoRequest
	echoReply
	unreachable
	tooBig
	expired
)

func (m *message) kind() kind {
	if m.src.Is6() {
		switch header.ICMPv6Type(m.body[0]) {
		case header.ICMPv6EchoRequest:
			return echoRequest
		case header.ICMPv6EchoReply:
			return echoReply
		case header.ICMPv6DstUnreachable:
			return unreachable
		case header.ICMPv6PacketTooBig:
			return tooBig
		case header.ICMPv6TimeExceeded:
			return expired
		}
		return other
	}
	switch header.ICMPv4Type(m.body[0]) {
	case header.ICMPv4Echo:
		return echoRequest
	case header.ICMPv4EchoReply:
		return echoReply
	case header.ICMPv4DstUnreachable:
		if header.ICMPv4Code(m.body[1]) == header.ICMPv4FragmentationNeeded {
			return tooBig
		}
		return unreachable
	case header.ICMPv4TimeExceeded:
		return expired
	}
	return other
}

// mtu is what a message that says "too big" says besides: octets of the largest packet; 0 if it does not say (RFC 1191 §3).
func (m *message) mtu() int {
	if m.src.Is6() {
		return int(binary.BigEndian.Uint32(m.body[4:]))
	}
	return int(binary.BigEndian.Uint16(m.body[6:]))
}

func (m *message) id() uint16   { return binary.BigEndian.Uint16(m.body[4:]) }
func (m *message) seq() uint16  { return binary.BigEndian.Uint16(m.body[6:]) }
func (m *message) data() []byte { return m.body[echoHeader:] }

// quoted returns the message that an error is about.
func (m *message) quoted() (message, bool) { return parseHeader(m.body[echoHeader:]) }

// newEcho makes the IP packet of an echo request. Nobody on the way may fragment it.
func newEcho(src, dst netip.Addr, id, seq uint16, data []byte) []byte {
	size := echoHeader + len(data)
	var b []byte
	if src.Is6() {
		b = make([]byte, header.IPv6MinimumSize, header.IPv6MinimumSize+size)
		header.IPv6(b).Encode(&header.IPv6Fields{PayloadLength: uint16(size), TransportProtocol: header.ICMPv6ProtocolNumber, HopLimit: hopLimit,
			SrcAddr: tcpip.AddrFrom16(src.As16()), DstAddr: tcpip.AddrFrom16(dst.As16())})
		b = append(b, byte(header.ICMPv6EchoRequest))
	} else {
		b = make([]byte, header.IPv4MinimumSize, header.IPv4MinimumSize+size)
		header.IPv4(b).Encode(&header.IPv4Fields{TotalLength: uint16(len(b) + size), Flags: header.IPv4FlagDontFragment, TTL: hopLimit,
			Protocol: uint8(header.ICMPv4ProtocolNumber), SrcAddr: tcpip.AddrFrom4(src.As4()), DstAddr: tcpip.AddrFrom4(dst.As4())})
		header.IPv4(b).SetChecksum(^header.IPv4(b).CalculateChecksum())
		b = append(b, byte(header.ICMPv4Echo))
	}
	b = append(b, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, seq)
	b = append(b, data...)
	sum(b[len(b)-size:], src, dst)
	return b
}

// answer turns the packet of an echo request, parsed as m, into that of its answer.
func (m *message) answer(b []byte) {
	upper := b[len(b)-len(m.body):]
	if m.src.Is6() {
		h := header.IPv6(b)
		from, to := h.SourceAddress(), h.DestinationAddress()
		h.SetSourceAddress(to)
		h.SetDestinationAddress(from)
		h.SetHopLimit(hopLimit)
		upper[0] = byte(header.ICMPv6EchoReply)
	} else {
		h := header.IPv4(b)
		from, to := h.SourceAddress(), h.DestinationAddress()
		h.SetSourceAddress(to)
		h.SetDestinationAddress(from)
		h.SetTTL(hopLimit)
		h.SetChecksum(0)
		h.SetChecksum(^h.CalculateChecksum())
		upper[0] = byte(header.ICMPv4EchoReply)
	}
	sum(upper, m.dst, m.src)
}

// sum sets the checksum of an ICMP message.
func sum(body []byte, src, dst netip.Addr) {
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], ^checksum.Checksum(body, pseudoHeader(src, dst, len(body))))
}

// pseudoHeader is what the checksum of ICMPv6 covers besides the message (RFC 4443 §2.3); ICMP has nothing like it.
func pseudoHeader(src, dst netip.Addr, size int) uint16 {
	if !src.Is6() {
		return 0
	}
	return header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, tcpip.AddrFrom16(src.As16()), tcpip.AddrFrom16(dst.As16()), uint16(size))
}
