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

// socket is a UDP socket of one family. The reader owns in; writing guards out. Both are vectors of headers that the
// kernel fills or reads, made once, so that a datagram costs no allocation.
type socket struct {
	conn  *net.UDPConn
	raw   syscall.RawConn
	bound netip.AddrPort
	zones zones

	in     *vector
	inDo   func(fd uintptr) bool // receive, made into a value once: a method value allocates
	inWant int
	inGot  int
	inErr  syscall.Errno

	writing sync.Mutex // guards what follows
	out     *vector
	outDo   func(fd uintptr) bool
	outFrom int // the messages of out still to be sent are outFrom to outTo
	outTo   int
	cut     *vector // the datagrams of a run that the kernel would not cut
	cutFrom int     // those still to be sent are cutFrom to cutTo
	cutTo   int
	outSent int           // datagrams
	outErr  syscall.Errno // the first
	gso     segmenting

	gro                              bool
	overflow, truncated, group, lost atomic.Uint64
	kernelDrops                      uint32 // the kernel's own count of overflows, as last told; the reader's
}

// Listen opens a UDP socket. The error names the address and what the operating system said: most often that
// another IKE daemon holds the port, or that ports below 1024 need CAP_NET_BIND_SERVICE.
func Listen(cfg Config) (Socket, error) {
	addr := cfg.Addr.Addr().Unmap()
	if !addr.IsValid() {
		return nil, errors.New("listen for UDP: no local address")
	}
	network, v6 := "udp4", addr.Is6()
	if v6 {
		network = "udp6" // also sets IPV6_V6ONLY: the IPv4 addresses are another socket's
	}
	at := netip.AddrPortFrom(addr, cfg.Addr.Port())
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var refused error
		if err := c.Control(func(fd uintptr) { refused = setOptions(int(fd), v6, cfg) }); err != nil {
			return err
		}
		return refused
	}}
	pc, err := lc.ListenPacket(context.Background(), network, at.String())
	if err != nil {
		return nil, fmt.Errorf("listen on UDP %s: %w", at, explain(err))
	}
	conn := pc.(*net.UDPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("listen on UDP %s: %w", at, err)
	}
	port := conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
	s := &socket{
		conn: conn, raw: raw, bound: netip.AddrPortFrom(addr, port),
		in: newVector(), out: newSendVector(v6), cut: newSendVector(v6),
	}
	s.gso.init(!cfg.NoGSO)
	s.gro = !cfg.NoGRO && s.enableGRO()
	s.inDo, s.outDo = s.receive, s.transmit
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
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return fmt.Errorf("%w (hint: the address is not on this host)", err)
	}
	return err
}

func (s *socket) Port() uint16 { return s.bound.Port() }

func (s *socket) Drops() Drops {
	return Drops{
		Overflow: s.overflow.Load(), Truncated: s.truncated.Load(),
		Group: s.group.Load(), Send: s.lost.Load(),
	}
}

func (s *socket) Offloads() Offloads {
	return Offloads{GSO: s.gso.on.Load(), GRO: s.gro, Refused: s.gso.refused.Load()}
}

// enableGRO asks for runs, and reports whether the kernel (5.0 and later) will make them.
func (s *socket) enableGRO() bool {
	refused := error(unix.EBADF)
	s.raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), unix.SOL_UDP, unix.UDP_GRO, 1) })
	return refused == nil
}

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
	return fmt.Errorf("UDP socket %s: %w", s.bound, err)
}
