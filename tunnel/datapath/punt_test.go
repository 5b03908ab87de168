package datapath

import (
	"bytes"
	"slices"
	"testing"
)

// A shown is a packet that Config.Control was called with.
type shown struct {
	peer   string
	packet []byte
}

// seer is a Config.Control: it notes what it is shown, and takes it or does not.
type seer struct {
	takes bool
	got   []shown
}

func (s *seer) control(peer string, packet []byte) bool {
	s.got = append(s.got, shown{peer, bytes.Clone(packet)})
	if s.takes {
		clear(packet) // it is ours
	}
	return s.takes
}

// want checks what was shown since it was last asked.
func (s *seer) want(t *testing.T, name string, want ...shown) {
	t.Helper()
	if !slices.EqualFunc(s.got, want, func(a, b shown) bool { return a.peer == b.peer && bytes.Equal(a.packet, b.packet) }) {
		t.Errorf("%s: was shown %x, want %x", name, s.got, want)
	}
	s.got = nil
}

// echoReply is the answer to an echo request.
func echoReply(src, dst string, n int) []byte {
	b := echo(src, dst, n)
	if at := 20; b[0]>>4 == 4 {
		b[at] = 0
		put16(b, at+2, 0)
		put16(b, at+2, int(onesComplement(b[at:])))
		return b
	}
	b[40] = 129
	put16(b, 42, 0)
	put16(b, 42, int(upperChecksum(b, protoICMPv6, 8+n)))
	return b
}

// tooBig6 is an ICMPv6 error about a packet.
func tooBig6(src, dst string, quoted []byte) []byte {
	return ip(src, dst, protoICMPv6, append([]byte{2, 0, 0, 0, 0, 0, 5, 0}, quoted...))
}

const (
	insideOne6, peerOne6 = "fd00:1::2", "fd00:1::1"
	insideTwo            = "169.254.2.2"
)

// six gives the first tunnel of hq inside addresses of IPv6.
func six(t *testing.T, s *site) {
	t.Helper()
	conns := parisConnections()
	conns[0].Tunnels[0].Inside, conns[0].Tunnels[0].InsidePeer = addr(insideOne6), addr(peerOne6)
	if err := s.SetConnections(conns); err != nil {
		t.Fatal(err)
	}
}

func TestControlTrafficIsShownFirst(t *testing.T) { // decision 2: ping, BGP, BFD and errors about them
	for _, takes := range []bool{true, false} {
		inLab(t, func(l *lab) {
			see := &seer{takes: takes}
			s := l.paris(func(c *Config) { c.Control = see.control })
			p := s.up()
			check := func(name string, b []byte) {
				t.Helper()
				p.send(b)
				reached := s.inside()
				see.want(t, name, shown{"hq/1", b})
				switch {
				case takes && len(reached) != 0:
					t.Errorf("%s: was taken, and reached the device", name)
				case !takes && (len(reached) != 1 || !bytes.Equal(reached[0], b)):
					t.Errorf("%s: was not taken, and the device got %x", name, reached)
				}
			}
			check("echo request", echo(insidePeer1, inside1, 8))
			check("echo request from the network behind", echo(hq, inside1, 8))
			check("echo reply", echoReply(hq, inside1, 8))
			check("BGP to us", tcp(insidePeer1, inside1, 40000, 179, tcpSYN))
			check("BGP, again", tcp(insidePeer1, inside1, 40000, 179, tcpACK))
			check("BGP to them", tcp(insidePeer1, inside1, 179, 40000, tcpACK))
			check("BFD", udp(insidePeer1, inside1, 50000, 3784, 24))
			check("BFD, multihop", udp(insidePeer1, inside1, 50000, 4784, 24))
			check("error about a ping", unreachable(hq, inside1, echo(inside1, hq, 8)))
			check("error about BGP", unreachable(hq, inside1, tcp(inside1, insidePeer1, 40000, 179, tcpSYN)))
			check("error about BFD", unreachable(hq, inside1, udp(inside1, insidePeer1, 50000, 3784, 24)))
			check("answer to a ping from our LAN", echoReply(hq, gatewayItself, 8))
			check("error about a ping from our LAN", unreachable(hq, gatewayItself, echo(gatewayItself, hq, 8)))
			if got := s.Traffic("hq/1").RxPackets; got != 13 {
				t.Errorf("%d packets in the traffic, want 13", got)
			}
			six(t, s)
			check("IPv6 echo request", echo(peerOne6, insideOne6, 8))
			check("IPv6 echo reply", echoReply(peerOne6, insideOne6, 8))
			check("IPv6 BGP", tcp(peerOne6, insideOne6, 40000, 179, tcpSYN))
			check("IPv6 too big", tooBig6(hq6, insideOne6, echo(insideOne6, hq6, 8)))
			s.dropped(map[string]uint64{})
		})
	}
}

func TestEverythingElseGoesToTheDevice(t *testing.T) {
	inLab(t, func(l *lab) {
		see := &seer{takes: true}
		s := l.paris(func(c *Config) { c.Control = see.control })
		one := s.up()
		two := s.install("hq/2", "198.51.100.2", childOptions{})
		timestamps := ip(insidePeer1, inside1, protoICMP, []byte{13, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
		optioned := echo(insidePeer1, inside1, 8)
		optioned = rehash(append(append(bytes.Clone(optioned[:20]), 1, 1, 1, 0), optioned[20:]...))
		optioned[0] = 0x46
		put16(optioned, 2, len(optioned))
		rehash(optioned)
		large := echo(insidePeer1, inside1, 64)
		for name, from := range map[string]struct {
			p *peer
			b []byte
		}{
			"SSH":                           {one, tcp(insidePeer1, inside1, 40000, 22, tcpSYN)},
			"DNS":                           {one, udp(insidePeer1, inside1, 179, 53, 24)},
			"from BFD's port":               {one, udp(insidePeer1, inside1, 3784, 50000, 24)},
			"another ICMP question":         {one, timestamps},
			"error about SSH":               {one, unreachable(hq, inside1, tcp(inside1, hq, 40000, 22, tcpSYN))},
			"with options":                  {one, optioned},
			"first fragment":                {one, fragment(large[:20+64], 0, true)},
			"later fragment":                {one, fragment(large, 64, false)},
			"the other tunnel's address":    {two, echo(hq, inside1, 8)},
			"BGP, the other tunnel's":       {one, tcp(insidePeer1, insideTwo, 40000, 179, tcpSYN)},
			"ping to a host behind us":      {one, echo(hq, paris, 8)},
			"reply to a host behind us":     {one, echoReply(hq, paris, 8)},
			"ping to the gateway itself":    {one, echo(hq, gatewayItself, 8)},
			"BGP to the gateway itself":     {one, tcp(hq, gatewayItself, 40000, 179, tcpSYN)},
			"error about another's traffic": {one, unreachable(hq, gatewayItself, tcp(gatewayItself, hq, 40000, 179, tcpSYN))},
		} {
			from.b = from.b[:be16(from.b, 2)]
			from.p.send(from.b)
			see.want(t, name)
			if got := s.inside(); len(got) != 1 || !bytes.Equal(got[0], from.b) {
				t.Errorf("%s: the device got %x", name, got)
			}
		}
		six(t, s)
		extended := echo(peerOne6, insideOne6, 8)
		extended = ip(peerOne6, insideOne6, protoDestOpts, append([]byte{protoICMPv6, 0, 1, 4, 0, 0, 0, 0}, extended[40:]...))
		atomic := ip(peerOne6, insideOne6, protoFragment, append([]byte{protoICMPv6, 0, 0, 1, 0, 0, 0, 0}, echo(peerOne6, insideOne6, 8)[40:]...))
		for _, b := range [][]byte{extended, atomic} {
			one.send(b)
			see.want(t, "extension headers")
			s.want(b)
		}
		s.dropped(map[string]uint64{})
	})
}

func TestControlTrafficPassesThePolicyFirst(t *testing.T) { // TS-05, TS-07, ESP-08
	inLab(t, func(l *lab) {
		see := &seer{takes: true}
		s := l.paris(func(c *Config) { c.Control, c.Guarded = see.control, []uint16{179} })
		p := s.up()
		for why, b := range map[string][]byte{
			"spoofed": echo(elsewhere, inside1, 8),
			"policy":  tcp(insidePeer1, inside1, 40000, 179, tcpSYN),
		} {
			p.send(b)
			s.refused(why, why)
		}
		see.want(t, "refused packets")
	})
}

// The tunnel says whose a packet is, not its addresses: the same /30 may stand in two connections.
func TestTwoConnectionsMayUseOneInsideNetwork(t *testing.T) {
	inLab(t, func(l *lab) {
		see := &seer{takes: true}
		s := l.paris(func(c *Config) { c.Control = see.control })
		conns := parisConnections()
		conns[1].Tunnels[0].Inside, conns[1].Tunnels[0].InsidePeer = addr(inside1), addr(insidePeer1)
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		a := s.install("hq/1", "198.51.100.1", childOptions{})
		b := s.install("other/1", "203.0.113.1", childOptions{})
		ping, answer := echo(insidePeer1, inside1, 8), echoReply(inside1, insidePeer1, 8)
		a.send(ping)
		b.send(ping)
		see.want(t, "the same ping", shown{"hq/1", ping}, shown{"other/1", ping})
		if err := s.Send("other/1", answer); err != nil {
			t.Fatal(err)
		}
		a.wantOpened()
		b.wantOpened(answer)
	})
}

// Control is slow and a peer sends without end: a bounded number of its packets wait, and others' still find room (DOS-15).
func TestAFloodOfControlTrafficIsDropped(t *testing.T) {
	inLab(t, func(l *lab) {
		busy := make(chan struct{})
		of := map[string]int{}
		s := l.paris(func(c *Config) {
			c.Control = func(peer string, _ []byte) bool {
				<-busy
				of[peer]++
				return true
			}
		})
		conns := parisConnections()
		conns[1].Tunnels[0].Inside = addr(inside1)
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		a := s.install("hq/1", "198.51.100.1", childOptions{})
		b := s.install("other/1", "203.0.113.1", childOptions{})
		a.send(echo(insidePeer1, inside1, 8)) // Control is at this one
		for range maxPuntedOfOne + 5 {
			a.send(echo(insidePeer1, inside1, 8))
		}
		b.send(echo(elsewhere, inside1, 8))
		s.dropped(map[string]uint64{"control_full": 5})
		if got := s.Traffic("hq/1").Drops["control_full"]; got != 5 {
			t.Errorf("%d drops are the tunnel's, want 5", got)
		}
		close(busy)
		s.settleFor(of, map[string]int{"hq/1": 1 + maxPuntedOfOne, "other/1": 1})
		for range 10 { // there is room again
			a.send(echo(insidePeer1, inside1, 8))
		}
		s.dropped(map[string]uint64{})
		s.want()
	})
}

// settleFor waits until all that waits was taken, and compares the counts.
func (s *site) settleFor(got, want map[string]int) {
	s.l.t.Helper()
	s.l.settle()
	for peer, n := range want {
		if got[peer] != n {
			s.l.t.Errorf("Control got %d packets of %s, want %d", got[peer], peer, n)
		}
	}
}

func TestTheQueueOfControlTrafficIsBounded(t *testing.T) {
	var q puntQueue
	large := make([]byte, maxPacket)
	for i := range maxPuntedOctets / maxPacket {
		if !q.put(&tunnel{}, large) {
			t.Fatalf("no room after %d packets", i)
		}
	}
	if q.put(&tunnel{}, large) {
		t.Error("more octets than allowed")
	}
	q.take()
	for i := range maxPunted {
		if !q.put(&tunnel{}, large[:1]) {
			t.Fatalf("no room after %d packets", i)
		}
	}
	if q.put(&tunnel{}, large[:1]) {
		t.Error("more packets than allowed")
	}
	if got := len(q.take()); got != maxPunted {
		t.Errorf("%d packets waited, want %d", got, maxPunted)
	}
}
