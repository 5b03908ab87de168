package main

import (
	"bytes"
	"encoding/binary"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
)

// constants are in the data of the file that they are made for.
type constants struct {
	swap  operand.Mem // a block's octets from last to first
	poly  operand.Mem // what x^128 folds to, see ghash.go
	first operand.Mem // 1, 2, … added to the counter of J0 in the blocks of a vector
	next  operand.Mem // the number of blocks in a vector, to be added to each counter
	edge  operand.Mem // 32 octets of ones and 32 of zeros: a mask begins so many octets before the middle
}

func newConstants(c *build.Context, wide bool) constants {
	m := machine{wide: wide}
	blocks := m.blocks()
	var swap, poly, first, next []byte
	for i := range blocks {
		swap = append(swap, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
		poly = binary.LittleEndian.AppendUint64(poly, reduction)
		poly = binary.LittleEndian.AppendUint64(poly, reduction)
		first = append(append(first, byte(i+1)), make([]byte, 15)...)
		next = append(append(next, byte(blocks)), make([]byte, 15)...)
	}
	name := "avx2"
	if wide {
		name = "avx512"
	}
	k := constants{
		swap:  data(c, name+"Swap", swap),
		poly:  data(c, name+"Poly", poly),
		first: data(c, name+"First", first),
		next:  data(c, name+"Next", next),
	}
	if !wide {
		k.edge = data(c, name+"Edge", append(bytes.Repeat([]byte{0xff}, 32), make([]byte, 32)...))
	}
	return k
}

// data puts b into the file and returns its place.
func data(c *build.Context, name string, b []byte) operand.Mem {
	at := c.StaticGlobal(name)
	c.DataAttributes(attr.RODATA | attr.NOPTR)
	for i := 0; i < len(b); i += 8 {
		c.AppendDatum(operand.U64(binary.LittleEndian.Uint64(b[i:])))
	}
	return at
}
