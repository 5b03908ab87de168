package wire

import "encoding/binary"

// A KE carries a public value of a key exchange (RFC 7296 §3.4).
//
//	┌─2──────┬─2────────┬─ … ───────────┐
//	│ group  │ reserved │ public value  │
//	└────────┴──────────┴───────────────┘
type KE struct {
	Group uint16 // key exchange method, transform type 4
	Data  []byte // any length; ike/suite knows how long it must be
}

// Type returns TypeKE.
func (*KE) Type() PayloadType { return TypeKE }

func parseKE(c *cursor) *KE {
	p := &KE{Group: c.u16("KE group")}
	c.skip(2, "KE reserved")
	p.Data = c.rest("KE data")
	return p
}

func (p *KE) appendBody(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.Group)
	return append(append(b, 0, 0), p.Data...)
}
