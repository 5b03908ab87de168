package transport

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// batch is how many datagrams one system call moves at most. Beyond some dozens the cost of the call no longer
// shows, and the buffers begin to leave the cache.
const batch = 64

// controlWords holds the control messages of one datagram, in 8-octet words for alignment: the larger PKTINFO
// (40 octets) and SO_RXQ_OVFL (24), with some room.
const controlWords = 12

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A vector is what recvmmsg and sendmmsg work on. Its parts point at each other, so it is never copied.
type vector struct {
	msgs     [batch]mmsghdr
	iovs     [batch]unix.Iovec
	names    [batch]unix.RawSockaddrInet6 // also holds a RawSockaddrInet4, which is smaller
	controls [batch][controlWords]uint64
}

const controlLen = controlWords * 8

func newVector() *vector {
	v := new(vector)
	for i := range v.msgs {
		h := &v.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&v.names[i]))
		h.Iov = &v.iovs[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&v.controls[i]))
	}
	return v
}

// newSendVector prepares the control message that names the source address; only the address is left to be set.
func newSendVector(v6 bool) *vector {
	v := newVector()
	for i := range v.msgs {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&v.controls[i]))
		if v6 {
			c.Level, c.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
			c.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
			v.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			v.names[i].Family = unix.AF_INET6
		} else {
			c.Level, c.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
			c.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
			v.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet4
			v.names[i].Family = unix.AF_INET
		}
	}
	return v
}

// offer makes buf the place for datagram i.
func (v *vector) offer(i int, buf []byte) {
	v.iovs[i].Base = unsafe.SliceData(buf)
	v.iovs[i].SetLen(len(buf))
	h := &v.msgs[i].hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(controlLen)
	h.Flags = 0
}

// set makes datagram i carry buf to remote. scope is the index of the interface when remote is an IPv6 link-local
// address. An invalid local leaves the source to the kernel.
func (v *vector) set(i int, buf []byte, remote netip.Addr, port uint16, scope uint32, local netip.Addr) {
	v.iovs[i].Base = unsafe.SliceData(buf)
	v.iovs[i].SetLen(len(buf))
	h := &v.msgs[i].hdr
	data := unsafe.Add(unsafe.Pointer(&v.controls[i]), unix.CmsgLen(0))
	h.SetControllen(0)
	if remote.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&v.names[i]))
		setPort(&sa.Port, port)
		sa.Addr = remote.As4()
		if local.IsValid() {
			*(*unix.Inet4Pktinfo)(data) = unix.Inet4Pktinfo{Spec_dst: local.As4()}
			h.SetControllen(unix.CmsgSpace(unix.SizeofInet4Pktinfo))
		}
		return
	}
	sa := &v.names[i]
	setPort(&sa.Port, port)
	sa.Addr, sa.Scope_id = remote.As16(), scope
	if local.IsValid() {
		*(*unix.Inet6Pktinfo)(data) = unix.Inet6Pktinfo{Addr: local.As16()}
		h.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
	}
}

// nameOf returns who sent datagram i, without a zone.
func (v *vector) nameOf(i int) netip.AddrPort {
	sa := &v.names[i]
	if sa.Family == unix.AF_INET {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port(&sa4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), port(&sa.Port))
}

// controlOf returns the control messages that came with datagram i.
func (v *vector) controlOf(i int) []byte {
	all := unsafe.Slice((*byte)(unsafe.Pointer(&v.controls[i])), controlLen)
	return all[:min(uint64(v.msgs[i].hdr.Controllen), controlLen)]
}

func (v *vector) recvmmsg(fd uintptr, want int) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&v.msgs)), uintptr(want), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func (v *vector) sendmmsg(fd uintptr, from, to int) (int, syscall.Errno) {
	n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&v.msgs[from])), uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// Ports in a socket address are in network order whatever the machine's.
func setPort(field *uint16, p uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(field))[:], p)
}
func port(field *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(field))[:]) }
