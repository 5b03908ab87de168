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
// (40 octets), and 24 octets each for SO_RXQ_OVFL, UDP_GRO or UDP_SEGMENT, and the TOS.
const controlWords = 16

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A vector is what recvmmsg and sendmmsg work on. Its parts point at each other, so it is never copied.
type vector struct {
	msgs     [batch]mmsghdr
	iovs     [batch][2]unix.Iovec         // the second for the tail of a run that leaves, or for what comes behind an IP header
	names    [batch]unix.RawSockaddrInet6 // also holds a RawSockaddrInet4, which is smaller
	controls [batch][controlWords]uint64
	runs     [batch]run // what leaves
}

// A run is what message i of a vector holds.
type run struct {
	datagrams int
	stride    int // 0: the kernel does not cut it
}

const controlLen = controlWords * 8

func newVector() *vector {
	v := new(vector)
	for i := range v.msgs {
		h := &v.msgs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&v.names[i]))
		h.Iov = &v.iovs[i][0]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&v.controls[i]))
	}
	return v
}

// newSendVector prepares the names; the addresses are left to be set.
func newSendVector(v6 bool) *vector {
	v := newVector()
	for i := range v.msgs {
		if v6 {
			v.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet6
			v.names[i].Family = unix.AF_INET6
		} else {
			v.msgs[i].hdr.Namelen = unix.SizeofSockaddrInet4
			v.names[i].Family = unix.AF_INET
		}
	}
	return v
}

// offer makes buf the place for datagram i.
func (v *vector) offer(i int, buf []byte) {
	v.iovs[i][0].Base = unsafe.SliceData(buf)
	v.iovs[i][0].SetLen(len(buf))
	h := &v.msgs[i].hdr
	h.Namelen = unix.SizeofSockaddrInet6
	h.SetControllen(controlLen)
	h.Flags = 0
}

// offerBehind makes buf the place for datagram i but for its first octets, which go to head.
func (v *vector) offerBehind(i int, head, buf []byte) {
	v.offer(i, head)
	v.iovs[i][1].Base = unsafe.SliceData(buf)
	v.iovs[i][1].SetLen(len(buf))
	v.msgs[i].hdr.SetIovlen(2)
}

// A target is where messages go to and come from, and how.
type target struct {
	remote netip.Addr
	port   uint16
	scope  uint32     // the index of the interface when remote is an IPv6 link-local address
	local  netip.Addr // not valid: the kernel chooses the source
	tos    uint8
}

// set makes message i carry buf to a target: one datagram if stride is 0, else a run for the kernel to cut.
func (v *vector) set(i int, buf []byte, stride int, t *target) {
	v.iovs[i][0].Base = unsafe.SliceData(buf)
	v.iovs[i][0].SetLen(len(buf))
	h := &v.msgs[i].hdr
	h.SetIovlen(1)
	h.SetControllen(0)
	v.runs[i] = run{datagrams: 1, stride: stride}
	level := unix.IPPROTO_IP
	if t.remote.Is4() {
		sa := (*unix.RawSockaddrInet4)(unsafe.Pointer(&v.names[i]))
		setPort(&sa.Port, t.port)
		sa.Addr = t.remote.As4()
		if t.local.IsValid() {
			*(*unix.Inet4Pktinfo)(v.control(i, level, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)) = unix.Inet4Pktinfo{Spec_dst: t.local.As4()}
		}
		if t.tos != 0 {
			*(*int32)(v.control(i, level, unix.IP_TOS, 4)) = int32(t.tos)
		}
	} else {
		level = unix.IPPROTO_IPV6
		sa := &v.names[i]
		setPort(&sa.Port, t.port)
		sa.Addr, sa.Scope_id = t.remote.As16(), t.scope
		if t.local.IsValid() {
			*(*unix.Inet6Pktinfo)(v.control(i, level, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)) = unix.Inet6Pktinfo{Addr: t.local.As16()}
		}
		if t.tos != 0 {
			*(*int32)(v.control(i, level, unix.IPV6_TCLASS, 4)) = int32(t.tos)
		}
	}
	if stride > 0 {
		v.runs[i].datagrams = (len(buf) + stride - 1) / stride
		*(*uint16)(v.control(i, unix.SOL_UDP, unix.UDP_SEGMENT, 2)) = uint16(stride)
	}
}

// setLike makes message i carry the one datagram buf to where message k of w goes.
func (v *vector) setLike(i int, buf []byte, w *vector, k int) {
	v.iovs[i][0].Base = unsafe.SliceData(buf)
	v.iovs[i][0].SetLen(len(buf))
	v.names[i], v.controls[i], v.runs[i] = w.names[k], w.controls[k], run{datagrams: 1}
	length := int(w.msgs[k].hdr.Controllen)
	if w.runs[k].stride > 0 {
		length -= unix.CmsgSpace(2) // UDP_SEGMENT, the last
	}
	v.msgs[i].hdr.SetControllen(length)
}

// control adds a control message of n octets to message i and returns where its data go.
func (v *vector) control(i, level, kind, n int) unsafe.Pointer {
	h := &v.msgs[i].hdr
	at := unsafe.Add(unsafe.Pointer(&v.controls[i]), h.Controllen)
	c := (*unix.Cmsghdr)(at)
	c.Level, c.Type = int32(level), int32(kind)
	c.SetLen(unix.CmsgLen(n))
	h.SetControllen(int(h.Controllen) + unix.CmsgSpace(n))
	return unsafe.Add(at, unix.CmsgLen(0))
}

// addTail makes message i longer by one short datagram.
func (v *vector) addTail(i int, tail []byte) {
	v.iovs[i][1].Base = unsafe.SliceData(tail)
	v.iovs[i][1].SetLen(len(tail))
	v.msgs[i].hdr.SetIovlen(2)
}

// bufOf returns what message i carries, without a tail.
func (v *vector) bufOf(i int) []byte {
	return unsafe.Slice(v.iovs[i][0].Base, v.iovs[i][0].Len)
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

// The calls below never wait and are done in some 100 µs at most. So they go to the kernel past Go's scheduler
// (RawSyscall6): telling it of each costs a tenth of all CPU time at full speed.

func (v *vector) recvmmsg(fd uintptr, want int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&v.msgs)), uintptr(want), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

func (v *vector) sendmmsg(fd uintptr, from, to int) (int, syscall.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&v.msgs[from])), uintptr(to-from), unix.MSG_DONTWAIT, 0, 0)
	return int(n), errno
}

// Ports in a socket address are in network order whatever the machine's.
func setPort(field *uint16, p uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(field))[:], p)
}
func port(field *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(field))[:]) }
