package wire

import "strings"

// Describe names payloads in order, for logs and transcripts: "SA KE No N(NAT_DETECTION_SOURCE_IP) V". It holds
// nothing of what they contain but the type of a notify; at most MaxPayloads words.
func Describe(ps []Payload) string {
	words := make([]string, 0, min(len(ps), MaxPayloads))
	for _, p := range ps[:min(len(ps), MaxPayloads)] {
		word := p.Type().String()
		if n, ok := p.(*Notify); ok {
			word += "(" + n.Kind.String() + ")"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}
