package datapath

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

// withESP gives a gateway a socket of IP protocol 50 besides its others.
func (l *lab) withESP(outer string) func(*Config) {
	return func(c *Config) {
		c.Sockets = append(c.Sockets, Socket{Socket: l.net.ListenESP(addr(outer)), Addr: addr(outer)})
	}
}

// ESP without UDP is like ESP in UDP: 8 octets more fit, over either family (N-61, R46).
func TestBareESPCarriesPackets(t *testing.T) {
	for _, outer := range [][2]string{{"192.0.2.1", "198.51.100.1"}, {"2001:db8::1", "2001:db8::2"}} {
		inLab(t, func(l *lab) {
			s := l.gateway(outer[0], l.withESP(outer[0]))
			if err := s.SetConnections(parisConnections()); err != nil {
				t.Fatal(err)
			}
			p := s.install("hq/1", outer[1], childOptions{bare: true})
			s.choose("hq", "1")
			out, back := udp(paris, hq, 1, 2, 900), udp(hq, paris, 2, 1, 900)
			s.host(out)
			p.wantOpened(out)
			p.send(back)
			s.want(back)
			six := addr(outer[0]).Is6()
			want := InnerMTU(1500, six, false, protect.AES256GCM16)
			if udp := InnerMTU(1500, six, true, protect.AES256GCM16); want != udp+8 {
				t.Errorf("an inner MTU of %d without UDP and of %d with it", want, udp)
			}
			if got := s.Traffic("hq/1"); got.MTU != want || got.RxPackets != 1 || got.TxPackets != 1 {
				t.Errorf("traffic %+v, want an MTU of %d", got, want)
			}
			full := udp(paris, hq, 1, 2, want-28)
			s.host(full)
			p.wantOpened(full)
			p.heard()
			time.Sleep(5 * time.Minute) // RFC 3948 §4: a keepalive is for a NAT, and that passes UDP alone
			if heard := p.heard(); len(heard) != 0 || s.Stats().KeepalivesOut != 0 {
				t.Errorf("%d packets on a silent path: %x", len(heard), heard[0])
			}
		})
	}
}

// RFC 7296 §2.23, ESP-05: ESP comes in UDP and without it at any time, and never on the IKE port.
func TestESPComesEitherWay(t *testing.T) {
	inLab(t, func(l *lab) {
		var seen []esp.Path
		s := l.paris(func(c *Config) {
			l.withESP("192.0.2.1")(c)
			c.Seen = func(_ string, _ esp.ChildID, path esp.Path) { seen = append(seen, path) }
		})
		bare, inUDP := s.install("hq/1", "198.51.100.1", childOptions{bare: true}), s.install("hq/2", "198.51.100.2", childOptions{})
		s.choose("hq", "1")
		b := udp(hq, paris, 2, 1, 64)
		from := func(sock transport.Socket, sealed []byte, port uint16) {
			t.Helper()
			m := []transport.Message{{Buf: sealed, N: len(sealed), Path: esp.Path{Remote: netip.AddrPortFrom(s.outer, port)}}}
			if n, err := sock.Write(m); n != 1 {
				t.Fatal(err)
			}
			l.settle()
		}
		from(l.net.Listen(port("198.51.100.1:4500")), bare.seal(b), 4500)
		s.want(b)
		from(l.net.ListenESP(addr("198.51.100.2")), inUDP.seal(b), 0)
		s.want(b)
		if s.dropped(map[string]uint64{}); len(seen) != 0 {
			t.Errorf("the peers are where they were, and IKE is told of %v", seen)
		}
		ike := l.net.Listen(port("198.51.100.1:500"))
		from(ike, bare.seal(b), 500)
		from(ike, inUDP.seal(b), 500)
		s.want() // taken for IKE, which looks for an IKE SA of this SPI

		// From elsewhere: addresses, and ports where there are any.
		away := l.net.ListenESP(addr("203.0.113.66"))
		from(away, bare.seal(b), 0)
		from(away, inUDP.seal(b), 0)
		from(l.net.Listen(port("203.0.113.67:4500")), bare.seal(b), 4500) // within a tenth of a second of the other
		time.Sleep(time.Second)
		from(l.net.Listen(port("203.0.113.68:4500")), bare.seal(b), 4500)
		s.want(b, b, b, b)
		here := port("192.0.2.1:0")
		want := []esp.Path{{Local: here, Remote: port("203.0.113.66:0")}, {Local: here, Remote: port("203.0.113.66:0")},
			{Local: port("192.0.2.1:4500"), Remote: port("203.0.113.68:4500")}}
		if !slices.Equal(seen, want) {
			t.Errorf("IKE is told of %v, want %v", seen, want)
		}
	})
}

// What comes from such a socket is ESP or nothing (ESP-05, MAL-01).
func TestNothingButESPWithoutUDP(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(l.withESP("192.0.2.1"))
		p := s.install("hq/1", "198.51.100.1", childOptions{bare: true})
		for name, b := range map[string][]byte{
			"a keepalive":         {transport.KeepaliveOctet},
			"an IKE message":      transport.AddMarker(nil, make([]byte, 100)),
			"7 octets":            p.seal(udp(hq, paris, 1, 2, 8))[:7],
			"a reserved SPI":      append([]byte{0, 0, 0, 255}, make([]byte, 60)...),
			"nothing":             {},
			"a header and no tag": p.seal(udp(hq, paris, 1, 2, 8))[:8],
		} {
			p.datagram(b)
			s.refused(name, "malformed")
		}
		if n, _, _ := s.inbox.take(make([]byte, 200)); n != 0 {
			t.Errorf("%d octets for IKE", n)
		}
		if err := s.WriteIKE(make([]byte, 28), esp.Path{Local: port("192.0.2.1:0"), Remote: p.at}); err == nil {
			t.Error("IKE left without UDP")
		}
		// That this socket has no port says nothing of packets that have port 0.
		if s.isOuterPort(0, 9) || s.isGuarded(&packet{proto: protoUDP, dport: 0}) {
			t.Error("port 0 is taken for one of ours")
		}
	})
}

// RFC 4555 §3.5: a Child SA goes into UDP and out of it while packets pass.
func TestMoveIntoUDPAndOut(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(l.withESP("192.0.2.1"))
		p := s.install("hq/1", "198.51.100.1", childOptions{bare: true})
		s.choose("hq", "1")
		natt := &peer{site: s, in: p.in, out: p.out, at: port("198.51.100.1:4500")}
		natt.sock = l.net.Listen(natt.at)
		go natt.listen()
		b := udp(paris, hq, 1, 2, 64)
		for range 2 {
			s.host(b)
			p.wantOpened(b)
			natt.wantOpened()
			mtu := s.Traffic("hq/1").MTU
			s.Move(p.id, esp.Path{Local: port("192.0.2.1:4500"), Remote: natt.at})
			s.host(b)
			natt.wantOpened(b)
			p.wantOpened()
			if got := s.Traffic("hq/1").MTU; got != mtu-8 {
				t.Errorf("an inner MTU of %d in UDP and of %d without", got, mtu)
			}
			time.Sleep(time.Minute)
			if heard := natt.heard(); len(heard) < 2 {
				t.Errorf("%d keepalives in a minute of UDP", len(heard))
			}
			s.Move(p.id, esp.Path{Local: port("192.0.2.1:0"), Remote: p.at})
		}
		s.host(b)
		p.wantOpened(b)
		s.dropped(map[string]uint64{})
	})
}
