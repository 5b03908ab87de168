package transport

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

func (s *socket) Write(ms []Message) (sent int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.outSent, s.outErr, s.outFrom, s.outTo = 0, 0, 0, 0
	for i := range ms {
		put := s.put
		if ms[i].Whole {
			put = s.putAlone
		}
		if err := put(&ms[i]); err != nil {
			return s.outSent, s.ended(err)
		}
	}
	if err := s.send(); err != nil {
		return s.outSent, s.ended(err)
	}
	if s.outErr != 0 {
		return s.outSent, s.outErr
	}
	return s.outSent, nil
}

// put adds a message to the vector: as it is, or each datagram by itself if it is a run that the kernel shall not
// cut. A message that can never be sent from here is lost.
func (s *socket) put(m *Message) error {
	t, ok := s.targetOf(m)
	n := m.Datagrams()
	if !ok {
		s.lose(unix.EAFNOSUPPORT, n)
		return nil
	}
	whole := n == 1 || n <= MaxRun && m.N <= MaxRunLen && s.gso.use()
	for i := range n {
		if s.outTo == batch {
			if err := s.send(); err != nil {
				return err
			}
		}
		if whole {
			s.putWhole(m, n, &t)
			return nil
		}
		s.out.set(s.outTo, m.Datagram(i), 0, &t)
		s.outTo++
	}
	return nil
}

// putAlone sends a message that must not be fragmented: what is queued before it, and then the message, with DF. PROBE, and not
// DO, so that the kernel believes nobody's word about the path (DOS-17).
func (s *socket) putAlone(m *Message) error {
	if err := s.send(); err != nil {
		return err
	}
	level, discover, may, mayNot := fragmenting(s.bound.Addr().Is6())
	if err := s.set(level, discover, mayNot); err != nil {
		return err
	}
	err := s.put(m)
	if err == nil {
		err = s.send()
	}
	if again := s.set(level, discover, may); err == nil {
		err = again
	}
	return err
}

func (s *socket) putWhole(m *Message, n int, t *target) {
	stride := 0
	if n > 1 {
		stride = m.Stride
	}
	s.out.set(s.outTo, m.Buf[:m.N], stride, t)
	if n > 1 && s.gso.needsTail(n, m.N, stride) {
		s.out.addTail(s.outTo, tail)
	}
	s.outTo++
}

// targetOf reports false for addresses that this socket has no way to.
func (s *socket) targetOf(m *Message) (target, bool) {
	remote, local := m.Path.Remote.Addr().Unmap(), m.Path.Local.Addr().Unmap()
	if !local.IsValid() || local.IsUnspecified() || local == s.bound.Addr() {
		local = netip.Addr{} // what the socket does anyhow
	}
	v6 := s.bound.Addr().Is6()
	if !remote.IsValid() || remote.Is6() != v6 || local.IsValid() && local.Is6() != v6 {
		return target{}, false
	}
	port := m.Path.Remote.Port()
	if s.bare {
		port = 0 // for IPv6 it would name another protocol
	}
	return target{remote: remote, port: port, scope: s.zones.index(remote), local: local, tos: m.TOS}, true
}

// send sends what is queued and empties the queue.
func (s *socket) send() error {
	var err error
	if s.outFrom < s.outTo {
		err = s.raw.Write(s.outDo)
	}
	s.outFrom, s.outTo, s.cutFrom, s.cutTo = 0, 0, 0, 0
	return err
}

// transmit sends what is queued. Linux sends up to the first message that it refuses and reports the error when it
// is asked to begin with that one; a single datagram is then lost, a run goes in pieces, and the rest goes on.
func (s *socket) transmit(fd uintptr) bool {
	for {
		v, from, to := s.out, &s.outFrom, s.outTo
		if s.cutFrom < s.cutTo { // a run in pieces is where the queue has come to
			v, from, to = s.cut, &s.cutFrom, s.cutTo
		}
		if *from == to {
			return true
		}
		n, errno := s.outCall(v, fd, *from, to)
		switch errno {
		case 0:
			for _, r := range v.runs[*from : *from+n] {
				s.outSent += r.datagrams
				if r.stride > 0 {
					s.gso.row = 0
				}
			}
			*from += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			r := v.runs[*from]
			if r.stride > 0 && s.gso.refuse(errno) {
				s.takeApart(*from)
			} else {
				s.lose(errno, r.datagrams)
			}
			*from++
		}
	}
}

// takeApart makes the datagrams of the run that message i of out is the ones to be sent next.
func (s *socket) takeApart(i int) {
	r, buf := s.out.runs[i], s.out.bufOf(i)
	m := Message{Buf: buf, N: len(buf), Stride: r.stride}
	for k := range r.datagrams {
		s.cut.setLike(k, m.Datagram(k), s.out, i)
	}
	s.cutFrom, s.cutTo = 0, r.datagrams
}

func (s *socket) lose(errno syscall.Errno, n int) {
	s.lost.Add(uint64(n))
	if s.outErr == 0 {
		s.outErr = errno
	}
}
