package datapath

import (
	"net/netip"
	"testing"

	"twinbore/esp"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// twoDomains is paris with a second domain, "lab", where the same networks belong to the connection "lab-hq".
func twoDomains(l *lab) (s *site, inside *tuntest.Fake, plain, other *peer) {
	l.t.Helper()
	inside = tuntest.New(1500)
	inside.Offload(l.offloads)
	s = l.paris(func(c *Config) { c.Domains = []Domain{{Name: "lab", Device: inside.Device()}} })
	if err := s.SetConnections(twoDomainConnections()); err != nil {
		l.t.Fatal(err)
	}
	plain, other = s.install("hq/1", firstPeerOuter, childOptions{}), s.install("lab-hq/1", "203.0.113.9", childOptions{})
	s.choose("hq", "1")
	s.choose("lab-hq", "1")
	return s, inside, plain, other
}

func twoDomainConnections() []Connection {
	conns := parisConnections()
	twin := conns[0]
	twin.Name, twin.Domain = "lab-hq", "lab"
	twin.Tunnels = []Tunnel{{Name: "1", Inside: addr(inside1), InsidePeer: addr(insidePeer1)}}
	return append(conns, twin)
}

// arrived returns what a domain's inside has received since it was last asked.
func (l *lab) arrived(f *tuntest.Fake) (got [][]byte) {
	l.settle()
	for {
		select {
		case b := <-f.In:
			got = append(got, b)
		default:
			return got
		}
	}
}

func TestDomainsNeverMeet(t *testing.T) { // F11, TS-07
	inLab(t, func(l *lab) {
		s, lab, plain, other := twoDomains(l)
		// The same packet, from the one device and the other, to the same network.
		out := udp(paris, hq, 1, 2, 8)
		s.host(out)
		plain.wantOpened(out)
		other.wantOpened()
		lab.Out <- out
		l.settle()
		plain.wantOpened()
		other.wantOpened(out)

		// The same answer, by the one tunnel and the other, one behind the other in both orders.
		for _, first := range []*peer{plain, other} {
			back := udp(hq, paris, 2, 1, 8)
			for _, p := range []*peer{first, plain, other, other, plain} {
				p.post(p.seal(back), 4500)
			}
			fromPlain, fromOther := 2, 2
			if first == plain {
				fromPlain++
			} else {
				fromOther++
			}
			if got := s.inside(); len(got) != fromPlain {
				t.Errorf("the default domain got %d packets, want %d", len(got), fromPlain)
			}
			if got := l.arrived(lab); len(got) != fromOther {
				t.Errorf("the other domain got %d packets, want %d", len(got), fromOther)
			}
		}

		// A network that one domain has is nothing in the other: not as destination, not as source.
		lab.Out <- udp(paris, elsewhere, 1, 2, 8)
		s.refused("a destination of the other domain", "no_route")
		other.send(udp(elsewhere, paris, 1, 2, 8))
		s.refused("a source of the other domain", "spoofed")

		// Inside addresses may be alike, too.
		ping := echo(inside1, insidePeer1, 8)
		lab.Out <- ping
		other.wantOpened(ping)
		plain.wantOpened()
	})
}

func TestAConnectionThatChangesItsDomainTakesNothingAlong(t *testing.T) { // F11
	inLab(t, func(l *lab) {
		s, lab, plain, _ := twoDomains(l)
		s.choose("hq")
		s.host(udp(paris, hq, 1, 2, 8)) // waits
		conns := twoDomainConnections()[:2]
		conns[0].Domain = "lab"
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		s.choose("hq", "1")
		plain.wantOpened()
		s.dropped(map[string]uint64{"no_route": 1})
		s.host(udp(paris, hq, 1, 2, 8))
		s.refused("from the domain that it has left", "no_route")
		out, back := udp(paris, hq, 1, 2, 8), udp(hq, paris, 2, 1, 8)
		lab.Out <- out
		plain.wantOpened(out)
		plain.send(back)
		s.want()
		equal(t, "the other domain", l.arrived(lab), [][]byte{back})
	})
}

func TestDomainsAreChecked(t *testing.T) {
	inLab(t, func(l *lab) {
		sock := []Socket{{Socket: l.net.Listen(port("192.0.2.9:4500"))}}
		device := func() tun.Device { return tuntest.New(1500).Device() }
		for name, bad := range map[string][]Domain{
			"without a name":     {{Device: device()}},
			"without a device":   {{Name: "a"}},
			"with a name twice":  {{Name: "a", Device: device()}, {Name: "a", Device: device()}},
			"the default's name": {{Name: DefaultDomain, Device: device()}},
		} {
			if _, err := New(Config{Device: device(), Sockets: sock, Domains: bad}); err == nil {
				t.Errorf("a domain %s is taken", name)
			}
		}
		s := l.paris(nil)
		conns := parisConnections()
		conns[0].Domain = "nowhere"
		if err := s.SetConnections(conns); err == nil {
			t.Error("a connection in a domain that is not there is taken")
		}
		conns[0].Domain = DefaultDomain
		if err := s.SetConnections(conns); err != nil {
			t.Error(err)
		}
	})
}

// One batch of the socket holds packets of two connections, in two domains and with one flow. What was found out about the one
// says nothing of the other.
func TestAFlowOfOneConnectionOpensNothingToAnother(t *testing.T) { // TS-07, F11, R33
	for _, domain := range []string{DefaultDomain, "lab"} {
		near, far := &sink{port: 4500}, &sink{}
		g, err := New(Config{Device: near, Sockets: []Socket{{Socket: sinkSocket{near}, Addr: netip.IPv4Unspecified()}}, NATTPort: 4500,
			Domains: []Domain{{Name: "lab", Device: far}}})
		if err != nil {
			t.Fatal(err)
		}
		conns := parisConnections()
		conns[1].Domain = domain
		if err := g.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		x := &bench{sink: near, g: g}
		recv := newReceiver(g, g.sockets[0], 0)
		owner, stranger := x.alsoBy("hq/1", firstPeerOuter), x.alsoBy("other/1", "203.0.113.1")
		messages := messageSlots(4)
		recv.begin(1)
		for i, by := range []*esp.Outbound{owner, stranger, stranger, owner} {
			m := &messages[i]
			sealed, err := by.Seal(m.Buf[:0], udp(hq, paris, 5000, 53, 8), esp.NextIPv4)
			if err != nil {
				t.Fatal(err)
			}
			m.N = len(sealed)
			recv.message(m)
		}
		recv.end()
		if got := g.Traffic("other/1").Drops["spoofed"]; got != 2 || near.packets != 2 || far.packets != 0 {
			t.Errorf("domain %s: %d dropped, %d and %d packets to the devices", domain, got, near.packets, far.packets)
		}
	}
}
