package datapath

import (
	"bytes"
	"encoding/binary"

	"twinbore/tunnel/tun"
)

const (
	maxHeadJoined = 128 // octets of headers: IPv6, TCP with all its options
	maxJoinedUDP  = 64  // datagrams in one superpacket, the kernel's own limit where it joins them
	joinRoom      = tun.Room + 6
	joinBuffer    = joinRoom + maxPacket + tailroom + 1 + 19*64 // not a power of two, see slotStride
)

// A joined is a superpacket that grows: packets of one flow that came out of one Child SA one after another, such that
// cutting it again would give the same packets. It begins with one packet.
//
//	buf:  | room | head | payload 0 | payload 1 | payload 2 |
//	                                           └─ the next packet is opened so that its payload comes to lie here:
//	                                      | head | payload 3 |
//	             its head is compared with the first one's, and then what it covered is put back
type joined struct {
	buf     []byte
	trust   bool // the checksums of the upper layer
	n       int  // octets of the superpacket, which begins at joinRoom
	count   int  // packets; 0: this one is not in use
	closed  bool
	child   *child
	at      int // its place among the frames to be written
	kind    tun.Kind
	upper   int                 // octets of the IP header
	head    int                 // of all headers
	size    int                 // of payload in each packet but the last
	kept    [maxHeadJoined]byte // the head of the first packet
	covered [maxHeadJoined]byte // what the head of the packet being opened lies on
	ipSum   uint32              // of the first IPv4 header, without length, identification and checksum
	pseudo  uint32              // sum of the pseudo-header, without length
	fixed   bool                // IPv4 with DF and one identification for all
}

// end is where the next payload will lie.
func (j *joined) end() int { return joinRoom + j.n }

// room reports whether a packet of n octets of ESP can be opened at the end.
func (j *joined) room(n int) bool { return j.end()-j.head+n <= len(j.buf) }

// cover returns where the next packet is to be opened, and keeps what its head will lie on.
func (j *joined) cover() []byte {
	at := j.end() - j.head
	copy(j.covered[:j.head], j.buf[at:])
	return j.buf[:at:len(j.buf)]
}

// uncover puts back what the head of the opened packet lies on.
func (j *joined) uncover() { copy(j.buf[j.end()-j.head:], j.covered[:j.head]) }

// start makes j begin with a packet, which lies elsewhere, if it is one that others may follow. Its flow is p's.
func (j *joined) start(pkt []byte, p *packet, c *child, tcp, udp bool) bool {
	kind, head, ok := joinable(pkt, p, tcp, udp, j.trust)
	if !ok {
		return false
	}
	j.kind, j.upper, j.head, j.size = kind, p.upper, head, len(pkt)-head
	j.n, j.count, j.closed, j.child = len(pkt), 1, false, c
	copy(j.buf[joinRoom:], pkt)
	copy(j.kept[:head], pkt)
	j.pseudo = pseudoHeader(pkt, p.proto)
	if j.ipv4() {
		j.ipSum = sum16(0, j.kept[:2]) + sum16(0, j.kept[6:10]) + sum16(0, j.kept[12:20])
	}
	return true
}

func (j *joined) ipv4() bool { return j.kept[0]>>4 == 4 }

// joinable reports whether other packets may follow pkt in a superpacket, of which kind, and how long the headers are:
// an unfragmented packet without IP options, of TCP with data and no flag but ACK, or of UDP; with a checksum that is
// right. For the kernel takes a superpacket's packets to be right, and would put a good checksum on a bad one.
func joinable(pkt []byte, p *packet, tcp, udp, trust bool) (kind tun.Kind, head int, ok bool) {
	v6 := p.src.Is6()
	switch {
	case p.hidden:
		return 0, 0, false
	case v6 && p.upper != ipv6HeaderLen, !v6 && p.upper != ipv4HeaderLen:
		return 0, 0, false
	case !v6 && (binary.BigEndian.Uint16(pkt[6:])&^dontFragment != 0 || fold(sum16(0, pkt[:ipv4HeaderLen])) != 0xffff):
		return 0, 0, false
	}
	upper := pkt[p.upper:]
	switch p.proto {
	case protoTCP:
		if !tcp || len(upper) < tcpHeaderLen || upper[13] != tcpACK {
			return 0, 0, false
		}
		kind, head = tun.TCP4, p.upper+int(upper[12]>>4)*4
		if v6 {
			kind = tun.TCP6
		}
		if head < p.upper+tcpHeaderLen {
			return 0, 0, false
		}
	case protoUDP:
		if !udp || len(upper) < udpHeaderLen || int(binary.BigEndian.Uint16(upper[4:])) != len(upper) ||
			binary.BigEndian.Uint16(upper[udpCheck:]) == 0 {
			return 0, 0, false
		}
		kind, head = tun.UDP, p.upper+udpHeaderLen
	default:
		return 0, 0, false
	}
	good := trust || fold(sum16(pseudoHeader(pkt, p.proto)+uint32(len(upper)), upper)) == 0xffff
	return kind, head, good && head < len(pkt)
}

// follows reports whether pkt, a whole IP packet, is the next of the superpacket.
func (j *joined) follows(pkt []byte) bool {
	payload := len(pkt) - j.head
	if j.closed || payload <= 0 || payload > j.size || j.n+payload > maxPacket || !j.sameIP(pkt) {
		return false
	}
	have, got := j.kept[j.upper:j.head], pkt[j.upper:j.head]
	if j.kind == tun.UDP {
		return j.count < maxJoinedUDP && bytes.Equal(have[:4], got[:4]) && int(binary.BigEndian.Uint16(got[4:])) == len(pkt)-j.upper &&
			binary.BigEndian.Uint16(got[udpCheck:]) != 0 && j.summed(pkt)
	}
	next := binary.BigEndian.Uint32(have[4:]) + uint32(j.n-j.head)
	return bytes.Equal(have[:4], got[:4]) && binary.BigEndian.Uint32(got[4:]) == next && // ports, sequence
		bytes.Equal(have[8:13], got[8:13]) && got[13]&^(tcpPSH|tcpFIN) == have[13] && // acknowledgement, length, flags
		bytes.Equal(have[14:16], got[14:16]) && bytes.Equal(have[18:], got[18:]) && // window, urgent pointer, options
		j.summed(pkt)
}

// sameIP reports whether pkt's IP header is the first one's but for what must differ: length, and an identification that
// counts up, as it will when the superpacket is cut. With DF it means nothing (RFC 6864 §4.1) and may stay the same.
func (j *joined) sameIP(pkt []byte) bool {
	if len(pkt) < j.head {
		return false
	}
	have := j.kept[:j.upper]
	if !j.ipv4() { // version, class, flow label; next header, hop limit, addresses
		return bytes.Equal(have[:4], pkt[:4]) && bytes.Equal(have[6:], pkt[6:j.upper])
	}
	length, ident := binary.BigEndian.Uint16(pkt[2:]), binary.BigEndian.Uint16(pkt[4:])
	first := binary.BigEndian.Uint16(have[4:])
	fixed := have[6]&(dontFragment>>8) != 0 && ident == first
	switch {
	case j.count == 1 && fixed:
	case j.count > 1 && j.fixed:
		if !fixed {
			return false
		}
	case ident != first+uint16(j.count):
		return false
	}
	check := uint32(binary.BigEndian.Uint16(pkt[10:]))
	return bytes.Equal(have[:2], pkt[:2]) && bytes.Equal(have[6:10], pkt[6:10]) && bytes.Equal(have[12:], pkt[12:j.upper]) &&
		fold(j.ipSum+uint32(length)+uint32(ident)+check) == 0xffff
}

// summed reports whether the checksum of the upper layer is right, or is to be taken so.
func (j *joined) summed(pkt []byte) bool {
	upper := pkt[j.upper:]
	return j.trust || fold(sum16(j.pseudo+uint32(len(upper)), upper)) == 0xffff
}

// flowOf reports whether pkt, parsed as p, is of the flow of j, whose order must be kept.
func (j *joined) flowOf(pkt []byte, p *packet) bool {
	if pkt[0]>>4 != j.kept[0]>>4 || p.upper+visibleOctets > len(pkt) {
		return false
	}
	addrs := 12
	if pkt[0]>>4 == 6 {
		addrs = 8
	}
	proto := uint8(protoTCP)
	if j.kind == tun.UDP {
		proto = protoUDP
	}
	return p.proto == proto && bytes.Equal(pkt[addrs:j.upper], j.kept[addrs:j.upper]) &&
		(p.hidden || bytes.Equal(pkt[p.upper:p.upper+4], j.kept[j.upper:j.upper+4]))
}

// take makes the packet that was opened at the end the next one.
func (j *joined) take(pkt []byte) {
	flags, fixed := j.note(pkt)
	j.uncover()
	j.grow(len(pkt)-j.head, flags, fixed)
}

// add makes a packet that lies elsewhere the next one.
func (j *joined) add(pkt []byte) {
	flags, fixed := j.note(pkt)
	copy(j.buf[j.end():], pkt[j.head:])
	j.grow(len(pkt)-j.head, flags, fixed)
}

// note reads what the superpacket keeps of the head of its next packet.
func (j *joined) note(pkt []byte) (flags uint8, fixed bool) {
	if j.kind != tun.UDP {
		flags = pkt[j.upper+13]
	}
	return flags, j.ipv4() && pkt[4] == j.kept[4] && pkt[5] == j.kept[5]
}

func (j *joined) grow(payload int, flags uint8, fixed bool) {
	if j.count == 1 {
		j.fixed = fixed
	}
	j.count++
	j.n += payload
	j.closed = payload < j.size
	if j.kind != tun.UDP && flags != tcpACK {
		j.buf[joinRoom+j.upper+13] = flags // PSH and FIN end it, and go with the last packet when it is cut
		j.closed = true
	}
}

// frame finishes the superpacket. One packet alone is as it came.
func (j *joined) frame() tun.Frame {
	f := tun.Frame{Buf: j.buf, At: joinRoom, N: j.n}
	if j.count == 1 {
		return f
	}
	f.Kind, f.Size, f.Head, f.NeedsSum, f.SumStart = j.kind, j.size, j.head, true, j.upper
	b := f.Packet()
	if j.ipv4() {
		put16At(b, 2, uint16(j.n))
		put16At(b, 10, checksum(j.ipSum+uint32(j.n)+uint32(binary.BigEndian.Uint16(b[4:]))))
	} else {
		put16At(b, 4, uint16(j.n-ipv6HeaderLen))
	}
	upper := j.n - j.upper
	f.SumOffset = tcpCheck
	if j.kind == tun.UDP {
		f.SumOffset = udpCheck
		put16At(b[j.upper:], 4, uint16(upper))
	}
	put16At(b[j.upper:], f.SumOffset, fold(j.pseudo+uint32(upper)))
	return f
}
