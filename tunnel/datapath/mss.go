package datapath

import "encoding/binary"

const (
	tcpHeaderLen = 20
	tcpSYN       = 0x02
	optEnd       = 0
	optNOP       = 1
	optMSS       = 2
	optMSSLen    = 4
)

// clampMSS lowers the segment size that a TCP SYN in b announces to what fits into mtu octets, and to limit if that is
// not 0. It never raises it and never adds the option. It reports whether b changed; the TCP checksum is then mended.
func clampMSS(b []byte, p *packet, mtu, limit int) bool {
	if p.proto != protoTCP || p.later || p.length < p.upper+tcpHeaderLen {
		return false
	}
	tcp := b[p.upper:p.length]
	if tcp[13]&tcpSYN == 0 {
		return false
	}
	most := mtu - ipv4HeaderLen - tcpHeaderLen
	if p.src.Is6() {
		most = mtu - ipv6HeaderLen - tcpHeaderLen
	}
	if limit > 0 {
		most = min(most, limit)
	}
	end := int(tcp[12]>>4) * 4
	if end > len(tcp) || most <= 0 {
		return false
	}
	for i := tcpHeaderLen; i < end; {
		switch tcp[i] {
		case optEnd:
			return false
		case optNOP:
			i++
			continue
		}
		if i+1 >= end || tcp[i+1] < 2 || i+int(tcp[i+1]) > end {
			return false
		}
		if tcp[i] != optMSS || tcp[i+1] != optMSSLen {
			i += int(tcp[i+1])
			continue
		}
		old := binary.BigEndian.Uint16(tcp[i+2:])
		if int(old) <= most {
			return false
		}
		put := uint16(most)
		binary.BigEndian.PutUint16(tcp[i+2:], put)
		if i%2 != 0 { // the value lies across two words of the checksum
			old, put = old<<8|old>>8, put<<8|put>>8
		}
		binary.BigEndian.PutUint16(tcp[16:], adjust(binary.BigEndian.Uint16(tcp[16:]), old, put))
		return true
	}
	return false
}
