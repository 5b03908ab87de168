package datapath

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

const (
	paris, paris6   = "10.1.0.1", "2001:db8:1::1"
	hq, hq6         = "10.2.0.1", "2001:db8:2::1"
	elsewhere       = "10.3.0.1"
	internet        = "192.0.2.200"
	insidePeer1     = "169.254.1.1"
	insidePeer2     = "169.254.2.1"
	inside1         = "169.254.1.2"
	inside2         = "169.254.2.2"
	gatewayItself   = "10.1.255.254"
	parisOuter      = "192.0.2.1"
	firstPeerOuter  = "198.51.100.1"
	secondPeerOuter = "198.51.100.2"
)

func TestPacketsCrossUnchanged(t *testing.T) { // R46
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.AES256GCM16, protect.ChaCha20Poly1305,
		protect.CBC(256, protect.HMACSHA256), protect.CBC(128, protect.InsecureHMACSHA1)} {
		inLab(t, func(l *lab) {
			s := l.paris(nil)
			p := s.install("hq/1", firstPeerOuter, childOptions{alg: alg})
			s.choose("hq", "1")
			out := [][]byte{echo(paris, hq, 56), echo(paris6, hq6, 56), udp(paris, hq, 1, 2, 1000), tcp(paris, hq, 1, 2, 0x10)}
			in := [][]byte{echo(hq, paris, 56), echo(hq6, paris6, 56), udp(hq, paris, 2, 1, 1000), tcp(hq6, paris6, 2, 1, 0x10)}
			for _, b := range out {
				s.host(b)
			}
			p.wantOpened(out...)
			for _, b := range in {
				p.send(b)
			}
			s.want(in...)
			s.dropped(map[string]uint64{})
		})
	}
}

func TestTwoGatewaysCarryEachOther(t *testing.T) {
	inLab(t, func(l *lab) {
		a, b := l.gateway(parisOuter, nil), l.gateway(firstPeerOuter, nil)
		connect(t, a, b)
		ping, pong := echo(paris, hq, 56), echo(hq, paris, 56)
		a.host(ping)
		b.want(ping)
		b.host(pong)
		a.want(pong)
	})
}

func TestOnlyRoutedPacketsLeave(t *testing.T) { // R13, R34, R45
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		for _, tt := range []struct {
			name, reason string
			b            []byte
		}{
			{"no connection owns the destination", "no_route", udp(paris, internet, 1, 2, 8)},
			{"nor this one of IPv6", "no_route", udp(paris6, "2001:db8:9::1", 1, 2, 8)},
			{"a source that is none of our networks", "policy", udp("172.16.0.1", hq, 1, 2, 8)},
			{"not IP", "malformed", []byte{0, 1, 2, 3}},
			{"shorter than it says", "malformed", udp(paris, hq, 1, 2, 8)[:30]},
		} {
			s.host(tt.b)
			s.refused(tt.name, tt.reason)
		}
		if got := p.heard(); len(got) != 0 {
			t.Errorf("%d datagrams left", len(got))
		}
	})
}

func TestSelectorsChooseTheChild(t *testing.T) { // TS-03, TS-04
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		lan := []esp.Selector{esp.SelectorFor(prefix("10.1.0.0/16"))}
		web := s.install("hq/1", firstPeerOuter, childOptions{local: lan, remote: []esp.Selector{selector("10.2.0.0/16", protoTCP, 80, 80)}})
		mail := s.install("hq/1", "198.51.100.7", childOptions{local: lan, remote: []esp.Selector{selector("10.2.0.0/16", protoTCP, 25, 25)}})
		s.choose("hq", "1")
		toWeb, toMail := tcp(paris, hq, 5000, 80, 0x10), tcp(paris, hq, 5000, 25, 0x10)
		s.host(toWeb)
		s.host(toMail)
		web.wantOpened(toWeb)
		mail.wantOpened(toMail)
		s.dropped(map[string]uint64{})
		s.host(tcp(paris, hq, 5000, 22, 0x10))
		s.refused("another port", "ts")
		s.host(fragment(tcp(paris, hq, 5000, 80, 0x10), 64, false))
		s.refused("a later fragment, whose port nobody sees", "ts")
		if len(web.heard())+len(mail.heard()) != 0 {
			t.Error("something outside the selectors left")
		}
	})
}

func TestChooseMovesEveryFlow(t *testing.T) { // R21
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		one, two := s.install("hq/1", firstPeerOuter, childOptions{}), s.install("hq/2", secondPeerOuter, childOptions{})
		flows := [][]byte{udp(paris, hq, 1, 2, 8), udp(paris, "10.2.9.9", 3, 4, 8), tcp(paris6, hq6, 5, 6, 0x10)}
		all := func() {
			for _, b := range flows {
				s.host(b)
			}
		}
		s.choose("hq", "1")
		all()
		one.wantOpened(flows...)
		two.wantOpened()
		s.choose("hq", "2")
		all()
		one.wantOpened()
		two.wantOpened(flows...)

		// What the peer still sends by the other tunnel is taken: both ends need not choose alike (TS-07).
		answer := udp(hq, paris, 2, 1, 8)
		one.send(answer)
		two.send(answer)
		s.want(answer, answer)
		s.dropped(map[string]uint64{})
	})
}

func TestInsideAddressesGoByTheirOwnTunnel(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		one, two := s.install("hq/1", firstPeerOuter, childOptions{}), s.install("hq/2", secondPeerOuter, childOptions{})
		s.choose("hq", "1")
		first, second := echo(inside1, insidePeer1, 8), echo(inside1, insidePeer2, 8)
		s.host(first)
		s.host(second)
		one.wantOpened(first)
		two.wantOpened(second)
	})
}

func TestNothingLeavesInClear(t *testing.T) { // TS-06, R23
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		wire := 0
		l.net.Tap(func(time.Time, transport.Message) { wire++ })
		number := 0
		send := func(n int) (packets [][]byte) {
			for range n {
				number++
				b := udp(paris, hq, number, 2, 8)
				packets = append(packets, b)
				s.host(b)
			}
			return packets
		}

		send(3) // no tunnel is chosen
		s.choose("hq", "1")
		send(2) // nothing is installed
		p := s.install("hq/1", firstPeerOuter, childOptions{idle: true})
		last := send(4) // nothing is activated
		if wire != 0 {
			t.Fatalf("%d datagrams on the wire without a child", wire)
		}
		s.dropped(map[string]uint64{"no_sa": 5})
		if err := s.Activate(p.id); err != nil {
			t.Fatal(err)
		}
		p.wantOpened(last...) // the newest four waited

		s.choose("hq") // down, while the Child SA is still there
		waited := send(1)
		p.wantOpened()
		s.choose("hq", "1")
		p.wantOpened(waited...)

		s.Remove(p.id) // deleted
		wire = 0
		send(6)
		if err := s.SetConnections(parisConnections()[1:]); err != nil { // no longer configured
			t.Fatal(err)
		}
		send(1)
		if wire != 0 {
			t.Errorf("%d datagrams on the wire after the end", wire)
		}
		s.dropped(map[string]uint64{"no_sa": 6, "no_route": 1})
	})
}

func TestWhatWaitedTooLongIsNotSent(t *testing.T) { // R23
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.host(udp(paris, hq, 1, 2, 8))
		time.Sleep(8 * time.Second)
		young := udp(paris, hq, 2, 2, 8)
		s.host(young)
		time.Sleep(3 * time.Second)
		s.up().wantOpened(young)
		s.dropped(map[string]uint64{"no_sa": 1})
	})
}

func TestAcquireIsAskedOnceASecond(t *testing.T) { // R23, DOS-16
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		for range 3500 { // 3.5 s, a packet each millisecond
			s.host(udp(paris, hq, 1, 2, 8))
		}
		if len(s.asked) != 4 || s.asked[0] != "hq" {
			t.Errorf("asked for %v", s.asked)
		}
		s.host(udp(paris, elsewhere, 1, 2, 8))
		if len(s.asked) != 5 || s.asked[4] != "other" {
			t.Errorf("asked for %v", s.asked)
		}
		if got, want := fmt.Sprint(s.askedFor), "[10.1.0.1/32[17/1] 10.3.0.1/32[17/2]]"; got != want {
			t.Errorf("asked for %s, want %s", got, want) // RFC 7296 §2.9
		}
		s.dropped(map[string]uint64{"no_sa": 3496})
	})
}

func TestASlowAcquireStopsNoPacket(t *testing.T) {
	inLab(t, func(l *lab) {
		release := make(chan struct{})
		s := l.paris(func(c *Config) { c.Acquire = func(string, esp.Selector, esp.Selector) { <-release } })
		p := s.up()
		s.host(udp(paris, elsewhere, 1, 2, 8)) // nobody answers this one
		b := udp(paris, hq, 1, 2, 8)
		s.host(b)
		p.wantOpened(b)
		close(release)
	})
}

func TestPacketsTooBigAreAnsweredOrCut(t *testing.T) { // ESP-06
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		const mtu = 1438 // AES-GCM in UDP over IPv4, vendors.md 2.10

		exact := withDF(udp(paris, hq, 1, 2, mtu-28))
		s.host(exact)
		p.wantOpened(exact)

		over := withDF(udp(paris, hq, 1, 2, mtu-27))
		s.host(over)
		answer := s.inside()
		if len(answer) != 1 || answer[0][20] != 3 || answer[0][21] != 4 || be16(answer[0], 26) != mtu {
			t.Fatalf("answers %x, want frag needed with MTU %d", answer, mtu)
		}
		over6 := udp(paris6, hq6, 1, 2, mtu-47)
		s.host(over6)
		answer = s.inside()
		if len(answer) != 1 || answer[0][40] != 2 || be16(answer[0], 46) != mtu {
			t.Fatalf("answers %x, want packet too big with MTU %d", answer, mtu)
		}
		s.dropped(map[string]uint64{"mtu": 2})

		whole := udp(paris, hq, 1, 2, 3000)
		s.host(whole)
		var payload []byte
		for i, piece := range p.opened() {
			if len(piece) > mtu {
				t.Errorf("piece %d has %d octets", i, len(piece))
			}
			payload = append(payload, piece[20:]...)
		}
		if !bytes.Equal(payload, whole[20:]) {
			t.Error("the pieces do not make the packet")
		}
		s.want()
		s.dropped(map[string]uint64{})
		if got := s.Stats(); got.TooBigAnswers != 2 || got.Fragments != 3 {
			t.Errorf("stats %+v", got)
		}
	})
}

func TestAStormOfLargePacketsIsNotAnsweredByAStorm(t *testing.T) { // ESP-06
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.up()
		over := withDF(udp(paris, hq, 1, 2, 1460))
		for range 500 {
			s.fake.Out <- over
		}
		if n := len(s.inside()); n < 1 || n > 51 {
			t.Errorf("%d answers to 500 packets at once", n)
		}
		s.dropped(map[string]uint64{"mtu": 500})
	})
}

func TestLargeIPv6GoesOnASmallPath(t *testing.T) { // RFC 8200 §5: 1280 octets always pass
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		conns := parisConnections()
		conns[0].PathMTU = 1000
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		p := s.up()
		b := udp(paris6, hq6, 1, 2, minIPv6MTU-48)
		s.host(b)
		p.wantOpened(b)
		s.host(udp(paris6, hq6, 1, 2, minIPv6MTU-47))
		if got := s.inside(); len(got) != 1 || be16(got[0], 46) != minIPv6MTU {
			t.Errorf("answers %x, want packet too big with MTU 1280", got)
		}
	})
}

func TestMSSIsClampedBothWays(t *testing.T) { // ESP-06
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		s.host(tcp(paris, hq, 1, 80, tcpSYN, 2, 4, 0x05, 0xb4))
		p.send(tcp(hq6, paris6, 80, 1, tcpSYN|0x10, 2, 4, 0x05, 0xa0))
		if got := p.opened(); len(got) != 1 || be16(got[0], 42) != 1398 {
			t.Errorf("the peer got %x, want MSS 1398", got)
		}
		if got := s.inside(); len(got) != 1 || be16(got[0], 62) != 1378 || !valid(upperChecksum(got[0], protoTCP, 24)) {
			t.Errorf("the inside got %x, want MSS 1378", got)
		}
		if n := s.Stats().MSSClamped; n != 2 {
			t.Errorf("%d clamped", n)
		}
	})
}

func TestOuterPacketsNeverLoop(t *testing.T) { // TS-10
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		conns := parisConnections()
		conns[0].Networks = prefixes("0.0.0.0/0") // covers the peers' outer addresses
		conns[0].Local = nil
		if err := s.SetConnections(conns); err != nil {
			t.Fatal(err)
		}
		p := s.up()
		moved := s.install("hq/1", "203.0.113.9", childOptions{}) // an address that no configuration named
		for name, b := range map[string][]byte{
			"esp in udp":         udp(parisOuter, firstPeerOuter, 4500, 4500, 100),
			"ike":                udp(parisOuter, firstPeerOuter, 500, 500, 100),
			"ike to a nat":       udp(parisOuter, firstPeerOuter, 4500, 31234, 100),
			"bare esp":           ip(parisOuter, firstPeerOuter, protoESP, make([]byte, 100)),
			"the second tunnel":  udp(parisOuter, secondPeerOuter, 4500, 4500, 100),
			"a child's own path": udp(parisOuter, "203.0.113.9", 4500, 4500, 100),
		} {
			s.host(b)
			s.refused(name, "loop")
		}
		if len(p.heard())+len(moved.heard()) != 0 {
			t.Error("an outer packet was sealed")
		}
		// Other traffic to the same addresses is nobody's loop.
		ssh := tcp(paris, firstPeerOuter, 5000, 22, tcpSYN)
		s.host(ssh)
		moved.wantOpened(ssh)
		s.Remove(moved.id)
		again := udp(paris, "203.0.113.9", 4500, 4500, 100)
		s.host(again)
		p.wantOpened(again)
	})
}

func TestSpentChildrenAreReportedOnce(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.install("hq/1", firstPeerOuter, childOptions{limits: esp.Limits{SoftPackets: 3, HardPackets: 5}})
		s.choose("hq", "1")
		for i := range 5 {
			s.host(udp(paris, hq, 1, 2, 8))
			if want := min(1, i/2); len(s.spent) != want {
				t.Errorf("after %d packets spent was reported %d times, want %d", i+1, len(s.spent), want)
			}
		}
		if len(p.opened()) != 5 || len(s.spent) != 1 || s.spent[0] != p.id {
			t.Errorf("spent %v", s.spent)
		}
		s.host(udp(paris, hq, 1, 2, 8))
		s.refused("beyond the hard limit", "expired")
	})
}

func TestKeepalivesGoOutWhenNothingElseDoes(t *testing.T) { // RFC 3948 §4
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		alone := func(want int) {
			t.Helper()
			n := 0
			for _, b := range p.heard() {
				if len(b) == 1 && b[0] == transport.KeepaliveOctet {
					n++
				}
			}
			if n != want {
				t.Errorf("%d keepalives, want %d", n, want)
			}
		}
		time.Sleep(19 * time.Second)
		alone(0)
		time.Sleep(42 * time.Second)
		alone(3)
		for range 12 { // traffic every ten seconds keeps the mapping itself
			s.host(udp(paris, hq, 1, 2, 8))
			time.Sleep(10 * time.Second)
		}
		alone(0)
		s.Remove(p.id)
		time.Sleep(time.Minute)
		alone(0)
	})
}

func TestConfigurationIsChecked(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		for name, change := range map[string]func([]Connection) []Connection{
			"one network, two owners (R33)": func(c []Connection) []Connection { c[1].Networks = c[0].Networks; return c },
			"a connection twice":            func(c []Connection) []Connection { return append(c, c[0]) },
			"a tunnel twice":                func(c []Connection) []Connection { c[0].Tunnels[1].Name = "1"; return c },
			"host bits": func(c []Connection) []Connection {
				c[0].Networks = []netip.Prefix{netip.MustParsePrefix("10.2.0.1/16")}
				return c
			},
			"path MTU 575":   func(c []Connection) []Connection { c[0].PathMTU = 575; return c },
			"path MTU 65536": func(c []Connection) []Connection { c[0].PathMTU = 65536; return c },
		} {
			if err := s.SetConnections(change(parisConnections())); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		if err := s.SetConnections(parisConnections()); err != nil {
			t.Error(err)
		}
		for _, c := range [][2]string{{"nowhere", "1"}, {"hq", "3"}} {
			if err := s.Choose(c[0], c[1]); err == nil {
				t.Errorf("Choose(%v) works", c)
			}
		}
		p := s.up()
		b := udp(paris, hq, 1, 2, 8)
		s.host(b)
		p.wantOpened(b)
	})
}
