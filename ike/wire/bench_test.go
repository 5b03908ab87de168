package wire

import "testing"

// BenchmarkParseMessage reads an IKE_SA_INIT request: strongSwan's default one of 85 transforms, and its response.
func BenchmarkParseMessage(b *testing.B) {
	for _, name := range []string{"init-request", "init-response"} {
		msg := captured(b)[name]
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			for b.Loop() {
				if _, err := ParseMessage(msg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkMarshal(b *testing.B) {
	m, err := ParseMessage(captured(b)["init-response"])
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Marshal()
	}
}

// BenchmarkRefuse is what a datagram of garbage costs.
func BenchmarkRefuse(b *testing.B) {
	msg := captured(b)["init-request"]
	msg = setLength(msg[:len(msg)-1], len(msg)-1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseMessage(msg); err == nil {
			b.Fatal("accepted")
		}
	}
}
