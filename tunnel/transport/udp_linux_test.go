package transport

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

func listen(t testing.TB, addr string) *socket {
	t.Helper()
	s, err := Listen(Config{Addr: netip.MustParseAddrPort(addr)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*socket)
}

// at is where s is reached on a local address.
func at(s Socket, addr string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(addr), s.Port())
}

func say(text string, local netip.Addr, to netip.AddrPort) Message {
	return Message{Buf: []byte(text), N: len(text), Path: esp.Path{Local: netip.AddrPortFrom(local, 0), Remote: to}}
}

func room(n, size int) []Message {
	ms := make([]Message, n)
	for i := range ms {
		ms[i].Buf = make([]byte, size)
	}
	return ms
}

// hear reads until n messages are there.
func hear(t testing.TB, s Socket, n int) []Message {
	t.Helper()
	ms := room(n, 65535)
	for got := 0; got < n; {
		k, err := s.Read(ms[got:])
		if err != nil {
			t.Fatalf("after %d messages: %v", got, err)
		}
		got += k
	}
	return ms
}

func text(m Message) string { return string(m.Buf[:m.N]) }

func mustWrite(t testing.TB, s Socket, ms ...Message) {
	t.Helper()
	if n, err := s.Write(ms); n != len(ms) || err != nil {
		t.Fatalf("wrote %d of %d: %v", n, len(ms), err)
	}
}

func TestEachDatagramTellsItsAddresses(t *testing.T) {
	for _, family := range []struct{ any, a, b string }{
		{"0.0.0.0:0", "127.0.0.2", "127.0.0.3"},
		{"[::]:0", "::1", "::1"},
	} {
		t.Run(family.any, func(t *testing.T) {
			server, client := listen(t, family.any), listen(t, family.any)
			mustWrite(t, client,
				say("to a", netip.Addr{}, at(server, family.a)),
				say("from b", netip.MustParseAddr(family.b), at(server, family.b)))
			got := hear(t, server, 2)
			if text(got[0]) != "to a" || got[0].Path.Local != at(server, family.a) {
				t.Errorf("first: %q on %v, want local %v", text(got[0]), got[0].Path, at(server, family.a))
			}
			want := esp.Path{Local: at(server, family.b), Remote: at(client, family.b)}
			if text(got[1]) != "from b" || got[1].Path != want {
				t.Errorf("second: %q on %v, want %v", text(got[1]), got[1].Path, want)
			}
			// The answer leaves from the address that was spoken to, though the socket is bound to all.
			got[1].N = copy(got[1].Buf, "answer")
			mustWrite(t, server, got[1])
			if back := hear(t, client, 1)[0]; text(back) != "answer" || back.Path != want.Reverse() {
				t.Errorf("answer: %q on %v, want %v", text(back), back.Path, want.Reverse())
			}
		})
	}
}

func TestMoreMessagesThanOneCallTakes(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	const many = 2*batch + 7
	out := make([]Message, many)
	for i := range out {
		out[i] = say(strings.Repeat("x", i), netip.Addr{}, at(b, "127.0.0.1"))
	}
	mustWrite(t, a, out...)
	for i, m := range hear(t, b, many) {
		if m.N != i {
			t.Fatalf("message %d has %d octets: order or length was lost", i, m.N)
		}
	}
}

// EV-37: a send error is the loss of one message. The others leave, and the socket goes on.
func TestSendErrorIsLossOfOneMessage(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	to, none := at(b, "127.0.0.1"), netip.Addr{}
	tests := []struct {
		name string
		bad  Message
		want syscall.Errno // 0: kernels differ
	}{
		{"too large", say(strings.Repeat("x", 65508), none, to), unix.EMSGSIZE},
		{"port 0", say("x", none, netip.MustParseAddrPort("127.0.0.1:0")), unix.EINVAL},
		{"a source that is not ours", say("x", netip.MustParseAddr("192.0.2.1"), to), 0},
		{"the other family", say("x", none, netip.MustParseAddrPort("[::1]:9")), unix.EAFNOSUPPORT},
		{"a source of the other family", say("x", netip.MustParseAddr("::1"), to), unix.EAFNOSUPPORT},
		{"no address", say("x", none, netip.AddrPort{}), unix.EAFNOSUPPORT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := a.Drops().Send
			n, err := a.Write([]Message{say("one", none, to), tt.bad, say("two", none, to)})
			if n != 2 || err == nil || tt.want != 0 && err != tt.want {
				t.Errorf("Write = %d, %v; want 2, %v", n, err, tt.want)
			}
			got := hear(t, b, 2)
			if text(got[0]) != "one" || text(got[1]) != "two" {
				t.Errorf("arrived: %q, %q; want one, two", text(got[0]), text(got[1]))
			}
			if lost := a.Drops().Send - before; lost != 1 {
				t.Errorf("counted %d losses, want 1", lost)
			}
		})
	}
}

// EV-37: an ICMP error about an earlier datagram ends neither direction.
func TestUnreachablePortDoesNotEndTheSocket(t *testing.T) {
	a, b, closed := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	nobody := at(closed, "127.0.0.1")
	closed.Close()
	for range 3 {
		a.Write([]Message{say("x", netip.Addr{}, nobody)})
	}
	mustWrite(t, a, say("still here", netip.Addr{}, at(b, "127.0.0.1")))
	from := hear(t, b, 1)[0].Path.Remote
	mustWrite(t, b, say("me too", netip.Addr{}, from))
	if got := text(hear(t, a, 1)[0]); got != "me too" {
		t.Errorf("got %q", got)
	}
}

func TestDroppedDatagramsLeaveNoGap(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "0.0.0.0:0")
	none, to := netip.Addr{}, at(b, "127.0.0.1")
	mustWrite(t, a,
		say("one", none, to), say("far too long", none, to), say("two", none, to),
		say("to all", none, at(b, "127.255.255.255")), say("three", none, to))
	ms := room(5, 8)
	n, err := b.Read(ms)
	if n != 3 || err != nil {
		t.Fatalf("Read = %d, %v; want 3 messages", n, err)
	}
	for i, want := range []string{"one", "two", "three"} {
		if text(ms[i]) != want {
			t.Errorf("message %d = %q, want %q", i, text(ms[i]), want)
		}
	}
	if got, want := b.Drops(), (Drops{Truncated: 1, Group: 1}); got != want {
		t.Errorf("drops %+v, want %+v", got, want)
	}
	seen := map[*byte]bool{}
	for _, m := range ms {
		seen[&m.Buf[0]] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d different buffers came back, want all 5", len(seen))
	}
}

// EV-38: what the kernel had no room for is counted.
func TestOverflowIsCounted(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	if err := b.raw.Control(func(fd uintptr) {
		if err := unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	flood := slices.Repeat([]Message{say(strings.Repeat("x", 1000), netip.Addr{}, at(b, "127.0.0.1"))}, batch)
	mustWrite(t, a, flood...)
	ms := room(batch, 2000)
	n, err := b.Read(ms)
	if err != nil {
		t.Fatal(err)
	}
	mustWrite(t, a, flood[0]) // the count comes with the next datagram that fits
	hear(t, b, 1)
	if got := b.Drops().Overflow; got != uint64(batch-n) {
		t.Errorf("%d of %d arrived and %d are counted as overflow", n, batch, got)
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	result := make(chan error)
	go func() {
		_, err := s.Read(room(1, 10))
		result <- err
	}()
	for range 10 {
		runtime.Gosched()
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; err != net.ErrClosed {
		t.Errorf("Read = %v, want net.ErrClosed", err)
	}
	if n, err := s.Write([]Message{say("x", netip.Addr{}, netip.MustParseAddrPort("127.0.0.1:9"))}); n != 0 || err != net.ErrClosed {
		t.Errorf("Write after Close = %d, %v; want 0, net.ErrClosed", n, err)
	}
	if _, err := s.Read(room(1, 10)); err != net.ErrClosed {
		t.Errorf("Read after Close = %v, want net.ErrClosed", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestWritersDoNotMixTheirMessages(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	const writers, each = 4, 50
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			m := say(strings.Repeat(string(rune('a'+w)), 100+w), netip.Addr{}, at(b, "127.0.0.1"))
			for range each {
				if n, err := a.Write([]Message{m, m}); n != 2 || err != nil {
					t.Errorf("Write = %d, %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	count := map[string]int{}
	for _, m := range hear(t, b, writers*each*2) {
		count[text(m)]++
	}
	for w := range writers {
		if want := strings.Repeat(string(rune('a'+w)), 100+w); count[want] != each*2 {
			t.Errorf("writer %d: %d whole messages, want %d", w, count[want], each*2)
		}
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	held := listen(t, "127.0.0.1:0")
	tests := []struct {
		name string
		cfg  Config
		is   error
		text string
	}{
		{"the port is taken", Config{Addr: held.bound}, unix.EADDRINUSE, "hint: another IKE daemon"},
		{"a foreign address", Config{Addr: netip.MustParseAddrPort("192.0.2.1:0")}, unix.EADDRNOTAVAIL, "192.0.2.1:0"},
		{"no such interface", Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Interface: "tbt-none"}, unix.ENODEV, `"tbt-none"`},
		{"no address", Config{}, nil, "no local address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Listen(tt.cfg)
			if err == nil {
				s.Close()
				t.Fatal("no error")
			}
			if tt.is != nil && !errors.Is(err, tt.is) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v; want %v and %q", err, tt.is, tt.text)
			}
		})
	}
}

func TestBothFamiliesShareAPort(t *testing.T) {
	v4 := listen(t, "0.0.0.0:0")
	v6, err := Listen(Config{Addr: netip.AddrPortFrom(netip.IPv6Unspecified(), v4.Port())})
	if err != nil {
		t.Fatalf("the IPv4 socket must not stand in the way of the IPv6 one: %v", err)
	}
	v6.Close()
}

func TestNothingIsAllocatedPerDatagram(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		t.Run(addr, func(t *testing.T) {
			any := netip.AddrPortFrom(netip.MustParseAddr(addr), 0).String()
			a, b := listen(t, any), listen(t, any)
			out, in := room(8, 1400), room(8, 2000)
			for i := range out {
				out[i].N = 1400
				out[i].Path = esp.Path{Local: at(a, addr), Remote: at(b, addr)}
			}
			if n := testing.AllocsPerRun(200, func() {
				if n, err := a.Write(out); n != len(out) || err != nil {
					t.Fatal(n, err)
				}
				for got := 0; got < len(out); {
					n, err := b.Read(in)
					if err != nil {
						t.Fatal(err)
					}
					got += n
				}
			}); n != 0 {
				t.Errorf("%v allocations for a batch", n)
			}
			if !bytes.Equal(in[0].Buf[:in[0].N], out[0].Buf) {
				t.Error("the octets changed on the way")
			}
		})
	}
}

func BenchmarkLoopback(b *testing.B) {
	for _, n := range []int{1, 16, batch} {
		b.Run(map[int]string{1: "one", 16: "batch16", batch: "batch64"}[n], func(b *testing.B) {
			a, c := listen(b, "127.0.0.1:0"), listen(b, "0.0.0.0:0")
			out, in := room(n, 1400), room(n, 2000)
			for i := range out {
				out[i].N = 1400
				out[i].Path = esp.Path{Local: at(a, "127.0.0.1"), Remote: at(c, "127.0.0.1")}
			}
			b.ReportAllocs()
			b.SetBytes(int64(1400 * n))
			for b.Loop() {
				if _, err := a.Write(out); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < n; {
					k, err := c.Read(in)
					if err != nil {
						b.Fatal(err)
					}
					got += k
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "packets/s")
		})
	}
}
