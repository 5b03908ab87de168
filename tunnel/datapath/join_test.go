package datapath

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// deliver seals packets as the far end, hands them to the receiver as one run of datagrams (each as long as the first;
// what does not fit begins another run), and returns what the device got.
func (b *bench) deliver(t testing.TB, packets ...[]byte) []tun.Frame {
	t.Helper()
	var sealed [][]byte
	for _, pkt := range packets {
		sealed = append(sealed, b.sealed(t, pkt))
	}
	return b.arrive(sealed...)
}

func (b *bench) sealed(t testing.TB, pkt []byte) []byte {
	t.Helper()
	one, err := b.far.Seal(nil, pkt, nextOf(pkt))
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// arrive hands datagrams to the receiver in one batch, put together as the kernel does: equal lengths, the last shorter.
func (b *bench) arrive(datagrams ...[]byte) []tun.Frame {
	b.got = nil
	b.recv.begin(1)
	for _, m := range runsOf(datagrams) {
		b.recv.message(&m)
	}
	b.recv.end()
	return b.got
}

func runsOf(datagrams [][]byte) (ms []transport.Message) {
	open := false
	for _, d := range datagrams {
		if last := len(ms) - 1; open && len(d) <= ms[last].Stride && ms[last].N+len(d) <= 65507 {
			ms[last].Buf = append(ms[last].Buf, d...)
			ms[last].N += len(d)
			open = len(d) == ms[last].Stride
			continue
		}
		ms = append(ms, transport.Message{Buf: bytes.Clone(d), N: len(d), Stride: len(d), Path: esp.Path{}})
		open = true
	}
	return ms
}

// newInBench is a bench whose packets go from hq to paris.
func newInBench(t testing.TB, alg *protect.Algorithm) *bench {
	b := newBench(t, alg)
	b.record = true
	return b
}

// allSegments cuts all frames again.
func allSegments(t testing.TB, frames []tun.Frame) (packets [][]byte) {
	t.Helper()
	for i := range frames {
		packets = append(packets, segments(t, &frames[i])...)
	}
	return packets
}

// inSuper is a superpacket in the direction of arrival.
func inSuper(n, size int, flags byte, options ...byte) *tun.Frame {
	return superpacket(hq, paris, protoTCP, n, size, flags, options...)
}

// Cut, sealed, opened, joined and cut again: the packets are the same, and the frames are as few as can be.
func TestJoinedIsWhatWasCut(t *testing.T) {
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.ChaCha20Poly1305, protect.CBC(256, protect.HMACSHA256)} {
		for _, f := range []*tun.Frame{
			inSuper(60000, 1386, tcpACK, timestamps...),
			inSuper(60000, 1398, tcpACK|tcpPSH),
			inSuper(5000, 100, tcpACK|tcpFIN),
			inSuper(300, 100, tcpACK),
			inSuper(65, 2, tcpACK),
			superpacket(hq6, paris6, protoTCP, 40000, 1378, tcpACK|tcpPSH, timestamps...),
			superpacket(hq, paris, protoUDP, 64*200, 200, 0),
			superpacket(hq, paris, protoUDP, 12345, 1200, 0),
			superpacket(hq6, paris6, protoUDP, 12345, 1200, 0),
		} {
			b := newInBench(t, alg)
			want := segments(t, f)
			got := b.deliver(t, want...)
			equal(t, frameName(*f).String(), allSegments(t, got), want)
			if len(got) != 1 {
				t.Errorf("%s, %v: came as %d frames", alg.Name, frameName(*f), len(got))
			}
			rx := b.g.Traffic("hq/1")
			octets := 0
			for _, pkt := range want {
				octets += len(pkt)
			}
			if rx.RxPackets != uint64(len(want)) || rx.RxBytes != uint64(octets) {
				t.Errorf("%v: counted %d packets and %d octets, want %d and %d", frameName(*f), rx.RxPackets, rx.RxBytes, len(want), octets)
			}
		}
	}
}

// What differs from its neighbours in more than it may is not joined, and arrives as it is.
func TestUnequalPacketsAreNotJoined(t *testing.T) {
	tcp := func() [][]byte { return segments(t, inSuper(600, 100, tcpACK, timestamps...)) }
	udp := func() [][]byte { return segments(t, superpacket(hq, paris, protoUDP, 600, 100, 0)) }
	set := func(at int, v byte) func([]byte) { return func(b []byte) { b[at] = v } }
	for name, tt := range map[string]struct {
		packets func() [][]byte
		change  func(b []byte) // of the third of six
		bad     bool           // leave the checksums wrong
		frames  int
	}{
		"nothing":                 {tcp, func([]byte) {}, false, 1},
		"another TTL":             {tcp, set(8, 63), false, 3},
		"another TOS":             {tcp, set(1, 0x20), false, 3},
		"congestion experienced":  {tcp, set(1, 3), false, 3},
		"no DF":                   {tcp, set(6, 0), false, 3},
		"a gap in identification": {tcp, set(5, 0x77), false, 3},
		"another source":          {tcp, set(15, 9), false, 3},
		"another window":          {tcp, set(34, 9), false, 3},
		"another acknowledgement": {tcp, set(31, 9), false, 3},
		"another timestamp":       {tcp, set(47, 9), false, 3},
		"ECE":                     {tcp, func(b []byte) { b[33] |= 0x40 }, false, 3},
		"URG":                     {tcp, func(b []byte) { b[33] |= 0x20 }, false, 3},
		"RST":                     {tcp, func(b []byte) { b[33] |= 0x04 }, false, 3},
		"CWR":                     {tcp, func(b []byte) { b[33] |= 0x80 }, false, 3},
		"PSH":                     {tcp, func(b []byte) { b[33] |= tcpPSH }, false, 2},
		"an octet of data":        {tcp, func(b []byte) { b[100] ^= 1 }, true, 3},
		"the IP checksum":         {tcp, func(b []byte) { b[10] ^= 1 }, true, 3},
		"UDP, an octet of data":   {udp, func(b []byte) { b[100] ^= 1 }, true, 3},
		"UDP without checksum":    {udp, func(b []byte) { b[26], b[27] = 0, 0 }, true, 3},
		"UDP, another length":     {udp, func(b []byte) { b[25]-- }, true, 3},
	} {
		b := newInBench(t, protect.AES128GCM16)
		want := tt.packets()
		tt.change(want[2])
		if !tt.bad {
			mend(want[2])
		}
		got := b.deliver(t, want...)
		equal(t, name, allSegments(t, got), want)
		if len(got) != tt.frames {
			t.Errorf("%s: %d frames, want %d", name, len(got), tt.frames)
		}
	}
}

// mend makes the checksums of an IP packet right.
func mend(b []byte) {
	at, upper := 16, 20
	if b[0]>>4 == 6 {
		upper = 40
	}
	proto := b[9]
	if b[0]>>4 == 6 {
		proto = b[6]
	} else {
		rehash(b)
	}
	if proto == protoUDP {
		at = 6
	}
	put16(b, upper+at, 0)
	put16(b, upper+at, int(upperChecksum(b, proto, len(b)-upper)))
}

// Constant identifications, which hosts use with DF, do not keep packets apart.
func TestDFMakesIdentificationsMeaningless(t *testing.T) { // RFC 6864 §4.1
	b := newInBench(t, protect.AES128GCM16)
	packets := segments(t, inSuper(600, 100, tcpACK))
	for _, pkt := range packets {
		put16(pkt, 4, 7)
		mend(pkt)
	}
	if got := b.deliver(t, packets...); len(got) != 1 || got[0].Kind != tun.TCP4 {
		t.Errorf("%d frames", len(got))
	}
	for i, pkt := range packets {
		pkt[6] = 0 // no DF
		if i > 2 {
			put16(pkt, 4, 8)
		}
		mend(pkt)
	}
	if got := b.deliver(t, packets...); len(got) < 5 {
		t.Errorf("%d frames of packets that may be fragmented and have one identification", len(got))
	}
}

// A pure acknowledgement goes alone, and what follows of its flow stays behind it.
func TestOrderWithinAFlowIsKept(t *testing.T) {
	b := newInBench(t, protect.AES128GCM16)
	data := segments(t, inSuper(600, 100, tcpACK))
	ack := tcp(hq, paris, 5001, 443, tcpACK)
	other := segments(t, superpacket(hq, paris, protoUDP, 600, 100, 0))
	got := b.deliver(t, data[0], other[0], data[1], ack, other[1], data[2], other[2], data[3])
	var flow [][]byte
	for _, pkt := range allSegments(t, got) {
		if pkt[9] == protoTCP {
			flow = append(flow, pkt)
		}
	}
	equal(t, "the flow", flow, [][]byte{data[0], data[1], ack, data[2], data[3]})
	if len(got) != 4 {
		t.Errorf("%d frames, want 4: data, the other flow, the acknowledgement, data", len(got))
	}
}

// Runs of the kernel's with everything in them that an enemy or the network may put there (ESP-01, RPL-01, RPL-02).
func TestHostileRuns(t *testing.T) {
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.CBC(128, protect.HMACSHA256)} {
		packets := segments(t, inSuper(1000, 100, tcpACK, timestamps...))
		tests := []struct {
			name   string
			change func(s [][]byte) [][]byte
			lost   []int // of the packets
			drops  map[string]uint64
		}{
			{"nothing", func(s [][]byte) [][]byte { return s }, nil, map[string]uint64{}},
			{"a forged one in the middle", func(s [][]byte) [][]byte { s[4][30] ^= 1; return s }, []int{4}, map[string]uint64{"auth": 1}},
			{"all forged", func(s [][]byte) [][]byte {
				for _, b := range s {
					b[len(b)-1] ^= 1
				}
				return s
			}, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, map[string]uint64{"auth": 10}},
			{"one twice", func(s [][]byte) [][]byte { return slices.Insert(s, 5, bytes.Clone(s[4])) }, nil, map[string]uint64{"replay": 1}},
			{"all twice", func(s [][]byte) [][]byte { return append(s, cloneAll(s)...) }, nil, map[string]uint64{"replay": 10}},
			{"a foreign SPI", func(s [][]byte) [][]byte {
				foreign := bytes.Clone(s[3])
				binary.BigEndian.PutUint32(foreign, 0xdeadbeef)
				return slices.Insert(s, 3, foreign)
			}, nil, map[string]uint64{"unknown_spi": 1}},
			{"IKE, too short", func(s [][]byte) [][]byte {
				return slices.Insert(s, 3, make([]byte, 20))
			}, nil, map[string]uint64{"malformed": 1}},
			{"a keepalive", func(s [][]byte) [][]byte { return slices.Insert(s, 10, []byte{0xff}) }, nil, map[string]uint64{}},
			{"cut short", func(s [][]byte) [][]byte { s[9] = s[9][:20]; return s }, []int{9}, map[string]uint64{"malformed": 1}},
			{"reordered", func(s [][]byte) [][]byte { s[2], s[3], s[6], s[5] = s[3], s[2], s[5], s[6]; return s }, nil, map[string]uint64{}},
			{"backwards", func(s [][]byte) [][]byte { slices.Reverse(s); return s }, nil, map[string]uint64{}},
		}
		for _, tt := range tests {
			b := newInBench(t, alg)
			var s, want [][]byte
			for i, pkt := range packets {
				s = append(s, b.sealed(t, pkt))
				if !slices.Contains(tt.lost, i) {
					want = append(want, pkt)
				}
			}
			got := b.arrive(tt.change(s)...)
			equal(t, tt.name, allSegments(t, got), want)
			drops := b.g.Drops()
			for reason, n := range tt.drops {
				if drops[reason] != n {
					t.Errorf("%s, %s: dropped %v, want %v", alg.Name, tt.name, drops, tt.drops)
				}
			}
			if len(drops) != len(tt.drops) {
				t.Errorf("%s, %s: dropped %v, want %v", alg.Name, tt.name, drops, tt.drops)
			}
		}
	}
}

func cloneAll(s [][]byte) (out [][]byte) {
	for _, b := range s {
		out = append(out, bytes.Clone(b))
	}
	return out
}

// A run may hold packets of several SAs, of which each is checked by its own (TS-04, TS-07).
func TestRunWithPacketsThatThePolicyForbids(t *testing.T) {
	b := newInBench(t, protect.AES128GCM16)
	good := segments(t, inSuper(300, 100, tcpACK))
	spoofed := segments(t, superpacket(elsewhere, paris, protoTCP, 300, 100, tcpACK))
	astray := segments(t, superpacket(hq, internet, protoTCP, 300, 100, tcpACK))
	got := b.deliver(t, good[0], spoofed[0], spoofed[1], good[1], astray[0], good[2], spoofed[2])
	equal(t, "the inside", allSegments(t, got), good)
	if d := b.g.Drops(); d["spoofed"] != 3 || d["no_route"] != 1 {
		t.Errorf("dropped %v", d)
	}
}

// Many flows at once, in any order: each flow's packets arrive whole and in order.
func TestManyFlowsAtOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		b := newInBench(t, protect.AES128GCM16)
		flows := make([][][]byte, 12)
		for i := range flows {
			f := inSuper(1+r.IntN(3000), 1+r.IntN(300), tcpACK|byte(r.IntN(2))*tcpPSH)
			if i%3 == 0 {
				f = superpacket(hq, paris, protoUDP, 1+r.IntN(3000), 20+r.IntN(300), 0)
			}
			for _, pkt := range segments(t, f) {
				put16(pkt, 20, 1000+i) // the source port
				mend(pkt)
				flows[i] = append(flows[i], pkt)
			}
		}
		var mixed [][]byte
		next := make([]int, len(flows))
		for left := true; left; {
			left = false
			for range flows {
				i := r.IntN(len(flows))
				for range 1 + r.IntN(5) {
					if next[i] < len(flows[i]) {
						mixed = append(mixed, flows[i][next[i]])
						next[i]++
					}
				}
			}
			for i := range flows {
				left = left || next[i] < len(flows[i])
			}
		}
		if len(mixed) > 900 {
			mixed = mixed[:900] // within the replay window
		}
		arrived := make([][][]byte, len(flows))
		sent := make([][][]byte, len(flows))
		for _, pkt := range mixed {
			i := int(be16(pkt, 20)) - 1000
			sent[i] = append(sent[i], pkt)
		}
		for _, pkt := range allSegments(t, b.deliver(t, mixed...)) {
			i := int(be16(pkt, 20)) - 1000
			arrived[i] = append(arrived[i], pkt)
		}
		for i := range flows {
			equal(t, "a flow", arrived[i], sent[i])
		}
	}
}

// FuzzJoin changes packets of a run at will: whatever they are, what arrives is what was sent, in order within what is left.
func FuzzJoin(f *testing.F) {
	f.Add(uint8(0), uint16(100), []byte{2, 8, 1})
	f.Add(uint8(1), uint16(1), []byte{1, 33, 8, 2, 33, 4})
	f.Add(uint8(2), uint16(50), []byte{3, 26, 0xff, 3, 27, 0xff})
	f.Fuzz(func(t *testing.T, kind uint8, size uint16, changes []byte) {
		b := newInBench(t, protect.AES128GCM16)
		const n = 6
		step := 1 + int(size)%1400
		var super *tun.Frame
		switch kind % 4 {
		case 0:
			super = inSuper(n*step, step, tcpACK|tcpPSH)
		case 1:
			super = inSuper(n*step-step/2, step, tcpACK, timestamps...)
		case 2:
			super = superpacket(hq, paris, protoUDP, n*step, step, 0)
		case 3:
			super = superpacket(hq6, paris6, protoTCP, n*step, step, tcpACK)
		}
		packets := segments(t, super)
		for i := 0; i+2 < len(changes) && i < 60; i += 3 {
			pkt := packets[int(changes[i]&0x7f)%len(packets)]
			pkt[int(changes[i+1])%min(len(pkt), 100)] ^= changes[i+2]
			if changes[i]&0x80 != 0 && len(pkt) >= 60 && (pkt[0] == 0x45 || pkt[0] == 0x60) {
				mend(pkt)
			}
		}
		// What may pass at all, one by one, by another gateway.
		alone := newInBench(t, protect.AES128GCM16)
		alone.offloads = tun.Offloads{}
		alone.g.queues[0].init(alone.sink, &alone.g.stats)
		var want [][]byte
		for _, pkt := range packets {
			want = append(want, allSegments(t, alone.deliver(t, pkt))...)
		}
		got := allSegments(t, b.deliver(t, packets...))
		if len(got) != len(want) {
			t.Fatalf("%d packets arrived, %d one by one", len(got), len(want))
		}
		byFlow := func(all [][]byte) map[string][][]byte {
			flows := map[string][][]byte{}
			for _, pkt := range all {
				p := parsed(t, pkt)
				k := flowKey{}
				k.remember(&p)
				name := p.src.String() + p.dst.String() + string(rune(k.sport)) + string(rune(k.dport)) + string(rune(k.proto))
				flows[name] = append(flows[name], pkt)
			}
			return flows
		}
		have := byFlow(got)
		for name, flow := range byFlow(want) {
			if len(have[name]) != len(flow) {
				t.Fatalf("a flow of %d packets has %d", len(flow), len(have[name]))
			}
			for i := range flow {
				if !samePacket(have[name][i], flow[i]) {
					t.Fatalf("packet %d is\n%x, want\n%x", i, have[name][i], flow[i])
				}
			}
		}
	})
}

// samePacket compares all but the identification of packets with DF, and the header checksum that covers it.
func samePacket(a, b []byte) bool {
	if len(a) != len(b) || a[0]>>4 != 4 || a[6]&0x40 == 0 {
		return bytes.Equal(a, b)
	}
	return bytes.Equal(a[:4], b[:4]) && bytes.Equal(a[6:10], b[6:10]) && bytes.Equal(a[12:], b[12:])
}

// UDP without a checksum, as VXLAN sends it, is right over IPv4 (RFC 768). It reaches the inside as it is and alone, since the
// kernel would make checksums for what is joined; what has one is joined on either side of it.
func TestUDPWithoutChecksumIsNotJoined(t *testing.T) {
	b := newInBench(t, protect.AES128GCM16)
	want := segments(t, superpacket(hq, paris, protoUDP, 12*100, 100, 0))
	for i := range 4 {
		put16(want[4+i], 26, 0)
	}
	got := b.deliver(t, want...)
	equal(t, "the inside", allSegments(t, got), want)
	if len(got) != 6 {
		t.Errorf("came as %d frames, want two superpackets and four packets", len(got))
	}
}

// With trust in checksums a damaged packet is joined, and gets a good one; what has none still goes alone, and the header's own
// is looked at.
func TestTrustedChecksumsAreNotRead(t *testing.T) {
	for name, tt := range map[string]struct {
		f      *tun.Frame
		change func(b []byte) // of the third of six
		frames int
	}{
		"an octet of data":      {inSuper(600, 100, tcpACK, timestamps...), func(b []byte) { b[100] ^= 1 }, 1},
		"UDP, an octet of data": {superpacket(hq, paris, protoUDP, 600, 100, 0), func(b []byte) { b[100] ^= 1 }, 1},
		"UDP without checksum":  {superpacket(hq, paris, protoUDP, 600, 100, 0), func(b []byte) { b[26], b[27] = 0, 0 }, 3},
		"the IP checksum":       {inSuper(600, 100, tcpACK, timestamps...), func(b []byte) { b[10] ^= 1 }, 3},
	} {
		b := newInBench(t, protect.AES128GCM16)
		b.g.cfg.TrustChecksums = true
		b.recv = newReceiver(b.g, b.g.sockets[0], 0)
		want := segments(t, tt.f)
		tt.change(want[2])
		got := b.deliver(t, want...)
		if len(got) != tt.frames {
			t.Errorf("%s: %d frames, want %d", name, len(got), tt.frames)
		}
		if tt.frames == 1 {
			mend(want[2])
		}
		equal(t, name, allSegments(t, got), want)
	}
}
