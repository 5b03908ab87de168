package datapath

import (
	"encoding/binary"

	"twinbore/tunnel/tun"
)

const (
	maxHead  = 256 // octets of headers of a superpacket, with the largest IPv4 and TCP options and some extension headers
	udpCheck = 6   // where in its header UDP has the checksum
	tcpCheck = 16
	tcpFIN   = 0x01
	tcpPSH   = 0x08
	tcpACK   = 0x10
	tcpCWR   = 0x80
)

// A cutter makes the packets of a superpacket, one by one and where they are: each gets its headers right in front of its
// payload, over what the packet before it had there.
//
//	superpacket  | head | payload 0 | payload 1 | payload 2 |
//	packet 0     | head | payload 0 |
//	packet 1            :  | head | payload 1 |
//	packet 2                         : | head | payload 2 |
//
// So packet i must have been used before packet i+1 is made, and its payload must then be as it was.
type cutter struct {
	b      []byte // the superpacket, and behind it in its array the tailroom of its slot
	head   int    // octets of headers
	upper  int    // of which IP
	size   int    // octets of payload in each packet but the last
	octets int    // of payload in all
	v6     bool
	proto  uint8

	kept     [maxHead]byte // the headers; what differs between packets is 0
	seq      uint32
	ident    uint16
	flags    uint8
	ipSum    uint32 // of the IPv4 header kept
	upperSum uint32 // of the pseudo-header, without length
}

// start prepares to cut f, whose headers were parsed as p. It reports false for what is no superpacket that can be right.
func (c *cutter) start(f *tun.Frame, p *packet) bool {
	b := f.Buf[f.At : f.At+p.length]
	c.b, c.upper, c.size, c.v6, c.proto = b, p.upper, f.Size, p.src.Is6(), p.proto
	if p.hidden || f.Size <= 0 || !f.NeedsSum || f.SumStart != p.upper || !c.v6 && binary.BigEndian.Uint16(b[6:])&moreFragments != 0 {
		return false
	}
	switch {
	case f.Kind == tun.TCP4 && !c.v6 || f.Kind == tun.TCP6 && c.v6:
		if p.proto != protoTCP || p.length < p.upper+tcpHeaderLen {
			return false
		}
		c.head = p.upper + int(b[p.upper+12]>>4)*4
		if c.head < p.upper+tcpHeaderLen {
			return false
		}
	case f.Kind == tun.UDP:
		if p.proto != protoUDP {
			return false
		}
		c.head = p.upper + udpHeaderLen
	default:
		return false
	}
	if c.head > maxHead || c.head >= p.length {
		return false
	}
	c.octets = p.length - c.head
	c.keep()
	return true
}

// keep takes the headers out, with what differs set to 0, and sums what does not.
func (c *cutter) keep() {
	kept := c.kept[:c.head]
	copy(kept, c.b)
	c.ipSum = 0
	if c.v6 {
		put16At(kept, 4, 0)
	} else {
		c.ident = binary.BigEndian.Uint16(kept[4:])
		put16At(kept, 2, 0)
		put16At(kept, 4, 0)
		put16At(kept, 10, 0)
		c.ipSum = sum16(0, kept[:c.upper])
	}
	upper := kept[c.upper:]
	if c.proto == protoTCP {
		c.seq, c.flags = binary.BigEndian.Uint32(upper[4:]), upper[13]
		put16At(upper, tcpCheck, 0)
	} else {
		put16At(upper, 4, 0)
		put16At(upper, udpCheck, 0)
	}
	c.upperSum = pseudoHeader(kept, c.proto)
}

// packets returns how many there are.
func (c *cutter) packets() int { return (c.octets + c.size - 1) / c.size }

// sizes returns the octets of each packet but the last, and of the last.
func (c *cutter) sizes() (each, last int) {
	n := c.packets()
	return c.head + c.size, c.head + c.octets - (n-1)*c.size
}

// packet makes packet i. It is a part of the superpacket's buffer.
func (c *cutter) packet(i int) []byte {
	at := i * c.size
	pkt := c.b[at:min(at+c.head+c.size, len(c.b))]
	copy(pkt, c.kept[:c.head])
	upper := pkt[c.upper:]
	if c.v6 {
		put16At(pkt, 4, uint16(len(pkt)-ipv6HeaderLen))
	} else {
		length, ident := uint16(len(pkt)), c.ident+uint16(i)
		put16At(pkt, 2, length)
		put16At(pkt, 4, ident)
		put16At(pkt, 10, checksum(c.ipSum+uint32(length)+uint32(ident)))
	}
	if c.proto == protoTCP {
		binary.BigEndian.PutUint32(upper[4:], c.seq+uint32(at))
		upper[13] = c.flagsOf(i)
		put16At(upper, tcpCheck, checksum(sum16(c.upperSum+uint32(len(upper)), upper)))
		return pkt
	}
	put16At(upper, 4, uint16(len(upper)))
	sum := checksum(sum16(c.upperSum+uint32(len(upper)), upper))
	if sum == 0 {
		sum = 0xffff // RFC 768: 0 says that there is none
	}
	put16At(upper, udpCheck, sum)
	return pkt
}

// flagsOf returns TCP's flags of packet i: what ends a stretch of data goes with the last, CWR with the first (RFC 3168
// §6.1.2).
func (c *cutter) flagsOf(i int) uint8 {
	flags := c.flags
	if i > 0 {
		flags &^= tcpCWR
	}
	if i < c.packets()-1 {
		flags &^= tcpFIN | tcpPSH
	}
	return flags
}

// completeSum makes the checksum that the kernel left open in a frame that is one packet. It reports false if the place
// for it is outside.
func completeSum(f *tun.Frame) bool {
	b, at := f.Packet(), f.SumStart+f.SumOffset
	if f.SumStart > len(b) || at+2 > len(b) {
		return false
	}
	sum := checksum(sum16(0, b[f.SumStart:]))
	if sum == 0 && f.SumOffset == udpCheck {
		sum = 0xffff
	}
	put16At(b, at, sum)
	f.NeedsSum = false
	return true
}

func put16At(b []byte, at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
