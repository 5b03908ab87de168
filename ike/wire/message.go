package wire

import "fmt"

// A Message is one IKE message whose payloads are in clear: IKE_SA_INIT, or an error outside any IKE SA. A message
// that holds an SK or SKF payload is read with FindEnvelope.
type Message struct {
	Header   Header
	Payloads []Payload
}

// ParseMessage reads b whole, header and payloads. Errors are those of ParseHeader and ParsePayloads, with offsets
// from the start of b.
func ParseMessage(b []byte) (*Message, error) {
	h, err := ParseHeader(b)
	if err != nil {
		return nil, err
	}
	ps, err := parsePayloads(h.Next, newCursor(b[HeaderLen:], HeaderLen))
	if err != nil {
		return nil, err
	}
	return &Message{Header: h, Payloads: ps}, nil
}

// Marshal returns the message as bytes; Header.Next and Header.Length follow from the payloads, whatever they say.
// A message longer than MaxMessage is a bug of the caller and panics.
func (m *Message) Marshal() []byte {
	h := m.Header
	h.Next = FirstType(m.Payloads)
	b := AppendPayloads(h.Append(nil), m.Payloads)
	return setLength(b, len(b))
}

// setLength writes the length of a whole message of n octets into its header, of which b has at least that.
func setLength(b []byte, n int) []byte {
	if n > MaxMessage {
		panic(fmt.Sprintf("bug: message of %d octets", n))
	}
	b[24], b[25], b[26], b[27] = 0, 0, byte(n>>8), byte(n)
	return b
}
