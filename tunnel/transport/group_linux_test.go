package transport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

func group(t testing.TB, addr string, n int) []Socket {
	t.Helper()
	sockets, err := ListenGroup(Config{Addr: netip.MustParseAddrPort(addr)}, n)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, s := range sockets {
			s.Close()
		}
	})
	return sockets
}

// Each SPI comes to the socket that WorkerOf names, from whatever port; what has none comes to the first (RFC 3948 §2).
func TestAGroupIsSteeredBySPI(t *testing.T) {
	for _, tt := range []struct {
		bind, here string
		n          int
	}{{"127.0.0.1:0", "127.0.0.1", 4}, {"0.0.0.0:0", "127.0.0.1", 3}, {"[::]:0", "::1", 7}, {"127.0.0.1:0", "127.0.0.1", 1}} {
		t.Run(fmt.Sprintf("%d on %s", tt.n, tt.bind), func(t *testing.T) {
			sockets := group(t, tt.bind, tt.n)
			if got := sockets[0].Offloads().Steered; got != (tt.n > 1) {
				t.Errorf("steered: %v", got)
			}
			want := make([][]string, tt.n)
			for k := range 5 * tt.n {
				from := listen(t, netip.AddrPortFrom(netip.MustParseAddr(tt.here), 0).String())
				for _, spi := range []uint32{uint32(k) << workerShift, 0xfff00000 - uint32(k)<<workerShift | 0x12345} {
					b := binary.BigEndian.AppendUint32(nil, spi)
					b = fmt.Appendf(b, "ESP %d", k)
					if spi == 0 {
						b = fmt.Appendf(make([]byte, 4), "IKE")
					}
					to := WorkerOf(esp.SPI(spi), tt.n)
					want[to] = append(want[to], string(b))
					mustWrite(t, from, Message{Buf: b, N: len(b), Path: esp.Path{Remote: at(sockets[0], tt.here)}})
				}
				want[0] = append(want[0], "\xff")
				mustWrite(t, from, say("\xff", netip.Addr{}, at(sockets[0], tt.here)))
			}
			for i, s := range sockets {
				if s.Port() != sockets[0].Port() {
					t.Errorf("socket %d has port %d, the first %d", i, s.Port(), sockets[0].Port())
				}
				for k, m := range hear(t, s, len(want[i])) {
					if text(m) != want[i][k] {
						t.Errorf("socket %d got %q, want %q", i, text(m), want[i][k])
					}
				}
			}
		})
	}
}

// A second daemon must not share the port: each would get a part of what is for the other.
func TestAGroupKeepsThePortForItself(t *testing.T) {
	for _, n := range []int{1, 2} {
		have := group(t, "127.0.0.1:0", n)
		again := Config{Addr: at(have[0], "127.0.0.1")}
		for _, m := range []int{1, 2} {
			if second, err := ListenGroup(again, m); !errors.Is(err, unix.EADDRINUSE) {
				t.Errorf("beside %d sockets %d were opened: %v, %v", n, m, second, err)
			}
		}
		for _, s := range have {
			s.Close()
		}
		free, err := ListenGroup(again, 2)
		if err != nil {
			t.Fatalf("after a group of %d: %v", n, err)
		}
		for _, s := range free {
			s.Close()
		}
	}
}

// Every worker may send for every SA: the peer sees one port.
func TestEachOfAGroupSendsFromThePort(t *testing.T) {
	sockets, peer := group(t, "127.0.0.1:0", 3), listen(t, "127.0.0.1:0")
	for _, s := range sockets {
		mustWrite(t, s, say("hello", netip.Addr{}, at(peer, "127.0.0.1")))
	}
	for i, m := range hear(t, peer, 3) {
		if m.Path.Remote != at(sockets[0], "127.0.0.1") {
			t.Errorf("message %d came from %v", i, m.Path.Remote)
		}
	}
}
