package main

import (
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// A vec is a physical vector register: its low 16 octets are one block, the whole of it is as wide as the kernel.
type vec = reg.VecPhysical

// A machine names the instructions that a kernel uses by what they do, for its width. Wide is AVX-512 (VL, BW, DQ) on
// registers of 64 octets, otherwise it is AVX2 on those of 32; both with VAES and VPCLMULQDQ.
//
// Registers are handed out here and not by avo, which does not know that AVX2 has but the first sixteen.
type machine struct {
	*build.Context
	wide      bool
	karatsuba bool // three multiplications for a product instead of four, see multiply
	free      []vec
}

func newMachine(c *build.Context, wide bool) *machine {
	m := &machine{Context: c, wide: wide, karatsuba: !wide, free: []vec{
		reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7,
		reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
	}}
	if wide {
		m.free = append(m.free, reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23,
			reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31)
	}
	return m
}

// take hands out a register; it is a bug to need more than there are.
func (m *machine) take() vec {
	v := m.free[0]
	m.free = m.free[1:]
	return v
}

// give takes registers back.
func (m *machine) give(vs ...vec) { m.free = append(append([]vec(nil), vs...), m.free...) }

// size is the number of octets in a vector, blocks that of blocks.
func (m *machine) size() int {
	if m.wide {
		return 64
	}
	return 32
}

func (m *machine) blocks() int { return m.size() / 16 }

// full and low are views of a register: all of it, and its lowest block. Writing low clears the rest.
func (m *machine) full(v vec) reg.Register {
	if m.wide {
		return v.AsZ()
	}
	return v.AsY()
}

func low(v vec) reg.Register { return v.AsX() }

// xor sets dst to a ^ b; all three are views of one size, a may be memory.
func (m *machine) xor(a, b, dst operand.Op) {
	if m.wide {
		m.VPXORQ(a, b, dst)
		return
	}
	m.VPXOR(a, b, dst)
}

// xor2 sets dst to dst ^ a ^ b.
func (m *machine) xor2(a, b, dst operand.Op) {
	if m.wide {
		m.VPTERNLOGQ(operand.U8(0x96), a, b, dst)
		return
	}
	m.VPXOR(a, dst, dst)
	m.VPXOR(b, dst, dst)
}

func (m *machine) and(a, b, dst operand.Op) {
	if m.wide {
		m.VPANDQ(a, b, dst)
		return
	}
	m.VPAND(a, b, dst)
}

func (m *machine) zero(v vec) { m.xor(low(v), low(v), low(v)) }

// load and store move a whole vector between memory and a register.
func (m *machine) load(from operand.Mem, v vec) { m.move(from, m.full(v)) }

func (m *machine) store(v vec, to operand.Mem) { m.move(m.full(v), to) }

// move copies what has the size of the register among its operands; memory need not be aligned.
func (m *machine) move(from, to operand.Op) {
	if m.wide {
		m.VMOVDQU64(from, to)
		return
	}
	m.VMOVDQU(from, to)
}

// loadBlock and storeBlock move 16 octets.
func (m *machine) loadBlock(from operand.Mem, v vec) { m.move(from, low(v)) }

func (m *machine) storeBlock(v vec, to operand.Mem) { m.move(low(v), to) }

// spread fills every block of v with the block at from.
func (m *machine) spread(from operand.Mem, v vec) {
	if m.wide {
		m.VBROADCASTI32X4(from, m.full(v))
		return
	}
	m.VBROADCASTI128(from, m.full(v))
}

// spreadLow fills every block of v with its lowest.
func (m *machine) spreadLow(v vec) {
	if m.wide {
		m.VSHUFI64X2(operand.U8(0), v.AsZ(), v.AsZ(), v.AsZ())
		return
	}
	m.VINSERTI128(operand.U8(1), v.AsX(), v.AsY(), v.AsY())
}

// fold sets the lowest block of dst to the xor of all blocks of v, and clears the rest; v and t are lost.
func (m *machine) fold(v, t, dst vec) {
	if m.wide {
		m.VEXTRACTI64X4(operand.U8(1), v.AsZ(), t.AsY())
		m.VPXORQ(v.AsY(), t.AsY(), v.AsY())
		m.VEXTRACTI32X4(operand.U8(1), v.AsY(), t.AsX())
		m.VPXORQ(v.AsX(), t.AsX(), dst.AsX())
		return
	}
	m.VEXTRACTI128(operand.U8(1), v.AsY(), t.AsX())
	m.VPXOR(v.AsX(), t.AsX(), dst.AsX())
}

// pair puts two numbers into the lowest block of v.
func (m *machine) pair(lo, hi operand.Op, v vec) {
	m.VMOVQ(lo, low(v))
	m.VPINSRQ(operand.U8(1), hi, low(v), low(v))
}
