package tun

// Room is how many octets must lie in front of a packet in its buffer: the device's own header goes there.
const Room = 10

// A Kind says what a superpacket is to be cut into.
type Kind uint8

// The kinds. Unknown is one that nobody asked the kernel for.
const (
	Single  Kind = iota // one packet, nothing to cut
	TCP4                // TCP segments over IPv4
	TCP6                // TCP segments over IPv6
	UDP                 // UDP datagrams over either
	Unknown             // to be dropped
)

// A Frame is one IP packet at Buf[At : At+N], or a superpacket: the headers of the first of several packets of one flow,
// with lengths as if it were one, and the payload of all.
//
//	Buf:  ... | Room | IP | TCP | payload ............................. | ...
//	                 At          └─ Size ─┴─ Size ─┴─ Size ─┴─ rest ─┘
//
// Where NeedsSum is set, the checksum at SumStart+SumOffset of the packet is not made yet: the field holds the
// sum of the pseudo-header (RFC 9293 §3.1, RFC 768), not complemented. In superpackets it always is so.
type Frame struct {
	Buf                 []byte
	At, N               int // At is at least Room
	Kind                Kind
	Size                int // octets of payload in each packet but the last
	Head                int // octets of all headers; for Write of a superpacket, Read leaves it 0
	NeedsSum            bool
	SumStart, SumOffset int
}

// Packet returns the octets of the packet or superpacket.
func (f *Frame) Packet() []byte { return f.Buf[f.At : f.At+f.N] }
