package datapath

import "twinbore/tunnel/tun"

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
)

// newSlots returns n buffers of headroom and a packet's length, with tailroom in their capacity, cut from one region.
func newSlots(n int) [][]byte {
	region := newRegion(n * slotStride)
	slots := make([][]byte, n)
	for i := range slots {
		at := i * slotStride
		slots[i] = region[at : at+headroom+maxPacket : at+headroom+maxPacket+tailroom]
	}
	return slots
}

func newSlot() []byte { return newSlots(1)[0] }

// newRegion returns n octets that packets are moved through.
func newRegion(n int) []byte { return make([]byte, n) }

// newFrame returns a frame with a slot to read into.
func newFrame() tun.Frame { return tun.Frame{Buf: newSlot(), At: headroom} }
