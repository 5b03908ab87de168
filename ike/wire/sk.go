package wire

// An Envelope is where the Encrypted payload lies in a message (RFC 7296 §3.14), or the Encrypted Fragment payload
// (RFC 7383 §2.5, skf.go). It is the last of the message; what its generic header calls next is inside.
//
//	┌─28─────┬─ … ──────────────┬─4──────────────┬─ IV ─┬─ … ────────────────────────────────────┬─ ICV ─┐
//	│ header │ payloads in clear│ generic header │ IV   │ encrypted: payloads, padding, its length │ ICV   │
//	└────────┴──────────────────┴────────────────┴──────┴────────────────────────────────────────┴───────┘
//	 ◄──────────────── AADLen ──────────────────► ◄──────────────────────── Body ───────────────────────►
type Envelope struct {
	Kind            PayloadType // TypeSK or TypeSKF
	Inner           PayloadType // of the first payload inside; None when it is empty
	Clear           []Payload   // before it; nobody vouches for these
	Fragment, Total uint16      // SKF: which fragment of how many, from 1; otherwise 0
	AADLen          int         // octets of the message before the IV, which the ICV covers too
	Body            []byte      // IV, ciphertext, ICV: part of the message, not a copy
}

// FindEnvelope finds the SK or SKF payload of msg, whose header is h. It must be there, reach exactly to the end of
// msg, and not hold another. Errors are those of ParsePayloads. Nothing in the result is authentic until Body has been
// opened; a fault here is no reason to answer.
func FindEnvelope(msg []byte, h Header) (Envelope, error) {
	c := newCursor(msg, 0)
	c.skip(HeaderLen, "message")
	frames, err := walk(h.Next, &c)
	if err != nil {
		return Envelope{}, err
	}
	n := len(frames) - 1
	if n < 0 || !frames[n].envelope() {
		return Envelope{}, &Error{Offset: c.at, Field: "message", What: "has no encrypted payload"}
	}
	f := &frames[n]
	e := Envelope{Kind: f.kind, Inner: f.next}
	if e.Inner == TypeSK || e.Inner == TypeSKF {
		f.body.fail("encrypted payload", "holds another one") // RFC 7296 §3.14
	}
	if e.Kind == TypeSKF {
		e.parseSKF(&f.body)
	}
	e.AADLen = f.body.at
	e.Body = f.body.view(f.body.left(), "encrypted payload")
	if err := c.err(); err != nil {
		return Envelope{}, err
	}
	if e.Clear, err = decodeAll(frames[:n], &c); err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// Cut divides Body into its IV of ivLen octets and the ciphertext with its ICV of tagLen octets, both part of the
// message. The ciphertext is at least one octet, the pad length; less is an *Error.
func (e Envelope) Cut(ivLen, tagLen int) (iv, sealed []byte, err error) {
	c := newCursor(e.Body, e.AADLen)
	iv = c.view(ivLen, "IV")
	if n := c.left(); n < tagLen+1 {
		c.fail("ciphertext", "%d octets, ICV included, must be at least %d", n, tagLen+1)
	}
	sealed = c.view(c.left(), "ciphertext")
	return iv, sealed, c.err()
}

// BeginSK starts a message whose only payload is SK: the header, with Next and Length set, and the generic header of
// SK, with inner as the type of the first payload inside. The caller appends an IV of ivLen octets and bodyLen octets
// of ciphertext and ICV; msg has room for them. The first aadLen octets, all of msg, are what the ICV covers besides.
// A message longer than MaxMessage is a bug of the caller and panics.
func BeginSK(h Header, inner PayloadType, ivLen, bodyLen int) (msg []byte, aadLen int) {
	return beginSealed(h, TypeSK, inner, nil, ivLen+bodyLen)
}

// beginSealed is BeginSK and BeginSKF; fixed are the octets between generic header and IV.
func beginSealed(h Header, kind, inner PayloadType, fixed []byte, rest int) (msg []byte, aadLen int) {
	h.Next = kind
	payload := genericLen + len(fixed) + rest
	total := HeaderLen + payload
	msg = setLength(h.Append(make([]byte, 0, total)), total)
	msg = append(msg, byte(inner), 0, byte(payload>>8), byte(payload))
	msg = append(msg, fixed...)
	return msg, len(msg)
}

// PadSK appends padding and its length to plain, so that the result is a multiple of block, 1 to 256 octets
// (RFC 7296 §3.14). It may use the spare capacity of plain.
func PadSK(plain []byte, block int) []byte {
	pad := block - 1 - len(plain)%block
	plain = append(plain, make([]byte, pad)...)
	return append(plain, byte(pad))
}

// UnpadSK returns plain, the opened content of SK, without padding and its length. Any padding that fits is accepted,
// whatever its octets (RFC 7296 §3.14). The result is part of plain. The error is an *Error.
func UnpadSK(plain []byte) ([]byte, error) {
	n := len(plain)
	if n == 0 {
		return nil, &Error{Field: "pad length", What: "nothing is inside"}
	}
	pad := int(plain[n-1])
	if pad+1 > n {
		return nil, &Error{Offset: n - 1, Field: "pad length", What: "longer than the content"}
	}
	return plain[:n-1-pad], nil
}
