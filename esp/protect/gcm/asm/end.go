package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// An end is the last vector of a packet, of which only some octets are there.
type end struct {
	count    reg.GPVirtual // octets: 1 to the size of a vector
	src, dst reg.GPVirtual // where they are
	in, out  vec           // what was read, zero after count; what is to be written, anything after count
	mask     operand.Mem   // count octets of ones, then zeros; wide has the mask register K1
}

// openEnd finds the last vector of a packet and reads what there is of it. It reads not one octet beyond: a packet may end
// where the memory does.
func (k *kernel) openEnd(e *end) {
	e.count, e.src, e.dst = k.GP64(), k.GP64(), k.GP64()
	start := k.GP64()
	k.LEAQ(operand.Mem{Base: k.n, Disp: -1}, e.count)
	k.ANDQ(operand.U8(k.size()-1), e.count)
	k.INCQ(e.count)
	k.MOVQ(k.n, start)
	k.SUBQ(e.count, start)
	k.LEAQ(operand.Mem{Base: k.src, Index: start, Scale: 1}, e.src)
	k.LEAQ(operand.Mem{Base: k.dst, Index: start, Scale: 1}, e.dst)
	from := operand.Mem{Base: e.src}

	if k.wide {
		ones := k.GP64()
		k.MOVQ(operand.I32(-1), ones)
		k.BZHIQ(e.count, ones, ones)
		k.KMOVQ(ones, reg.K1)
		k.VMOVDQU8_Z(from, reg.K1, k.full(e.in))
		return
	}

	edge := k.GP64()
	k.LEAQ(k.at.edge.Offset(32), edge)
	k.SUBQ(e.count, edge)
	e.mask = operand.Mem{Base: edge}
	k.CMPQ(e.count, operand.U8(32))
	k.JNE(operand.LabelRef("part"))
	k.load(from, e.in)
	k.JMP(operand.LabelRef("read"))

	k.Label("part") // words of 4 octets by their mask; packets of ESP have no others
	mask := k.take()
	k.load(e.mask, mask)
	k.VPMASKMOVD(from, k.full(mask), k.full(e.in))
	rest, at := k.GP64(), k.GP64()
	k.MOVQ(e.count, rest)
	k.ANDQ(operand.U8(3), rest)
	k.JZ(operand.LabelRef("read"))

	k.LEAQ(operand.Mem{Base: e.src, Index: e.count, Scale: 1}, at) // and up to 3 octets more, last first
	octets, octet := k.GP32(), k.GP32()
	k.XORL(octets, octets)
	k.Label("octet")
	k.DECQ(at)
	k.SHLL(operand.U8(8), octets)
	k.MOVBLZX(operand.Mem{Base: at}, octet)
	k.ORL(octet, octets)
	k.DECQ(rest)
	k.JNZ(operand.LabelRef("octet"))
	word := k.take()
	k.VMOVD(octets, low(word))
	k.VPBROADCASTD(low(word), k.full(word))
	k.VPSRAD(operand.U8(31), k.full(mask), k.full(mask)) // ones where a whole word was
	k.VPANDN(k.full(word), k.full(mask), k.full(word))
	k.VPAND(e.mask, k.full(word), k.full(word))
	k.VPOR(k.full(word), k.full(e.in), k.full(e.in))
	k.give(mask, word)
	k.Label("read")
}

// cut sets x to what counts of e.out.
func (k *kernel) cut(e end, x vec) {
	if k.wide {
		k.VMOVDQU8_Z(k.full(e.out), reg.K1, k.full(x))
		return
	}
	k.VPAND(e.mask, k.full(e.out), k.full(x))
}

// closeEnd writes the last vector. Seal may write over the place of the tag, which comes next; open writes not one octet
// more than there are.
func (k *kernel) closeEnd(e end) {
	to := operand.Mem{Base: e.dst}
	if k.wide {
		k.VMOVDQU8(k.full(e.out), reg.K1, to)
		return
	}
	k.CMPQ(e.count, operand.U8(32))
	k.JNE(operand.LabelRef("pieces"))
	k.store(e.out, to)
	k.JMP(operand.LabelRef("length"))

	k.Label("pieces")
	if k.seal {
		k.storeBlock(e.out, to)
		k.CMPQ(e.count, operand.U8(16))
		k.JLE(operand.LabelRef("length"))
		k.VEXTRACTI128(operand.U8(1), k.full(e.out), to.Offset(16))
		return
	}
	out := low(e.out)
	for _, piece := range []struct {
		octets int
		store  func()
		next   string
	}{
		{16, func() { k.VMOVDQU(out, to); k.VEXTRACTI128(operand.U8(1), k.full(e.out), out) }, "under16"},
		{8, func() { k.VMOVQ(out, to); k.VPSRLDQ(operand.U8(8), out, out) }, "under8"},
		{4, func() { k.VMOVD(out, to); k.VPSRLDQ(operand.U8(4), out, out) }, "under4"},
		{2, func() { k.VPEXTRW(operand.U8(0), out, to); k.VPSRLDQ(operand.U8(2), out, out) }, "under2"},
		{1, func() { k.VPEXTRB(operand.U8(0), out, to) }, ""},
	} {
		next := piece.next
		if next == "" {
			next = "length"
		}
		k.TESTQ(operand.I32(piece.octets), e.count)
		k.JZ(operand.LabelRef(next))
		piece.store()
		if piece.next != "" {
			k.ADDQ(operand.U8(piece.octets), e.dst)
			k.Label(piece.next)
		}
	}
}
