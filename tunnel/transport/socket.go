package transport

import (
	"net/netip"

	"twinbore/esp"
)

// A Message is one datagram and the outer addresses it came over or shall leave by.
//
// For Read the caller sets Buf, whose whole length may be filled, and Read sets N and Path: Path.Local is the
// address the datagram was sent to with the socket's port, Path.Remote is who sent it; an IPv6 link-local Remote has the
// interface as its zone.
//
// For Write the caller sets all three: Buf[:N] goes to Path.Remote, from Path.Local.Addr(). If that address is
// unspecified or the zero Addr, the kernel chooses one by its routes. The port is always the socket's own.
type Message struct {
	Buf  []byte
	N    int // octets of Buf that are the datagram's payload
	Path esp.Path
}

// A Socket sends and receives datagrams in batches on one local port, for one address family.
// One goroutine may read while others write.
type Socket interface {
	// Read waits for a datagram, then takes what else has arrived without waiting, at most len(ms). It returns how
	// many messages it filled, from the first. Datagrams that do not fit their Buf are dropped and counted, as are those
	// sent to a group of hosts; the Bufs of ms may be exchanged among each other to close the gaps. The error is
	// net.ErrClosed after Close; any other error also means that the socket can no longer be read.
	Read(ms []Message) (n int, err error)

	// Write sends every message that it can, in order, and returns how many left and the first error. An error is a
	// syscall.Errno, the loss of that one message, and no reason to close the socket; except net.ErrClosed, after
	// which none leaves.
	Write(ms []Message) (n int, err error)

	// Port returns the local UDP port.
	Port() uint16

	// Drops returns what this socket has lost since it was opened.
	Drops() Drops

	// Close ends a waiting Read and Write, which return net.ErrClosed. Closing twice does nothing.
	Close() error
}

// Drops counts lost datagrams by reason.
type Drops struct {
	Overflow  uint64 // came in while the receive buffer was full
	Truncated uint64 // came in larger than the buffer offered for it
	Group     uint64 // came in by multicast or broadcast; neither IKE nor ESP is ever sent so
	Send      uint64 // could not be sent
}

// Config says what Listen binds to.
type Config struct {
	// Addr is the local address and port. An unspecified address stands for every address of its family, never
	// for those of the other one. Port 0 lets the kernel choose.
	Addr netip.AddrPort
	// Interface, if not empty, limits the socket to one network interface (SO_BINDTODEVICE).
	Interface string
	// Mark, if not 0, is put on every packet that leaves, for policy routing (SO_MARK).
	Mark uint32
}
