package wire

import "encoding/binary"

// HeaderLen is the length of the IKE header, octets.
const HeaderLen = 28

// MaxMessage is the longest message that is parsed or built, octets, header included.
const MaxMessage = 65535

// A Header begins every IKE message (RFC 7296 §3.1). Numbers on the border are octets.
//
//	┌─8────────────────────────────────┬─8────────────────────────────────┐
//	│ SPI of the initiator             │ SPI of the responder             │
//	├─1────┬─1───────┬─1────────┬─1────┴┬─4───────────────┬─4─────────────┤
//	│ next │ version │ exchange │ flags │ message ID      │ length, whole │
//	└──────┴─────────┴──────────┴───────┴─────────────────┴───────────────┘
type Header struct {
	SPIi, SPIr uint64       // SPIr is 0 in the first request
	Next       PayloadType  // the first payload
	Version    Version      // as received; the parser does not judge it
	Exchange   ExchangeType // as received
	Flags      Flags        // as received, reserved bits too
	MessageID  uint32
	Length     uint32 // octets of the whole message
}

// ParseHeader reads the header of b, one whole datagram without the non-ESP marker. The length in it must be that of
// b, 28 to MaxMessage octets; the version is not checked. The error is an *Error.
func ParseHeader(b []byte) (Header, error) {
	c := newCursor(b, 0)
	h := Header{
		SPIi:      c.u64("initiator SPI"),
		SPIr:      c.u64("responder SPI"),
		Next:      PayloadType(c.u8("next payload")),
		Version:   Version(c.u8("version")),
		Exchange:  ExchangeType(c.u8("exchange type")),
		Flags:     Flags(c.u8("flags")),
		MessageID: c.u32("message ID"),
		Length:    c.u32("message length"),
	}
	if len(b) > MaxMessage || uint64(h.Length) != uint64(len(b)) {
		c.fail("message length", "says %d octets, %d were received, %d are the limit", h.Length, len(b), MaxMessage)
	}
	if err := c.err(); err != nil {
		return Header{}, err
	}
	return h, nil
}

// Append writes h, Next and Length as they stand, after b.
func (h Header) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.SPIi)
	b = binary.BigEndian.AppendUint64(b, h.SPIr)
	b = append(b, byte(h.Next), byte(h.Version), byte(h.Exchange), byte(h.Flags))
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}

// Initiator reports whether the sender is the end that began the IKE SA.
func (h Header) Initiator() bool { return h.Flags&FlagInitiator != 0 }

// Response reports whether the message answers a request.
func (h Header) Response() bool { return h.Flags&FlagResponse != 0 }
