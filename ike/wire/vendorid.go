package wire

// A VendorID says which implementation or extension the sender has (RFC 7296 §3.12). The body is nothing else.
type VendorID struct{ Data []byte } // any length

// Type returns TypeVendorID.
func (*VendorID) Type() PayloadType { return TypeVendorID }

func parseVendorID(c *cursor) *VendorID { return &VendorID{Data: c.rest("vendor ID")} }

func (p *VendorID) appendBody(b []byte) []byte { return append(b, p.Data...) }
