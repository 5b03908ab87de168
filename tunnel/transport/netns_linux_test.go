package transport

import (
	"net/netip"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// privateNetwork gives the test a network namespace of its own, with a loopback interface that is down. The test's
// thread is never unlocked, so it ends with the test and takes the namespace along.
func privateNetwork(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root for a network namespace")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("needs a network namespace: %v", err)
	}
}

// loopbackUp brings lo up with an MTU in octets.
func loopbackUp(t testing.TB, mtu uint32) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	ifr, _ := unix.NewIfreq("lo")
	ifr.SetUint32(mtu)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFMTU, ifr); err != nil {
		t.Fatal(err)
	}
	ifr.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, ifr); err != nil {
		t.Fatal(err)
	}
}

// EV-13, EV-37: an interface that goes away is loss, and the socket works when it is back.
func TestSocketSurvivesALinkThatIsDown(t *testing.T) {
	privateNetwork(t)
	a, b := listen(t, "0.0.0.0:0"), listen(t, "0.0.0.0:0")
	m := say("hello", netip.Addr{}, at(b, "127.0.0.1"))
	if n, err := a.Write([]Message{m, m}); n != 0 || err != unix.ENETUNREACH {
		t.Errorf("with no route: Write = %d, %v; want 0, ENETUNREACH", n, err)
	}
	loopbackUp(t, 65536)
	mustWrite(t, a, m)
	if got := text(hear(t, b, 1)[0]); got != "hello" {
		t.Errorf("got %q", got)
	}
}

// Whole: what does not fit into the path is not sent, and everything before and after it is, in order.
func TestWholeDatagramsAreNotFragmented(t *testing.T) {
	privateNetwork(t)
	loopbackUp(t, 1280)
	for addr, headers := range map[string]int{"127.0.0.1": 28, "::1": 48} {
		any := netip.AddrPortFrom(netip.MustParseAddr(addr), 0).String()
		a, b := listen(t, any), listen(t, any)
		whole := func(n int) Message {
			m := say(strings.Repeat("w", n), netip.Addr{}, at(b, addr))
			m.Whole = true
			return m
		}
		large := say(strings.Repeat("x", 4000), netip.Addr{}, at(b, addr))
		if n, err := a.Write([]Message{large, whole(1280 - headers + 1), whole(1280 - headers), large}); n != 3 || err != unix.EMSGSIZE {
			t.Errorf("%s: Write = %d, %v; want 3, EMSGSIZE", addr, n, err)
		}
		for i, want := range []int{4000, 1280 - headers, 4000} {
			if got := hear(t, b, 1)[0]; got.N != want {
				t.Errorf("%s: datagram %d has %d octets, want %d", addr, i, got.N, want)
			}
		}
	}
}

// DF is clear: an IKE message with certificates is larger than an MTU, and must go through.
func TestLargeDatagramsAreFragmented(t *testing.T) {
	privateNetwork(t)
	loopbackUp(t, 1280)
	for _, addr := range []string{"127.0.0.1", "::1"} { // no subtests: they would run on other threads, outside
		any := netip.AddrPortFrom(netip.MustParseAddr(addr), 0).String()
		a, b := listen(t, any), listen(t, any)
		large := strings.Repeat("x", 4000)
		mustWrite(t, a, say(large, netip.Addr{}, at(b, addr)))
		if got := hear(t, b, 1)[0]; text(got) != large {
			t.Errorf("%s: %d octets arrived, want %d", addr, got.N, len(large))
		}
	}
}
