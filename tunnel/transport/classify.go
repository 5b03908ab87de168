package transport

import "encoding/binary"

// MarkerLen is the length in octets of the non-ESP marker: zeros where ESP has its SPI (RFC 3948 §2.2).
const MarkerLen = 4

// KeepaliveOctet is the whole payload of a NAT keepalive (RFC 3948 §2.3).
const KeepaliveOctet = 0xFF

const (
	ikeHeaderLen   = 28  // RFC 7296 §3.1; the header of IKEv1 is as long, RFC 2408 §3.1
	espHeaderLen   = 8   // SPI and sequence number, RFC 4303 §2
	firstUsableSPI = 256 // RFC 4303 §2.1
)

// A Kind says what a datagram carries.
type Kind uint8

// The kinds. A Malformed datagram is none of the others and is dropped.
const (
	Malformed Kind = iota
	Keepalive
	IKE
	ESP
)

func (k Kind) String() string {
	switch k {
	case Keepalive:
		return "keepalive"
	case IKE:
		return "ike"
	case ESP:
		return "esp"
	}
	return "malformed"
}

// A Use says what a socket is there for.
type Use uint8

// The uses.
const (
	ForIKE  Use = iota // UDP, the plain IKE port: IKE and nothing else
	ForNATT            // UDP, the port for NAT traversal: IKE behind its marker, ESP and keepalives (RFC 3948 §2)
	ForESP             // IP protocol 50: ESP and nothing else (RFC 4303)
)

// Classify says what the payload b of a datagram is, by what its socket is for, and returns the part that the next reader
// wants: the IKE message without its marker, or the ESP packet from its SPI. The result is part of b; it is nil for the other
// kinds. ESP is never taken from the plain IKE port, and nothing else from a socket of ESP.
//
// A keepalive says nothing about the peer: it is not authenticated and not a sign of life (RFC 3948 §4).
func Classify(use Use, b []byte) (Kind, []byte) {
	switch {
	case use == ForIKE:
		return ikeOrMalformed(b)
	case use == ForNATT && len(b) == 1 && b[0] == KeepaliveOctet:
		return Keepalive, nil
	case len(b) < espHeaderLen:
		return Malformed, nil
	}
	spi := binary.BigEndian.Uint32(b)
	switch {
	case spi == 0 && use == ForNATT:
		return ikeOrMalformed(b[MarkerLen:])
	case spi < firstUsableSPI:
		return Malformed, nil
	}
	return ESP, b
}

func ikeOrMalformed(b []byte) (Kind, []byte) {
	if len(b) < ikeHeaderLen {
		return Malformed, nil
	}
	return IKE, b
}

// AddMarker appends the non-ESP marker and then the IKE message to dst (RFC 3948 §2.2): the form in which IKE
// travels on the port for NAT traversal.
func AddMarker(dst, message []byte) []byte {
	return append(append(dst, make([]byte, MarkerLen)...), message...)
}
