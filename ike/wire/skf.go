package wire

import "encoding/binary"

// The Encrypted Fragment payload (RFC 7383 §2.5) is the SK payload of sk.go with two numbers before the IV:
//
//	┌─28─────┬─4──────────────┬─2────────────────┬─2─────────┬─ IV ─┬─ … ──────────────────────────────────┬─ ICV ─┐
//	│ header │ generic header │ fragment, from 1 │ of total  │ IV   │ encrypted: a piece, padding, length  │ ICV   │
//	└────────┴────────────────┴──────────────────┴───────────┴──────┴──────────────────────────────────────┴───────┘
//	 ◄────────────────────── AADLen ────────────────────────► ◄────────────────────── Body ──────────────────────►
//
// The pieces together are what SK would hold. "Next payload" is the first type inside in the first fragment and 0 in
// the others.

// parseSKF reads the fragment numbers and checks what one fragment alone can show. How many fragments are too many is
// for who collects them.
func (e *Envelope) parseSKF(c *cursor) {
	e.Fragment, e.Total = c.u16("fragment number"), c.u16("total fragments")
	switch {
	case e.Fragment == 0 || e.Fragment > e.Total:
		c.fail("fragment number", "%d of %d", e.Fragment, e.Total)
	case (e.Fragment == 1) != (e.Inner != None):
		c.fail("fragment next payload", "%d in fragment %d", e.Inner, e.Fragment)
	}
}

// BeginSKF is BeginSK for one fragment, 1 to total. inner is that of the whole message; only the first fragment says it.
func BeginSKF(h Header, inner PayloadType, fragment, total uint16, ivLen, bodyLen int) (msg []byte, aadLen int) {
	if fragment != 1 {
		inner = None
	}
	fixed := binary.BigEndian.AppendUint16(nil, fragment)
	fixed = binary.BigEndian.AppendUint16(fixed, total)
	return beginSealed(h, TypeSKF, inner, fixed, ivLen+bodyLen)
}
