package datapath

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
)

func TestSendLeavesByTheTunnelItNames(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		one := s.up()
		two := s.install("hq/2", "198.51.100.2", childOptions{})
		probe, fromLAN := echo("169.254.2.2", "169.254.2.1", 56), echo(gatewayItself, hq, 56)
		kept := bytes.Clone(probe)
		for _, b := range [][]byte{probe, fromLAN} {
			if err := s.Send("hq/2", b); err != nil { // which is not chosen
				t.Fatal(err)
			}
		}
		clear(probe) // it was copied
		one.wantOpened()
		two.wantOpened(kept, fromLAN)
		s.dropped(map[string]uint64{})
	})
}

func TestSendUsesTheNewestChildThatCarriesThePacket(t *testing.T) { // RFC 4301 §5.1
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		all := s.install("hq/1", "198.51.100.1", childOptions{})
		icmp := []esp.Selector{selector("10.2.0.0/16", protoICMP, 0, 65535)}
		narrow := s.install("hq/1", "198.51.100.7", childOptions{local: []esp.Selector{selector("10.1.0.0/16", protoICMP, 0, 65535)}, remote: icmp})
		ping, bgp := echo(gatewayItself, hq, 8), tcp(inside1, insidePeer1, 40000, 179, tcpSYN)
		for _, b := range [][]byte{ping, bgp} {
			if err := s.Send("hq/1", b); err != nil {
				t.Fatal(err)
			}
		}
		narrow.wantOpened(ping)
		all.wantOpened(bgp)
		s.Remove(all.id)
		if err := s.Send("hq/1", bgp); !errors.Is(err, ErrNoChild) {
			t.Errorf("outside the selectors of what is left: %v, want ErrNoChild", err)
		}
		s.Remove(narrow.id)
		if err := s.Send("hq/1", ping); !errors.Is(err, ErrNoChild) {
			t.Errorf("without a child: %v, want ErrNoChild", err)
		}
		if len(s.asked) != 0 {
			t.Errorf("a packet of our own asked for tunnels of %q", s.asked)
		}
	})
}

func TestSendRefusesWhatIsNotOurs(t *testing.T) { // R33, R45
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		s.install("hq/2", "198.51.100.2", childOptions{})
		for name, b := range map[string][]byte{
			"the other tunnel's inside address": echo("169.254.2.2", insidePeer1, 8),
			"an address of nobody":              echo("172.16.0.1", insidePeer1, 8),
			"the peer's address":                echo(insidePeer1, insidePeer1, 8),
			"to another connection":             echo(inside1, elsewhere, 8),
			"to nobody's network":               echo(inside1, internet, 8),
			"to the other tunnel's peer":        echo(inside1, "169.254.2.1", 8),
			"to ourselves":                      echo(inside1, inside1, 8),
			"nothing":                           nil,
			"half a packet":                     echo(inside1, insidePeer1, 8)[:30],
			"octets behind the packet":          append(echo(inside1, insidePeer1, 8), 0),
		} {
			if err := s.Send("hq/1", b); err == nil {
				t.Errorf("%s: sent", name)
			}
		}
		if err := s.Send("hq/3", echo(inside1, insidePeer1, 8)); err == nil {
			t.Error("sent by a tunnel that is not there")
		}
		if err := s.SetConnections(parisConnections()[1:]); err != nil {
			t.Fatal(err)
		}
		if err := s.Send("hq/1", echo(inside1, insidePeer1, 8)); err == nil {
			t.Error("sent by a connection that is gone")
		}
		p.wantOpened()
	})
}

func TestSendFitsThePacketToTheTunnel(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		mtu := s.MTU("hq/1")
		if want := s.Traffic("hq/1").MTU; mtu != want || mtu == 0 {
			t.Fatalf("MTU %d, in the traffic %d", mtu, want)
		}
		full := withDF(echo(inside1, insidePeer1, mtu-28))
		if err := s.Send("hq/1", full); err != nil {
			t.Fatal(err)
		}
		p.wantOpened(full)
		if err := s.Send("hq/1", withDF(echo(inside1, insidePeer1, mtu-27))); err == nil {
			t.Error("sent with DF, and larger than the tunnel takes")
		}
		if err := s.Send("hq/1", echo("2001:db8:1::1", hq6, 1500)); err == nil {
			t.Error("sent an IPv6 packet that is larger than the tunnel takes")
		}
		if err := s.Send("hq/1", echo(inside1, insidePeer1, 4000)); err != nil {
			t.Fatal(err)
		}
		got, octets := p.opened(), 0
		for _, b := range got {
			octets += len(b) - 20
		}
		if len(got) != 3 || octets != 4008 {
			t.Errorf("%d fragments with %d octets, want 3 with 4008", len(got), octets)
		}
		if mtu := s.MTU("hq/2"); mtu != 0 {
			t.Errorf("a tunnel without a child takes %d octets", mtu)
		}
	})
}

// A noting socket keeps which messages were to stay whole.
type noting struct {
	transport.Socket
	whole []bool
}

func (n *noting) Write(ms []transport.Message) (int, error) {
	for _, m := range ms {
		n.whole = append(n.whole, m.Whole)
	}
	return n.Socket.Write(ms)
}

func TestSendWholeMeasuresThePath(t *testing.T) { // F7
	inLab(t, func(l *lab) {
		note := new(noting)
		s := l.paris(func(c *Config) {
			note.Socket = c.Sockets[1].Socket
			c.Sockets[1].Socket = note
		})
		p := s.up()
		probe := echo(inside1, insidePeer1, 8)
		if err := errors.Join(s.Send("hq/1", probe), s.SendWhole("hq/1", probe), s.Send("hq/1", probe)); err != nil {
			t.Fatal(err)
		}
		p.wantOpened(probe, probe, probe)
		if !slices.Equal(note.whole, []bool{false, true, false}) {
			t.Errorf("whole: %v, want the second only", note.whole)
		}
	})
}

// The sum of F7: what is around the largest inner packet makes up the path's MTU, and its parts are what they say.
func TestFitAddsUp(t *testing.T) { // F7
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		if _, ok := s.Fit("hq/1"); ok {
			t.Error("a tunnel without a Child SA has a size")
		}
		if _, ok := s.Fit("hq/9"); ok {
			t.Error("a tunnel that is not there has a size")
		}
		cbc := protect.CBC(256, protect.HMACSHA256)
		s.install("hq/1", firstPeerOuter, childOptions{})
		s.install("hq/2", "198.51.100.2", childOptions{alg: cbc})
		for peer, want := range map[string]Fit{
			"hq/1": {Path: 1500, Inner: 1438, IP: 20, UDP: 8, ESP: 8, IV: 8, ICV: 16, Rest: 2, Algorithm: protect.AES256GCM16},
			"hq/2": {Path: 1500, Inner: 1422, IP: 20, UDP: 8, ESP: 8, IV: 16, ICV: 16, Rest: 10, Algorithm: cbc},
		} {
			if got, ok := s.Fit(peer); !ok || got != want || got.Inner != s.MTU(peer) {
				t.Errorf("%s: %+v, want %+v", peer, got, want)
			}
			if got, more := want.Outer(want.Inner), want.Outer(want.Inner+1); got > 1500 || more <= 1500 {
				t.Errorf("%s: %d octets come to %d, and one more to %d", peer, want.Inner, got, more)
			}
		}
	})
}

func TestSendTellsWhyAPacketDidNotLeave(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.install("hq/1", firstPeerOuter, childOptions{limits: esp.Limits{HardPackets: 1}})
		if err := s.Send("hq/1", echo(inside1, insidePeer1, 8)); err != nil {
			t.Fatal(err)
		}
		if err := s.Send("hq/1", echo(inside1, insidePeer1, 8)); !errors.Is(err, esp.ErrExpired) {
			t.Errorf("past the limit of the SA: %v, want esp.ErrExpired", err)
		}
		s.dropped(map[string]uint64{"expired": 1})
	})
}

// What health is judged by: our own probes are no sign that we send, and any authentic packet is one that the peer does.
func TestSignsTellProbesFromTraffic(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		if got := s.Signs("hq/1"); got != (Signs{}) {
			t.Errorf("at the start %+v", got)
		}
		if err := s.Send("hq/1", echo(inside1, insidePeer1, 8)); err != nil {
			t.Fatal(err)
		}
		if got := s.Signs("hq/1"); got != (Signs{}) {
			t.Errorf("after a probe %+v", got)
		}
		if got := s.Traffic("hq/1"); got.TxPackets != 1 || got.TxBytes != 36 || got.LastTx.IsZero() {
			t.Errorf("the probe is not in the traffic: %+v", got)
		}
		time.Sleep(time.Second)
		sent := time.Now()
		s.host(udp(paris, hq, 1, 2, 8))
		s.host(udp(paris, hq, 1, 2, 8))
		if got := s.Signs("hq/1"); got.Tx != 2 || got.Rx != 0 || got.LastTx.Before(sent) {
			t.Errorf("after two packets %+v", got)
		}
		p.send(udp("1.2.3.4", paris, 1, 2, 8)) // which the policy drops, but it is the peer who sealed it
		p.datagram(p.sealAs(nil, 59))
		forged := p.seal(udp(hq, paris, 1, 2, 8))
		forged[len(forged)-1] ^= 1
		p.datagram(forged)
		heard := p.seal(udp(hq, paris, 1, 2, 8))
		p.datagram(heard)
		p.datagram(heard) // a replay
		if got := s.Signs("hq/1"); got.Rx != 3 || got.LastRx.Before(sent) || got.Tx != 2 {
			t.Errorf("after three authentic packets %+v", got)
		}
		if got := s.Signs("hq/3"); got != (Signs{}) {
			t.Errorf("of a tunnel that is not there: %+v", got)
		}
	})
}

func TestSignsTakeNoLock(t *testing.T) {
	g := newBench(t, protect.AES256GCM16).g
	g.mu.Lock()
	defer g.mu.Unlock()
	if n := testing.AllocsPerRun(10, func() { g.Signs("hq/1") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
