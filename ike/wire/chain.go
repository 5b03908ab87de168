package wire

import (
	"encoding/binary"
	"fmt"
)

// MaxPayloads is how many payloads a message may have; more is an error before any is stored.
const MaxPayloads = 64

const (
	genericLen  = 4    // octets of the generic payload header
	criticalBit = 0x80 // in its second octet; the other seven bits are reserved
)

// A Payload is one body of a message: SA, KE, ID and so on, always by pointer. Bodies share no memory with the bytes
// they were parsed from.
//
// Each stands behind a generic header (RFC 7296 §3.2):
//
//	┌─1───────────────┬─1────────────────┬─2──────────────────┬─ … ────┐
//	│ type of next    │ C │ reserved     │ length, header too │ body   │
//	└─────────────────┴──────────────────┴────────────────────┴────────┘
type Payload interface {
	// Type returns the number that names this payload in the field before it.
	Type() PayloadType
	appendBody(b []byte) []byte
}

// ParsePayloads reads the chain that begins with a payload of type first and fills b exactly: what stands after the
// header of a clear message, or inside an opened SK payload. It is all or nothing: an *Error when anything in it is
// malformed, otherwise a *CriticalError when it has an unknown critical payload. Unknown payloads that are not
// critical, and CP and EAP, come back as *Unknown. Time is linear in len(b). Payloads may repeat and come in any
// order: the caller's rules say what they mean.
func ParsePayloads(first PayloadType, b []byte) ([]Payload, error) {
	return parsePayloads(first, newCursor(b, 0))
}

func parsePayloads(first PayloadType, c cursor) ([]Payload, error) {
	frames, err := walk(first, &c)
	if err != nil {
		return nil, err
	}
	if n := len(frames); n > 0 && frames[n-1].envelope() {
		return nil, &Error{Offset: frames[n-1].body.at, Field: frames[n-1].kind.String(), What: "not allowed here"}
	}
	return decodeAll(frames, &c)
}

// A frame is one payload of a chain, its header read and its body not.
type frame struct {
	kind, next PayloadType
	critical   bool
	body       cursor
}

func (f *frame) envelope() bool { return f.kind == TypeSK || f.kind == TypeSKF }

// walk cuts a chain into frames. An SK or SKF payload ends it, since what its header calls next is inside.
func walk(first PayloadType, c *cursor) ([]frame, error) {
	if n := c.left(); n > MaxMessage {
		c.fail("payload chain", "%d octets, %d are the limit", n, MaxMessage)
	}
	var frames []frame
	for kind := first; kind != None && !c.failed(); {
		if len(frames) == MaxPayloads {
			c.fail("payload chain", "more than %d payloads", MaxPayloads)
			break
		}
		f := frame{kind: kind, next: PayloadType(c.u8("next payload"))}
		f.critical = c.u8("critical bit")&criticalBit != 0
		f.body = c.sub(int(c.u16("payload length"))-genericLen, "payload length")
		frames = append(frames, f)
		if kind = f.next; f.envelope() {
			kind = None
		}
	}
	c.end("after the last payload")
	return frames, c.err()
}

// decodeAll reads the bodies of frames; c shares their fault.
func decodeAll(frames []frame, c *cursor) ([]Payload, error) {
	var critical error
	ps := make([]Payload, 0, len(frames))
	for i := range frames {
		f := &frames[i]
		if f.critical && !f.kind.standard() && critical == nil {
			critical = &CriticalError{Type: f.kind}
		}
		ps = append(ps, decode(f))
		f.body.end(f.kind.String() + " payload")
		if err := c.err(); err != nil {
			return nil, err
		}
	}
	if critical != nil {
		return nil, critical
	}
	return ps, nil
}

func decode(f *frame) Payload {
	c := &f.body
	switch f.kind {
	case TypeSA:
		return parseSA(c)
	case TypeKE:
		return parseKE(c)
	case TypeIDi, TypeIDr:
		return parseID(c, f.kind == TypeIDi)
	case TypeCert:
		return parseCert(c)
	case TypeCertReq:
		return parseCertReq(c)
	case TypeAuth:
		return parseAuth(c)
	case TypeNonce:
		return parseNonce(c)
	case TypeNotify:
		return parseNotify(c)
	case TypeDelete:
		return parseDelete(c)
	case TypeVendorID:
		return parseVendorID(c)
	case TypeTSi, TypeTSr:
		return parseTS(c, f.kind == TypeTSi)
	}
	return parseUnknown(c, f.kind)
}

// AppendPayloads writes ps after b, each with its generic header, chained to the next. A payload longer than 65535
// octets, or one with more parts than its format can count, is a bug of the caller and panics.
func AppendPayloads(b []byte, ps []Payload) []byte {
	for i, p := range ps {
		start := len(b)
		b = append(b, byte(FirstType(ps[i+1:])), 0, 0, 0)
		if u, ok := p.(*Unknown); ok && u.Critical {
			b[start+1] = criticalBit
		}
		b = p.appendBody(b)
		if n := len(b) - start; n > 0xffff {
			panic(fmt.Sprintf("bug: %v payload of %d octets", p.Type(), n))
		}
		putLen(b, start, genericLen-2)
	}
	return b
}

// FirstType is the type of the first of ps, None when there is none: what the field before them says.
func FirstType(ps []Payload) PayloadType {
	if len(ps) == 0 {
		return None
	}
	return ps[0].Type()
}

// putLen writes how long the structure is that began at start, into the two octets at start+at.
func putLen(b []byte, start, at int) {
	binary.BigEndian.PutUint16(b[start+at:], uint16(len(b)-start))
}

// count8 returns n for a field of one octet.
func count8(n int, what string) byte {
	if n > 0xff {
		panic(fmt.Sprintf("bug: %d %s", n, what))
	}
	return byte(n)
}
