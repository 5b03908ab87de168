package datapath

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"
)

// twoUp is paris with two tunnels to hq that are up, of which the first is chosen.
func twoUp(l *lab) (s *site, one, two *peer) {
	l.t.Helper()
	s = l.paris(nil)
	one, two = s.install("hq/1", firstPeerOuter, childOptions{}), s.install("hq/2", secondPeerOuter, childOptions{})
	s.choose("hq", "1")
	s.follow("hq", "1", "2")
	return s, one, two
}

func (s *site) follow(conn string, tunnels ...string) {
	s.l.t.Helper()
	if err := s.Follow(conn, tunnels...); err != nil {
		s.l.t.Fatal(err)
	}
}

// goesBy checks by which of its tunnels a packet from the inside leaves.
func (s *site) goesBy(what string, b []byte, this, notThis *peer) {
	s.l.t.Helper()
	s.host(b)
	if got, other := len(this.opened()), len(notThis.opened()); got != 1 || other != 0 {
		s.l.t.Errorf("%s: %d by the tunnel that it should take, %d by the other", what, got, other)
	}
}

func TestAnswersLeaveByTheTunnelTheFlowCameInBy(t *testing.T) { // F1, product.md §5 return_path: follow-peer
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		for _, f := range []struct {
			name      string
			in, out   []byte
			unrelated []byte
		}{
			{"TCP", tcp(hq, paris, 5000, 443, tcpSYN), tcp(paris, hq, 443, 5000, tcpACK), tcp(paris, hq, 443, 5001, tcpACK)},
			{"UDP over IPv6", udp(hq6, paris6, 5000, 53, 8), udp(paris6, hq6, 53, 5000, 8), udp(paris6, hq6, 54, 5000, 8)},
			{"ping", echo(hq, paris, 8), echo(paris, hq, 8), echo(paris, "10.2.0.9", 8)},
			{"a fragmented question", fragment(ip("10.2.0.3", paris, protoUDP, udp(hq, paris, 7000, 53, 16)[20:]), 0, true),
				udp(paris, "10.2.0.3", 53, 7000, 8), udp(paris, "10.2.0.3", 53, 7001, 8)},
		} {
			s.goesBy(f.name+", before anything came in", f.out, one, two)
			two.send(f.in)
			s.goesBy(f.name, f.out, two, one)
			s.goesBy(f.name+", another flow", f.unrelated, one, two)
		}
		s.inside()
		s.dropped(map[string]uint64{})
	})
}

func TestWhereBothChooseAlikeNothingIsRemembered(t *testing.T) {
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		for _, b := range manyFlows(hq, paris, 100) {
			one.send(b)
		}
		if f := s.rules("hq").followed; f.slots.Load() != nil || f.live(time.Now().UnixNano()) {
			t.Error("flows that came in by the chosen tunnel are remembered")
		}
		s.goesBy("an answer", udp(paris, hq, 53, 10000, 8), one, two)
	})
}

func (s *site) rules(conn string) *rules { return s.conns[conn].rules.Load() }

func TestAFlowIsFollowedWhileItIsUsed(t *testing.T) {
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		in, out := udp(hq, paris, 5000, 53, 8), udp(paris, hq, 53, 5000, 8)
		two.send(in)
		for range 4 { // one way is use, too
			time.Sleep(55 * time.Second)
			s.goesBy("an answer within a minute", out, two, one)
		}
		time.Sleep(61 * time.Second)
		s.goesBy("an answer after more than a minute", out, one, two)
		two.send(in)
		s.goesBy("an answer after it came in again", out, two, one)
	})
}

func TestATunnelThatIsGoneHoldsNoFlowBack(t *testing.T) { // R21, F21
	for name, tt := range map[string]struct {
		lose func(*site, *peer)
		back func(*site)
	}{
		"its last Child SA is removed": {
			func(s *site, two *peer) { s.Remove(two.id) },
			func(s *site) { s.install("hq/2", "198.51.100.77", childOptions{}) },
		},
		"it is drained, or found dead": {
			func(s *site, _ *peer) { s.follow("hq", "1") },
			func(s *site) { s.follow("hq", "1", "2") },
		},
		"it was chosen besides, and is dead": {
			func(s *site, _ *peer) { s.choose("hq", "2"); s.choose("hq", "1"); s.follow("hq", "1") },
			func(s *site) { s.follow("hq", "1", "2") },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(l *lab) {
				s, one, two := twoUp(l)
				in, out := udp(hq, paris, 5000, 53, 8), udp(paris, hq, 53, 5000, 8)
				two.send(in)
				s.goesBy("an answer", out, two, one)
				tt.lose(s, two)
				s.goesBy("an answer afterwards", out, one, two)
				tt.back(s)
				s.goesBy("an answer once the tunnel is back", out, one, two)
				s.dropped(map[string]uint64{})
			})
		})
	}
}

// The first tunnel dies, everything moves to the second; the first comes back, and what the peer still sends by the second is
// answered there.
func TestAfterAFailbackFlowsStayWhereThePeerHasThem(t *testing.T) { // R21, F1
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		in, out := udp(hq, paris, 5000, 53, 8), udp(paris, hq, 53, 5000, 8)
		one.send(in)
		s.goesBy("an answer", out, one, two)
		s.choose("hq", "2")
		s.follow("hq", "2")
		s.goesBy("an answer after the failover", out, two, one)
		two.send(in)
		s.choose("hq", "1")
		s.follow("hq", "1", "2")
		two.send(in)
		s.goesBy("an answer after the failback", out, two, one)
		s.goesBy("a flow of ours", udp(paris, hq, 1000, 443, 8), one, two)
		time.Sleep(3 * time.Second)
		one.send(in) // the peer has moved it
		s.goesBy("an answer where the peer is now", out, one, two)
	})
}

func TestAFlowThatComesByBothTunnelsStaysWithOne(t *testing.T) {
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		in, out := udp(hq, paris, 5000, 53, 8), udp(paris, hq, 53, 5000, 8)
		two.send(in)
		for range 50 {
			one.send(in)
			s.goesBy("an answer", out, two, one)
			time.Sleep(100 * time.Millisecond)
			two.send(in)
			s.goesBy("an answer", out, two, one)
		}
	})
}

func TestActiveActiveFollowsThePeerToo(t *testing.T) { // F1
	inLab(t, func(l *lab) {
		s, one, two := bothWays(l)
		for i, out := range manyFlows(paris, hq, 16) {
			in := udp(hq, paris, 53, 10000+i, 8)
			one.send(in)
			s.goesBy("a flow that came by the first", out, one, two)
		}
		for i := range 16 {
			two.send(udp(hq, paris, 53, 20000+i, 8))
			s.goesBy("a flow that came by the second", udp(paris, hq, 20000+i, 53, 8), two, one)
		}
	})
}

func TestOtherTunnelsMeanOtherMemories(t *testing.T) {
	inLab(t, func(l *lab) {
		s, one, two := twoUp(l)
		in, out := udp(hq, paris, 5000, 53, 8), udp(paris, hq, 53, 5000, 8)
		two.send(in)
		if err := s.SetConnections(parisConnections()); err != nil {
			t.Fatal(err)
		}
		s.goesBy("the same tunnels", out, two, one)
		conns := parisConnections()
		slices.Reverse(conns[0].Tunnels)
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		s.goesBy("the tunnels in another order", out, one, two)
		for _, bad := range [][]string{{"3"}, {"1", "1"}} {
			if err := s.Follow("hq", bad...); err == nil {
				t.Errorf("Follow takes %v", bad)
			}
		}
		if err := s.Follow("nowhere", "1"); err == nil {
			t.Error("Follow takes a connection that is not there")
		}
	})
}

// A flood of flows takes no more memory than there is, and pushes out what was unused longest.
func TestAFloodOfFlowsIsBounded(t *testing.T) { // DOS-10, DOS-16
	tunnels := readyTunnels(2)
	f, k := newFollowed(tunnels), &choice{tunnels: tunnels[:1], also: tunnels}
	f.secret = 7 // the same each time
	random := rand.New(rand.NewPCG(7, 9))
	now := int64(1_700_000_000 * time.Second)
	in := packet{src: addr(hq), dst: addr(paris), proto: protoTCP, sport: 5000, dport: 443, flowing: true}
	answer := packet{src: addr(paris), dst: addr(hq), proto: protoTCP, sport: 443, dport: 5000, flowing: true}
	f.note(&in, tunnels[1], k, now)
	const perSecond, seconds = 2000, 30
	stranger := in
	if n := testing.AllocsPerRun(1, func() {
		for i := range perSecond * seconds {
			now += int64(time.Second) / perSecond
			stranger.sport, stranger.dport = uint16(random.Uint32()), uint16(random.Uint32())
			f.note(&stranger, tunnels[1], k, now)
			if i%100 == 0 && f.tunnelOf(&answer, k, now) != tunnels[1] {
				t.Fatalf("a flow that is in use was pushed out after %d others", i)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	answer.sport, answer.dport = stranger.dport, stranger.sport
	if f.tunnelOf(&answer, k, now) != tunnels[1] {
		t.Error("the newest flow is not known")
	}
}

// Two gateways whose first packets cross each go over to where they heard the other, and must not change places for ever.
func TestTwoThatFollowEachOtherMeet(t *testing.T) {
	for round := range 20 {
		tunnels := readyTunnels(2)
		near, far := newFollowed(tunnels), newFollowed(tunnels)
		near.secret, far.secret = uint64(round), uint64(round+1000) // the same each time
		likesOne, likesTwo := &choice{tunnels: tunnels[:1], also: tunnels}, &choice{tunnels: tunnels[1:], also: tunnels}
		now := int64(1_700_000_000 * time.Second)
		out := packet{src: addr(paris), dst: addr(hq), proto: protoUDP, sport: 4000, dport: uint16(round), flowing: true}
		back := packet{src: addr(hq), dst: addr(paris), proto: protoUDP, sport: uint16(round), dport: 4000, flowing: true}
		way := func(f *followed, p *packet, k *choice) *tunnel {
			if f.live(now) {
				if t := f.tunnelOf(p, k, now); t != nil {
					return t
				}
			}
			return k.pick(p)
		}
		together := 0
		for range 30_000 / 5 {
			a, b := way(near, &out, likesOne), way(far, &back, likesTwo)
			near.note(&back, b, likesOne, now)
			far.note(&out, a, likesTwo, now)
			if together++; a != b {
				together = 0
			}
			now += int64(5 * time.Millisecond)
		}
		if together < 300 {
			t.Errorf("flow %d: after 30 s the two have been on one tunnel for %d ms", round, 5*together)
		}
	}
}

func readyTunnels(n int) (all []*tunnel) {
	for i := range n {
		t := &tunnel{seed: seedOf(fmt.Sprintf("hq/%d", i+1))}
		t.ready.Store(&[]lot{nil})
		all = append(all, t)
	}
	return all
}

// Workers read and write it at once while tunnels come and go; with the race detector it shows that nothing else is shared.
func TestFlowsAreFollowedByManyAtOnce(t *testing.T) {
	tunnels := readyTunnels(3)
	f, k := newFollowed(tunnels), &choice{tunnels: tunnels[:1], also: tunnels}
	start := int64(1_700_000_000 * time.Second)
	var all sync.WaitGroup
	for worker := range 4 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(3, uint64(worker)))
			for i := range 2000 {
				p := packet{src: addr(hq), dst: addr(paris), proto: protoUDP, sport: uint16(random.UintN(64)), dport: 53, flowing: true}
				now := start + int64(i)*int64(10*time.Millisecond)
				if worker == 0 && i%100 == 0 {
					tunnels[1].term.Add(1)
				}
				f.note(&p, tunnels[random.IntN(3)], k, now)
				p.src, p.dst, p.sport, p.dport = p.dst, p.src, p.dport, p.sport
				if got := f.tunnelOf(&p, k, now); got != nil && !slices.Contains(tunnels, got) {
					t.Error("a flow follows a tunnel of somebody else")
				}
			}
		})
	}
	all.Wait()
	if !f.live(start + int64(20*time.Second)) {
		t.Error("no flow was followed")
	}
}
