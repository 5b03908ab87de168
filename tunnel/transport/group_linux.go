package transport

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// ListenGroup opens n sockets, at least 1, on one address and port, for n goroutines to read. The kernel gives each datagram
// to one of them, as WorkerOf says; where it does not know how, by a hash of the addresses. Each may be used to send on any
// path. While a group is opened no other process may have the port: of several daemons on it each would get a part of
// all packets.
func ListenGroup(cfg Config, n int) ([]Socket, error) {
	s, err := Listen(cfg) // the port must be free, also of other groups
	if err != nil {
		return nil, err
	}
	group, first := []Socket{s}, s.(*socket)
	if n > 1 {
		err = first.set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	for cfg.Addr, cfg.share = netip.AddrPortFrom(cfg.Addr.Addr(), s.Port()), true; len(group) < n && err == nil; {
		if s, err = Listen(cfg); err == nil {
			group = append(group, s)
		}
	}
	if err != nil {
		for _, s := range group {
			s.Close()
		}
		return nil, err
	}
	steered := n > 1 && first.steer(n) == nil
	for _, s := range group {
		s.(*socket).steered = steered
	}
	return group, nil
}

func (s *socket) set(level, option, value int) error {
	refused := error(unix.EBADF)
	s.raw.Control(func(fd uintptr) { refused = unix.SetsockoptInt(int(fd), level, option, value) })
	return refused
}

// steer hands the kernel (4.5 and later) WorkerOf as a program for the group that s is in. The program sees the
// payload of the datagram. A load beyond its end returns 0, which is the socket for what is too short to be ESP; and the four
// zero octets before IKE lead there by themselves.
func (s *socket) steer(n int) error {
	program := [...]unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_ALU | unix.BPF_RSH | unix.BPF_K, K: workerShift},
		{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(n)},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	refused := error(unix.EBADF)
	s.raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &filter)
	})
	return refused
}
