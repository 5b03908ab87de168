package datapath

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"twinbore/esp/protect"
	"twinbore/tunnel/tun"
)

// bothWays is paris with two tunnels to hq, both chosen.
func bothWays(l *lab) (s *site, one, two *peer) {
	l.t.Helper()
	s = l.paris(nil)
	one, two = s.install("hq/1", firstPeerOuter, childOptions{}), s.install("hq/2", secondPeerOuter, childOptions{})
	s.choose("hq", "1", "2")
	return s, one, two
}

// manyFlows are UDP packets of n flows, told apart by their ports.
func manyFlows(src, dst string, n int) (flows [][]byte) {
	for i := range n {
		flows = append(flows, udp(src, dst, 10000+i, 53, 8))
	}
	return flows
}

func TestFlowsAreSpreadOverTheChosenTunnels(t *testing.T) { // F1, product.md §5 ha.mode: active-active
	inLab(t, func(l *lab) {
		s, one, two := bothWays(l)
		where := func(flows [][]byte) map[string]int {
			l.t.Helper()
			for _, b := range flows {
				s.host(b)
			}
			by := map[string]int{}
			for i, p := range []*peer{one, two} {
				for _, b := range p.opened() {
					by[string(b)] = i + 1
				}
			}
			if len(by) != len(flows) {
				l.t.Errorf("of %d flows %d came out", len(flows), len(by))
			}
			return by
		}
		flows := append(manyFlows(paris, hq, 60), manyFlows(paris6, hq6, 60)...)
		before := where(flows)
		count := [3]int{}
		for _, b := range flows {
			count[before[string(b)]]++
		}
		if count[0] != 0 || count[1] < 30 || count[2] < 30 {
			t.Fatalf("of %d flows %d went by the first tunnel, %d by the second", len(flows), count[1], count[2])
		}
		again := where(flows)
		for _, b := range flows {
			if again[string(b)] != before[string(b)] {
				t.Fatalf("a flow has changed its tunnel: %x", b)
			}
		}

		s.choose("hq", "2") // the first is lost: its flows move
		for _, tunnel := range where(flows) {
			if tunnel != 2 {
				t.Fatal("a flow goes by a tunnel that is not chosen")
			}
		}
		s.choose("hq", "2", "1") // and come back, in whatever order it is named
		s.Remove(one.id)         // before anybody says that the tunnel is down
		for _, tunnel := range where(flows) {
			if tunnel != 2 {
				t.Fatal("a flow waits for a tunnel without a Child SA, while another has one")
			}
		}
		if err := s.Choose("hq", "1", "1"); err == nil {
			t.Error("a tunnel is chosen twice")
		}
	})
}

// Rendezvous hashing: of three tunnels each has its share, and one that is lost moves no flow of the others.
func TestALostTunnelMovesNoOtherFlow(t *testing.T) { // routing.md §6.2
	var three []*tunnel
	for i := range 3 {
		w := &tunnel{seed: seedOf(fmt.Sprintf("hq/%d", i+1))}
		w.ready.Store(&[]lot{{nil}})
		three = append(three, w)
	}
	random := rand.New(rand.NewPCG(5, 7))
	const flows = 30_000
	share := map[*tunnel]int{}
	all, less := choice{tunnels: three}, choice{tunnels: []*tunnel{three[2], three[0]}}
	for i := range flows {
		p := packet{src: addr(paris), dst: addr(hq), proto: protoTCP, sport: uint16(i), dport: 443, flowing: true}
		if i%2 == 0 { // neighbours, of one service
			p.dst = netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)})
			p.sport = uint16(random.UintN(65536))
		}
		was, is := all.pick(&p), less.pick(&p)
		share[was]++
		if was != is && was != three[1] {
			t.Fatalf("flow %d has moved, though its tunnel is still there", i)
		}
	}
	for i, w := range three {
		if n := share[w]; n < flows/3*95/100 || n > flows/3*105/100 {
			t.Errorf("tunnel %d has %d of %d flows", i+1, n, flows)
		}
	}
}

func TestAllOfAPacketGoesOneWay(t *testing.T) {
	inLab(t, func(l *lab) {
		s, one, two := bothWays(l)
		for i := range 16 {
			upper := udp(paris, hq, 2000+i, 53, 64)[20:]
			s.host(fragment(ip(paris, hq, protoUDP, upper[:24]), 0, true)) // the first shows the ports, the others do not
			s.host(fragment(ip(paris, hq, protoUDP, upper[24:]), 24, false))
		}
		if a, b := len(one.opened()), len(two.opened()); a+b != 32 || a != 0 && b != 0 {
			t.Errorf("of the fragments between two hosts %d went one way, %d the other", a, b)
		}
		for i := range 8 { // what is no flow goes by its addresses
			s.host(echo(paris, hq, 8+i))
		}
		if a, b := len(one.opened()), len(two.opened()); a+b != 8 || a != 0 && b != 0 {
			t.Errorf("of the pings between two hosts %d went one way, %d the other", a, b)
		}
		if !l.offloads.TSO {
			return
		}
		for i := range 8 {
			f := superpacket(paris, hq, protoTCP, 5000, 1000, tcpACK)
			put16(f.Buf, f.At+20, 3000+i)
			s.super(f)
			if a, b := len(one.opened()), len(two.opened()); a+b != 5 || a != 0 && b != 0 {
				t.Errorf("of a superpacket %d packets went one way, %d the other", a, b)
			}
		}
	})
}

// A packet that only one tunnel may carry waits for that one, whatever the others have. It used to go round between the one
// who keeps and the one who sends for as long as another tunnel could send.
func TestWhatWaitsForOneTunnelIsLeftAlone(t *testing.T) { // DOS-16
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.up()
		ping := echo(inside2, insidePeer2, 8)
		s.fake.Out <- ping
		time.Sleep(time.Millisecond) // the bubble stands still only if nobody is busy
		two := s.install("hq/2", secondPeerOuter, childOptions{})
		two.wantOpened(ping)
	})
}

// Looking at it again makes it no younger.
func TestWhatIsLookedAtAgainGrowsOld(t *testing.T) { // R23
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.host(udp(paris, hq, 1, 2, 8))
		for range 2 {
			time.Sleep(6 * time.Second)
			s.choose("hq", "1")
			l.settle()
		}
		s.dropped(map[string]uint64{"no_sa": 1})
		s.up().wantOpened()
	})
}

// What waits for a connection goes by the one that gets the network.
func TestWhatWaitsGoesByWhoeverOwnsTheNetworkNow(t *testing.T) { // R33
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		b := udp(paris, hq, 1, 2, 8)
		s.host(b)
		p := s.install("other/1", "203.0.113.1", childOptions{})
		s.choose("other", "1")
		p.wantOpened()
		conns := parisConnections()
		conns[0].Networks, conns[1].Networks = conns[1].Networks, conns[0].Networks
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		p.wantOpened(b)
		s.dropped(map[string]uint64{})
	})
}

// What choosing costs, for the one tunnel that most connections use and for two: beside nothing at all, each packet is
// of another flow.
func BenchmarkChoice(b *testing.B) {
	for _, chosen := range [][]string{{"1"}, {"1", "2"}} {
		b.Run(fmt.Sprintf("tunnels=%d", len(chosen)), func(b *testing.B) {
			x := newBench(b, protect.AES128GCM16)
			x.alsoBy("hq/2", secondPeerOuter)
			if err := x.g.Choose("hq", chosen...); err != nil {
				b.Fatal(err)
			}
			var frames []*tun.Frame
			for flow := range 64 {
				frames = append(frames, whole(udp(paris, hq, 1000+flow, 7, 36)))
			}
			b.ReportAllocs()
			for b.Loop() {
				x.send.begin(1)
				for i := range batchFrames {
					x.put(frames[i])
				}
				x.send.end()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchFrames), "ns/packet")
		})
	}
}

// The choice alone: 55 ns were measured for it and a look-up among 1,000 networks (routing.md §6.2).
func BenchmarkPick(b *testing.B) {
	for _, n := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("tunnels=%d", n), func(b *testing.B) {
			k := &choice{}
			for i := range n {
				w := &tunnel{seed: seedOf(fmt.Sprint(i))}
				w.ready.Store(&[]lot{{nil}})
				k.tunnels = append(k.tunnels, w)
			}
			p := packet{src: addr(paris), dst: addr(hq), proto: protoTCP, dport: 443, flowing: true}
			b.ReportAllocs()
			for b.Loop() {
				p.sport++
				k.pick(&p)
			}
		})
	}
}
