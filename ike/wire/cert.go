package wire

// A Cert carries one certificate, revocation list or key (RFC 7296 §3.6).
//
//	┌─1────────┬─ … ───────────┐
//	│ encoding │ certificate   │
//	└──────────┴───────────────┘
type Cert struct {
	Encoding CertEncoding
	Data     []byte // any length, not looked into
}

// Type returns TypeCert.
func (*Cert) Type() PayloadType { return TypeCert }

func parseCert(c *cursor) *Cert {
	return &Cert{Encoding: CertEncoding(c.u8("CERT encoding")), Data: c.rest("CERT data")}
}

func (p *Cert) appendBody(b []byte) []byte { return append(append(b, byte(p.Encoding)), p.Data...) }
