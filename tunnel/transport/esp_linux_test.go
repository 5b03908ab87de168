package transport

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

// The addresses that espNetwork gives the loopback interface besides those of IPv4, which are all 127.0.0.0/8.
var espHosts = [][2]string{{"127.0.0.2", "127.0.0.3"}, {"fd00::2", "fd00::3"}}

// espNetwork is a network of the test's own: nobody else's raw socket sees its packets.
func espNetwork(t testing.TB, mtu uint32) {
	t.Helper()
	privateNetwork(t)
	loopbackUp(t, mtu)
	for _, host := range espHosts[1] {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		ifr := struct { // struct in6_ifreq
			addr  [16]byte
			bits  uint32
			index int32
		}{netip.MustParseAddr(host).As16(), 128, 1}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&ifr))); errno != 0 {
			t.Fatalf("address %s: %v", host, errno)
		}
		began := time.Now() // the kernel makes it usable on another thread
		for unix.Bind(fd, &unix.SockaddrInet6{Addr: ifr.addr}) == unix.EADDRNOTAVAIL && time.Since(began) < 5*time.Second {
			runtime.Gosched()
		}
	}
}

func listenESP(t testing.TB, addr string) *socket {
	t.Helper()
	s, err := ListenESP(Config{Addr: netip.AddrPortFrom(netip.MustParseAddr(addr), 0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*socket)
}

// bareTo is the way from one address to another without ports; "" leaves the choice to the kernel.
func bareTo(from, to string) esp.Path {
	p := esp.Path{Remote: netip.AddrPortFrom(netip.MustParseAddr(to), 0)}
	if from != "" {
		p.Local = netip.AddrPortFrom(netip.MustParseAddr(from), 0)
	}
	return p
}

func sayESP(text string, tos uint8, on esp.Path) Message {
	return Message{Buf: []byte(text), N: len(text), TOS: tos, Path: on}
}

// RFC 7296 §2.23, ESP-05, ESP-07: what arrives is the ESP packet without its outer header, and the addresses and the TOS of that.
func TestBareESPTellsItsAddresses(t *testing.T) {
	espNetwork(t, 65536)
	for _, hosts := range espHosts {
		any := "0.0.0.0"
		if netip.MustParseAddr(hosts[0]).Is6() {
			any = "::"
		}
		server, client := listenESP(t, hosts[1]), listenESP(t, any)
		if server.Port() != 0 {
			t.Errorf("%s: port %d", hosts[1], server.Port())
		}
		mustWrite(t, client, sayESP("from one address", 0x2e<<2|1, bareTo(hosts[0], hosts[1])), sayESP("x", 0, bareTo(hosts[0], hosts[1])))
		got := hear(t, server, 2)
		if text(got[0]) != "from one address" || got[0].TOS != 0x2e<<2|1 || got[0].Path != bareTo(hosts[1], hosts[0]) {
			t.Errorf("%s: %q, TOS %#x, on %v", hosts[1], text(got[0]), got[0].TOS, got[0].Path)
		}
		if text(got[1]) != "x" || got[1].TOS != 0 {
			t.Errorf("%s: %q, TOS %#x", hosts[1], text(got[1]), got[1].TOS)
		}
		got[0].N = copy(got[0].Buf, "answer")
		mustWrite(t, server, got[0])
		back := hear(t, client, 3)[2] // who is bound to every address also hears itself
		if text(back) != "answer" || back.Path != bareTo(hosts[0], hosts[1]) {
			t.Errorf("%s: answer %q on %v", any, text(back), back.Path)
		}
	}
}

func TestRunsLeaveAsSinglePackets(t *testing.T) {
	espNetwork(t, 1500)
	for _, hosts := range espHosts {
		a, b := listenESP(t, hosts[0]), listenESP(t, hosts[1])
		const stride, last, n = 1432, 100, 45 // two of them are more than one system call
		run := Message{Buf: make([]byte, stride*n), N: stride*(n-1) + last, Stride: stride, Path: bareTo("", hosts[1])}
		for i := range n {
			binary.BigEndian.PutUint32(run.Buf[i*stride:], uint32(i))
		}
		if sent, err := a.Write([]Message{run, run}); sent != 2*n || err != nil {
			t.Fatalf("%s: Write = %d, %v; want %d", hosts[1], sent, err, 2*n)
		}
		for i, m := range hear(t, b, 2*n) {
			want := stride
			if i%n == n-1 {
				want = last
			}
			if m.Stride != 0 || m.N != want || binary.BigEndian.Uint32(m.Buf) != uint32(i%n) {
				t.Fatalf("%s: packet %d has %d octets and begins with %d, stride %d", hosts[1], i, m.N, binary.BigEndian.Uint32(m.Buf), m.Stride)
			}
		}
		if off := a.Offloads(); off.GSO || off.GRO {
			t.Errorf("%s: offloads %+v, and the kernel has none", hosts[1], off)
		}
	}
}

// E-07, RFC 4303 §3.4.1: an outer packet that was fragmented is put together first, and a fragment alone is nothing.
func TestFragmentsAreNoESP(t *testing.T) {
	espNetwork(t, 1280)
	for _, hosts := range espHosts {
		a, b := listenESP(t, hosts[0]), listenESP(t, hosts[1])
		if !a.bound.Addr().Is6() {
			sendByHand(t, hosts[1], 0x2000, nil, strings.Repeat("f", 64)) // "more fragments", which never come
		}
		large := strings.Repeat("x", 4000)
		mustWrite(t, a, sayESP(large, 0, bareTo("", hosts[1])))
		if got := hear(t, b, 1)[0]; text(got) != large {
			t.Errorf("%s: %d octets arrived, want %d", hosts[1], got.N, len(large))
		}
	}
}

func TestOuterOptionsAreTakenOff(t *testing.T) {
	espNetwork(t, 1500)
	b := listenESP(t, "127.0.0.3")
	sendByHand(t, "127.0.0.3", 0, []byte{1, 1, 1, 0}, "behind options")
	if got := hear(t, b, 1)[0]; text(got) != "behind options" {
		t.Errorf("got %q", text(got))
	}
}

// sendByHand sends an IPv4 packet of protocol 50 whose header is given, from 127.0.0.2.
func sendByHand(t *testing.T, to string, fragment uint16, options []byte, payload string) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	p := make([]byte, ipv4HeaderLen, 200)
	p[0], p[8], p[9] = byte(0x45+len(options)/4), 64, protocolESP
	binary.BigEndian.PutUint16(p[4:], 7)
	binary.BigEndian.PutUint16(p[6:], fragment)
	copy(p[12:], netip.MustParseAddr("127.0.0.2").AsSlice())
	copy(p[16:], netip.MustParseAddr(to).AsSlice())
	p = append(append(p, options...), payload...)
	if err := unix.Sendto(fd, p, 0, &unix.SockaddrInet4{Addr: netip.MustParseAddr(to).As4()}); err != nil {
		t.Fatal(err)
	}
}

// E-07, MAL-01: what the kernel never hands on, and what it might.
func TestHeadersAreJudged(t *testing.T) {
	tests := []struct {
		name     string
		first    byte
		fragment uint16
		n        int
		want     string // "": refused
	}{
		{"whole", 0x45, 0, 28, "options!"},
		{"DF", 0x45, 0x4000, 28, "options!"},
		{"with options", 0x46, 0, 28, "ons!"},
		{"more fragments", 0x45, 0x2000, 28, ""},
		{"the last fragment", 0x45, 1, 28, ""},
		{"a header that is too short", 0x44, 0, 28, ""},
		{"a header that is longer than the packet", 0x4f, 0, 28, ""},
		{"less than a header", 0x45, 0, 19, ""},
	}
	for _, tt := range tests {
		var head [ipv4HeaderLen]byte
		head[0] = tt.first
		binary.BigEndian.PutUint16(head[6:], tt.fragment)
		buf := []byte("options!")
		n, ok := behindHeader(&head, buf, tt.n)
		if ok != (tt.want != "") || ok && string(buf[:n]) != tt.want {
			t.Errorf("%s: %q, %v; want %q", tt.name, buf[:n], ok, tt.want)
		}
	}
}

// EV-38
func TestBareOverflowIsCounted(t *testing.T) {
	espNetwork(t, 1500)
	for _, hosts := range espHosts {
		a, b := listenESP(t, hosts[0]), listenESP(t, hosts[1])
		if err := b.raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) }); err != nil {
			t.Fatal(err)
		}
		one := sayESP(strings.Repeat("x", 1000), 0, bareTo("", hosts[1]))
		for range batch {
			mustWrite(t, a, one)
		}
		ms := room(batch, 2000)
		n, err := b.Read(ms)
		if err != nil {
			t.Fatal(err)
		}
		mustWrite(t, a, one) // the count comes with the next that fits
		hear(t, b, 1)
		if got := b.Drops().Overflow; n == batch || got != uint64(batch-n) {
			t.Errorf("%s: %d of %d arrived and %d are counted as overflow", hosts[1], n, batch, got)
		}
	}
}

// CAP_NET_RAW is enough, and without it the error says so, in a form that a program understands.
func TestBareESPNeedsAPrivilege(t *testing.T) {
	privateNetwork(t) // and a thread that ends with the test
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	only := caps
	only[0].Effective, only[1].Effective = 1<<unix.CAP_NET_RAW, 0
	if err := unix.Capset(&header, &only[0]); err != nil {
		t.Fatal(err)
	}
	listenESP(t, "0.0.0.0")
	listenESP(t, "::")
	caps[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&header, &caps[0]); err != nil {
		t.Fatal(err)
	}
	s, err := ListenESP(Config{Addr: netip.AddrPortFrom(netip.IPv4Unspecified(), 0)})
	if err == nil {
		s.Close()
		t.Fatal("no error")
	}
	if !errors.Is(err, unix.EPERM) || !strings.Contains(err.Error(), "CAP_NET_RAW") || !strings.Contains(err.Error(), "0.0.0.0") {
		t.Error(err)
	}
	if _, err := ListenESP(Config{}); err == nil {
		t.Error("no address: no error")
	}
}

func TestABareSocketEnds(t *testing.T) {
	espNetwork(t, 1500)
	s := listenESP(t, "127.0.0.2")
	if n, err := s.Write([]Message{sayESP("x", 0, bareTo("", "fd00::3"))}); n != 0 || err != unix.EAFNOSUPPORT || s.Drops().Send != 1 {
		t.Errorf("the other family: %d, %v, %d lost", n, err, s.Drops().Send)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := s.Read(room(1, 10)); err != net.ErrClosed {
		t.Errorf("Read after Close = %v, want net.ErrClosed", err)
	}
	if err := s.ended(unix.EBADF); !strings.Contains(err.Error(), "ESP socket 127.0.0.2") {
		t.Error(err)
	}
}

func TestBareESPCostsNoAllocation(t *testing.T) {
	espNetwork(t, 1500)
	for _, hosts := range espHosts {
		a, b := listenESP(t, hosts[0]), listenESP(t, hosts[1])
		out, in := []Message{{Buf: make([]byte, 20*1432), N: 20 * 1432, Stride: 1432, TOS: 2, Path: bareTo(hosts[0], hosts[1])}}, room(batch, 2000)
		if n := testing.AllocsPerRun(100, func() { crossESP(t, a, b, out, in, 20) }); n != 0 {
			t.Errorf("%s: %v allocations for 20 packets", hosts[1], n)
		}
	}
}

func crossESP(t testing.TB, a, b *socket, out, in []Message, n int) {
	if sent, err := a.Write(out); sent != n || err != nil {
		t.Fatal(sent, err)
	}
	for got := 0; got < n; {
		k, err := b.Read(in)
		if err != nil {
			t.Fatal(err)
		}
		got += k
	}
}

func BenchmarkBareESP(b *testing.B) {
	espNetwork(b, 1500)
	hosts := espHosts[0]
	a, c := listenESP(b, hosts[0]), listenESP(b, hosts[1])
	out, in := []Message{{Buf: make([]byte, 44*1432), N: 44 * 1432, Stride: 1432, Path: bareTo("", hosts[1])}}, room(batch, 2000)
	b.ReportAllocs()
	b.SetBytes(44 * 1432)
	for b.Loop() {
		crossESP(b, a, c, out, in, 44)
	}
}
