//go:build !race

package protect

import "testing"

// TestSealAndOpenAllocateNothing does not run with the race detector, which makes sync.Pool forget at random.
func TestSealAndOpenAllocateNothing(t *testing.T) {
	onEveryKernel(t, func(t *testing.T, _ bool) { sealAndOpenAllocateNothing(t) })
}

func sealAndOpenAllocateNothing(t *testing.T) {
	for _, a := range every() {
		p, iv, aad, tail := protector(t, a), octets(a.IVLen), octets(8), octets(4)
		buf := make([]byte, 1408, 1408+a.TagLen)
		if n := testing.AllocsPerRun(200, func() {
			sealed := p.Seal(buf[:0], iv, buf[:1408], aad, tail)
			if _, err := p.Open(sealed[:0], iv, sealed, aad, tail); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations for a packet sealed and opened, want 0", a.Name, n)
		}
	}
}
