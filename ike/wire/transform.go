package wire

import "encoding/binary"

// A Transform is one algorithm of a proposal (RFC 7296 §3.3.2).
//
//	┌─1──────────┬─1────────┬─2──────┬─1────┬─1────────┬─2──┬─ … ────────┐
//	│ 3 more     │ reserved │ length │ type │ reserved │ ID │ attributes │
//	│ 0 last     │          │        │      │          │    │            │
//	└────────────┴──────────┴────────┴──────┴──────────┴────┴────────────┘
//
// One attribute exists, the key length (RFC 7296 §3.3.5); AF 1 is the short form, AF 0 has a length and then a value:
//
//	┌─1 bit─┬─15 bits──┬─2───────────────┐   ┌─1 bit─┬─15 bits─┬─2──────┬─ … ───┐
//	│ AF 1  │ type 14  │ key length, bits│   │ AF 0  │ type    │ length │ value │
//	└───────┴──────────┴─────────────────┘   └───────┴─────────┴────────┴───────┘
//
// Transforms can be compared with ==.
type Transform struct {
	Type    TransformType // as received, known or not
	ID      uint16        // as received, known or not
	KeyBits uint16        // 0: there is no key length attribute
	// Bad marks a transform that must not be chosen: it has an attribute that is not known (RFC 7296 §3.3.6), one
	// twice ("MUST NOT be repeated", §3.3), or a key length of 0 or in the long form.
	Bad bool
}

const (
	transformLen  = 8  // octets, without attributes
	attrKeyLength = 14 // RFC 7296 §3.3.5
	attrShort     = 0x8000
)

// parseTransform also says whether another one follows.
func parseTransform(c *cursor) (t Transform, more bool) {
	more = parseLast(c, moreTransform, "transform last flag")
	c.skip(1, "transform reserved")
	body := c.sub(int(c.u16("transform length"))-4, "transform length")
	t.Type = TransformType(body.u8("transform type"))
	body.skip(1, "transform reserved")
	t.ID = body.u16("transform ID")
	for body.left() > 0 {
		kind, value := body.u16("attribute type"), body.u16("attribute value")
		if kind&attrShort == 0 {
			body.skip(int(value), "attribute value")
		}
		if kind != attrShort|attrKeyLength || value == 0 || t.KeyBits != 0 {
			t.Bad = true
			continue
		}
		t.KeyBits = value
	}
	return t, more
}

// append writes t. A Bad one gets a key length of 0, so that it is Bad to a reader too; we never offer one.
func (t Transform) append(b []byte, last bool) []byte {
	start := len(b)
	flag := byte(moreTransform)
	if last {
		flag = isLast
	}
	b = append(b, flag, 0, 0, 0, byte(t.Type), 0, byte(t.ID>>8), byte(t.ID))
	if t.KeyBits != 0 {
		b = appendKeyLength(b, t.KeyBits)
	}
	if t.Bad {
		b = appendKeyLength(b, 0)
	}
	putLen(b, start, 2)
	return b
}

func appendKeyLength(b []byte, bits uint16) []byte {
	b = binary.BigEndian.AppendUint16(b, attrShort|attrKeyLength)
	return binary.BigEndian.AppendUint16(b, bits)
}
