package transport

import (
	"bytes"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

func listenWith(t testing.TB, cfg Config, addr string) *socket {
	t.Helper()
	cfg.Addr = netip.MustParseAddrPort(addr)
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.(*socket)
}

// runOf is a run of n datagrams of stride octets, the last of which has last.
func runOf(n, stride, last int, to netip.AddrPort) Message {
	b := make([]byte, (n-1)*stride+last)
	for i := range b {
		b[i] = byte(i*31 + i/stride)
	}
	return Message{Buf: b, N: len(b), Stride: stride, Path: esp.Path{Remote: to}}
}

// gather reads until n datagrams are there, and returns them and how many messages they came in.
func gather(t testing.TB, s Socket, n int) (datagrams [][]byte, messages int) {
	t.Helper()
	ms := room(4, 65535)
	for len(datagrams) < n {
		k, err := s.Read(ms)
		if err != nil {
			t.Fatal(err)
		}
		messages += k
		for i := range ms[:k] {
			for d := range ms[i].Datagrams() {
				datagrams = append(datagrams, bytes.Clone(ms[i].Datagram(d)))
			}
		}
	}
	return datagrams, messages
}

func wantDatagrams(t testing.TB, got [][]byte, ms ...Message) {
	t.Helper()
	var want [][]byte
	for i := range ms {
		for d := range ms[i].Datagrams() {
			want = append(want, ms[i].Datagram(d))
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d datagrams arrived, want %d", len(got), len(want))
	}
	for i := range want {
		if !bytes.Equal(got[i], want[i]) {
			t.Fatalf("datagram %d of %d octets is not the one of %d that was sent", i, len(got[i]), len(want[i]))
		}
	}
}

// A run arrives as the datagrams it holds, whatever the kernel does at either end.
func TestRunsArriveAsTheirDatagrams(t *testing.T) {
	for _, addr := range []string{"127.0.0.1", "::1"} {
		for _, tt := range []struct {
			name string
			out  Config
			in   Config
		}{
			{"both offloads", Config{}, Config{}},
			{"no GSO", Config{NoGSO: true}, Config{}},
			{"no GRO", Config{}, Config{NoGRO: true}},
			{"neither", Config{NoGSO: true}, Config{NoGRO: true}},
		} {
			t.Run(addr+", "+tt.name, func(t *testing.T) {
				local := netip.AddrPortFrom(netip.MustParseAddr(addr), 0).String()
				a, b := listenWith(t, tt.out, local), listenWith(t, tt.in, local)
				to := at(b, addr)
				ms := []Message{runOf(44, 1472, 1472, to), runOf(5, 100, 3, to), say("alone", netip.Addr{}, to), runOf(63, 200, 200, to), runOf(1, 9, 9, to)}
				n, err := a.Write(ms)
				if n != 44+5+1+63+1 || err != nil {
					t.Fatalf("Write = %d, %v; want 114", n, err)
				}
				got, messages := gather(t, b, n)
				wantDatagrams(t, got, ms...)
				if both := a.Offloads().GSO && b.Offloads().GRO; both && messages > len(ms) {
					t.Errorf("%d messages for %d runs: the kernel did not keep them whole", messages, len(ms))
				} else if !both && messages < n {
					t.Errorf("%d messages for %d datagrams without offloads", messages, n)
				}
				if a.Offloads().GSO == tt.out.NoGSO || b.Offloads().GRO == tt.in.NoGRO || a.Offloads().Refused != 0 {
					t.Errorf("offloads %+v and %+v", a.Offloads(), b.Offloads())
				}
			})
		}
	}
}

// A run with more datagrams than a message may have is sent nevertheless.
func TestARunThatIsTooLongIsCutHere(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	long := runOf(3*batch+1, 50, 7, at(b, "127.0.0.1"))
	mustSend(t, a, long)
	got, _ := gather(t, b, 3*batch+1)
	wantDatagrams(t, got, long)
}

func mustSend(t testing.TB, s Socket, ms ...Message) {
	t.Helper()
	want := 0
	for i := range ms {
		want += ms[i].Datagrams()
	}
	if n, err := s.Write(ms); n != want || err != nil {
		t.Fatalf("Write = %d, %v; want %d", n, err, want)
	}
}

// Datagrams that are longer than the device takes cannot be cut by the kernel: they go in pieces, and the run before
// and the one behind are none the worse.
func TestARunThatTheKernelRefusesGoesInPieces(t *testing.T) {
	privateNetwork(t)
	loopbackUp(t, 1500)
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	to := at(b, "127.0.0.1")
	ms := []Message{runOf(10, 1000, 1000, to), runOf(20, 3000, 17, to), say("alone", netip.Addr{}, to), runOf(10, 1000, 1000, to)}
	mustSend(t, a, ms...)
	got, _ := gather(t, b, 41)
	wantDatagrams(t, got, ms...)
	if o := a.Offloads(); !o.GSO || o.Refused != 1 {
		t.Errorf("offloads %+v, want one refused", o)
	}
	for range patience {
		mustSend(t, a, ms[1])
		got, _ := gather(t, b, 20)
		wantDatagrams(t, got, ms[1])
	}
	if a.gso.skip == 0 || a.Offloads().Refused != 1+patience {
		t.Errorf("the kernel was asked %d times in vain and is not left alone", a.Offloads().Refused)
	}
}

func TestRefusalsAreJudged(t *testing.T) {
	var g segmenting
	g.init(true)
	if g.refuse(unix.ENETUNREACH) || !g.use() {
		t.Error("a missing route says nothing about offloads")
	}
	if !g.refuse(unix.EINVAL) || !g.use() {
		t.Error("one refusal ends it")
	}
	if !g.refuse(unix.EIO) || g.use() || g.on.Load() {
		t.Error("a device without checksums is asked again")
	}
	var off segmenting
	off.init(false)
	if off.use() {
		t.Error("switched off, and used")
	}
}

// A kernel that mangles runs of equal datagrams is given one that is not equal.
func TestSickKernelsGetATail(t *testing.T) {
	a, b := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	a.gso.sick = true
	to := at(b, "127.0.0.1")
	equal, uneven, few := runOf(44, 1472, 1472, to), runOf(44, 1472, 1000, to), runOf(7, 1472, 1472, to)
	mustSend(t, a, equal, uneven, few)
	got, _ := gather(t, b, 44+1+44+7)
	if kind, _ := Classify(ForNATT, got[44]); kind != Keepalive {
		t.Errorf("behind the equal run came %x, want a keepalive", got[44])
	}
	wantDatagrams(t, append(got[:44:44], got[45:]...), equal, uneven, few)
}

func TestSickKernelsAreKnown(t *testing.T) {
	for text, want := range map[string]bool{
		"6.18.44-fc": false, "6.99.99": false, "7.0.0-14-generic": true, "7.0": true, "7.1.4": true, "7.1.5": false, "7.2.0-rc1": false,
		"8.0.0": false, "": false, "10.0.0": false,
	} {
		if got := sickSegmentation(release([]byte(text))); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestTOSGoesWithEachMessage(t *testing.T) { // ESP-07
	for _, addr := range []string{"127.0.0.1", "::1"} {
		local := netip.AddrPortFrom(netip.MustParseAddr(addr), 0).String()
		a, b := listen(t, local), listen(t, local)
		to := at(b, addr)
		one, run, none := say("x", to.Addr(), to), runOf(3, 20, 20, to), say("y", netip.Addr{}, to)
		one.TOS, run.TOS = 0x2e<<2|1, 0x03
		mustSend(t, a, one, run, none)
		ms := room(3, 65535)
		for got := 0; got < 3; {
			n, err := b.Read(ms[got:])
			if err != nil {
				t.Fatal(err)
			}
			got += n
		}
		for i, want := range []uint8{one.TOS, run.TOS, 0} {
			if ms[i].TOS != want {
				t.Errorf("%s: message %d has TOS %#x, want %#x", addr, i, ms[i].TOS, want)
			}
		}
	}
}

func TestRunsCostNoAllocation(t *testing.T) {
	for _, noGSO := range []bool{false, true} {
		a, b := listenWith(t, Config{NoGSO: noGSO}, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
		out, in := []Message{runOf(20, 1000, 1000, at(b, "127.0.0.1"))}, room(batch, 65535)
		if n := testing.AllocsPerRun(100, func() {
			if n, err := a.Write(out); n != 20 || err != nil {
				t.Fatal(n, err)
			}
			for got := 0; got < 20; {
				n, err := b.Read(in)
				if err != nil {
					t.Fatal(err)
				}
				for i := range in[:n] {
					got += in[i].Datagrams()
				}
			}
		}); n != 0 {
			t.Errorf("without GSO %v: %v allocations for a run", noGSO, n)
		}
	}
}

func BenchmarkRun(b *testing.B) {
	for _, noGSO := range []bool{false, true} {
		b.Run(map[bool]string{false: "cut by the kernel", true: "cut here"}[noGSO], func(b *testing.B) {
			a, c := listenWith(b, Config{NoGSO: noGSO}, "127.0.0.1:0"), listen(b, "127.0.0.1:0")
			out, in := []Message{runOf(44, 1472, 1472, at(c, "127.0.0.1"))}, room(4, 65535)
			b.ReportAllocs()
			b.SetBytes(44 * 1472)
			for b.Loop() {
				if _, err := a.Write(out); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < 44; {
					n, err := c.Read(in)
					if err != nil {
						b.Fatal(err)
					}
					for i := range in[:n] {
						got += in[i].Datagrams()
					}
				}
			}
		})
	}
}
