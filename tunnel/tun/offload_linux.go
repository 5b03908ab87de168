package tun

import "golang.org/x/sys/unix"

const (
	tsoFlags = unix.TUN_F_TSO4 | unix.TUN_F_TSO6 | unix.TUN_F_TSO_ECN
	usoFlags = unix.TUN_F_USO4 | unix.TUN_F_USO6
)

// offer tells the kernel which superpackets may come, and returns what it agreed to. A kernel that does not know
// a flag refuses all: those of UDP came with Linux 6.2.
func (d *device) offer(cfg Config) Offloads {
	for _, o := range []Offloads{{TSO: true, USO: true}, {TSO: true}, {USO: true}} {
		if o.TSO && cfg.NoTSO || o.USO && cfg.NoUSO {
			continue
		}
		flags := unix.TUN_F_CSUM
		if o.TSO {
			flags |= tsoFlags
		}
		if o.USO {
			flags |= usoFlags
		}
		refused := error(unix.EBADF)
		d.raw.Control(func(fd uintptr) { refused = unix.IoctlSetInt(int(fd), unix.TUNSETOFFLOAD, flags) })
		if refused == nil {
			return o
		}
	}
	return Offloads{}
}
