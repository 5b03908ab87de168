package transport

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Of ICMP: types and codes.
const (
	icmpUnreachable, icmpRedirect, icmpTimeExceeded = 3, 5, 11

	icmpNet, icmpHost, icmpProtocol, icmpPort, icmpFragmentation = 0, 1, 2, 3, 4
)

// forgeICMP sends an ICMP message about a UDP datagram from one local socket to another, as anybody who knows addresses and
// ports can.
func forgeICMP(t testing.TB, kind, code byte, mtu uint16, from, to netip.AddrPort) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	b := []byte{kind, code, 0, 0, 0, 0, byte(mtu >> 8), byte(mtu),
		0x45, 0, 5, 0xdc, 0, 1, 0, 0, 64, unix.IPPROTO_UDP, 0, 0}
	if kind == icmpRedirect {
		copy(b[4:], []byte{127, 0, 0, 9}) // the gateway to go by
	}
	b = append(append(b, from.Addr().AsSlice()...), to.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, from.Port()), to.Port())
	b = append(b, 5, 0xc8, 0, 0)
	sum := uint32(0)
	for i := 0; i < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	binary.BigEndian.PutUint16(b[2:], ^uint16(sum))
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: from.Addr().As4()}); err != nil {
		t.Fatal(err)
	}
}

// DOS-17, EV-17, EV-37, SM-13 (RFC 4301 §6.1.1, RFC 7296 §2.4): forged ICMP about our datagrams changes nothing. Packets leave without
// DF, so no router ever has to tell us of a smaller MTU; the path's stays what it was, and no error comes up at the socket.
func TestForgedICMPChangesNothing(t *testing.T) {
	privateNetwork(t)
	loopbackUp(t, 1500)
	for _, c := range []struct {
		name       string
		kind, code byte
		mtu        uint16
	}{
		{"fragmentation needed, 68 octets", icmpUnreachable, icmpFragmentation, 68},
		{"fragmentation needed, 0 octets", icmpUnreachable, icmpFragmentation, 0},
		{"fragmentation needed, 576 octets", icmpUnreachable, icmpFragmentation, 576},
		{"network unreachable", icmpUnreachable, icmpNet, 0},
		{"host unreachable", icmpUnreachable, icmpHost, 0},
		{"protocol unreachable", icmpUnreachable, icmpProtocol, 0},
		{"port unreachable", icmpUnreachable, icmpPort, 0},
		{"time exceeded", icmpTimeExceeded, 0, 0},
		{"redirect", icmpRedirect, 1, 0},
	} {
		a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
		m := say(strings.Repeat("x", 1400), netip.Addr{}, at(b, "127.0.0.1"))
		mustWrite(t, a, m)
		hear(t, b, 1)
		before, err := RouteMTU(Config{}, route("127.0.0.1"))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			forgeICMP(t, c.kind, c.code, c.mtu, at(a, "127.0.0.1"), at(b, "127.0.0.1"))
			mustWrite(t, a, m, m)
			if got := hear(t, b, 2); text(got[1]) != text(m) {
				t.Errorf("%s: %d octets arrived", c.name, got[1].N)
			}
		}
		if got, err := RouteMTU(Config{}, route("127.0.0.1")); got != before || before != 1500 {
			t.Errorf("%s: the path MTU is %d, it was %d (%v)", c.name, got, before, err)
		}
		mustWrite(t, b, say("back", netip.Addr{}, at(a, "127.0.0.1")))
		if got := text(hear(t, a, 1)[0]); got != "back" {
			t.Errorf("%s: then came %q", c.name, got)
		}
	}
}
