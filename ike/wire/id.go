package wire

// An ID says who the sender is, or whom it wants to talk to (RFC 7296 §3.5).
//
//	┌─1────┬─3────────┬─ … ──────────────┐
//	│ type │ reserved │ identification   │
//	└──────┴──────────┴──────────────────┘
type ID struct {
	Initiator bool // IDi, otherwise IDr
	Kind      IDType
	Data      []byte // any length and content; ike/auth judges it
	// reserved is kept as received: ignored, and yet covered by AUTH (RFC 7296 §2.15).
	reserved [3]byte
}

// Type returns TypeIDi or TypeIDr.
func (p *ID) Type() PayloadType {
	if p.Initiator {
		return TypeIDi
	}
	return TypeIDr
}

// Body returns a copy of the octets after the generic header, reserved ones as received: the RestOfInitIDPayload and
// RestOfRespIDPayload that AUTH covers (RFC 7296 §2.15).
func (p *ID) Body() []byte { return p.appendBody(nil) }

func parseID(c *cursor, initiator bool) *ID {
	p := &ID{Initiator: initiator, Kind: IDType(c.u8("ID type"))}
	copy(p.reserved[:], c.view(len(p.reserved), "ID reserved"))
	p.Data = c.rest("ID data")
	return p
}

func (p *ID) appendBody(b []byte) []byte {
	b = append(b, byte(p.Kind))
	b = append(b, p.reserved[:]...)
	return append(b, p.Data...)
}
