package datapath

import (
	"unsafe"

	"twinbore/tunnel/tun"
)

const (
	batchSize   = 64    // messages in one system call
	bulkMean    = 8192  // octets in a message from which on messages are bulk
	bulkBatch   = 4     // messages of bulk in one system call: more would leave the cache
	headroom    = 64    // octets before a packet in its slot; the device needs 10 of them, and ESP 24
	tailroom    = 64    // octets behind it; ESP needs 49 at most
	maxPacket   = 65535 // octets of an IP packet
	answerBatch = 8     // ICMP errors in one write

	// slotStride is not a power of two, else the starts of all slots would share a set of each cache.
	slotStride = headroom + maxPacket + tailroom + 1 + 17*64

	hugePage = 2 << 20
)

// An arena is the memory that one goroutine moves packets through. It begins on the boundary of a huge page, and asks for
// such pages: the packets of a batch lie in some hundred small pages otherwise, more than the processor keeps in mind.
type arena struct{ left []byte }

// newArena returns one of n octets. What is never used of it is never backed by memory.
func newArena(n int) *arena {
	whole := (n + hugePage - 1) &^ (hugePage - 1)
	b := make([]byte, whole+hugePage)
	start := -uintptr(unsafe.Pointer(unsafe.SliceData(b))) % hugePage
	b = b[start:][:whole:whole]
	preferHugePages(b)
	return &arena{b}
}

// take returns n octets that nobody else has.
func (a *arena) take(n int) []byte {
	b := a.left[:n:n]
	a.left = a.left[n:]
	return b
}

// slots returns n buffers of headroom and a packet's length, with tailroom in their capacity.
func (a *arena) slots(n int) [][]byte {
	slots := make([][]byte, n)
	for i := range slots {
		slots[i] = a.take(slotStride)[: headroom+maxPacket : headroom+maxPacket+tailroom]
	}
	return slots
}

// frame returns a frame with a slot to read into.
func (a *arena) frame() tun.Frame { return tun.Frame{Buf: a.slots(1)[0], At: headroom} }
