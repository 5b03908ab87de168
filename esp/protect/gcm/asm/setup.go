package main

import (
	"bytes"
	"encoding/binary"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// setup emits what is needed once for a key, in constant time, and once for a process.
func setup(c *build.Context) {
	m := newMachine(c, false)
	m.karatsuba = false
	poly := data(c, "setupPoly", bytes.Repeat(binary.LittleEndian.AppendUint64(nil, reduction), 2))

	// substitute returns the S-box of each octet of w (FIPS 197 §5.2).
	c.Function("substitute")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(w uint32) uint32")
	w := c.GP32()
	c.Load(c.Param("w"), w)
	c.VMOVD(w, reg.X0)
	c.VPSHUFD(operand.U8(0), reg.X0, reg.X0)
	c.VAESKEYGENASSIST(operand.U8(0), reg.X0, reg.X0)
	c.VMOVD(reg.X0, w)
	c.Store(w, c.ReturnIndex(0))
	c.RET()

	// multiply sets x to x·y, both as the kernels have them.
	c.Function("multiply")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func(x, y *byte)")
	x, y := c.GP64(), c.GP64()
	c.Load(c.Param("x"), x)
	c.Load(c.Param("y"), y)
	p, v, r := m.takeProducts(), m.take(), m.take()
	m.loadBlock(poly, r)
	m.loadBlock(operand.Mem{Base: x}, v)
	m.multiply(p, v, operand.Mem{Base: y}, operand.Mem{}, low, true)
	for _, step := range m.reduce(p, r, low) {
		step()
	}
	m.storeBlock(p.hi, operand.Mem{Base: x})
	c.VZEROUPPER()
	c.RET()

	// features returns ECX of CPUID leaf 7, where VAES and VPCLMULQDQ are told.
	c.Function("features")
	c.Attributes(attr.NOSPLIT)
	c.SignatureExpr("func() uint32")
	c.MOVL(operand.U32(7), reg.EAX)
	c.XORL(reg.ECX, reg.ECX)
	c.CPUID()
	c.Store(reg.ECX, c.ReturnIndex(0))
	c.RET()
}
