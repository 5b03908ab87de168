package esp

import "encoding/binary"

// The next headers of tunnel mode.
const (
	NextIPv4 = 4  // an IPv4 packet follows
	NextIPv6 = 41 // an IPv6 packet follows
)

// Inner returns the IP packet at the start of what Inbound.Open returned: without the padding that a peer may add against
// traffic analysis (RFC 4303 §2.7). It is a part of plaintext.
//
// It returns ErrInner when next is neither NextIPv4 nor NextIPv6, when the version in the packet says otherwise, or when
// the packet's own lengths do not fit its header or plaintext. An IPv6 payload length of 0 is a jumbogram (RFC 2675),
// which is refused, unless nothing is to follow.
func Inner(next uint8, plaintext []byte) ([]byte, error) {
	n := 0
	switch next {
	case NextIPv4:
		n = ipv4Len(plaintext)
	case NextIPv6:
		n = ipv6Len(plaintext)
	}
	if n == 0 {
		return nil, ErrInner
	}
	return plaintext[:n], nil
}

// ipv4Len returns the length of the packet that b begins with, 0 if there is none.
func ipv4Len(b []byte) int {
	if len(b) < 20 || b[0]>>4 != 4 {
		return 0
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < 20 || total < header || total > len(b) {
		return 0
	}
	return total
}

// ipv6Len returns the length of the packet that b begins with, 0 if there is none.
func ipv6Len(b []byte) int {
	const header, noNextHeader = 40, 59
	if len(b) < header || b[0]>>4 != 6 {
		return 0
	}
	payload := int(binary.BigEndian.Uint16(b[4:]))
	if payload == 0 && b[6] != noNextHeader || header+payload > len(b) {
		return 0
	}
	return header + payload
}
