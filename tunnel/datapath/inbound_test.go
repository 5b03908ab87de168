package datapath

import (
	"bytes"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

func TestSourcesThatAreNotThePeersAreDropped(t *testing.T) { // TS-05, R33
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		for name, b := range map[string][]byte{
			"our LAN":               udp("10.1.7.7", paris, 1, 2, 8),
			"our LAN, IPv6":         udp("2001:db8:1::7", paris6, 1, 2, 8),
			"the gateway itself":    udp(gatewayItself, paris, 1, 2, 8),
			"the gateway's outside": udp(parisOuter, paris, 1, 2, 8),
			"loopback":              udp("127.0.0.1", paris, 1, 2, 8),
			"loopback, IPv6":        udp("::1", paris6, 1, 2, 8),
			"a group":               udp("224.0.0.5", paris, 1, 2, 8),
			"a group, IPv6":         udp("ff02::5", paris6, 1, 2, 8),
			"nobody":                udp("0.0.0.0", paris, 1, 2, 8),
			"nobody, IPv6":          udp("::", paris6, 1, 2, 8),
			"everybody":             udp("255.255.255.255", paris, 1, 2, 8),
			"link-local":            udp("169.254.9.9", paris, 1, 2, 8),
			"link-local, IPv6":      udp("fe80::1", paris6, 1, 2, 8),
			"IPv4 mapped":           udp("::ffff:10.2.0.1", paris6, 1, 2, 8),
			"the internet":          udp(internet, paris, 1, 2, 8),
			"our inside address":    udp(inside1, paris, 1, 2, 8),
			"another connection's":  udp(elsewhere, paris, 1, 2, 8), // TS-07
		} {
			p.send(b)
			s.refused(name, "spoofed")
		}
		good := udp(hq, paris, 1, 2, 8)
		bgp := tcp(insidePeer1, inside1, 40000, 179, tcpSYN)
		p.send(good)
		p.send(bgp)
		s.want(good, bgp)
	})
}

func TestOurNetworksInsideThePeersAreOurs(t *testing.T) { // TS-05: the peer has all the rest
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		conns := parisConnections()
		conns[0].Networks = prefixes("0.0.0.0/0")
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		p := s.up()
		p.send(udp("10.1.7.7", paris, 1, 2, 8))
		s.refused("our LAN", "spoofed")
		p.send(udp(elsewhere, paris, 1, 2, 8))
		s.refused("another connection's, whose prefix is longer", "spoofed")
		good := udp(internet, paris, 1, 2, 8)
		p.send(good)
		s.want(good)
	})
}

// R28: two connections to one site; what comes by the one that does not carry the site's networks now is good all the same,
// and nothing else of the other's is.
func TestSourcesOfARedundantConnection(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		conns := parisConnections()
		other := slices.IndexFunc(conns, func(c Connection) bool { return c.Name == "other" })
		shared := conns[0].Networks[0]
		if !shared.Contains(netip.MustParseAddr(hq)) {
			t.Fatalf("%v is not where %s is", shared, hq)
		}
		conns[other].Sources = []netip.Prefix{shared}
		conns[0].Networks = append(conns[0].Networks, netip.MustParsePrefix(hq+"/32"))
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		s.up()
		b := s.install("other/1", "203.0.113.1", childOptions{})
		s.choose("other", "1")
		b.send(udp(hq, paris, 1, 2, 8))
		s.refused("a longer prefix of the first connection alone", "spoofed")
		conns[0].Networks = conns[0].Networks[:len(conns[0].Networks)-1]
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		good := udp(hq, paris, 1, 2, 8)
		b.send(good)
		s.want(good)
	})
}

func TestConnectionsAreIsolated(t *testing.T) { // TS-07
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		a := s.up()
		b := s.install("other/1", "203.0.113.1", childOptions{})
		s.choose("other", "1")
		fromA, fromB := udp(hq, paris, 1, 2, 8), udp(elsewhere, paris, 1, 2, 8)

		a.send(fromB)
		s.refused("B's network under A's SPI", "spoofed")
		b.send(fromA)
		s.refused("A's network under B's SPI", "spoofed")
		a.send(udp(hq, elsewhere, 1, 2, 8))
		s.refused("from A to B through us", "no_route")

		a.send(fromA)
		b.send(fromB)
		s.want(fromA, fromB)
		// B's key does not open what is sent under A's SPI, nor the other way round.
		swapped := b.seal(fromB)
		copy(swapped, a.seal(fromA)[:8])
		b.datagram(swapped)
		s.refused("B's packet with A's SPI", "auth")
	})
}

func TestDestinationsArePartOfTheAgreement(t *testing.T) { // R13
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		for name, dst := range map[string]string{
			"the internet": internet, "back to the peer": "10.2.9.9", "another connection": elsewhere,
			"loopback": "127.0.0.1", "a group": "224.0.0.5", "everybody": "255.255.255.255", "nobody": "0.0.0.0",
			"link-local": "169.254.77.1",
		} {
			p.send(udp(hq, dst, 1, 2, 8))
			s.refused(name, "no_route")
		}
	})
}

func TestWithoutLocalNetworksTheHostDecides(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		conns := parisConnections()
		conns[0].Networks, conns[0].Local = prefixes("0.0.0.0/0"), nil
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		p := s.up()
		anywhere := udp(internet, "172.16.0.9", 1, 2, 8)
		p.send(anywhere)
		s.want(anywhere)
		p.send(udp(internet, elsewhere, 1, 2, 8))
		s.refused("a network of another connection", "no_route")
		out := udp("172.16.0.9", internet, 1, 2, 8)
		s.host(out)
		p.wantOpened(out)
	})
}

func TestOwnControlPortsAreClosed(t *testing.T) { // ESP-08
	inLab(t, func(l *lab) {
		s := l.paris(func(c *Config) { c.Guarded = []uint16{9480} })
		p := s.up()
		for name, b := range map[string][]byte{
			"IKE":                  udp(hq, gatewayItself, 5000, 500, 8),
			"IKE, NAT traversal":   udp(hq, parisOuter, 5000, 4500, 8),
			"IKE, inside address":  udp(insidePeer1, inside1, 5000, 500, 8),
			"the status page, TCP": tcp(hq, gatewayItself, 5000, 9480, tcpSYN),
		} {
			p.send(b)
			s.refused(name, "policy")
		}
		open := [][]byte{echo(hq, gatewayItself, 8), tcp(insidePeer1, inside1, 5000, 179, tcpSYN), tcp(hq, paris, 1, 9480, tcpSYN)}
		for _, b := range open {
			p.send(b)
		}
		s.want(open...)
	})
}

func TestSelectorsHoldAfterDecryption(t *testing.T) { // TS-04, RFC 4301 §5.2
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		local := []esp.Selector{esp.SelectorFor(prefix("10.1.0.0/24")), esp.SelectorFor(prefix("2001:db8:1::/64"))}
		remote := []esp.Selector{selector("10.2.0.0/24", protoTCP, 0, 65535), selector("10.2.0.0/24", protoUDP, 53, 53),
			selector("2001:db8:2::/64", protoTCP, 80, 80)}
		p := s.install("hq/1", firstPeerOuter, childOptions{local: local, remote: remote})
		for name, b := range map[string][]byte{
			"source outside":                 tcp("10.2.1.1", paris, 1, 2, 0x10),
			"destination outside":            tcp(hq, "10.1.1.1", 1, 2, 0x10),
			"both the wrong way round":       tcp(paris, hq, 1, 2, 0x10),
			"port outside":                   udp(hq, paris, 54, 1, 8),
			"protocol outside":               echo(hq, paris, 8),
			"fragment without ports":         fragment(udp(hq, paris, 53, 1, 100), 64, false),
			"fragment from outside":          fragment(tcp("10.2.1.1", paris, 1, 2, 0), 64, false),
			"icmp error about another flow":  unreachable(hq, paris, tcp(paris, "10.9.9.9", 1, 2, 0x10)),
			"icmp error about another port":  unreachable(hq, paris, udp(paris, hq, 1, 99, 8)),
			"icmp error, foreign router":     unreachable("10.9.9.9", paris, tcp(paris, hq, 1, 2, 0x10)),
			"port behind extension headers":  ip(hq6, paris6, protoDestOpts, append([]byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}, tcp(hq6, paris6, 81, 1, 0x10)[40:]...)),
			"other family than any selector": udp("fd00::1", "fd00::2", 1, 2, 8),
		} {
			p.send(b)
			s.refused(name, "ts")
		}
		good := [][]byte{tcp(hq, paris, 1, 2, 0x10), udp(hq, paris, 53, 1, 8), fragment(tcp(hq, paris, 1, 2, 0), 64, false),
			unreachable(hq, paris, udp(paris, hq, 1, 53, 8)), tcp(hq6, paris6, 80, 1, 0x10)}
		for _, b := range good {
			p.send(b)
		}
		s.want(good...)
	})
}

func TestWhatESPCarriesMustBeOnePacket(t *testing.T) { // ESP-02, ESP-03
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		change := func(b []byte, at int, v byte) []byte {
			b = bytes.Clone(b)
			b[at] = v
			return b
		}
		four, six := udp(hq, paris, 1, 2, 8), udp(hq6, paris6, 1, 2, 8)
		for _, tt := range []struct {
			name   string
			inner  []byte
			next   uint8
			reason string
		}{
			{"dummy", make([]byte, 100), protoNoNext, "dummy"},
			{"nothing", nil, esp.NextIPv4, "inner"},
			{"IPv6 said to be IPv4", six, esp.NextIPv4, "inner"},
			{"IPv4 said to be IPv6", four, esp.NextIPv6, "inner"},
			{"transport mode", four[20:], protoUDP, "inner"},
			{"next header 255", four, 255, "inner"},
			{"version 0", change(four, 0, 0x05), esp.NextIPv4, "inner"},
			{"version 5", change(four, 0, 0x55), esp.NextIPv4, "inner"},
			{"IHL 4", change(four, 0, 0x44), esp.NextIPv4, "inner"},
			{"total length above data", change(four, 3, 200), esp.NextIPv4, "inner"},
			{"total length below header", change(four, 3, 19), esp.NextIPv4, "inner"},
			{"jumbogram", change(six, 5, 0), esp.NextIPv6, "inner"},
			{"payload length above data", change(six, 5, 200), esp.NextIPv6, "inner"},
			{"a header that ends too soon", ip(hq, paris, protoUDP, []byte{0, 1}), esp.NextIPv4, "inner"},
		} {
			p.datagram(p.sealAs(tt.inner, tt.next))
			s.refused(tt.name, tt.reason)
		}
		p.send(append(bytes.Clone(four), make([]byte, 300)...)) // traffic flow padding, RFC 4303 §2.7
		p.send(append(bytes.Clone(six), make([]byte, 300)...))
		s.want(four, six)
	})
}

func TestESPThatIsNotOursIsDropped(t *testing.T) { // ESP-04, DOS-10
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		good := udp(hq, paris, 1, 2, 8)
		wrongTag := p.seal(good)
		wrongTag[len(wrongTag)-1]++
		reserved := p.seal(good)
		copy(reserved, []byte{0, 0, 0, 255})
		unknown := p.seal(good)
		unknown[1]++
		for _, tt := range []struct {
			name, reason string
			b            []byte
		}{
			{"wrong tag", "auth", wrongTag},
			{"reserved SPI", "malformed", reserved},
			{"unknown SPI", "unknown_spi", unknown},
			{"cut in the header", "malformed", p.seal(good)[:7]},
			{"cut in the tag", "malformed", p.seal(good)[:20]},
			{"nothing", "malformed", []byte{}},
		} {
			p.datagram(tt.b)
			s.refused(tt.name, tt.reason)
		}
		once := p.seal(good)
		p.datagram(once)
		s.want(good)
		p.datagram(once)
		s.refused("the same again", "replay")
		p.datagramTo(p.seal(good), 500) // ESP-05: read as IKE there, which it may look like but never as ESP
		s.want()
	})
}

func TestAForgedSourceChangesNothing(t *testing.T) { // RPL-09
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		elsewhere := l.net.Listen(port("203.0.113.66:6666"))
		from := func(b []byte) {
			path := esp.Path{Remote: netip.AddrPortFrom(s.outer, 4500)}
			elsewhere.Write([]transport.Message{{Buf: b, N: len(b), Path: path}})
			l.settle()
		}
		good := udp(hq, paris, 1, 2, 8)
		old := p.seal(good)
		p.datagram(bytes.Clone(old))
		s.want(good)
		from(old)
		s.refused("old and authentic, from elsewhere", "replay")
		bad := p.seal(good)
		bad[20]++
		from(bad)
		s.refused("forged, from elsewhere", "auth")
		from(p.seal(good)) // new and authentic: taken, but nothing is learned from it
		s.want(good)
		out := udp(paris, hq, 1, 2, 8)
		s.host(out)
		p.wantOpened(out)
	})
}

func TestOldChildrenWorkInboundUntilRemoved(t *testing.T) { // ESP-04: grace
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		old := s.up()
		in, out := udp(hq, paris, 1, 2, 8), udp(paris, hq, 1, 2, 8)
		next := s.install("hq/1", "198.51.100.8", childOptions{idle: true})
		next.send(in) // works at once
		old.send(in)
		s.host(out)
		old.wantOpened(out) // until Activate
		if err := s.Activate(next.id); err != nil {
			t.Fatal(err)
		}
		s.host(out)
		next.wantOpened(out)
		old.wantOpened()
		old.send(in)
		s.want(in, in, in)
		s.Remove(old.id)
		old.send(in)
		s.refused("after Remove", "unknown_spi")
		next.send(in)
		s.want(in)

		// The counters are the tunnel's, whatever child carried it.
		got := s.Traffic("hq/1")
		if got.RxPackets != 4 || got.RxBytes != uint64(4*len(in)) || got.TxPackets != 2 || got.TxBytes != uint64(2*len(out)) || got.MTU != 1438 {
			t.Errorf("traffic %+v", got)
		}
		if age := time.Since(got.LastRx); age < 0 || age > time.Second {
			t.Errorf("last received %v ago", age)
		}
	})
}

func TestOnlyAuthenticTrafficIsASignOfLife(t *testing.T) { // MAL-03, RFC 7296 §2.4, RFC 3948 §4
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		if got := s.LastInbound(p.id); !got.IsZero() {
			t.Errorf("last inbound %v before anything came", got)
		}
		bad := p.seal(udp(hq, paris, 1, 2, 8))
		bad[30]++
		p.datagram(bad)
		p.datagram([]byte{transport.KeepaliveOctet})
		if got := s.LastInbound(p.id); !got.IsZero() {
			t.Errorf("last inbound %v after a forged packet and a keepalive", got)
		}
		p.datagram(p.sealAs(make([]byte, 50), protoNoNext)) // a dummy is a sign of life, and is nothing else
		first := s.LastInbound(p.id)
		if time.Since(first) > time.Second {
			t.Errorf("last inbound %v after a dummy", first)
		}
		time.Sleep(time.Minute)
		p.send(udp(hq, paris, 1, 2, 8))
		if got := s.LastInbound(p.id).Sub(first); got < time.Minute || got > time.Minute+time.Second {
			t.Errorf("last inbound moved by %v, want a minute", got)
		}
		if got := s.LastInbound(0xdead); !got.IsZero() {
			t.Errorf("last inbound of nobody: %v", got)
		}
		if got := s.Stats().KeepalivesIn; got != 1 {
			t.Errorf("%d keepalives", got)
		}
	})
}

func TestMoveChangesWhereItGoes(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		there := port("203.0.113.77:31234")
		moved := &peer{site: s, in: p.in, out: p.out, at: there, sock: l.net.Listen(there)}
		go moved.listen()
		s.Move(p.id, esp.Path{Local: netip.AddrPortFrom(s.outer, 4500), Remote: there})
		b := udp(paris, hq, 1, 2, 8)
		s.host(b)
		moved.wantOpened(b)
		p.wantOpened()
		s.Move(p.id, esp.Path{Local: netip.AddrPortFrom(s.outer, 4999), Remote: p.at}) // no such socket
		s.host(b)
		moved.wantOpened(b)
	})
}

func TestIKEHasItsOwnWay(t *testing.T) { // DOS-15, RFC 3948 §2.2
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		message := bytes.Repeat([]byte{7}, 28)
		read := make(chan string, 1000)
		ended := make(chan error)
		start := make(chan struct{})
		go func() {
			<-start
			b := make([]byte, 1000)
			for {
				n, on, err := s.ReadIKE(b)
				if err != nil {
					ended <- err
					return
				}
				read <- on.Local.String() + " " + on.Remote.String() + " " + string(b[:n])
			}
		}()
		// While nobody reads, ESP goes on, and what the inbox has no room for is counted.
		for range inboxMessages + 10 {
			p.datagram(transport.AddMarker(nil, message))
		}
		s.dropped(map[string]uint64{"inbox_full": 10})
		good := udp(hq, paris, 1, 2, 8)
		p.send(good)
		s.want(good)
		close(start)
		l.settle()
		if n := len(read); n != inboxMessages {
			t.Fatalf("%d messages read, want %d", n, inboxMessages)
		}
		if got, want := <-read, "192.0.2.1:4500 198.51.100.1:4500 "+string(message); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
		for len(read) > 0 {
			<-read
		}
		p.datagramTo(message, 500)
		if got, want := <-read, "192.0.2.1:500 198.51.100.1:4500 "+string(message); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
		p.datagramTo(bytes.Repeat([]byte{7}, 1001), 500)
		s.refused("more than the reader has room for", "malformed")
		p.datagram(make([]byte, 31))
		s.refused("a marker and 27 octets", "malformed") // MAL-03

		// IKE is answered while ESP floods the socket.
		for range 900 {
			p.post([]byte{0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 4500)
		}
		p.datagram(transport.AddMarker(nil, message))
		if len(read) != 1 {
			t.Errorf("%d messages read during a flood of ESP, want 1", len(read))
		}
		s.dropped(map[string]uint64{"unknown_spi": 900})

		// Out: with the marker on the one port, without on the other.
		for _, tt := range []struct {
			port uint16
			want []byte
		}{{4500, append(make([]byte, 4), message...)}, {500, message}} {
			path := esp.Path{Local: netip.AddrPortFrom(s.outer, tt.port), Remote: p.at}
			if err := s.WriteIKE(message, path); err != nil {
				t.Fatal(err)
			}
			if got := p.heard(); len(got) != 1 || !bytes.Equal(got[0], tt.want) {
				t.Errorf("from port %d the peer got %x", tt.port, got)
			}
		}
		if err := s.WriteIKE(message, esp.Path{Local: port("192.0.2.1:4999"), Remote: p.at}); err == nil {
			t.Error("WriteIKE found a socket for port 4999")
		}
		s.queues[0].Close()
		if err := <-ended; err != net.ErrClosed {
			t.Errorf("ReadIKE ended with %v", err)
		}
	})
}

func TestInstallRefusesWhatCannotWork(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		spi := s.AllocSPI()
		alg := protect.AES256GCM16
		good := func() esp.Child {
			return esp.Child{ID: esp.ChildID(spi), Peer: "hq/1", Local: anySelectors, Remote: anySelectors,
				In:   esp.Params{SPI: spi, Algorithm: alg, Key: key(alg, 1), Window: 64},
				Out:  esp.Params{SPI: 4711, Algorithm: alg, Key: key(alg, 2)},
				Path: esp.Path{Local: port("192.0.2.1:4500"), Remote: port("198.51.100.1:4500")}}
		}
		for name, change := range map[string]func(*esp.Child){
			"another ID":            func(c *esp.Child) { c.ID++ },
			"an SPI nobody gave":    func(c *esp.Child) { c.ID ^= 1; c.In.SPI ^= 1 },
			"an unknown tunnel":     func(c *esp.Child) { c.Peer = "hq/9" },
			"no socket without UDP": func(c *esp.Child) { c.Path.Local = port("192.0.2.1:0") },
			"the IKE port":          func(c *esp.Child) { c.Path.Local = port("192.0.2.1:500") },
			"an address not ours":   func(c *esp.Child) { c.Path.Local = port("192.0.2.99:4500") },
			"another family":        func(c *esp.Child) { c.Path.Remote = port("[2001:db8::1]:4500") },
			"a short key":           func(c *esp.Child) { c.In.Key = c.In.Key[1:] },
			"a short key, outbound": func(c *esp.Child) { c.Out.Key = c.Out.Key[1:] },
			"a window of 100":       func(c *esp.Child) { c.In.Window = 100 },
		} {
			c := good()
			change(&c)
			if err := s.Install(c); err == nil {
				t.Errorf("%s: installed", name)
			}
		}
		if err := s.Install(good()); err != nil {
			t.Fatal(err)
		}
		if err := s.Install(good()); err == nil {
			t.Error("installed twice")
		}
		if err := s.Activate(esp.ChildID(spi) ^ 1); err == nil {
			t.Error("activated what is not there")
		}
		s.Remove(esp.ChildID(spi) ^ 1)
		s.Remove(esp.ChildID(spi))
		s.Remove(esp.ChildID(spi))
		reserved := s.AllocSPI()
		s.Remove(esp.ChildID(reserved)) // given back without having been installed
		if s.sad.put(&child{id: esp.ChildID(reserved)}) {
			t.Error("an SPI that was given back is still reserved")
		}
	})
}
