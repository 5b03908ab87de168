package tun

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// The header of struct virtio_net_hdr, all of it in the machine's byte order:
//
//	| flags 1 | gso type 1 | header length 2 | gso size 2 | checksum start 2 | checksum offset 2 |
//
// decode reads it from the octets before the packet. The kernel's header length is no use: where it forwards a packet it is
// whatever the first buffer held.
func (f *Frame) decode() {
	h := f.Buf[f.At-Room : f.At]
	f.NeedsSum = h[0]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0
	f.Size = int(binary.NativeEndian.Uint16(h[4:]))
	f.SumStart, f.SumOffset = int(binary.NativeEndian.Uint16(h[6:])), int(binary.NativeEndian.Uint16(h[8:]))
	switch h[1] &^ unix.VIRTIO_NET_HDR_GSO_ECN { // whoever cuts looks at CWR itself
	case unix.VIRTIO_NET_HDR_GSO_NONE:
		f.Kind = Single
	case unix.VIRTIO_NET_HDR_GSO_TCPV4:
		f.Kind = TCP4
	case unix.VIRTIO_NET_HDR_GSO_TCPV6:
		f.Kind = TCP6
	case unix.VIRTIO_NET_HDR_GSO_UDP_L4:
		f.Kind = UDP
	default:
		f.Kind = Unknown
	}
}

// encode writes the header into the octets before the packet.
func (f *Frame) encode() {
	h := f.Buf[f.At-Room : f.At]
	clear(h)
	if f.NeedsSum {
		h[0] = unix.VIRTIO_NET_HDR_F_NEEDS_CSUM
		binary.NativeEndian.PutUint16(h[6:], uint16(f.SumStart))
		binary.NativeEndian.PutUint16(h[8:], uint16(f.SumOffset))
	}
	switch f.Kind {
	case TCP4:
		h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV4
	case TCP6:
		h[1] = unix.VIRTIO_NET_HDR_GSO_TCPV6
	case UDP:
		h[1] = unix.VIRTIO_NET_HDR_GSO_UDP_L4
	default:
		return
	}
	binary.NativeEndian.PutUint16(h[2:], uint16(f.Head))
	binary.NativeEndian.PutUint16(h[4:], uint16(f.Size))
}
