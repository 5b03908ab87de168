package wire

// MinNonce and MaxNonce are the lengths of nonces, octets (RFC 7296 §3.9).
const (
	MinNonce = 16
	MaxNonce = 256
)

// A Nonce is random octets of one side, Ni or Nr (RFC 7296 §3.9). The body is nothing else.
type Nonce struct{ Data []byte } // MinNonce to MaxNonce octets

// Type returns TypeNonce.
func (*Nonce) Type() PayloadType { return TypeNonce }

func parseNonce(c *cursor) *Nonce {
	if n := c.left(); !c.failed() && (n < MinNonce || n > MaxNonce) {
		c.fail("nonce", "%d octets, must be %d to %d", n, MinNonce, MaxNonce)
	}
	return &Nonce{Data: c.rest("nonce")}
}

func (p *Nonce) appendBody(b []byte) []byte { return append(b, p.Data...) }
