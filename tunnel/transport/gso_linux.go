package transport

import (
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	patience = 16   // refused runs in a row after which the kernel is not asked for a while
	pause    = 4096 // runs
	tailFrom = 8    // datagrams of one length that a sick kernel mangles
)

// tail is a NAT keepalive: whoever takes ESP in UDP ignores it (RFC 3948 §4).
var tail = []byte{KeepaliveOctet}

// A segmenting decides which runs the kernel shall cut. The socket's writing guards all but the atomic fields.
type segmenting struct {
	on      atomic.Bool
	refused atomic.Uint64 // runs that the kernel would not cut
	row     int           // refused since the last that was not
	skip    int           // runs not to try
	sick    bool          // the kernel mangles runs of equal datagrams, see sickSegmentation
}

func (g *segmenting) init(wanted bool) {
	var name unix.Utsname
	err := unix.Uname(&name)
	// UDP_SEGMENT came with 4.18. A kernel that has it and whose device does not is found out by the first run.
	g.on.Store(wanted && err == nil && atLeast(release(name.Release[:]), [3]int{4, 18, 0}))
	g.sick = err == nil && sickSegmentation(release(name.Release[:]))
}

// use reports whether the kernel shall cut the next run.
func (g *segmenting) use() bool {
	if !g.on.Load() {
		return false
	}
	if g.skip > 0 {
		g.skip--
		return false
	}
	return true
}

// refuse takes note of a run that the kernel did not cut, and reports whether the run may pass in pieces.
//
//	EIO              the device makes no checksums (up to Linux 6.10), or IPsec policy covers the route: no run will go
//	EINVAL, EMSGSIZE datagrams longer than the path's MTU, or more than this kernel takes: the next may go
func (g *segmenting) refuse(errno syscall.Errno) bool {
	switch errno {
	case unix.EIO:
		g.on.Store(false)
	case unix.EINVAL, unix.EMSGSIZE:
		if g.row++; g.row >= patience {
			g.row, g.skip = 0, pause
		}
	default:
		return false
	}
	g.refused.Add(1)
	return true
}

// needsTail reports whether a run must not consist of equal datagrams alone.
func (g *segmenting) needsTail(n, octets, stride int) bool {
	return g.sick && n >= tailFrom && octets%stride == 0 && stride > len(tail)
}

// sickSegmentation reports whether a kernel of this release mangles runs of equal datagrams: from 7.0 on, mended in 7.1.5.
func sickSegmentation(r [3]int) bool {
	return atLeast(r, [3]int{7, 0, 0}) && !atLeast(r, [3]int{7, 1, 5})
}

func atLeast(r, than [3]int) bool {
	for i := range r {
		if r[i] != than[i] {
			return r[i] > than[i]
		}
	}
	return true
}

// release reads the three numbers that a kernel's release begins with: "6.18.44-fc" is 6, 18, 44.
func release(b []byte) (r [3]int) {
	i := 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			r[i] = r[i]*10 + int(c-'0')
		case c == '.' && i < len(r)-1:
			i++
		default:
			return r
		}
	}
	return r
}
