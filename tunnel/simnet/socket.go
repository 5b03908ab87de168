package simnet

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"twinbore/tunnel/transport"
)

// inbox is how many datagrams wait for a reader; more are lost.
const inbox = 1024

// socket is one end of the network. Its address is guarded by the Net's lock.
type socket struct {
	net     *Net
	number  int
	addr    netip.AddrPort
	bare    bool // of IP protocol 50; port 0
	inbox   chan transport.Message
	closing sync.Once
	closed  chan struct{}

	overflow, truncated, lost atomic.Uint64
}

func newSocket(n *Net, number int, addr netip.AddrPort) *socket {
	return &socket{
		net: n, number: number, addr: addr, bare: addr.Port() == 0,
		inbox: make(chan transport.Message, inbox), closed: make(chan struct{}),
	}
}

func (s *socket) Read(ms []transport.Message) (n int, err error) {
	for n < len(ms) {
		if s.isClosed() {
			return 0, net.ErrClosed
		}
		var m transport.Message
		if n == 0 {
			select {
			case <-s.closed:
				return 0, net.ErrClosed
			case m = <-s.inbox:
			}
		} else {
			select {
			case m = <-s.inbox:
			default:
				return n, nil
			}
		}
		if m.N > len(ms[n].Buf) {
			s.truncated.Add(1)
			continue
		}
		ms[n].N, ms[n].Path, ms[n].TOS, ms[n].Stride = copy(ms[n].Buf, m.Buf), m.Path, m.TOS, 0
		n++
	}
	return n, nil
}

// Write sends each datagram of a run by itself: the network loses, delays and corrupts datagrams, not runs.
func (s *socket) Write(ms []transport.Message) (n int, err error) {
	for i := range ms {
		for k := range ms[i].Datagrams() {
			b := ms[i].Datagram(k)
			one := transport.Message{Buf: b, N: len(b), TOS: ms[i].TOS, Path: ms[i].Path}
			switch e := s.net.send(s, &one); {
			case e == nil:
				n++
			case e == net.ErrClosed:
				return n, e
			default:
				s.lost.Add(1)
				if err == nil {
					err = e
				}
			}
		}
	}
	return n, err
}

func (s *socket) Port() uint16 {
	s.net.mu.Lock()
	defer s.net.mu.Unlock()
	return s.addr.Port()
}

func (s *socket) Drops() transport.Drops {
	return transport.Drops{Overflow: s.overflow.Load(), Truncated: s.truncated.Load(), Send: s.lost.Load()}
}

func (s *socket) Offloads() transport.Offloads { return transport.Offloads{} }

func (s *socket) Close() error {
	s.closing.Do(func() {
		s.net.mu.Lock()
		defer s.net.mu.Unlock()
		delete(s.net.sockets, s.addr)
		s.net.numbers[s.number] = false
		close(s.closed)
	})
	return nil
}

func (s *socket) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

func (s *socket) push(m transport.Message) bool {
	select {
	case s.inbox <- m:
		return true
	default:
		s.overflow.Add(1)
		return false
	}
}
