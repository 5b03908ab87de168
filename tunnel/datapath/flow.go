package datapath

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A flowKey names a flow of TCP or UDP: packets of one flow meet the same decisions.
type flowKey struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto        uint8
}

func (k *flowKey) has(p *packet) bool {
	return k.sport == p.sport && k.dport == p.dport && k.proto == p.proto && k.dst == p.dst && k.src == p.src && p.flowing
}

// remember makes k the flow of p, unless p shows no flow.
func (k *flowKey) remember(p *packet) bool {
	if !p.flowing {
		return false
	}
	*k = flowKey{p.src, p.dst, p.sport, p.dport, p.proto}
	return true
}

// Odd constants with their bits well spread, to begin mixing with.
const (
	mixer0 = 0x9e3779b97f4a7c15
	mixer1 = 0xd1b54a32d192ed03
	mixer2 = 0x8cb92ba72f3d8dd7
)

// mix spreads the bits of both numbers over the result. It is no secret, and keeps none.
func mix(a, b uint64) uint64 {
	high, low := bits.Mul64(a^mixer0, b^mixer1)
	return high ^ low
}

// flowHash is a number of the flow of p, another one for each seed: of its addresses and protocol, and of its ports where
// every packet of the flow shows them. All fragments of a packet have one number, and so one way.
func (p *packet) flowHash(seed uint64) uint64 {
	rest := uint64(p.proto)
	if p.flowing {
		rest |= uint64(p.sport)<<16 | uint64(p.dport)<<32
	}
	src, dst := p.src.As16(), p.dst.As16()
	h := mix(seed^half(&src, 0), half(&dst, 0))
	h ^= mix(half(&src, 8)^mixer2, half(&dst, 8))
	return mix(h, rest)
}

func half(a *[16]byte, at int) uint64 { return binary.LittleEndian.Uint64(a[at:]) }

// seedOf is a number of a name.
func seedOf(name string) uint64 {
	var h uint64
	for i := range len(name) {
		h = mix(h, uint64(name[i]))
	}
	return h
}
