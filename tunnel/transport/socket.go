package transport

import (
	"net/netip"

	"twinbore/esp"
)

// A Message is one datagram, or a run of them, and the outer addresses it came over or shall leave by.
//
//	Stride 0   |  N octets: one datagram                |
//	Stride s   |   s   |   s   |   s   |  s or less     |   N octets: datagrams back to back
//
// For Read the caller sets Buf, whose whole length may be filled, and Read sets the rest: Path.Local is the
// address the datagram was sent to with the socket's port, Path.Remote is who sent it; an IPv6 link-local Remote has the
// interface as its zone. Where the kernel puts datagrams together (UDP_GRO), each Buf should have 65,535 octets.
//
// For Write the caller sets all: Buf[:N] goes to Path.Remote, from Path.Local.Addr(). If that address is
// unspecified or the zero Addr, the kernel chooses one by its routes. The port is always the socket's own. A run
// has at most MaxRun datagrams and MaxRunLen octets. Where there is no UDP, all ports are 0.
type Message struct {
	Buf    []byte
	N      int   // octets of Buf that are payload
	Stride int   // octets of each datagram of a run but the last; 0 for a single datagram
	TOS    uint8 // of the outer packets: DSCP and ECN, RFC 2474 §3, RFC 3168 §5
	Whole  bool  // for Write: nobody on the way may fragment it, which measures the way; EMSGSIZE if this host would have to
	Path   esp.Path
}

// What one Message may hold. Kernels before 6.9 take 64 datagrams, of which some count one for themselves; 65507 octets
// fit into a UDP datagram over IPv4, and one is kept for the tail that some kernels need.
const (
	MaxRun    = 63
	MaxRunLen = 65506
)

// Datagrams returns how many datagrams the message holds.
func (m *Message) Datagrams() int {
	if m.Stride <= 0 || m.N <= m.Stride {
		return 1
	}
	return (m.N + m.Stride - 1) / m.Stride
}

// Datagram returns the payload of datagram i, from 0, as a part of Buf.
func (m *Message) Datagram(i int) []byte {
	if m.Stride <= 0 {
		return m.Buf[:m.N]
	}
	return m.Buf[i*m.Stride : min((i+1)*m.Stride, m.N)]
}

// A Socket sends and receives datagrams in batches on one local port, for one address family.
// One goroutine may read while others write.
type Socket interface {
	// Read waits for a datagram, then takes what else has arrived without waiting, at most len(ms). It returns how
	// many messages it filled, from the first. Datagrams that do not fit their Buf are dropped and counted, as are those
	// sent to a group of hosts; the Bufs of ms may be exchanged among each other to close the gaps. The error is
	// net.ErrClosed after Close; any other error also means that the socket can no longer be read.
	Read(ms []Message) (n int, err error)

	// Write sends every message that it can, in order, and returns how many datagrams left and the first error. An error
	// is a syscall.Errno, the loss of that one message, and no reason to close the socket; except net.ErrClosed, after
	// which none leaves. A run that the kernel does not cut is cut here.
	Write(ms []Message) (n int, err error)

	// Port returns the local UDP port; 0 for a socket of IP protocol 50, which has none.
	Port() uint16

	// Drops returns what this socket has lost since it was opened.
	Drops() Drops

	// Offloads returns what the kernel does for this socket now.
	Offloads() Offloads

	// Close ends a waiting Read and Write, which return net.ErrClosed. Closing twice does nothing.
	Close() error
}

// Drops counts lost datagrams by reason.
type Drops struct {
	Overflow  uint64 // came in while the receive buffer was full
	Truncated uint64 // came in larger than the buffer offered for it
	Group     uint64 // came in by multicast or broadcast; neither IKE nor ESP is ever sent so
	Fragment  uint64 // came in as a part of an IP packet, or without a whole IP header; ESP is taken from neither (RFC 4303 §3.4.1)
	Send      uint64 // could not be sent
}

// Offloads says which work on runs the kernel does for a socket.
type Offloads struct {
	GSO     bool   // it cuts runs that leave (UDP_SEGMENT)
	GRO     bool   // it puts datagrams that arrive together to runs (UDP_GRO)
	Refused uint64 // runs that it would not cut, and that were sent in pieces instead
	Steered bool   // it gives ESP to the socket of a group that WorkerOf names
}

// Config says what Listen and ListenESP bind to.
type Config struct {
	// Addr is the local address and port. An unspecified address stands for every address of its family, never
	// for those of the other one. Port 0 lets the kernel choose; ListenESP does not look at it.
	Addr netip.AddrPort
	// Interface, if not empty, limits the socket to one network interface (SO_BINDTODEVICE).
	Interface string
	// Mark, if not 0, is put on every packet that leaves, for policy routing (SO_MARK).
	Mark uint32
	// NoGSO and NoGRO leave the kernel's work on runs alone. Otherwise it is used where the kernel has it.
	NoGSO, NoGRO bool

	share bool // with the sockets of its group, which have the address already
}
