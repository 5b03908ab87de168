package datapath

import (
	"testing"

	"twinbore/esp"
)

var anySelectors = []esp.Selector{esp.AnyIPv4(), esp.AnyIPv6()}

func selector(p string, proto uint8, from, to uint16) esp.Selector {
	s := esp.SelectorFor(prefix(p))
	s.Proto, s.FromPort, s.ToPort = proto, from, to
	return s
}

func TestSelectorsSayWhatPasses(t *testing.T) { // TS-04, RFC 4301 §5.2
	nets := []esp.Selector{esp.SelectorFor(prefix("10.1.0.0/16")), esp.SelectorFor(prefix("2001:db8:1::/48"))}
	far := []esp.Selector{esp.SelectorFor(prefix("10.2.0.0/16")), esp.SelectorFor(prefix("2001:db8:2::/48"))}
	web := []esp.Selector{selector("10.2.0.0/16", protoTCP, 80, 443), selector("2001:db8:2::/48", protoTCP, 80, 443)}
	tcpOnly := []esp.Selector{selector("10.1.0.0/16", protoTCP, 0, 65535), selector("2001:db8:1::/48", protoTCP, 0, 65535)}
	opaque := []esp.Selector{selector("10.2.0.0/16", protoUDP, 65535, 0)}
	const a, b, foreign = "10.1.0.1", "10.2.0.1", "192.0.2.9"
	const a6, b6 = "2001:db8:1::1", "2001:db8:2::1"
	destOpts := func(upper []byte) []byte { return append([]byte{protoTCP, 0, 1, 4, 0, 0, 0, 0}, upper...) }
	for _, tt := range []struct {
		name          string
		b             []byte
		local, remote []esp.Selector
		want          bool
	}{
		{"inside", udp(a, b, 1, 2, 8), nets, far, true},
		{"inside, ipv6", udp(a6, b6, 1, 2, 8), nets, far, true},
		{"source outside", udp(foreign, b, 1, 2, 8), nets, far, false},
		{"destination outside", udp(a, foreign, 1, 2, 8), nets, far, false},
		{"no selectors", udp(a, b, 1, 2, 8), nil, nil, false},

		{"port in range", tcp(a, b, 4000, 80, tcpSYN), nets, web, true},
		{"last port of range", tcp(a, b, 4000, 443, tcpSYN), nets, web, true},
		{"port below range", tcp(a, b, 4000, 79, tcpSYN), nets, web, false},
		{"port above range", tcp(a, b, 4000, 444, tcpSYN), nets, web, false},
		{"other protocol", udp(a, b, 4000, 80, 8), nets, web, false},
		{"port behind an extension header", ip(a6, b6, protoDestOpts, destOpts(tcp(a6, b6, 1, 80, tcpSYN)[40:])), nets, web, true},
		{"wrong port behind an extension header", ip(a6, b6, protoDestOpts, destOpts(tcp(a6, b6, 1, 81, tcpSYN)[40:])), nets,
			[]esp.Selector{selector("2001:db8:2::/48", protoTCP, 80, 80)}, false},

		{"later fragment, any port", fragment(udp(a, b, 1, 2, 64), 64, false), nets, far, true},
		{"later fragment, a range of ports", fragment(tcp(a, b, 1, 80, 0), 64, false), nets, web, false},
		{"later fragment, opaque", fragment(udp(a, b, 1, 2, 64), 64, false), nets, opaque, true},
		{"first fragment shows its port", fragment(tcp(a, b, 1, 80, 0), 0, true), nets, web, true},
		{"whole packet, opaque", udp(a, b, 1, 2, 64), nets, opaque, false},
		{"later fragment from outside", fragment(udp(foreign, b, 1, 2, 64), 64, false), nets, far, false},

		{"icmp error about our flow", unreachable(a, b, udp(b, a, 1, 2, 8)), nets, far, true},
		{"icmp error about a foreign flow", unreachable(a, b, udp(foreign, a, 1, 2, 8)), nets, far, false},
		{"icmp error about a flow to elsewhere", unreachable(a, b, udp(b, foreign, 1, 2, 8)), nets, far, false},
		{"icmp error, the wrong way round", unreachable(a, b, udp(a, b, 1, 2, 8)), nets, far, false},
		{"icmp error from a foreign router", unreachable(foreign, b, udp(b, a, 1, 2, 8)), nets, far, false},
		{"icmp error that quotes nothing", unreachable(a, b, nil), nets, far, false},
		{"icmpv6 error about our flow", unreachable(a6, b6, udp(b6, a6, 1, 2, 8)), nets, far, true},
		{"icmpv6 error about a foreign flow", unreachable(a6, b6, udp("2001:db8:9::1", a6, 1, 2, 8)), nets, far, false},
		{"icmp error about the one protocol", unreachable(a, b, tcp(b, a, 443, 9, 0)), tcpOnly, web, true},
		{"icmp error about another port", unreachable(a, b, tcp(b, a, 25, 9, 0)), tcpOnly, web, false},
		{"icmp error about another protocol", unreachable(a, b, udp(b, a, 443, 9, 8)), tcpOnly, web, false},
		{"echo is no error", echo(a, b, 8), tcpOnly, web, false},
	} {
		p := parsed(t, tt.b)
		if got := p.allows(tt.b, tt.local, tt.remote); got != tt.want {
			t.Errorf("%s: allows = %v, want %v", tt.name, got, tt.want)
		}
	}
}

func TestICMPSelectorsAreTypeAndCode(t *testing.T) { // RFC 7296 §3.13.1
	echoOnly := []esp.Selector{selector("0.0.0.0/0", protoICMP, 0x0800, 0x08ff)}
	b := echo("10.1.0.1", "10.2.0.1", 8)
	if p := parsed(t, b); !p.allows(b, echoOnly, echoOnly) {
		t.Error("an echo request is refused")
	}
	b[20] = 13 // timestamp
	if p := parsed(t, b); p.allows(b, echoOnly, echoOnly) {
		t.Error("a timestamp request passes")
	}
}
