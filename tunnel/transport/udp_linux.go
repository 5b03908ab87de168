package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// socket is a socket of one family: of UDP, or of IP protocol 50 (esp_linux.go). The reader owns in; writing guards out. Both
// are vectors of headers that the kernel fills or reads, made once, so that a datagram costs no allocation.
type socket struct {
	conn  kernelConn
	raw   syscall.RawConn
	bare  bool // without UDP
	bound netip.AddrPort
	zones zones

	in     *vector
	heads  *outerHeaders         // the IP headers that come before the payloads; nil: none do
	inDo   func(fd uintptr) bool // receive, made into a value once: a method value allocates
	inWant int
	inGot  int
	inErr  syscall.Errno

	writing sync.Mutex // guards what follows
	out     *vector
	outDo   func(fd uintptr) bool
	outCall func(v *vector, fd uintptr, from, to int) (int, syscall.Errno) // sendmmsg; tests put in other kernels
	outFrom int                                                            // the messages of out still to be sent are outFrom to outTo
	outTo   int
	cut     *vector // the datagrams of a run that the kernel would not cut
	cutFrom int     // those still to be sent are cutFrom to cutTo
	cutTo   int
	outSent int           // datagrams
	outErr  syscall.Errno // the first
	gso     segmenting

	gro, steered                               bool
	overflow, truncated, group, fragment, lost atomic.Uint64

	kernelDrops uint32 // the kernel's own count of overflows, as last told; the reader's
}

// A kernelConn is a *net.UDPConn or a *net.IPConn.
type kernelConn interface {
	net.PacketConn
	syscall.Conn
}

// Listen opens a UDP socket. The error names the address and what the operating system said: most often that
// another IKE daemon holds the port, or that ports below 1024 need CAP_NET_BIND_SERVICE.
func Listen(cfg Config) (Socket, error) {
	addr := cfg.Addr.Addr().Unmap()
	if !addr.IsValid() {
		return nil, errors.New("listen for UDP: no local address")
	}
	network := "udp4"
	if addr.Is6() {
		network = "udp6" // also sets IPV6_V6ONLY: the IPv4 addresses are another socket's
	}
	at := netip.AddrPortFrom(addr, cfg.Addr.Port())
	s, err := open(network, at.String(), cfg)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s: %w", at, explain(err))
	}
	port := s.conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s.bound = netip.AddrPortFrom(addr, port)
	s.gso.init(!cfg.NoGSO)
	s.gro = !cfg.NoGRO && s.enableGRO()
	return s, nil
}

// open makes a socket of a network of package net, bound to an address. Its caller sets bound.
func open(network, at string, cfg Config) (*socket, error) {
	v6 := cfg.Addr.Addr().Unmap().Is6()
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var refused error
		if err := c.Control(func(fd uintptr) { refused = setOptions(int(fd), v6, cfg) }); err != nil {
			return err
		}
		return refused
	}}
	pc, err := lc.ListenPacket(context.Background(), network, at)
	if err != nil {
		return nil, err
	}
	conn := pc.(kernelConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, err
	}
	s := &socket{conn: conn, raw: raw, in: newVector(), out: newSendVector(v6), cut: newSendVector(v6)}
	s.inDo, s.outDo, s.outCall = s.receive, s.transmit, (*vector).sendmmsg
	return s, nil
}

// explain adds the likely cause, and takes off what package net puts in front: the caller names the address.
func explain(err error) error {
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return fmt.Errorf("%w (hint: another IKE daemon may be running)", err)
	case errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w (hint: ports below 1024 need CAP_NET_BIND_SERVICE)", err)
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w (hint: a raw socket needs CAP_NET_RAW)", err)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w (hint: the address is not on this host)", err)
	}
	return err
}

func (s *socket) Port() uint16 { return s.bound.Port() }

func (s *socket) Drops() Drops {
	return Drops{
		Overflow: s.overflow.Load(), Truncated: s.truncated.Load(),
		Group: s.group.Load(), Fragment: s.fragment.Load(), Send: s.lost.Load(),
	}
}

func (s *socket) Offloads() Offloads {
	return Offloads{GSO: s.gso.on.Load(), GRO: s.gro, Refused: s.gso.refused.Load(), Steered: s.steered}
}

// enableGRO asks for runs, and reports whether the kernel (5.0 and later) will make them.
func (s *socket) enableGRO() bool { return s.set(unix.SOL_UDP, unix.UDP_GRO, 1) == nil }

func (s *socket) Close() error {
	if err := s.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (s *socket) ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return net.ErrClosed
	}
	if s.bare {
		return fmt.Errorf("ESP socket %s: %w", s.bound.Addr(), err)
	}
	return fmt.Errorf("UDP socket %s: %w", s.bound, err)
}
