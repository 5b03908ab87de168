package wire

// An Unknown is a payload whose body this package does not read: a type that is not known, which is skipped
// (RFC 7296 §2.5), or CP or EAP, which Twinbore does not do.
type Unknown struct {
	Kind     PayloadType
	Critical bool // for sending. Never set by ParsePayloads: the bit makes it refuse the message, or means nothing
	Data     []byte
}

// Type returns Kind.
func (p *Unknown) Type() PayloadType { return p.Kind }

func parseUnknown(c *cursor, kind PayloadType) *Unknown {
	return &Unknown{Kind: kind, Data: c.rest("unknown payload")}
}

func (p *Unknown) appendBody(b []byte) []byte { return append(b, p.Data...) }
