//go:build !race

package datapath

import (
	"bytes"
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// Not with the race detector, which makes sync.Pool forget at random.
func TestPacketsCostNoAllocation(t *testing.T) { // DOS-10
	for _, on := range []struct {
		alg  *protect.Algorithm
		port uint16
	}{{protect.AES256GCM16, 4500}, {protect.CBC(256, protect.HMACSHA256), 4500}, {protect.AES256GCM16, 0}} {
		alg, b := on.alg, newBenchOn(t, on.alg, on.port)
		messages := messageSlots(16)
		small, syn := udp(paris, hq, 1, 2, 1372), tcp(paris, hq, 1, 2, tcpSYN, 2, 4, 0x05, 0xb4)
		large, large6 := udp(paris, hq, 1, 2, 3000), udp(paris6, hq6, 1, 2, 3000)
		back, foreign := udp(hq, paris, 2, 1, 1372), udp(paris, internet, 1, 2, 8)
		waits := udp(paris, elsewhere, 1, 2, 8)
		super, user := superpacket(paris, hq, protoTCP, 60000, 1386, tcpACK, timestamps...), superpacket(paris, hq, protoUDP, 12600, 200, 0)
		tooLarge := superpacket(paris, hq, protoTCP, 60000, 1460, tcpACK)
		var one transport.Message
		packets := segments(t, superpacket(hq, paris, protoTCP, 40000, 1386, tcpACK, timestamps...))
		garbage := messageSlots(16)
		for i := range garbage {
			garbage[i].N = copy(garbage[i].Buf, bytes.Repeat([]byte{0xee}, 100))
		}
		for name, f := range map[string]func(){
			"out":                         func() { b.out(16, whole(small)) },
			"out, SYN":                    func() { b.out(16, whole(syn)) },
			"out, cut":                    func() { b.out(16, whole(large)) },
			"out, answered":               func() { b.out(16, whole(large6)) },
			"out, superpackets of TCP":    func() { b.out(4, super) },
			"out, superpackets of UDP":    func() { b.out(4, user) },
			"out, superpackets, answered": func() { b.out(4, tooLarge) },
			"in, joined": func() {
				one.Buf, one.N, one.Stride = one.Buf[:0], 0, esp.SealedLen(alg, len(packets[0]))
				for _, pkt := range packets {
					one.Buf, _ = b.far.Seal(one.Buf, pkt, esp.NextIPv4)
				}
				one.N = len(one.Buf)
				b.recv.begin(1)
				b.recv.message(&one)
				b.recv.end()
			},
			"out, no route":    func() { b.out(16, whole(foreign)) },
			"out, no child":    func() { b.out(16, whole(waits)) },
			"in":               func() { b.in(messages, back) },
			"in, unknown SPI":  func() { b.recv.begin(1); b.recv.message(&garbage[0]); b.recv.end() },
			"in, out of bound": func() { b.in(messages, foreign) },
		} {
			f() // the first packets that wait make their buffers
			if n := testing.AllocsPerRun(20, f); n != 0 {
				t.Errorf("%s on port %d, %s: %v allocations for 16 packets", alg.Name, on.port, name, n)
			}
		}
		if b.g.Stats().Joined == 0 {
			t.Error("nothing was joined")
		}
		if b.packets == 0 || b.datagrams == 0 {
			t.Errorf("%d packets to the device, %d to the socket: the test shows nothing", b.packets, b.datagrams)
		}
	}
}

func TestDecisionsCostNoAllocation(t *testing.T) { // DOS-10
	b := newBench(t, protect.AES128GCM16)
	second := b.alsoBy("hq/2", secondPeerOuter)
	conns := parisConnections()
	for port := range uint16(16) {
		rule := FilterRule{Deny: true, Proto: protoTCP, FromPort: port + 1, ToPort: port + 1}
		conns[0].Filter.In, conns[0].Filter.Out = append(conns[0].Filter.In, rule), append(conns[0].Filter.Out, rule)
	}
	if err := b.g.SetConnections(conns); err != nil {
		t.Fatal(err)
	}
	choose := func(tunnels ...string) {
		t.Helper()
		if err := b.g.Choose("hq", tunnels...); err != nil {
			t.Fatal(err)
		}
		if err := b.g.Follow("hq", "1", "2"); err != nil {
			t.Fatal(err)
		}
	}
	messages, at := messageSlots(16), 0
	var flows []*tun.Frame
	for _, pkt := range manyFlows(paris, hq, 64) {
		flows = append(flows, whole(pkt))
	}
	answered := manyFlows(hq, paris, 64)
	denied := whole(tcp(paris, hq, 1, 5, tcpSYN))
	b.far = second
	for _, tt := range []struct {
		name   string
		chosen []string
		f      func()
	}{
		{"out, past a filter", []string{"1"}, func() { at++; b.out(16, flows[at%64]) }},
		{"out, denied", []string{"1"}, func() { b.out(16, denied) }},
		{"out, by one of two", []string{"1", "2"}, func() { at++; b.out(16, flows[at%64]) }},
		{"in by a tunnel that is not chosen", []string{"1"}, func() { at++; b.in(messages, answered[at%64]) }},
		{"out, while flows are followed", []string{"1"}, func() { at++; b.out(16, flows[at%64]) }},
	} {
		choose(tt.chosen...)
		tt.f() // the first flow that is remembered makes room for all
		if n := testing.AllocsPerRun(20, tt.f); n != 0 {
			t.Errorf("%s: %v allocations for 16 packets", tt.name, n)
		}
	}
	if f := b.g.conns["hq"].rules.Load().followed; f.slots.Load() == nil {
		t.Error("no flow was followed: the test shows nothing")
	}
	if b.g.Drops()["filter_out"] == 0 {
		t.Error("nothing was denied: the test shows nothing")
	}
}
