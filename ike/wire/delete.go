package wire

import "encoding/binary"

// MaxDeleteSPIs is how many SPIs a Delete may list; more is an error before any is stored.
const MaxDeleteSPIs = 1024

// A Delete says which SAs of one protocol the sender has closed (RFC 7296 §3.11).
//
//	┌─1────────┬─1────────┬─2─────┬─ … ──────────────────┐
//	│ protocol │ SPI size │ count │ SPIs                 │
//	└──────────┴──────────┴───────┴──────────────────────┘
//
// For IKE the size is 0, there are no SPIs and it means the IKE SA that carries it; otherwise the size is 4.
type Delete struct {
	Protocol ProtocolID
	SPIs     []uint32 // the ones the sender receives with; nil for IKE. May repeat and may not exist: the caller checks
}

// Type returns TypeDelete.
func (*Delete) Type() PayloadType { return TypeDelete }

func (p *Delete) spiLen() int {
	if p.Protocol == ProtoIKE {
		return 0
	}
	return 4
}

func parseDelete(c *cursor) *Delete {
	p := &Delete{Protocol: ProtocolID(c.u8("delete protocol"))}
	size, count := int(c.u8("delete SPI size")), int(c.u16("delete SPI count"))
	if size != p.spiLen() {
		c.fail("delete SPI size", "%d, must be %d for %v", size, p.spiLen(), p.Protocol)
	}
	if size == 0 {
		return p // the count has nothing to count
	}
	if count > MaxDeleteSPIs || count*size != c.left() {
		c.fail("delete SPI count", "%d in %d octets, %d are the limit", count, c.left(), MaxDeleteSPIs)
	}
	if c.failed() || count == 0 {
		return p
	}
	p.SPIs = make([]uint32, count)
	for i := range p.SPIs {
		p.SPIs[i] = c.u32("delete SPI")
	}
	return p
}

func (p *Delete) appendBody(b []byte) []byte {
	if len(p.SPIs) > MaxDeleteSPIs || p.Protocol == ProtoIKE && len(p.SPIs) > 0 {
		panic("bug: too many SPIs in a Delete payload")
	}
	b = append(b, byte(p.Protocol), byte(p.spiLen()))
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.SPIs)))
	for _, spi := range p.SPIs {
		b = binary.BigEndian.AppendUint32(b, spi)
	}
	return b
}
