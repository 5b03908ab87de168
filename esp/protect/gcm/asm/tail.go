package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
)

// tail finishes a packet with what is left of it: nothing (then it had no octet at all), or 1 to 4 vectors. With b blocks
// left the first is multiplied with H^(b+1) and the length block with H, so one reduction does for all of it.
func (k *kernel) tail() {
	p := k.takeProducts()
	e := end{in: k.take(), out: k.take()}
	k.TESTQ(k.n, k.n)
	k.JZ(operand.LabelRef("empty"))

	powers := k.GP64() // H^(b+1) and down
	k.LEAQ(operand.Mem{Base: k.n, Disp: 15}, powers)
	k.ANDQ(operand.I8(-16), powers)
	k.NEGQ(powers)
	k.LEAQ(k.power(1).Idx(powers, 1), powers)
	k.openEnd(&e)

	label := func(vectors int) string { return fmt.Sprintf("tail%d", vectors) }
	for vectors := batch; vectors > 1; vectors-- {
		k.CMPQ(k.n, operand.I32((vectors-1)*k.size()))
		k.JG(operand.LabelRef(label(vectors)))
	}
	for vectors := 1; vectors <= batch; vectors++ {
		k.Label(label(vectors))
		k.last(vectors, p, e, operand.Mem{Base: powers})
		k.JMP(operand.LabelRef("end"))
	}

	k.Label("empty")
	k.crypt(nil, true, nil, nil)
	k.zero(p.lo)
	k.zero(p.mid)
	k.zero(p.hi)
	k.JMP(operand.LabelRef("length"))

	k.Label("end")
	k.closeEnd(e)
	k.Label("length")
	k.finish(p)
}

// last encrypts the last vectors and sets p to their products.
func (k *kernel) last(vectors int, p products, e end, powers operand.Mem) {
	states := make([]vec, vectors)
	for i := range states[:vectors-1] {
		states[i] = k.take()
	}
	states[vectors-1] = e.out
	at := func(i int) operand.Mem { return powers.Offset(i * k.size()) }
	data := func(i int) operand.Op {
		if i == vectors-1 {
			return k.full(e.in)
		}
		return operand.Mem{Base: k.src, Disp: i * k.size()}
	}
	store := func() {
		for i, s := range states[:vectors-1] {
			k.store(s, operand.Mem{Base: k.dst, Disp: i * k.size()})
		}
	}
	if k.seal {
		k.crypt(states, true, nil, data)
		store()
		for _, step := range k.absorb(p, vectors, func(i int, x vec) {
			if i < vectors-1 {
				k.VPSHUFB(k.full(k.swap), k.full(states[i]), k.full(x))
				return
			}
			k.cut(e, x)
			k.VPSHUFB(k.full(k.swap), k.full(x), k.full(x))
		}, at) {
			step()
		}
	} else {
		k.crypt(states, true, k.absorb(p, vectors, func(i int, x vec) {
			if i == vectors-1 {
				k.VPSHUFB(k.full(k.swap), k.full(e.in), k.full(x))
				return
			}
			k.load(operand.Mem{Base: k.src, Disp: i * k.size()}, x)
			k.VPSHUFB(k.full(k.swap), k.full(x), k.full(x))
		}, at), data)
		store()
	}
	k.give(states[:vectors-1]...)
}

// finish adds the length block to p, reduces it, and writes or compares the tag.
func (k *kernel) finish(p products) {
	x, bits := k.take(), k.GP64()
	k.Load(k.Param("n"), bits)
	k.SHLQ(operand.U8(3), bits)
	k.pair(bits, k.param("aadBits"), x)
	k.xor(low(k.acc), low(x), low(x))
	k.multiply(p, x, k.power(1), k.sums(1), low, false)
	for _, step := range k.reduce(p, k.poly, k.full) {
		step()
	}
	t := k.take()
	k.fold(p.hi, t, x)
	k.VPSHUFB(low(k.swap), low(x), low(x))
	k.xor(low(k.tag), low(x), low(x))
	if k.seal {
		k.storeBlock(x, operand.Mem{Base: k.dst, Index: k.n, Scale: 1})
		k.VZEROUPPER()
		k.RET()
		return
	}
	k.loadBlock(operand.Mem{Base: k.src, Index: k.n, Scale: 1}, t)
	k.xor(low(t), low(x), low(x))
	lo, hi, same := k.GP64(), k.GP64(), k.GP8()
	k.VMOVQ(low(x), lo)
	k.VPEXTRQ(operand.U8(1), low(x), hi)
	k.ORQ(lo, hi)
	k.SETEQ(same)
	k.Store(same, k.ReturnIndex(0))
	k.VZEROUPPER()
	k.RET()
}
