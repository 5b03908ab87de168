//go:build !race

package esp

import "testing"

// TestSealAndOpenAllocateNothing does not run with the race detector, which makes sync.Pool forget at random.
func TestSealAndOpenAllocateNothing(t *testing.T) {
	for _, alg := range every {
		for _, esn := range []bool{false, true} {
			out, in := pair(t, params(alg, esn, 64))
			buf := make([]byte, SealedLen(alg, 1400))
			inner := buf[Headroom(alg):][:1400]
			if n := testing.AllocsPerRun(200, func() {
				pkt, err := out.Seal(buf[:0], inner, NextIPv4)
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := in.Open(pkt); err != nil {
					t.Fatal(err)
				}
				out.Spent()
			}); n != 0 {
				t.Errorf("%s esn %v: %v allocations for a packet sealed and opened, want 0", alg.Name, esn, n)
			}
			sealed, plain := make([]byte, SealedLen(alg, 1400)), make([]byte, SealedLen(alg, 1400))
			if n := testing.AllocsPerRun(200, func() {
				seq, _, err := out.Reserve(1, 0, 1400)
				if err != nil {
					t.Fatal(err)
				}
				pkt, err := out.SealAs(sealed[:0], inner, NextIPv4, seq)
				if err != nil {
					t.Fatal(err)
				}
				in.Begin()
				defer in.End()
				if _, _, err := in.OpenNext(plain[:0], pkt); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%s esn %v: %v allocations for a packet of a run, want 0", alg.Name, esn, n)
			}
		}
	}
}
