package gcm

import "golang.org/x/sys/cpu"

// What the CPU must have beside AVX2: bits of ECX of CPUID leaf 7. golang.org/x/sys/cpu tells them only where there is AVX-512.
const (
	vaes       = 1 << 9
	vpclmulqdq = 1 << 10
)

// supported reports whether this CPU, and the operating system on it, can run the kernel.
func supported(k kernel) bool {
	x := &cpu.X86
	if !x.HasAVX2 || !x.HasBMI2 || !x.HasAES || !x.HasPCLMULQDQ || features()&(vaes|vpclmulqdq) != vaes|vpclmulqdq {
		return false
	}
	return k == avx2 || x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
}

func (k *Key) seal(dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) {
	key := &k.rounds[0][0]
	switch {
	case k.kernel == avx512 && k.shortKeys:
		seal128AVX512(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	case k.kernel == avx512:
		seal256AVX512(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	case k.shortKeys:
		seal128AVX2(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	default:
		seal256AVX2(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	}
}

func (k *Key) open(dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool {
	key := &k.rounds[0][0]
	switch {
	case k.kernel == avx512 && k.shortKeys:
		return open128AVX512(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	case k.kernel == avx512:
		return open256AVX512(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	case k.shortKeys:
		return open128AVX2(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	default:
		return open256AVX2(key, dst, src, n, j0Low, j0High, aadLow, aadHigh, aadBits)
	}
}

// The kernels take a schedule at key. They read n octets at src and write them to dst; seal writes the tag behind them, open
// compares it with what is behind src. j0 and aad are blocks as numbers.

//go:noescape
func seal128AVX2(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64)

//go:noescape
func seal256AVX2(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64)

//go:noescape
func open128AVX2(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool

//go:noescape
func open256AVX2(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool

//go:noescape
func seal128AVX512(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64)

//go:noescape
func seal256AVX512(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64)

//go:noescape
func open128AVX512(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool

//go:noescape
func open256AVX512(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64) bool

// substitute returns the S-box of each octet of w, FIPS 197 §5.2.
func substitute(w uint32) uint32

// multiply sets the block at x to x·y; y is divided by x, the variable (asm/ghash.go).
//
//go:noescape
func multiply(x, y *byte)

// features returns ECX of CPUID leaf 7.
func features() uint32
