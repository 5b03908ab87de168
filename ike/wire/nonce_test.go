package wire

import (
	"fmt"
	"testing"
)

func TestNonceLengths(t *testing.T) { // MAL-13, N-08, RFC 7296 §3.9
	for _, n := range []int{0, 7, 8, 15, 257, 65531} {
		refused(t, fmt.Sprintf("nonce of %d octets", n), TypeNonce, raw(None, 0, make([]byte, n)...))
	}
	for _, n := range []int{16, 32, 256} {
		if got := one[*Nonce](t, TypeNonce, raw(None, 0, make([]byte, n)...)); len(got.Data) != n {
			t.Errorf("nonce of %d octets came back with %d", n, len(got.Data))
		}
	}
}
