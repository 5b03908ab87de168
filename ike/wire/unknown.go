package wire

// An Unknown is a payload whose body this package does not read: a type that is not known, which is skipped
// (RFC 7296 §2.5), or CP or EAP, which Twinbore does not do.
type Unknown struct {
	Kind     PayloadType
	Critical bool // never true in what ParsePayloads returns, unless Kind is CP or EAP, where it means nothing
	Data     []byte
}

// Type returns Kind.
func (p *Unknown) Type() PayloadType { return p.Kind }

func parseUnknown(c *cursor, kind PayloadType, critical bool) *Unknown {
	return &Unknown{Kind: kind, Critical: critical, Data: c.rest("unknown payload")}
}

func (p *Unknown) appendBody(b []byte) []byte { return append(b, p.Data...) }
