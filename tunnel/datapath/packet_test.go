package datapath

import (
	"bytes"
	"testing"
)

func TestParseReadsWhatMatters(t *testing.T) {
	hopByHop := []byte{protoUDP, 0, 1, 4, 0, 0, 0, 0}
	ports := []byte{0x12, 0x34, 0x00, 0x35, 0, 8, 0, 0}
	first := append([]byte{protoUDP, 0, 0, 1, 0, 0, 0, 9}, ports...)
	later := append([]byte{protoUDP, 0, 5, 1, 0, 0, 0, 9}, ports...)
	for _, tt := range []struct {
		name         string
		b            []byte
		proto        uint8
		sport, dport uint16
		hidden       bool
		later, df    bool
	}{
		{"udp", udp("10.1.0.1", "10.2.0.1", 1000, 53, 8), protoUDP, 1000, 53, false, false, false},
		{"udp6", udp("2001:db8:1::1", "2001:db8:2::1", 1000, 53, 8), protoUDP, 1000, 53, false, false, false},
		{"df", withDF(udp("10.1.0.1", "10.2.0.1", 1, 2, 0)), protoUDP, 1, 2, false, false, true},
		{"icmp", echo("10.1.0.1", "10.2.0.1", 0), protoICMP, 0x0800, 0x0800, false, false, false},
		{"icmpv6", echo("2001:db8:1::1", "2001:db8:2::1", 0), protoICMPv6, 0x8000, 0x8000, false, false, false},
		{"gre", ip("10.1.0.1", "10.2.0.1", 47, make([]byte, 8)), 47, 0, 0, true, false, false},
		{"first fragment", fragment(udp("10.1.0.1", "10.2.0.1", 7, 9, 32), 0, true), protoUDP, 7, 9, false, false, false},
		{"later fragment", fragment(udp("10.1.0.1", "10.2.0.1", 7, 9, 32), 64, false), protoUDP, 0, 0, true, true, false},
		{"hop-by-hop", ip("2001:db8:1::1", "2001:db8:2::1", 0, append(hopByHop, ports...)), protoUDP, 0x1234, 53, false, false, false},
		{"first fragment6", ip("2001:db8:1::1", "2001:db8:2::1", protoFragment, first), protoUDP, 0x1234, 53, false, false, false},
		{"later fragment6", ip("2001:db8:1::1", "2001:db8:2::1", protoFragment, later), protoUDP, 0, 0, true, true, false},
		{"icmp number in ipv6", ip("2001:db8:1::1", "2001:db8:2::1", protoICMP, make([]byte, 8)), protoICMP, 0, 0, true, false, false},
		{"nothing in ipv6", ip("2001:db8:1::1", "2001:db8:2::1", protoNoNext, nil), protoNoNext, 0, 0, true, false, false},
	} {
		p, ok := parse(tt.b)
		if !ok {
			t.Errorf("%s: does not parse", tt.name)
			continue
		}
		if p.proto != tt.proto || p.sport != tt.sport || p.dport != tt.dport || p.hidden != tt.hidden || p.later != tt.later || p.df != tt.df {
			t.Errorf("%s: %+v", tt.name, p)
		}
		if p.length != len(tt.b) {
			t.Errorf("%s: length %d, want %d", tt.name, p.length, len(tt.b))
		}
	}
}

func TestParseRefusesWhatCannotBeRight(t *testing.T) { // ESP-03
	change := func(b []byte, at int, v byte) []byte {
		b = bytes.Clone(b)
		b[at] = v
		return b
	}
	four, six := udp("10.1.0.1", "10.2.0.1", 1, 2, 8), udp("2001:db8:1::1", "2001:db8:2::1", 1, 2, 8)
	var chain []byte
	for range maxExtensions {
		chain = append(chain, protoDestOpts, 0, 1, 4, 0, 0, 0, 0)
	}
	for name, b := range map[string][]byte{
		"nothing":                    {},
		"version 0":                  change(four, 0, 0x05),
		"version 5":                  change(four, 0, 0x55),
		"header of 16 octets":        change(four, 0, 0x44),
		"header longer than packet":  change(four, 0, 0x4f),
		"total below header":         change(four, 3, 19),
		"total above data":           change(four, 3, 200),
		"payload above data":         change(six, 5, 200),
		"jumbogram":                  change(change(six, 5, 0), 4, 0),
		"udp without ports":          ip("10.1.0.1", "10.2.0.1", protoUDP, []byte{1, 2, 3}),
		"tiny first fragment":        fragment(ip("10.1.0.1", "10.2.0.1", protoTCP, []byte{1, 2}), 0, true),
		"icmp without type":          ip("10.1.0.1", "10.2.0.1", protoICMP, []byte{8}),
		"extension cut short":        ip("2001:db8::1", "2001:db8::2", protoDestOpts, []byte{17, 0, 0}),
		"extension beyond the end":   ip("2001:db8::1", "2001:db8::2", protoDestOpts, []byte{17, 4, 0, 0, 0, 0, 0, 0}),
		"fragment header cut short":  ip("2001:db8::1", "2001:db8::2", protoFragment, []byte{17, 0, 0}),
		"too many extension headers": ip("2001:db8::1", "2001:db8::2", protoDestOpts, chain),
	} {
		if p, ok := parse(b); ok {
			t.Errorf("%s: parsed as %+v", name, p)
		}
	}
}

func TestEveryPrefixOfAPacketIsRefused(t *testing.T) {
	for _, whole := range [][]byte{udp("10.1.0.1", "10.2.0.1", 1, 2, 8), tcp("2001:db8::1", "2001:db8::2", 1, 2, tcpSYN, 2, 4, 5, 0xb4)} {
		for n := range len(whole) {
			if _, ok := parse(whole[:n]); ok {
				t.Errorf("the first %d of %d octets parse", n, len(whole))
			}
		}
	}
}

func TestParseLeavesPaddingOut(t *testing.T) { // RFC 4303 §2.7, ESP-03
	b := udp("10.1.0.1", "10.2.0.1", 1, 2, 8)
	if p := parsed(t, append(bytes.Clone(b), make([]byte, 100)...)); p.length != len(b) {
		t.Errorf("length %d, want %d", p.length, len(b))
	}
}

func TestMartians(t *testing.T) { // TS-05
	for s, want := range map[string]bool{
		"0.0.0.0": true, "0.1.2.3": true, "127.0.0.1": true, "127.255.0.1": true, "224.0.0.5": true, "239.1.1.1": true,
		"169.254.1.1": true, "240.0.0.1": true, "255.255.255.255": true, "::": true, "::1": true, "ff02::1": true,
		"fe80::1": true, "::ffff:10.0.0.1": true,
		"10.0.0.1": false, "192.168.1.1": false, "198.51.100.1": false, "2001:db8::1": false, "fd00::1": false,
	} {
		if got := martian(addr(s)); got != want {
			t.Errorf("martian(%s) = %v", s, got)
		}
	}
}

// Whatever comes out of a tunnel or the device, reading it neither panics nor goes past its end.
func FuzzParse(f *testing.F) {
	f.Add(udp("10.1.0.1", "10.2.0.1", 1, 2, 8))
	f.Add(tcp("2001:db8::1", "2001:db8::2", 1, 2, tcpSYN, 1, 2, 4, 5, 0xb4, 0, 0, 0))
	f.Add(unreachable("10.1.0.1", "10.2.0.1", udp("10.2.0.1", "10.1.0.1", 1, 2, 8)))
	f.Add(unreachable("2001:db8::1", "2001:db8::2", udp("2001:db8::2", "2001:db8::1", 1, 2, 8)))
	f.Add(ip("2001:db8::1", "2001:db8::2", protoFragment, append([]byte{protoUDP, 0, 0, 1, 0, 0, 0, 9}, make([]byte, 16)...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		b = b[:len(b):len(b)]
		p, ok := parse(b)
		if !ok {
			return
		}
		if p.length > len(b) || p.upper > p.length || p.src.Is4() != p.dst.Is4() {
			t.Fatalf("% x: %+v", b, p)
		}
		p.allows(b, anySelectors, anySelectors)
		clampMSS(b, &p, 1400, 0)
		if p.mayAnswer() {
			parsed(t, tooBigAnswer(nil, b, &p, 1300))
		}
		if f, ok := newFragmenter(b, &p, 100); ok && p.src.Is4() && !p.df {
			for {
				piece, more := f.next(nil)
				if !more {
					break
				}
				if len(piece) > 100 || len(piece) != int(be16(piece, 2)) {
					t.Fatalf("fragment of %d octets says %d", len(piece), be16(piece, 2))
				}
			}
		}
	})
}
