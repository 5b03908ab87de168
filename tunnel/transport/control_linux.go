package transport

import (
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bufferSize is what is asked for on both sides of a socket, in octets. A burst that waits for the reader must fit,
// and at 10 Gbit/s this is 6 ms; with the usual 208 KiB one scheduling delay loses packets.
const bufferSize = 7 << 20

// setOptions is called before bind, so nothing arrives that lacks its control messages.
func setOptions(fd int, v6 bool, cfg Config) error {
	if cfg.share {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("share the port: %w", err)
		}
	}
	if cfg.Interface != "" {
		if err := unix.BindToDevice(fd, cfg.Interface); err != nil {
			return fmt.Errorf("bind to interface %q: %w", cfg.Interface, err)
		}
	}
	// The receiver's family of options. Packets leave without DF and may be fragmented (see doc.go). With IPv4 the kernel
	// listens to no ICMP "fragmentation needed" about them: routers do the cutting, so it can only be forged (DOS-17).
	level, discover, may, _ := fragmenting(v6)
	pktinfo, tos := unix.IP_PKTINFO, unix.IP_RECVTOS
	if v6 {
		pktinfo, tos = unix.IPV6_RECVPKTINFO, unix.IPV6_RECVTCLASS
	}
	options := []struct {
		name              string
		level, opt, value int
	}{
		{"mark", unix.SOL_SOCKET, unix.SO_MARK, int(cfg.Mark)},
		{"report the local address", level, pktinfo, 1},
		{"leave DF clear", level, discover, may},
		{"report the TOS", level, tos, 1},
		{"report overflows", unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1},
	}
	for _, o := range options {
		if o.opt == unix.SO_MARK && o.value == 0 {
			continue // setting even 0 needs a privilege
		}
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("%s: %w", o.name, err)
		}
	}
	// Past net.core.rmem_max and wmem_max with CAP_NET_ADMIN, up to them without. Less than asked is slower, not wrong.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, bufferSize) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, bufferSize)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, bufferSize) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, bufferSize)
	}
	return nil
}

// fragmenting returns the socket option that says whether packets may be fragmented, by this host or by others, and its values.
func fragmenting(v6 bool) (level, option, may, mayNot int) {
	if v6 {
		return unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT, unix.IPV6_PMTUDISC_PROBE
	}
	return unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT, unix.IP_PMTUDISC_PROBE
}

// An arrival is what the control messages of one message tell.
type arrival struct {
	local  netip.Addr // the address it was sent to
	group  bool       // which is one of many hosts
	tos    uint8
	stride int
}

// readControl reads the control messages that came with one message. The kernel's count of overflows goes to s.
func (s *socket) readControl(b []byte) arrival {
	a := arrival{local: s.bound.Addr()}
	for len(b) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(b)
		if err != nil {
			break
		}
		b = rest
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			// Addr is the destination in the header, Spec_dst our address to answer from. They differ when the
			// datagram was sent to a broadcast or multicast address.
			a.local, a.group = netip.AddrFrom4(info.Spec_dst), info.Addr != info.Spec_dst
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a.local = netip.AddrFrom16((*unix.Inet6Pktinfo)(unsafe.Pointer(&data[0])).Addr)
			a.group = a.local.IsMulticast()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			a.tos = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			a.tos = uint8(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.SOL_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			a.stride = int(*(*int32)(unsafe.Pointer(&data[0])))
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			total := *(*uint32)(unsafe.Pointer(&data[0]))
			s.overflow.Add(uint64(total - s.kernelDrops)) // the kernel counts modulo 2^32
			s.kernelDrops = total
		}
	}
	return a
}
