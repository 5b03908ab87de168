package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// batch is the number of vectors in one turn of the main loop.
const batch = 4

// A kernel is one function: seal or open, for one key length and one width. The way of a packet of n octets:
//
//	J0, H·AAD ─► whole batches while more than one is left ─► tail: 1 to 4 vectors, the last in part ─► length, tag
//	                  AES of this batch, and meanwhile                AES of J0 with them
//	                  open: GHASH of this batch
//	                  seal: GHASH of the batch before
//
// Nothing but n decides where it branches, and what it reads and writes lies in the key, in src and in dst.
type kernel struct {
	*machine
	at     constants
	rounds int
	seal   bool

	key, dst, src, n reg.GPVirtual // dst and src move on, n is what is left

	swap, poly vec
	ctr        vec        // the next counters, as numbers in the lowest 32 bits of each block
	acc        vec        // GHASH of what was before, in the lowest block; the others are zero
	tag        vec        // J0, later encrypted
	next       operand.Op // the number of blocks in a vector, to be added to ctr
}

func newKernel(c *build.Context, at constants, wide bool, rounds int, seal bool) *kernel {
	return &kernel{machine: newMachine(c, wide), at: at, rounds: rounds, seal: seal}
}

// Where things are in a key (type schedule of package gcm).
func (k *kernel) roundKey(i int) operand.Mem { return operand.Mem{Base: k.key, Disp: 16 * i} }
func (k *kernel) power(i int) operand.Mem    { return operand.Mem{Base: k.key, Disp: 512 - 16*i} }
func (k *kernel) sums(i int) operand.Mem     { return k.power(i).Offset(powerToSums) }

const powerToSums = 192

func (k *kernel) emit() {
	k.begin()
	size := batch * k.size()
	tail, loop, drain := "tail", "loop", "drain"

	k.CMPQ(k.n, operand.I32(size))
	k.JLE(operand.LabelRef(tail))
	if k.seal {
		k.turn(nil)
		k.CMPQ(k.n, operand.I32(size))
		k.JLE(operand.LabelRef(drain))
	}
	k.Label(loop)
	before := operand.Mem{Base: k.src}
	if k.seal {
		before = operand.Mem{Base: k.dst, Disp: -size}
	}
	k.turn(k.hash(before))
	k.CMPQ(k.n, operand.I32(size))
	k.JG(operand.LabelRef(loop))
	if k.seal {
		k.Label(drain)
		for _, step := range k.hash(before) {
			step()
		}
	}
	k.Label(tail)
	k.tail()
}

// begin loads the arguments, and makes counters, J0 and the hash of the additional data, which is one block (it may be what
// came of more).
func (k *kernel) begin() {
	verb, width, result := "open", "AVX2", " bool"
	if k.seal {
		verb, result = "seal", ""
	}
	if k.wide {
		width = "AVX512"
	}
	k.Function(fmt.Sprintf("%s%d%s", verb, 32*(k.rounds-6), width))
	k.Attributes(attr.NOSPLIT)
	k.SignatureExpr("func(key, dst, src *byte, n int, j0Low, j0High, aadLow, aadHigh, aadBits uint64)" + result)
	arg := func(name string) reg.GPVirtual {
		r := k.GP64()
		k.Load(k.Param(name), r)
		return r
	}
	k.key, k.dst, k.src, k.n = arg("key"), arg("dst"), arg("src"), arg("n")

	k.swap, k.poly, k.ctr, k.acc, k.tag = k.take(), k.take(), k.take(), k.take(), k.take()
	k.load(k.at.swap, k.swap)
	k.load(k.at.poly, k.poly)
	k.next = k.at.next
	if k.wide { // the linker aligns data to 32 octets: every other vector of 64 would lie across two lines
		next := k.take()
		k.load(k.at.next, next)
		k.next = k.full(next)
	}
	k.pair(k.param("j0Low"), k.param("j0High"), k.ctr)
	k.VPSHUFB(low(k.swap), low(k.ctr), low(k.tag))
	k.spreadLow(k.ctr)
	k.VPADDD(k.at.first, k.full(k.ctr), k.full(k.ctr))

	p := k.takeProducts()
	k.pair(k.param("aadLow"), k.param("aadHigh"), k.acc)
	k.multiply(p, k.acc, k.power(1), k.sums(1), low, true)
	for _, step := range k.reduce(p, k.poly, low) {
		step()
	}
	k.move(low(p.hi), low(k.acc))
	k.giveProducts(p)
}

// param is the place of an argument on the stack.
func (k *kernel) param(name string) operand.Mem {
	b, err := k.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return b.Addr
}

// turn encrypts one batch from src to dst, does steps meanwhile, and moves on.
func (k *kernel) turn(steps []func()) {
	states := []vec{k.take(), k.take(), k.take(), k.take()}
	k.crypt(states, false, steps, func(i int) operand.Op { return operand.Mem{Base: k.src, Disp: i * k.size()} })
	for i, s := range states {
		k.store(s, operand.Mem{Base: k.dst, Disp: i * k.size()})
	}
	k.give(states...)
	size := operand.I32(batch * k.size())
	k.ADDQ(size, k.src)
	k.ADDQ(size, k.dst)
	k.SUBQ(size, k.n)
}

// hash takes one batch of ciphertext at from into acc.
func (k *kernel) hash(from operand.Mem) []func() {
	p, total := k.takeProducts(), batch*k.blocks()
	steps := k.absorb(p, batch, func(i int, x vec) {
		k.load(from.Offset(i*k.size()), x)
		k.VPSHUFB(k.full(k.swap), k.full(x), k.full(x))
	}, func(i int) operand.Mem { return k.power(total - i*k.blocks()) })
	steps = append(steps, k.reduce(p, k.poly, k.full)...)
	return append(steps, func() {
		t := k.take()
		k.fold(p.hi, t, k.acc)
		k.give(t)
		k.giveProducts(p)
	})
}

// absorb sets p to the products of acc and n vectors with powers of H. block puts the i-th vector into x with the octets
// of its blocks swapped, power is where its powers begin. acc becomes zero.
func (k *kernel) absorb(p products, n int, block func(i int, x vec), power func(i int) operand.Mem) (steps []func()) {
	x := k.take()
	for i := range n {
		steps = append(steps, func() {
			block(i, x)
			if i == 0 {
				k.xor(k.full(k.acc), k.full(x), k.full(x))
				k.zero(k.acc)
			}
		}, func() { k.multiply(p, x, power(i), power(i).Offset(powerToSums), k.full, i == 0) })
	}
	return append(steps, func() { k.give(x) })
}

// crypt sets states to the keystream for the next vectors, xored with data(i), which is memory or a view of a register.
// With tag it encrypts J0 as well. steps are done on the way, spread over the rounds.
func (k *kernel) crypt(states []vec, tag bool, steps []func(), data func(i int) operand.Op) {
	for _, s := range states {
		k.VPSHUFB(k.full(k.swap), k.full(k.ctr), k.full(s))
		k.VPADDD(k.next, k.full(k.ctr), k.full(k.ctr))
	}
	round := k.take()
	k.spread(k.roundKey(0), round)
	for _, s := range states {
		k.xor(k.full(round), k.full(s), k.full(s))
	}
	if tag {
		k.xor(low(round), low(k.tag), low(k.tag))
	}
	done := 0
	for r := 1; r < k.rounds; r++ {
		k.spread(k.roundKey(r), round)
		for _, s := range states {
			k.VAESENC(k.full(round), k.full(s), k.full(s))
		}
		if tag {
			k.VAESENC(low(round), low(k.tag), low(k.tag))
		}
		for ; done < len(steps)*r/(k.rounds-1); done++ {
			steps[done]()
		}
	}
	k.spread(k.roundKey(k.rounds), round)
	t := k.take()
	for i, s := range states { // the last round adds its key: with the data in it, that is the whole work
		k.xor(data(i), k.full(round), k.full(t))
		k.VAESENCLAST(k.full(t), k.full(s), k.full(s))
	}
	if tag {
		k.VAESENCLAST(low(round), low(k.tag), low(k.tag))
	}
	k.give(t, round)
}
