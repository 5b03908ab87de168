package datapath

import "encoding/binary"

// The values of the ECN field, RFC 3168 §5.
const (
	ecnMask = 3
	notECT  = 0
	ect1    = 1
	ect0    = 2
	ce      = 3
)

// tosOf returns the TOS or traffic class of an IP packet: DSCP and ECN. Both go to the outer header as they are (RFC 4301
// §5.1.2, RFC 6040 §4.1), and of the outer header only ECN comes back.
func tosOf(b []byte) uint8 {
	if b[0]>>4 == 6 {
		return b[0]<<4 | b[1]>>4
	}
	return b[1]
}

// decapsulate brings what the way has said about congestion into the inner packet b, by the table of RFC 6040 §4.2. It
// reports false if the packet must be dropped: there was congestion, and its sender would not understand.
func decapsulate(b []byte, outer uint8) bool {
	inner := tosOf(b) & ecnMask
	switch {
	case outer&ecnMask == ce && inner == notECT:
		return false
	case outer&ecnMask == ce:
		inner = ce
	case outer&ecnMask == ect1 && inner == ect0:
		inner = ect1
	default:
		return true
	}
	if b[0]>>4 == 6 {
		b[1] = b[1]&^(ecnMask<<4) | inner<<4
		return true
	}
	old := binary.BigEndian.Uint16(b)
	b[1] = b[1]&^ecnMask | inner
	put16At(b, 10, adjust(binary.BigEndian.Uint16(b[10:]), old, binary.BigEndian.Uint16(b)))
	return true
}
