package datapath

import (
	"fmt"
	"testing"
	"time"

	"twinbore/esp/protect"
	"twinbore/tunnel/tun"
)

var (
	allowSSH = FilterRule{Proto: protoTCP, FromPort: 22, ToPort: 22}
	denyAll  = FilterRule{Deny: true}
)

func TestTheFirstRuleThatMatchesDecides(t *testing.T) { // R47
	tcpTo := func(port int) []byte { return tcp(hq, paris, 5000, port, tcpSYN) }
	udpTo := func(port int) []byte { return udp(hq, paris, 5000, port, 8) }
	six := tcp(hq6, paris6, 5000, 22, tcpSYN)
	first, later := fragment(tcpTo(22), 0, true), fragment(ip(hq, paris, protoTCP, make([]byte, 32)), 64, false)
	sctp := ip(hq, paris, protoSCTP, append([]byte{0, 1, 0, 22}, make([]byte, 8)...))
	for _, tt := range []struct {
		name        string
		rules       []FilterRule
		pass, stops [][]byte
	}{
		{"none", nil, [][]byte{tcpTo(22), udpTo(1), echo(hq, paris, 8), later}, nil},
		{"allow SSH and deny the rest", []FilterRule{allowSSH, denyAll},
			[][]byte{tcpTo(22), six, first}, [][]byte{tcpTo(23), udpTo(22), echo(hq, paris, 8), later, sctp}},
		{"deny SSH", []FilterRule{{Deny: true, Proto: protoTCP, FromPort: 22, ToPort: 22}},
			[][]byte{tcpTo(23), udpTo(22), later}, [][]byte{tcpTo(22), six, first}},
		{"deny before allow", []FilterRule{denyAll, allowSSH}, nil, [][]byte{tcpTo(22), later}},
		{"a range", []FilterRule{{Proto: protoUDP, FromPort: 8000, ToPort: 8100}, denyAll},
			[][]byte{udpTo(8000), udpTo(8100)}, [][]byte{udpTo(7999), udpTo(8101), tcpTo(8000)}},
		{"a port of any protocol", []FilterRule{{Deny: true, FromPort: 22, ToPort: 22}},
			[][]byte{tcpTo(23), echo(hq, paris, 8), sctp, later}, [][]byte{tcpTo(22), udpTo(22), six}},
		{"a protocol", []FilterRule{{Deny: true, Proto: protoTCP}},
			[][]byte{udpTo(22), echo(hq, paris, 8)}, [][]byte{tcpTo(22), six, first, later}},
		{"ICMP", []FilterRule{{Deny: true, Proto: protoICMP}}, [][]byte{echo(hq6, paris6, 8)}, [][]byte{echo(hq, paris, 8)}},
		{"ICMPv6", []FilterRule{{Deny: true, Proto: protoICMPv6}}, [][]byte{echo(hq, paris, 8)}, [][]byte{echo(hq6, paris6, 8)}},
	} {
		for want, packets := range map[bool][][]byte{false: tt.pass, true: tt.stops} {
			for _, b := range packets {
				if p, ok := parse(b); !ok || denies(tt.rules, &p) != want {
					t.Errorf("%s: denied is %v, want %v (whole: %v): %x", tt.name, !want, want, ok, b)
				}
			}
		}
	}
}

// filtered gives hq a filter while everything runs.
func (s *site) filtered(f Filter) {
	s.l.t.Helper()
	conns := parisConnections()
	conns[0].Filter = f
	if err := s.SetConnections(conns); err != nil {
		s.l.t.Fatal(err)
	}
}

func TestFiltersWorkBothWaysAndAtOnce(t *testing.T) { // R47
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		sshIn, webIn := tcp(hq, paris, 5000, 22, tcpSYN), tcp(hq, paris, 5000, 80, tcpSYN)
		answer, dnsOut := tcp(paris, hq, 22, 5000, tcpACK), udp(paris, hq, 5000, 53, 8)
		all := func() {
			p.send(sshIn)
			p.send(webIn)
			s.host(answer)
			s.host(dnsOut)
		}
		all()
		s.want(sshIn, webIn)
		p.wantOpened(answer, dnsOut)

		s.filtered(Filter{In: []FilterRule{allowSSH, denyAll}}) // flows that passed are looked at again
		all()
		s.want(sshIn)
		p.wantOpened(answer, dnsOut)
		s.dropped(map[string]uint64{"filter_in": 1})

		// The answers of what comes in need a rule of their own.
		s.filtered(Filter{Out: []FilterRule{{Proto: protoUDP, FromPort: 53, ToPort: 53}, denyAll}})
		all()
		s.want(sshIn, webIn)
		p.wantOpened(dnsOut)
		s.dropped(map[string]uint64{"filter_out": 1})
		if got := s.Traffic("hq/1").Drops; got["filter_in"] != 1 || got["filter_out"] != 1 {
			t.Errorf("the tunnel's drops are %v", got)
		}

		s.filtered(Filter{})
		all()
		s.want(sshIn, webIn)
		p.wantOpened(answer, dnsOut)
		s.dropped(map[string]uint64{})

		conns := parisConnections()
		conns[0].Filter.In = []FilterRule{{FromPort: 23, ToPort: 22}}
		if err := s.SetConnections(conns); err == nil {
			t.Error("a range that ends before it begins is taken")
		}
	})
}

// What is denied waits for nothing and asks for no tunnel.
func TestWhatIsDeniedBringsNoTunnelUp(t *testing.T) { // R47, R23
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.filtered(Filter{Out: []FilterRule{denyAll}})
		s.host(udp(paris, hq, 1, 2, 8))
		s.dropped(map[string]uint64{"filter_out": 1})
		if len(s.asked) != 0 || s.conns["hq"].waiting.n != 0 {
			t.Errorf("asked for %v, %d wait", s.asked, s.conns["hq"].waiting.n)
		}
		s.host(udp(paris, elsewhere, 1, 2, 8)) // another connection has none of it
		if len(s.asked) != 1 {
			t.Errorf("asked for %v", s.asked)
		}
	})
}

// A filter that allows everything allows nothing that was not allowed: selectors, sources and destinations come first.
func TestAFilterOpensNothing(t *testing.T) { // TS-04, TS-05, TS-07, R33
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.filtered(Filter{In: []FilterRule{{}}, Out: []FilterRule{{}}})
		p := s.up()
		for name, b := range map[string][]byte{
			"our own network as source":    udp("10.1.7.7", paris, 1, 2, 8),
			"a network of another":         udp(elsewhere, paris, 1, 2, 8),
			"loopback":                     udp("127.0.0.1", paris, 1, 2, 8),
			"nobody's":                     udp(internet, paris, 1, 2, 8),
			"the address of the gateway":   udp(gatewayItself, paris, 1, 2, 8),
			"our network in an own prefix": udp("2001:db8:1::9", paris6, 1, 2, 8),
		} {
			p.send(b)
			s.refused(name, "spoofed")
		}
		p.send(udp(hq, internet, 1, 2, 8))
		s.refused("a destination that is not ours", "no_route")
		s.host(udp(paris, internet, 1, 2, 8))
		s.refused("a destination that is nobody's", "no_route")
		s.host(udp(internet, hq, 1, 2, 8))
		s.refused("a source that is not ours", "policy")
	})
}

// The gateway's own talk with its peer is not the filter's; what it leaves to the host is.
func TestControlTrafficIsNotFiltered(t *testing.T) { // R47
	inLab(t, func(l *lab) {
		mine, taken := true, 0
		s := l.paris(func(c *Config) {
			c.Control = func(string, []byte) bool {
				taken++
				return mine
			}
		})
		s.filtered(Filter{In: []FilterRule{denyAll}, Out: []FilterRule{denyAll}})
		p := s.up()
		ping := echo(insidePeer1, inside1, 8)
		p.send(ping)
		if s.want(); taken != 1 {
			t.Errorf("%d pings for the gateway", taken)
		}
		pong := echo(inside1, insidePeer1, 8)
		if err := s.Send("hq/1", pong); err != nil {
			t.Error(err)
		}
		p.wantOpened(pong)
		mine = false
		p.send(ping)
		s.refused("a ping that is left to the host", "filter_in")
	})
}

func TestFiltersMeetSuperpackets(t *testing.T) { // R47
	inLab(t, func(l *lab) {
		if !l.offloads.TSO {
			return
		}
		s := l.paris(nil)
		p := s.up()
		f := superpacket(paris, hq, protoTCP, 5000, 1000, tcpACK)
		s.filtered(Filter{Out: []FilterRule{{Deny: true, Proto: protoTCP, FromPort: 443, ToPort: 443}}})
		s.super(f)
		p.wantOpened()
		s.dropped(map[string]uint64{"filter_out": 1})
		s.filtered(Filter{})
		s.super(f)
		p.wantOpened(segments(t, f)...)
	})
}

// What a filter costs: nothing where there is none, and a walk along the rules once for each flow of a batch.
func BenchmarkFilter(b *testing.B) {
	for _, rules := range []int{0, 1, 16} {
		for _, flows := range []int{1, 64} {
			b.Run(fmt.Sprintf("rules=%d/flows=%d", rules, flows), func(b *testing.B) {
				x := newBench(b, protect.AES128GCM16)
				conns := parisConnections()
				for i := range rules {
					conns[0].Filter.Out = append(conns[0].Filter.Out, FilterRule{Deny: true, Proto: protoTCP, FromPort: uint16(i + 1), ToPort: uint16(i + 1)})
				}
				if err := x.g.SetConnections(conns); err != nil {
					b.Fatal(err)
				}
				var frames []*tun.Frame
				for flow := range flows {
					frames = append(frames, whole(udp(paris, hq, 1000+flow, 7, 36)))
				}
				now := time.Now().UnixNano()
				b.ReportAllocs()
				for b.Loop() {
					x.send.begin(now)
					for i := range batchFrames {
						x.put(frames[i%flows])
					}
					x.send.end()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*batchFrames), "ns/packet")
			})
		}
	}
}
