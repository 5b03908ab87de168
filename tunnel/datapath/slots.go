package datapath

const (
	batchSize   = 64    // packets in one system call
	headroom    = 64    // octets before a packet in its slot; ESP needs 24 of them at most
	tailroom    = 64    // octets behind it; ESP needs 49 at most
	maxPacket   = 65535 // octets of an IP packet
	spareSlots  = 16    // for fragments
	answerBatch = 8     // ICMP errors in one write
	deviceRoom  = 8     // octets before a packet that is given to the device: where ESP had its SPI and number

	// slotStride is not a power of two, else the starts of all slots would share a set of each cache.
	slotStride = headroom + maxPacket + tailroom + 1 + 17*64
)

// newSlots returns n buffers of headroom and a packet's length, with tailroom in their capacity, cut from one region.
func newSlots(n int) [][]byte {
	region := make([]byte, n*slotStride)
	slots := make([][]byte, n)
	for i := range slots {
		at := i * slotStride
		slots[i] = region[at : at+headroom+maxPacket : at+headroom+maxPacket+tailroom]
	}
	return slots
}
