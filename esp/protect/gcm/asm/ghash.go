package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// GHASH multiplies in GF(2^128) with x^128 = x^7 + x^2 + x + 1 (NIST SP 800-38D §6.3). A block that is loaded with its
// octets swapped is a number whose bit i is the coefficient of x^(127-i). The product of two such numbers has 255 bits, and one
// place must be moved to read bit i as the coefficient of x^(255-i); the powers of H are kept with that move in them
// (H^i / x), so a product is read as it is.
//
// In a product of 256 bits the lowest 64 are the coefficients of x^255 to x^192. Adding the field's polynomial at the right places
// clears them: the number itself is added 128 places up, and its product with reduction 64 places up. Done twice, the upper
// half is the remainder.
//
//	lo   l0 l1                      l0·poly = t0 t1
//	mid     m0 m1          m0 ^= l1 ^ t0,  m1 ^= l0 ^ t1
//	hi         h0 h1       and the same with m0 for hi
const reduction = 0xc2 << 56 // x^7 + x^2 + x, in the places of x^128 down

// products is the sum of the products of a row of blocks with powers of H, not yet reduced.
type products struct{ lo, mid, hi vec }

func (m *machine) takeProducts() products { return products{m.take(), m.take(), m.take()} }

func (m *machine) giveProducts(p products) { m.give(p.lo, p.mid, p.hi) }

// multiply adds x·h to p, or sets p to it when first; view says how much of x counts. x is lost.
//
// There are four products of halves, or three by Karatsuba: (x0 ^ x1)·(h0 ^ h1), with the second sum from
// sums; mid then lacks lo and hi, which reduce adds. On vectors of 64 octets the multiplier is idle more often than the
// ports that would add and shuffle.
func (m *machine) multiply(p products, x vec, h, sums operand.Mem, view func(vec) reg.Register, first bool) {
	t := m.take()
	product := func(halves uint8, x, h operand.Op, sum vec) {
		if first {
			m.VPCLMULQDQ(operand.U8(halves), h, x, view(sum))
			return
		}
		m.VPCLMULQDQ(operand.U8(halves), h, x, view(t))
		m.xor(m.full(t), m.full(sum), m.full(sum))
	}
	if m.karatsuba {
		product(0x00, view(x), h, p.lo)
		product(0x11, view(x), h, p.hi)
		m.VPSHUFD(operand.U8(0x4e), view(x), view(t))
		m.xor(view(t), view(x), view(x))
		product(0x00, view(x), sums, p.mid)
		m.give(t)
		return
	}
	u, power := m.take(), m.take()
	m.move(h, view(power))
	product(0x00, view(x), view(power), p.lo)
	product(0x11, view(x), view(power), p.hi)
	m.VPCLMULQDQ(operand.U8(0x01), view(power), view(x), view(t))
	m.VPCLMULQDQ(operand.U8(0x10), view(power), view(x), view(u))
	if first {
		m.xor(view(t), view(u), view(p.mid))
	} else {
		m.xor2(m.full(t), m.full(u), m.full(p.mid))
	}
	m.give(t, u, power)
}

// reduce leaves the remainder of p in p.hi, block by block; the rest of p is lost.
func (m *machine) reduce(p products, poly vec, view func(vec) reg.Register) []func() {
	fold := func(from, to vec) {
		t := m.take()
		m.VPCLMULQDQ(operand.U8(0), view(poly), view(from), view(t))
		m.VPSHUFD(operand.U8(0x4e), view(from), view(from))
		m.xor2(view(from), view(t), view(to))
		m.give(t)
	}
	return []func(){
		func() {
			if m.karatsuba {
				m.xor2(view(p.lo), view(p.hi), view(p.mid))
			}
			fold(p.lo, p.mid)
		},
		func() { fold(p.mid, p.hi) },
	}
}
