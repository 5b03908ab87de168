package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

var (
	addrA = netip.MustParseAddrPort("192.0.2.1:500")
	addrB = netip.MustParseAddrPort("198.51.100.1:500")
)

// story runs a test in a bubble on a fresh network with gateways a and b.
func story(t *testing.T, tell func(t *testing.T, n *Net, a, b transport.Socket)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		tell(t, n, n.Listen(addrA), n.Listen(addrB))
	})
}

func write(t *testing.T, s transport.Socket, to netip.AddrPort, texts ...string) {
	t.Helper()
	for _, text := range texts {
		m := transport.Message{Buf: []byte(text), N: len(text), Path: esp.Path{Remote: to}}
		if n, err := s.Write([]transport.Message{m}); n != 1 || err != nil {
			t.Fatalf("write %q to %v: %d, %v", text, to, n, err)
		}
		clear(m.Buf) // the writer's again
	}
}

// read returns what arrives at s within a minute, with its paths.
func read(t *testing.T, s transport.Socket) (texts []string, paths []esp.Path) {
	t.Helper()
	time.Sleep(time.Minute)
	synctest.Wait()
	for len(s.(*socket).inbox) > 0 {
		ms := make([]transport.Message, 3)
		for i := range ms {
			ms[i].Buf = make([]byte, 2000)
		}
		n, err := s.Read(ms)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range ms[:n] {
			texts, paths = append(texts, string(m.Buf[:m.N])), append(paths, m.Path)
		}
	}
	return texts, paths
}

func wantTexts(t *testing.T, s transport.Socket, want ...string) []esp.Path {
	t.Helper()
	got, paths := read(t, s)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Fatalf("%v received %q, want %q", s.(*socket).addr, got, want)
	}
	return paths
}

func wantDrops(t *testing.T, n *Net, reason string, want uint64) {
	t.Helper()
	if got := n.Drops(); got[reason] != want || want > 0 && len(got) != 1 {
		t.Errorf("drops %v, want only %s: %d", got, reason, want)
	}
}

func TestDeliveryInOrder(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLink(addrA.Addr(), addrB.Addr(), Link{Latency: 20 * time.Millisecond})
		start := time.Now()
		var when []time.Duration
		n.Tap(func(now time.Time, m transport.Message) { when = append(when, now.Sub(start)) })
		write(t, a, addrB, "one", "two", "three", "four")
		paths := wantTexts(t, b, "one", "two", "three", "four")
		if want := (esp.Path{Local: addrB, Remote: addrA}); paths[0] != want {
			t.Errorf("path %v, want %v", paths[0], want)
		}
		for _, d := range when {
			if d < 20*time.Millisecond || d >= 20*time.Millisecond+period || d != when[0] {
				t.Errorf("delivered after %v, want all together just after 20ms", when)
			}
		}
	})
}

func TestInstantsOfTwoDirectionsDiffer(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{Latency: time.Millisecond})
		seen := map[time.Time]netip.AddrPort{}
		n.Tap(func(now time.Time, m transport.Message) {
			if other, ok := seen[now]; ok {
				t.Errorf("%v and %v receive at one instant", other, m.Path.Local)
			}
			seen[now] = m.Path.Local
		})
		c := n.Listen(netip.MustParseAddrPort("203.0.113.1:500"))
		for range 10 {
			write(t, a, addrB, "x")
			write(t, b, addrA, "x")
			write(t, c, addrA, "x")
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if len(seen) != 30 {
			t.Errorf("%d deliveries, want 30", len(seen))
		}
	})
}

func TestSendErrors(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		at := func(local string, remote string) esp.Path {
			p := esp.Path{Remote: netip.MustParseAddrPort(remote)}
			if local != "" {
				p.Local = netip.MustParseAddrPort(local)
			}
			return p
		}
		tests := []struct {
			name string
			path esp.Path
			size int
			want error
		}{
			{"a foreign source", at("192.0.2.9:500", "198.51.100.1:500"), 1, syscall.ENETUNREACH},
			{"the other family", at("", "[2001:db8::1]:500"), 1, syscall.EAFNOSUPPORT},
			{"port 0", at("", "198.51.100.1:0"), 1, syscall.EINVAL},
			{"too large", at("", "198.51.100.1:500"), 65508, syscall.EMSGSIZE},
		}
		good := transport.Message{Buf: []byte("good"), N: 4, Path: at("192.0.2.1:9", "198.51.100.1:500")}
		for _, tt := range tests {
			bad := transport.Message{Buf: make([]byte, tt.size), N: tt.size, Path: tt.path}
			if n, err := a.Write([]transport.Message{bad, good}); n != 1 || err != tt.want {
				t.Errorf("%s: Write = %d, %v; want the other one to leave and %v", tt.name, n, err, tt.want)
			}
			wantTexts(t, b, "good")
		}
		if got := a.Drops().Send; got != uint64(len(tests)) {
			t.Errorf("%d send errors counted, want %d", got, len(tests))
		}
		write(t, a, netip.MustParseAddrPort("198.51.100.1:501"), "nobody listens")
		wantDrops(t, n, "no_socket", 1)
	})
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	for _, end := range []struct {
		name string
		do   func(*Net, transport.Socket)
	}{
		{"the socket", func(_ *Net, s transport.Socket) { s.Close() }},
		{"the network", func(n *Net, _ transport.Socket) { n.Close() }},
	} {
		t.Run(end.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
				write(t, b, addrA, "unread")
				result := make(chan error, 1)
				go func() {
					_, err := b.Read(make([]transport.Message, 1))
					result <- err
				}()
				synctest.Wait()
				end.do(n, b)
				if err := <-result; err != net.ErrClosed {
					t.Errorf("Read = %v, want net.ErrClosed", err)
				}
				if n, err := b.Write([]transport.Message{{Path: esp.Path{Remote: addrA}}}); n != 0 || err != net.ErrClosed {
					t.Errorf("Write = %d, %v; want 0, net.ErrClosed", n, err)
				}
				if err := b.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A gateway that restarts on its address does not get what was meant for the one before.
func TestRestartOnTheSameAddress(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{Latency: 10 * time.Millisecond})
		write(t, a, addrB, "old")
		b.Close()
		b = n.Listen(addrB)
		write(t, a, addrB, "new")
		wantTexts(t, b, "new")
		wantDrops(t, n, "no_socket", 1)
	})
}

func TestBlackholeOneWay(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.Blackhole(addrA.Addr(), addrB.Addr())
		write(t, a, addrB, "lost")
		write(t, b, addrA, "back")
		wantTexts(t, b)
		wantTexts(t, a, "back")
		wantDrops(t, n, "blackhole", 1)
		n.BlackholeBoth(addrA.Addr(), addrB.Addr())
		write(t, a, addrB, "lost")
		write(t, b, addrA, "lost")
		wantTexts(t, b)
		wantTexts(t, a)
		n.Heal(addrA.Addr(), addrB.Addr())
		write(t, a, addrB, "healed")
		write(t, b, addrA, "healed")
		wantTexts(t, b, "healed")
		wantTexts(t, a, "healed")
		wantDrops(t, n, "blackhole", 3)
	})
}

func TestMoveKeepsTheSocket(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{Latency: 10 * time.Millisecond})
		write(t, b, addrA, "on the way")
		now := netip.MustParseAddr("192.0.2.77")
		n.Move(addrA.Addr(), now)
		write(t, a, addrB, "moved")
		if got, want := wantTexts(t, b, "moved")[0].Remote, netip.AddrPortFrom(now, 500); got != want {
			t.Errorf("b sees %v, want %v", got, want)
		}
		wantTexts(t, a)
		write(t, b, netip.AddrPortFrom(now, 500), "found")
		wantTexts(t, a, "found")
		wantDrops(t, n, "no_socket", 1)
	})
}

func TestJudge(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{Judge: func(now time.Time, m transport.Message) (v Verdict) {
			switch string(m.Buf) {
			case "drop":
				v.Drop = true
			case "copy":
				v.Copies = 2
			case "late":
				v.Delay = time.Second
			case "torn":
				v.Corrupt = true
			}
			return v
		}})
		write(t, a, addrB, "drop", "late", "copy", "plain")
		wantTexts(t, b, "copy", "copy", "copy", "plain", "late")
		wantDrops(t, n, "judge", 1)

		write(t, a, addrB, "torn")
		got, _ := read(t, b)
		bits := 0
		for i := range got[0] {
			for d := got[0][i] ^ "torn"[i]; d != 0; d &= d - 1 {
				bits++
			}
		}
		if len(got[0]) != 4 || bits != 1 {
			t.Errorf("received %q: %d bits differ from torn, want 1", got[0], bits)
		}
	})
}

func TestMTULosesLargeDatagrams(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{MTU: 4})
		write(t, a, addrB, "fits", "large", "too")
		wantTexts(t, b, "fits", "too")
		wantDrops(t, n, "mtu", 1)
	})
}

func TestFullInboxLoses(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		for range inbox + 3 {
			write(t, a, addrB, "x")
		}
		if got, _ := read(t, b); len(got) != inbox || b.Drops().Overflow != 3 {
			t.Errorf("%d arrived and %d were lost, want %d and 3", len(got), b.Drops().Overflow, inbox)
		}
		wantDrops(t, n, "overflow", 3)
	})
}

// Shares are about what they say, and half a second of jitter puts datagrams out of order.
func TestLinkShares(t *testing.T) {
	story(t, func(t *testing.T, n *Net, a, b transport.Socket) {
		n.SetLinks(Link{Loss: 1. / 3, Duplicate: 0.25, Jitter: 500 * time.Millisecond})
		for i := range 900 {
			write(t, a, addrB, fmt.Sprint(i))
		}
		got, _ := read(t, b)
		lost := n.Drops()["loss"]
		if lost < 250 || lost > 350 {
			t.Errorf("%d of 900 lost, want about 300", lost)
		}
		if arrived := 900 - int(lost); len(got) < arrived*115/100 || len(got) > arrived*135/100 {
			t.Errorf("%d came of %d that were not lost, want about a quarter twice", len(got), arrived)
		}
		overtaken := 0
		for i := range len(got) - 1 {
			if len(got[i]) > len(got[i+1]) {
				overtaken++
			}
		}
		if overtaken == 0 {
			t.Error("everything came in order")
		}
	})
}

// transcript is what five gateways say to each other in ten seconds, on a bad network.
func transcript(t *testing.T, seed uint64) string {
	var out strings.Builder
	synctest.Test(t, func(t *testing.T) {
		n := New(seed)
		start := time.Now()
		n.Tap(func(now time.Time, m transport.Message) {
			fmt.Fprintf(&out, "%v %v %x\n", now.Sub(start), m.Path, m.Buf)
		})
		n.SetLinks(Link{
			Latency: 10 * time.Millisecond, Jitter: 50 * time.Millisecond,
			Loss: 0.1, Duplicate: 0.1, Corrupt: 0.1,
		})
		random := rand.New(rand.NewChaCha8([32]byte{byte(seed)}))
		third := func(time.Time, transport.Message) Verdict { return Verdict{Drop: random.IntN(3) == 0} }
		n.NAT(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("203.0.113.7")).SetIdle(time.Second)

		var addrs []netip.AddrPort
		for i := range 3 {
			addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 4500))
		}
		n.SetLink(addrs[0].Addr(), addrs[1].Addr(), Link{Latency: time.Millisecond, Judge: third})
		all := addrs
		for i := range 2 {
			all = append(all, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 4500))
		}
		var sockets []transport.Socket
		for _, at := range all {
			sockets = append(sockets, n.Listen(at))
		}
		for i, s := range sockets {
			go func() { // speaks at the same instants as all others
				for k := range 20 {
					for _, to := range addrs {
						if to != all[i] {
							text := fmt.Sprintf("%d says %d", i, k)
							s.Write([]transport.Message{{Buf: []byte(text), N: len(text), Path: esp.Path{Remote: to}}})
						}
					}
					time.Sleep(500 * time.Millisecond)
				}
			}()
			go func() { // answers whom it hears, once
				ms := make([]transport.Message, 4)
				for {
					for i := range ms {
						ms[i].Buf = make([]byte, 100)
					}
					k, err := s.Read(ms)
					if err != nil {
						return
					}
					for _, m := range ms[:k] {
						if !strings.HasPrefix(string(m.Buf), "re ") {
							m.Buf = append([]byte("re "), m.Buf[:m.N]...)
							m.N = len(m.Buf)
							s.Write([]transport.Message{m})
						}
					}
				}
			}()
		}
		time.Sleep(11 * time.Second)
		synctest.Wait()
		n.Close() // ends the readers
		fmt.Fprintf(&out, "%v\n", n.Drops())
	})
	return out.String()
}

func TestSameSeedSameTranscript(t *testing.T) {
	want := transcript(t, 7)
	if lines := strings.Count(want, "\n"); lines < 300 {
		t.Fatalf("only %d lines: this shows nothing\n%s", lines, want)
	}
	for run := range 50 {
		if got := transcript(t, 7); got != want {
			g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
			for i := range min(len(g), len(w)) {
				if g[i] != w[i] {
					t.Fatalf("run %d, line %d:\n got %s\nwant %s", run, i, g[i], w[i])
				}
			}
			t.Fatalf("run %d has %d lines, want %d", run, len(g), len(w))
		}
	}
	if transcript(t, 8) == want {
		t.Error("another seed gives the same transcript")
	}
}
