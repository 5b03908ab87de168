package datapath

import (
	"bytes"
	"net/netip"
	"testing"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// super sends a superpacket from the inside.
func (s *site) super(f *tun.Frame) {
	g := *f
	g.Buf = bytes.Clone(f.Buf)
	s.fake.Super <- g
	s.l.settle()
}

func TestSuperpacketsCrossAsTheirPackets(t *testing.T) { // R46
	for _, alg := range []*protect.Algorithm{protect.AES256GCM16, protect.ChaCha20Poly1305, protect.CBC(256, protect.HMACSHA256)} {
		inLab(t, func(l *lab) {
			s := l.paris(nil)
			p := s.install("hq/1", firstPeerOuter, childOptions{alg: alg})
			s.choose("hq", "1")
			var want [][]byte
			for _, f := range []*tun.Frame{
				superpacket(paris, hq, protoTCP, 30000, 1350, tcpACK|tcpPSH, timestamps...),
				superpacket(paris6, hq6, protoTCP, 30000, 1300, tcpACK),
				superpacket(paris, hq, protoUDP, 64*200, 200, 0),
				superpacket(paris, hq, protoTCP, 100, 1350, tcpACK),
			} {
				s.super(f)
				want = append(want, segments(t, f)...)
			}
			// A packet alone whose checksum the kernel left open.
			one := superpacket(paris, hq, protoUDP, 100, 100, 0)
			one.Kind = tun.Single
			s.super(one)
			want = append(want, segments(t, one)...)
			p.wantOpened(want...)
			s.dropped(map[string]uint64{})
			if got := s.Traffic("hq/1").TxPackets; got != uint64(len(want)) {
				t.Errorf("%d packets counted, want %d", got, len(want))
			}
		})
	}
}

func TestSuperpacketsMeetThePolicyOnce(t *testing.T) { // R34, R45, TS-04
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		web := []esp.Selector{selector("10.2.0.0/16", protoTCP, 80, 80)}
		p := s.install("hq/1", firstPeerOuter, childOptions{local: anySelectors, remote: web})
		s.choose("hq", "1")
		for _, tt := range []struct {
			name, reason string
			f            *tun.Frame
		}{
			{"no connection owns the destination", "no_route", superpacket(paris, internet, protoTCP, 3000, 1000, tcpACK)},
			{"a source that is none of ours", "policy", superpacket("172.16.0.1", hq, protoTCP, 3000, 1000, tcpACK)},
			{"outside the selectors", "ts", superpacket(paris, hq, protoTCP, 3000, 1000, tcpACK)},
		} {
			s.super(tt.f)
			s.refused(tt.name, tt.reason)
		}
		broken := superpacket(paris, hq, protoTCP, 3000, 1000, tcpACK)
		put16(broken.Buf, 22, 80)
		broken.Size = 0
		s.super(broken)
		s.refused("nothing to cut by", "malformed")
		p.wantOpened()
	})
}

func TestSuperpacketsWaitToo(t *testing.T) { // R23
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		first, second := superpacket(paris, hq, protoTCP, 3000, 1000, tcpACK), superpacket(paris, hq, protoUDP, 500, 200, 0)
		s.super(first)
		s.super(second)
		s.up().wantOpened(append(segments(t, first), segments(t, second)...)...)
		s.dropped(map[string]uint64{})
	})
}

func TestSuperpacketsTooBigAreAnsweredOnceOrCut(t *testing.T) { // ESP-06
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		const mtu = 1438
		big := superpacket(paris, hq, protoTCP, 5*1460, 1460, tcpACK)
		s.super(big)
		answer := s.inside()
		if len(answer) != 1 || answer[0][20] != 3 || answer[0][21] != 4 || be16(answer[0], 26) != mtu {
			t.Fatalf("answers %x, want frag needed with MTU %d", answer, mtu)
		}
		if quoted := answer[0][28:]; !bytes.Equal(quoted, segments(t, big)[0][:len(quoted)]) {
			t.Errorf("quoted is %x, want the first packet as it would have been", quoted[:60])
		}
		s.dropped(map[string]uint64{"mtu": 5})

		s.super(superpacket(paris6, hq6, protoTCP, 5*1460, 1460, tcpACK))
		if answer := s.inside(); len(answer) != 1 || answer[0][40] != 2 || be16(answer[0], 46) != mtu {
			t.Fatalf("answers %x, want packet too big with MTU %d", answer, mtu)
		}
		s.dropped(map[string]uint64{"mtu": 5})

		free := superpacket(paris, hq, protoUDP, 3*1450+10, 1450, 0) // 1478 octets each, and one of 38
		free.Buf[6] = 0
		rehash(free.Buf)
		s.super(free)
		var whole [][]byte
		var upper []byte
		for _, piece := range p.opened() {
			if len(piece) > mtu {
				t.Errorf("a piece has %d octets", len(piece))
			}
			upper = append(upper, piece[20:]...)
			if be16(piece, 6)&moreFragments == 0 {
				whole, upper = append(whole, upper), nil
			}
		}
		for i, want := range segments(t, free) {
			if i >= len(whole) || !bytes.Equal(whole[i], want[20:]) {
				t.Errorf("packet %d did not come through in pieces", i)
			}
		}
		s.dropped(map[string]uint64{})
	})
}

// A device that said it takes superpackets and does not gets packets, none is lost, and it is not asked again.
func TestADeviceThatRefusesSuperpackets(t *testing.T) {
	inLab(t, func(l *lab) {
		if l.offloads == (tun.Offloads{}) {
			return
		}
		s := l.paris(nil)
		p := s.up()
		s.fake.Break()
		for round := range 2 {
			for _, f := range []*tun.Frame{inSuper(5000, 1000, tcpACK), superpacket(hq, paris, protoUDP, 1000, 100, 0)} {
				want := segments(t, f)
				for _, pkt := range want {
					p.post(p.seal(pkt), 4500)
				}
				s.want(want...)
			}
			if got := s.Stats(); got.Joined != 2 || got.JoinRefused != 2 {
				t.Errorf("round %d: %+v", round, got)
			}
		}
		s.dropped(map[string]uint64{})
	})
}

func TestTheDeviceGetsSuperpackets(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		f := inSuper(5000, 1000, tcpACK|tcpPSH)
		want := segments(t, f)
		for _, pkt := range want {
			p.post(p.seal(pkt), 4500)
		}
		s.want(want...)
		joined := uint64(0)
		if l.offloads.TSO {
			joined = 1
		}
		if got := s.fake.Joined(); got != joined || s.Stats().Joined != joined {
			t.Errorf("%d superpackets, %d counted, want %d", got, s.Stats().Joined, joined)
		}
	})
}

// ECN: what the way says about congestion reaches the inside, and DSCP does not come in (RFC 6040 §4.2, ESP-07).
func TestCongestionCrosses(t *testing.T) {
	const drop = 0xff
	table := [4][4]byte{ // by inner, by outer: Not-ECT, ECT(1), ECT(0), CE
		notECT: {notECT, notECT, notECT, drop},
		ect1:   {ect1, ect1, ect1, ce},
		ect0:   {ect0, ect1, ect0, ce},
		ce:     {ce, ce, ce, ce},
	}
	for _, pkt := range [][]byte{tcp(hq, paris, 1, 2, tcpACK), tcp(hq6, paris6, 1, 2, tcpACK)} {
		for inner := range byte(4) {
			for outer := range byte(4) {
				b := newInBench(t, protect.AES128GCM16)
				in := withTOS(pkt, 0xb8|inner)
				m := transport.Message{Buf: b.sealed(t, in), TOS: 0x20 | outer}
				m.N = len(m.Buf)
				b.recv.begin(1)
				b.recv.message(&m)
				b.recv.end()
				got := allSegments(t, b.got)
				if table[inner][outer] == drop {
					if len(got) != 0 || b.g.Drops()["ecn"] != 1 {
						t.Errorf("inner %d, outer %d: %d packets, dropped %v", inner, outer, len(got), b.g.Drops())
					}
					continue
				}
				equal(t, "the inside", got, [][]byte{withTOS(pkt, 0xb8|table[inner][outer])})
			}
		}
	}
}

// withTOS is b with another TOS or traffic class.
func withTOS(b []byte, tos byte) []byte {
	b = bytes.Clone(b)
	if b[0]>>4 == 6 {
		b[0], b[1] = 0x60|tos>>4, b[1]&0xf|tos<<4
		return b
	}
	b[1] = tos
	return rehash(b)
}

func TestTOSGoesToTheOuterHeader(t *testing.T) { // RFC 4301 §5.1.2, RFC 6040 §4.1
	b := newBench(t, protect.AES128GCM16)
	b.record = true
	for _, pkt := range [][]byte{
		withTOS(udp(paris, hq, 1, 2, 100), 0xb9), withTOS(udp(paris, hq, 1, 2, 100), 0xb9), udp(paris, hq, 1, 2, 100), withTOS(udp(paris6, hq6, 1, 2, 80), 3),
	} {
		b.send.begin(1)
		b.send.frame(inSlot(whole(pkt)))
		b.send.end()
	}
	f := inSlot(superpacket(paris, hq, protoTCP, 3000, 1000, tcpACK))
	f.Buf[f.At+1] = 0x02
	b.send.begin(1)
	b.send.frame(f)
	b.send.frame(inSlot(whole(withTOS(udp(paris, hq, 1, 2, 1012), 0x02))))
	b.send.frame(inSlot(whole(withTOS(udp(paris, hq, 1, 2, 1012), 0x01))))
	b.send.end()
	var tos []uint8
	var datagrams []int
	for i := range b.sent {
		tos, datagrams = append(tos, b.sent[i].TOS), append(datagrams, b.sent[i].Datagrams())
	}
	if !bytes.Equal(tos, []uint8{0xb9, 0xb9, 0, 3, 2, 1}) || datagrams[4] != 4 {
		t.Errorf("TOS %x of messages of %v datagrams", tos, datagrams)
	}
}

// Sealed packets to one place are one message: of equal lengths, of which the last may be shorter, and not too many.
func TestRunsOfSealedPackets(t *testing.T) {
	const a, z = 200, 100 // sizes of inner packets
	type run struct{ stride, datagrams, last int }
	stride := func(n int) int { return esp.SealedLen(protect.AES128GCM16, n) }
	seal := func(n int, sizes ...int) (runs []run) {
		b := newBench(t, protect.AES128GCM16)
		b.record = true
		for range n {
			b.send.begin(1)
			for _, size := range sizes {
				b.send.frame(inSlot(whole(udp(paris, hq, 1, 2, size-28))))
			}
			b.send.end()
		}
		for i := range b.sent {
			m := &b.sent[i]
			runs = append(runs, run{m.Stride, m.Datagrams(), len(m.Datagram(m.Datagrams() - 1))})
		}
		return runs
	}
	check := func(name string, got []run, want ...run) {
		t.Helper()
		if len(got) != len(want) {
			t.Fatalf("%s: runs %v, want %v", name, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("%s: runs %v, want %v", name, got, want)
			}
		}
	}
	A, Z := stride(a), stride(z)
	check("equal", seal(1, a, a, a), run{A, 3, A})
	check("the last shorter", seal(1, a, a, z), run{A, 3, Z})
	check("a shorter one ends it", seal(1, a, z, a, z, z), run{A, 2, Z}, run{A, 2, Z}, run{Z, 1, Z})
	check("a longer one begins anew", seal(1, z, a, a), run{Z, 1, Z}, run{A, 2, A})
	var many, long []int
	for range transport.MaxRun + 1 {
		many, long = append(many, z), append(long, 1400)
	}
	check("as many as a message may have", seal(1, many...), run{Z, transport.MaxRun, Z}, run{Z, 1, Z})
	L := stride(1400)
	fit := transport.MaxRunLen / L
	check("as long as a message may be", seal(1, long...), run{L, fit, L}, run{L, 64 - fit, L})
}

func TestBatchesEnd(t *testing.T) {
	b := newBench(t, protect.AES128GCM16)
	b.send.begin(1)
	for range batchSupers {
		if b.send.full() {
			t.Error("full too soon")
		}
		b.send.frame(inSlot(superpacket(paris, hq, protoTCP, 60000, 1386, tcpACK)))
	}
	if !b.send.full() {
		t.Error("as many superpackets as a batch takes, and not full")
	}
	b.send.end()
	b.send.begin(1)
	for range batchFrames {
		if b.send.full() {
			t.Error("full too soon")
		}
		b.send.frame(inSlot(whole(udp(paris, hq, 1, 2, 8))))
	}
	if !b.send.full() {
		t.Error("as many packets as a batch takes, and not full")
	}
	b.send.end()
}

// A superpacket that swells beyond the slab is sent in parts, and nothing is lost.
func TestASuperpacketOfManySmallPackets(t *testing.T) {
	b := newBench(t, protect.AES128GCM16)
	b.send.begin(1)
	b.send.frame(inSlot(superpacket(paris, hq, protoTCP, 60000, 8, tcpACK)))
	b.send.end()
	if b.datagrams != 7500 {
		t.Errorf("%d datagrams, want 7500", b.datagrams)
	}
	if d := b.g.Drops(); len(d) != 0 {
		t.Errorf("dropped %v", d)
	}
}

// The numbers of a Child SA run out in the middle of a superpacket (RPL-05, CRY-14).
func TestNumbersEndInsideASuperpacket(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.install("hq/1", firstPeerOuter, childOptions{limits: esp.Limits{HardPackets: 3}})
		s.choose("hq", "1")
		f := superpacket(paris, hq, protoTCP, 5000, 1000, tcpACK)
		s.super(f)
		p.wantOpened(segments(t, f)[:3]...)
		s.dropped(map[string]uint64{"expired": 2})
		if len(s.spent) != 1 || s.spent[0] != p.id {
			t.Errorf("spent %v", s.spent)
		}
	})
}

// Two gateways with superpackets at both ends.
func TestTwoGatewaysCarrySuperpackets(t *testing.T) {
	inLab(t, func(l *lab) {
		a, b := l.gateway(parisOuter, nil), l.gateway(firstPeerOuter, nil)
		connect(t, a, b)
		f := superpacket(paris, hq, protoTCP, 61000, 1386, tcpACK|tcpPSH, timestamps...)
		a.super(f)
		b.want(segments(t, f)...)
		back := superpacket(hq, paris, protoUDP, 64*900, 900, 0)
		b.super(back)
		a.want(segments(t, back)...)
		if l.offloads.TSO && (b.fake.Joined() == 0 || a.fake.Joined() == 0) {
			t.Error("nothing was joined")
		}
	})
}

// connect joins two gateways by one tunnel of one connection, 10.1.0.0/16 behind a and 10.2.0.0/16 behind b.
func connect(t *testing.T, a, b *site) {
	t.Helper()
	for _, c := range []struct {
		s     *site
		there netip.Prefix
	}{{a, prefix("10.2.0.0/16")}, {b, prefix("10.1.0.0/16")}} {
		if err := c.s.SetConnections([]Connection{{Name: "c", Networks: []netip.Prefix{c.there}, Tunnels: []Tunnel{{Name: "1"}}}}); err != nil {
			t.Fatal(err)
		}
		c.s.choose("c", "1")
	}
	spiA, spiB := a.AllocSPI(), b.AllocSPI()
	toA := esp.Params{SPI: spiA, Algorithm: protect.AES256GCM16, Key: key(protect.AES256GCM16, 1), Window: 64}
	toB := esp.Params{SPI: spiB, Algorithm: protect.AES256GCM16, Key: key(protect.AES256GCM16, 2), Window: 64}
	path := esp.Path{Local: netip.AddrPortFrom(a.outer, 4500), Remote: netip.AddrPortFrom(b.outer, 4500)}
	for _, c := range []struct {
		s  *site
		ch esp.Child
	}{
		{a, esp.Child{ID: esp.ChildID(spiA), Peer: "c/1", In: toA, Out: toB, Local: anySelectors, Remote: anySelectors, Path: path}},
		{b, esp.Child{ID: esp.ChildID(spiB), Peer: "c/1", In: toB, Out: toA, Local: anySelectors, Remote: anySelectors, Path: path.Reverse()}},
	} {
		if err := c.s.Install(c.ch); err != nil {
			t.Fatal(err)
		}
		if err := c.s.Activate(c.ch.ID); err != nil {
			t.Fatal(err)
		}
	}
}
