package esp

import (
	"fmt"
	"testing"
)

var benchSizes = []int{64, 200, 1400} // octets of inner packet

func BenchmarkSeal(b *testing.B) {
	for _, alg := range every {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", alg.Name, n), func(b *testing.B) {
				out := outbound(b, params(alg, true, 1024), Limits{})
				buf := make([]byte, SealedLen(alg, n))
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := out.Seal(buf[:0], buf[Headroom(alg):][:n], NextIPv4); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkOpen opens one packet again and again: the copy that this needs is in the figure, and the window is put back.
func BenchmarkOpen(b *testing.B) {
	for _, alg := range every {
		for _, n := range benchSizes {
			b.Run(fmt.Sprintf("%s/%d", alg.Name, n), func(b *testing.B) {
				out, in := pair(b, params(alg, true, 1024))
				pkt := seal(b, out, 1, ipv4(n))
				buf := make([]byte, len(pkt))
				b.SetBytes(int64(n))
				b.ReportAllocs()
				for b.Loop() {
					copy(buf, pkt)
					in.window.top, in.window.ring[0] = 0, 0
					if _, _, err := in.Open(buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
