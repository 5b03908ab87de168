package transport

import (
	"net/netip"
	"os"

	"golang.org/x/sys/unix"
)

func (s *socket) Read(ms []Message) (int, error) {
	ms = ms[:min(len(ms), batch)]
	if len(ms) == 0 {
		return 0, nil
	}
	for {
		for i := range ms {
			if s.heads != nil {
				s.in.offerBehind(i, s.heads[i][:], ms[i].Buf)
				continue
			}
			s.in.offer(i, ms[i].Buf)
		}
		s.inWant = len(ms)
		if err := s.raw.Read(s.inDo); err != nil {
			return 0, s.ended(err)
		}
		if s.inErr != 0 {
			return 0, os.NewSyscallError("recvmmsg", s.inErr)
		}
		if n := s.collect(ms[:s.inGot]); n > 0 {
			return n, nil
		}
	}
}

// receive makes one recvmmsg call and reports whether there is something to return; if not, the caller waits until
// the socket is readable.
func (s *socket) receive(fd uintptr) bool {
	for {
		s.inGot, s.inErr = s.in.recvmmsg(fd, s.inWant)
		switch s.inErr {
		case unix.EAGAIN:
			return false
		case unix.EINTR, unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENETDOWN, unix.EMSGSIZE, unix.EPROTO:
			// An ICMP error about something sent earlier is reported once, and says nothing about this socket (EV-37).
		default:
			return true
		}
	}
}

// collect takes over what the kernel wrote into the vector, and closes the gaps that dropped datagrams leave by
// exchanging buffers.
func (s *socket) collect(got []Message) int {
	n := 0
	for i := range got {
		h := &s.in.msgs[i]
		a := s.readControl(s.in.controlOf(i))
		switch {
		case h.hdr.Flags&unix.MSG_TRUNC != 0:
			s.truncated.Add(1)
			continue
		case a.group:
			s.group.Add(1)
			continue
		}
		length, ok := s.payload(i, got[i].Buf)
		if !ok {
			s.fragment.Add(1)
			continue
		}
		remote := s.in.nameOf(i)
		if scope := s.in.names[i].Scope_id; remote.Addr().IsLinkLocalUnicast() && remote.Addr().Is6() && scope != 0 {
			remote = netip.AddrPortFrom(s.zones.add(remote.Addr(), scope), remote.Port())
		}
		got[n].Buf, got[i].Buf = got[i].Buf, got[n].Buf
		got[n].N = length
		got[n].Stride, got[n].TOS = 0, a.tos
		if a.stride < got[n].N {
			got[n].Stride = max(a.stride, 0)
		}
		got[n].Path.Local = netip.AddrPortFrom(a.local, s.bound.Port())
		got[n].Path.Remote = remote
		n++
	}
	return n
}
