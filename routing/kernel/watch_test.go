package kernel

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A listener has a Watch of this namespace that runs until the test ends.
type listener struct {
	*testing.T
	calls chan struct{}
}

func listen(t *testing.T, before func(*Watch)) listener {
	t.Helper()
	w, err := NewWatch(defaultProtocol)
	must(t, err)
	w.settle = time.Millisecond
	before(w)
	l := listener{t, make(chan struct{}, 100)}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx, func() { l.calls <- struct{}{} }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the watch ended with %v", err)
		}
	})
	return l
}

// hears waits for the Watch to tell something.
func (l listener) hears(what string) {
	l.Helper()
	select {
	case <-l.calls:
	case <-time.After(2 * time.Second):
		l.Errorf("%s: nothing was told", what)
	}
}

// quiet waits until no more is told, and returns how often it was until then.
func (l listener) quiet() (calls int) {
	for {
		select {
		case <-l.calls:
			calls++
		case <-time.After(20 * time.Millisecond):
			return calls
		}
	}
}

func TestWatchTellsOfChanges(t *testing.T) { // EV-12, EV-13, EV-14, EV-19
	namespace(t)
	k := started(t, Config{})
	must(t, k.Apply(t.Context(), wants(t, "up 10.2.0.0/16")))
	l := listen(t, func(*Watch) {})
	eth0, err := netlink.LinkByName("eth0")
	must(t, err)
	route := &netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: toAddr(netip.MustParsePrefix("203.0.113.0/24")).IPNet}
	ours := &netlink.Route{Dst: toAddr(netip.MustParsePrefix("10.2.0.0/16")).IPNet, Priority: 200, Scope: unix.RT_SCOPE_LINK}
	l.quiet()
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"an address comes", func() error { return netlink.AddrAdd(eth0, toAddr(netip.MustParsePrefix("192.0.2.9/24"))) }},
		{"an address goes", func() error { return netlink.AddrDel(eth0, toAddr(netip.MustParsePrefix("192.0.2.9/24"))) }},
		{"a route comes", func() error { return netlink.RouteAdd(route) }},
		{"a route goes", func() error { return netlink.RouteDel(route) }},
		{"a route of ours is taken away", func() error { return netlink.RouteDel(ours) }},
		{"a link goes down", func() error { return netlink.LinkSetDown(eth0) }},
		{"a link comes up", func() error { return netlink.LinkSetUp(eth0) }},
	} {
		must(t, c.do())
		l.hears(c.name)
		l.quiet()
	}
	must(t, k.Reconcile(t.Context())) // it puts back the route that was taken away
	must(t, k.Reconcile(t.Context()))
	if n := l.quiet(); n != 0 {
		t.Errorf("told %d times of what we do ourselves: that would go round for ever", n)
	}
}

// EV-19: what the kernel had no room to tell is told all the same, and the watch goes on.
func TestWatchOutlivesAnOverrun(t *testing.T) {
	namespace(t)
	eth0, err := netlink.LinkByName("eth0")
	must(t, err)
	burst := func() {
		for i := range 200 {
			p := netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}), 32)
			must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: toAddr(p).IPNet}))
		}
	}
	l := listen(t, func(w *Watch) {
		raw, err := w.socket.SyscallConn()
		must(t, err)
		must(t, raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 1) }))
		must(t, err)
		burst()
		var lost int
		must(t, raw.Control(func(fd uintptr) { lost, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR) }))
		must(t, err)
		if lost != int(unix.ENOBUFS) {
			t.Fatalf("the burst was not lost: %d", lost)
		}
		burst() // asking took the error away
	})
	l.hears("what was lost")
	l.quiet()
	must(t, netlink.AddrAdd(eth0, toAddr(netip.MustParsePrefix("192.0.2.9/24"))))
	l.hears("what came after")
}

func TestOursIsNoNews(t *testing.T) {
	for _, b := range [][]byte{nil, {1, 2, 3}, make([]byte, 16)} {
		if !news(b, defaultProtocol) {
			t.Errorf("% x, which nobody can read, is no news", b)
		}
	}
}

func TestCarriersAreThoseThatCanSend(t *testing.T) { // EV-13
	namespace(t)
	first := netip.MustParseAddr("192.0.2.1")
	l := listen(t, func(*Watch) {})
	carries := func(want bool) {
		t.Helper()
		all, err := Carriers()
		must(t, err)
		if got := slices.Contains(all, first); got != want {
			t.Errorf("eth0 carries: %v, want %v", got, want)
		}
	}
	carries(true)
	far, err := netlink.LinkByName("eth0-far")
	must(t, err)
	must(t, netlink.LinkSetDown(far)) // the cable is pulled; the address stays
	l.hears("a cable is pulled")
	l.quiet()
	carries(false)
	must(t, netlink.LinkSetUp(far))
	l.hears("it is put back")
	l.quiet()
	carries(true)
}
