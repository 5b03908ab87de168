package transport

import (
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

func (s *socket) Write(ms []Message) (sent int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.outSent, s.outErr = 0, 0
	for len(ms) > 0 {
		now := ms[:min(len(ms), batch)]
		ms = ms[len(now):]
		s.outFrom, s.outTo = 0, 0
		for i := range now {
			s.put(&now[i])
		}
		if err := s.raw.Write(s.outDo); err != nil {
			return s.outSent, s.ended(err)
		}
	}
	if s.outErr != 0 {
		return s.outSent, s.outErr
	}
	return s.outSent, nil
}

// put adds one message to the vector, or loses it if it can never be sent from here.
func (s *socket) put(m *Message) {
	remote, local := m.Path.Remote.Addr().Unmap(), m.Path.Local.Addr().Unmap()
	if !local.IsValid() || local.IsUnspecified() || local == s.bound.Addr() {
		local = netip.Addr{} // what the socket does anyhow
	}
	v6 := s.bound.Addr().Is6()
	if !remote.IsValid() || remote.Is6() != v6 || local.IsValid() && local.Is6() != v6 {
		s.lose(unix.EAFNOSUPPORT)
		return
	}
	s.out.set(s.outTo, m.Buf[:m.N], remote, m.Path.Remote.Port(), s.zones.index(remote), local)
	s.outTo++
}

// transmit sends what is queued. Linux sends up to the first message that it refuses and reports the error when it
// is asked to begin with that one; this message is lost, and the rest goes on.
func (s *socket) transmit(fd uintptr) bool {
	for s.outFrom < s.outTo {
		n, errno := s.out.sendmmsg(fd, s.outFrom, s.outTo)
		switch errno {
		case 0:
			s.outFrom += n
			s.outSent += n
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			s.lose(errno)
			s.outFrom++
		}
	}
	return true
}

func (s *socket) lose(errno syscall.Errno) {
	s.lost.Add(1)
	if s.outErr == 0 {
		s.outErr = errno
	}
}
