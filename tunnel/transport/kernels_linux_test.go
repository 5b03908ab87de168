package transport

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// otherKernel makes a socket's kernel one that refuses some runs, as the real one does: it sends what comes before.
func otherKernel(s *socket, refuses func(r run) syscall.Errno) {
	s.outCall = func(v *vector, fd uintptr, from, to int) (int, syscall.Errno) {
		for i := from; i < to; i++ {
			if errno := refuses(v.runs[i]); v.runs[i].stride > 0 && errno != 0 {
				if i == from {
					return 0, errno
				}
				return v.sendmmsg(fd, from, i)
			}
		}
		return v.sendmmsg(fd, from, to)
	}
}

// The kernels of dataplane pitfalls: whatever they refuse, every datagram arrives, once and in order; what will never go is
// asked for once, and what may go again is.
func TestKernelsThatRefuseRuns(t *testing.T) {
	for _, tt := range []struct {
		name    string
		refuses func(r run) syscall.Errno
		refused uint64 // of the four runs that are sent
		still   bool   // in use afterwards: the runs of the next call are tried too
	}{
		{"a device without checksums, or IPsec policy on the route", func(run) syscall.Errno { return unix.EIO }, 4, false},
		{"longer than the path takes, before 6.14", func(r run) syscall.Errno {
			if r.stride > 1400 {
				return unix.EINVAL
			}
			return 0
		}, 2, true},
		{"longer than the path takes, since 6.14", func(r run) syscall.Errno {
			if r.stride > 1400 {
				return unix.EMSGSIZE
			}
			return 0
		}, 2, true},
		{"more datagrams than it takes", func(r run) syscall.Errno {
			if r.datagrams > 16 {
				return unix.EINVAL
			}
			return 0
		}, 3, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
			otherKernel(a, tt.refuses)
			to := at(b, "127.0.0.1")
			ms := []Message{runOf(10, 1000, 1000, to), runOf(20, 1472, 17, to), say("alone", to.Addr(), to), runOf(44, 1472, 1472, to), runOf(60, 100, 100, to)}
			n := 10 + 20 + 1 + 44 + 60
			refused := uint64(0)
			for call := range 2 {
				mustSend(t, a, ms...)
				got, _ := gather(t, b, n)
				wantDatagrams(t, got, ms...)
				if call == 0 || tt.still {
					refused += tt.refused
				}
				if o := a.Offloads(); o.GSO != tt.still || o.Refused != refused || a.Drops().Send != 0 {
					t.Errorf("offloads %+v, lost %d; want GSO %v and %d refused", o, a.Drops().Send, tt.still, refused)
				}
			}
		})
	}
}

// A run that meets another error is lost as a datagram would be, and costs the offload nothing.
func TestARunWithoutARouteIsLost(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	otherKernel(a, func(run) syscall.Errno { return unix.ENETUNREACH })
	if n, err := a.Write([]Message{runOf(10, 1000, 1000, at(b, "127.0.0.1"))}); n != 0 || err != unix.ENETUNREACH {
		t.Errorf("Write = %d, %v", n, err)
	}
	if o := a.Offloads(); !o.GSO || o.Refused != 0 || a.Drops().Send != 10 {
		t.Errorf("offloads %+v, %d lost", o, a.Drops().Send)
	}
}

// Kernels refuse to cut runs of a socket that leaves checksums out, and only datagrams with one are put together again.
func TestDatagramsHaveChecksums(t *testing.T) {
	a := listen(t, "127.0.0.1:0")
	a.raw.Control(func(fd uintptr) {
		if off, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK); off != 0 || err != nil {
			t.Errorf("SO_NO_CHECK is %d, %v", off, err)
		}
	})
}
