package wire

// A CertReq asks for certificates of certain authorities (RFC 7296 §3.7).
//
//	┌─1────────┬─ … ───────────────────────────────────┐
//	│ encoding │ authorities: 20 octets of SHA-1 each  │
//	└──────────┴───────────────────────────────────────┘
type CertReq struct {
	Encoding    CertEncoding
	Authorities []byte // hashes of the public keys, one after the other; their length is not checked
}

// Type returns TypeCertReq.
func (*CertReq) Type() PayloadType { return TypeCertReq }

func parseCertReq(c *cursor) *CertReq {
	return &CertReq{Encoding: CertEncoding(c.u8("CERTREQ encoding")), Authorities: c.rest("CERTREQ authorities")}
}

func (p *CertReq) appendBody(b []byte) []byte {
	return append(append(b, byte(p.Encoding)), p.Authorities...)
}
