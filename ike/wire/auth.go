package wire

// An Auth proves that the sender is who its ID says (RFC 7296 §3.8).
//
//	┌─1──────┬─3────────┬─ … ──────────────────┐
//	│ method │ reserved │ signature or MAC     │
//	└────────┴──────────┴──────────────────────┘
type Auth struct {
	Method AuthMethod
	Data   []byte // any length
}

// Type returns TypeAuth.
func (*Auth) Type() PayloadType { return TypeAuth }

func parseAuth(c *cursor) *Auth {
	p := &Auth{Method: AuthMethod(c.u8("AUTH method"))}
	c.skip(3, "AUTH reserved")
	p.Data = c.rest("AUTH data")
	return p
}

func (p *Auth) appendBody(b []byte) []byte {
	return append(append(b, byte(p.Method), 0, 0, 0), p.Data...)
}
