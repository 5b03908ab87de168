//go:build !amd64

package gcm

// Where there is no kernel, New makes no Key, and nothing below is reached.

type schedule struct{}

func (*schedule) init([]byte) { panic("bug: no kernel") }

func (*schedule) timesH(low, high uint64) (uint64, uint64) { panic("bug: no kernel") }

func supported(kernel) bool { return false }

func (*Key) seal(dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) {
	panic("bug: no kernel")
}

func (*Key) open(dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool {
	panic("bug: no kernel")
}
