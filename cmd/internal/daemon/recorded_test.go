package daemon

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// RPL-07, RPL-08: what was recorded before a gateway was started anew is nothing to it afterwards: all ESP has other keys and SPIs,
// and IKE's messages belong to no IKE SA. Both tunnels stay up, and the counts say where it all went.
func TestTrafficRecordedBeforeARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		var mu sync.Mutex
		var tape []transport.Message // all that came to the right gateway
		net.Tap(func(_ time.Time, m transport.Message) {
			mu.Lock()
			defer mu.Unlock()
			if to := m.Path.Local.Addr(); to == netip.MustParseAddr("198.51.100.1") || to == netip.MustParseAddr("198.51.100.2") {
				m.Buf = bytes.Clone(m.Buf[:m.N])
				tape = append(tape, m)
			}
		})
		right, left := open(t, net, rightConfig, nil), open(t, net, leftConfig, nil)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		for n := range uint32(20) {
			if !left.send(right, n) {
				t.Fatal("no traffic")
			}
		}
		mu.Lock()
		recorded := slices.Clone(tape)
		mu.Unlock()
		net.Tap(nil)
		if err := right.stop(); err != nil {
			t.Fatal(err)
		}
		right = open(t, net, rightConfig, nil)
		left.want("1: UP UP", 30*time.Second)
		right.want("1: UP UP", 30*time.Second)
		right.drain()

		before := right.d.gateway.Drops()
		packets := uint64(0)
		for port, use := range map[uint16]transport.Use{500: transport.ForIKE, 4500: transport.ForNATT} {
			sock := net.Listen(netip.AddrPortFrom(netip.MustParseAddr("192.0.2.99"), port))
			defer sock.Close()
			for _, m := range recorded {
				if m.Path.Local.Port() != port {
					continue
				}
				if kind, _ := transport.Classify(use, m.Buf[:m.N]); kind == transport.ESP {
					packets++
				}
				m.Path = esp.Path{Remote: m.Path.Local} // to where it came then
				if _, err := sock.Write([]transport.Message{m}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Second)
		if n := right.drain(); n != 0 || packets < 20 {
			t.Errorf("%d of %d recorded packets arrive", n, packets)
		}
		lost := uint64(0)
		for reason, n := range right.d.gateway.Drops() {
			if grown := n - before[reason]; grown > 0 {
				if lost += grown; reason != "unknown_spi" && reason != "auth" {
					t.Errorf("%d dropped as %s", grown, reason)
				}
			}
		}
		if lost != packets {
			t.Errorf("%d dropped, want the %d that were recorded", lost, packets)
		}
		left.want("1: UP UP", time.Second)
		right.want("1: UP UP", time.Second)
		if !left.send(right, 100) || !right.send(left, 101) {
			t.Error("no traffic afterwards")
		}
	})
}
