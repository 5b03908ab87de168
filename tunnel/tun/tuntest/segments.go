package tuntest

import (
	"encoding/binary"

	"twinbore/tunnel/tun"
)

// Segments cuts a superpacket as the kernel's software does, in the plainest way: each packet is built anew, and its
// checksums are made from nothing. Other code is compared with it. A frame that is one packet gives a copy of it, with its
// checksum if that was left open. It reports false for what the kernel would refuse.
func Segments(f *tun.Frame) ([][]byte, bool) {
	pkt := append([]byte(nil), f.Packet()...)
	if f.Kind == tun.Single {
		if f.NeedsSum {
			at := f.SumStart + f.SumOffset
			if at+2 > len(pkt) {
				return nil, false
			}
			put(pkt[at:], fold(sum(pkt[f.SumStart:])))
			if f.SumOffset == 6 && pkt[at] == 0 && pkt[at+1] == 0 {
				put(pkt[at:], 0xffff)
			}
		}
		return [][]byte{pkt}, true
	}
	l, ok := layoutOf(pkt, f)
	if !ok {
		return nil, false
	}
	var out [][]byte
	payload := pkt[l.head:]
	for i := 0; i == 0 || len(payload) > 0; i++ {
		n := min(f.Size, len(payload))
		one := append(append([]byte(nil), pkt[:l.head]...), payload[:n]...)
		payload = payload[n:]
		l.finish(one, i, i*f.Size, len(payload) == 0)
		out = append(out, one)
	}
	return out, true
}

// A layout is where the headers of a superpacket are.
type layout struct {
	ip, head int
	v6, tcp  bool
}

func layoutOf(pkt []byte, f *tun.Frame) (l layout, ok bool) {
	l.v6, l.tcp, l.ip = f.Kind == tun.TCP6, f.Kind != tun.UDP, f.SumStart
	if len(pkt) < 20 || l.ip < 20 || !f.NeedsSum || f.Size <= 0 {
		return l, false
	}
	if f.Kind == tun.UDP {
		l.v6 = pkt[0]>>4 == 6
	}
	if l.v6 != (pkt[0]>>4 == 6) {
		return l, false
	}
	switch {
	case l.tcp && len(pkt) >= l.ip+20 && f.SumOffset == 16:
		l.head = l.ip + int(pkt[l.ip+12]>>4)*4
	case !l.tcp && len(pkt) >= l.ip+8 && f.SumOffset == 6:
		l.head = l.ip + 8
	default:
		return l, false
	}
	// The host's superpackets do not say how long their headers are, the gateway's must.
	return l, l.head < len(pkt) && (f.Head == 0 || f.Head == l.head)
}

// finish makes one the packet number i of the superpacket, whose payload begins at offset in all of it.
func (l layout) finish(one []byte, i, offset int, last bool) {
	upper := one[l.ip:]
	var pseudo []byte
	if l.v6 {
		put(one[4:], uint16(len(one)-40))
		pseudo = append(pseudo, one[8:40]...)
	} else {
		put(one[2:], uint16(len(one)))
		put(one[4:], binary.BigEndian.Uint16(one[4:])+uint16(i))
		put(one[10:], 0)
		put(one[10:], fold(sum(one[:l.ip])))
		pseudo = append(pseudo, one[12:20]...)
	}
	proto, at := byte(17), 6
	if l.tcp {
		proto, at = 6, 16
		binary.BigEndian.PutUint32(upper[4:], binary.BigEndian.Uint32(upper[4:])+uint32(offset))
		if i > 0 {
			upper[13] &^= 0x80 // CWR only in the first, RFC 3168 §6.1.2
		}
		if !last {
			upper[13] &^= 0x09 // FIN and PSH only in the last
		}
	} else {
		put(upper[4:], uint16(len(upper)))
	}
	pseudo = append(pseudo, 0, proto, byte(len(upper)>>8), byte(len(upper)))
	put(upper[at:], 0)
	check := fold(sum(pseudo) + sum(upper))
	if check == 0 && !l.tcp {
		check = 0xffff // RFC 768: 0 says that there is none
	}
	put(upper[at:], check)
}

func put(b []byte, v uint16) { binary.BigEndian.PutUint16(b, v) }

func sum(b []byte) (n uint64) {
	for i, c := range b {
		n += uint64(c) << (8 * uint(1-i%2))
	}
	return n
}

func fold(n uint64) uint16 {
	for n > 0xffff {
		n = n>>16 + n&0xffff
	}
	return ^uint16(n)
}
