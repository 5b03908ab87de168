//go:build !race

package datapath

import (
	"bytes"
	"testing"

	"twinbore/esp/protect"
)

// Not with the race detector, which makes sync.Pool forget at random.
func TestPacketsCostNoAllocation(t *testing.T) { // DOS-10
	for _, alg := range []*protect.Algorithm{protect.AES256GCM16, protect.CBC(256, protect.HMACSHA256)} {
		b := newBench(t, alg)
		slots, messages := newSlots(16), messageSlots(16)
		small, syn := udp(paris, hq, 1, 2, 1372), tcp(paris, hq, 1, 2, tcpSYN, 2, 4, 0x05, 0xb4)
		large, large6 := udp(paris, hq, 1, 2, 3000), udp(paris6, hq6, 1, 2, 3000)
		back, foreign := udp(hq, paris, 2, 1, 1372), udp(paris, internet, 1, 2, 8)
		waits := udp(paris, elsewhere, 1, 2, 8)
		garbage := messageSlots(16)
		for i := range garbage {
			garbage[i].N = copy(garbage[i].Buf, bytes.Repeat([]byte{0xee}, 100))
		}
		for name, f := range map[string]func(){
			"out":              func() { b.out(slots, small) },
			"out, SYN":         func() { b.out(slots, syn) },
			"out, cut":         func() { b.out(slots, large) },
			"out, answered":    func() { b.out(slots, large6) },
			"out, no route":    func() { b.out(slots, foreign) },
			"out, no child":    func() { b.out(slots, waits) },
			"in":               func() { b.in(messages, back) },
			"in, unknown SPI":  func() { b.recv.begin(1); b.recv.message(&garbage[0]); b.recv.end() },
			"in, out of bound": func() { b.in(messages, foreign) },
		} {
			f() // the first packets that wait make their buffers
			if n := testing.AllocsPerRun(20, f); n != 0 {
				t.Errorf("%s, %s: %v allocations for 16 packets", alg.Name, name, n)
			}
		}
		if b.packets == 0 || b.datagrams == 0 {
			t.Errorf("%d packets to the device, %d to the socket: the test shows nothing", b.packets, b.datagrams)
		}
	}
}
