package datapath

import (
	"bytes"
	"testing"
)

func mssOf(b []byte, at int) int { return int(be16(b, at)) }

func TestMSSIsLoweredAndTheChecksumMended(t *testing.T) { // ESP-06
	const a4, b4, a6, b6 = "10.1.0.1", "10.2.0.1", "2001:db8:1::1", "2001:db8:2::1"
	for _, tt := range []struct {
		name       string
		b          []byte
		at         int // of the value, from the end of the fixed TCP header
		mtu, limit int
		want       int
	}{
		{"ipv4", tcp(a4, b4, 1, 2, tcpSYN, 2, 4, 0x05, 0xb4), 2, 1438, 0, 1398},
		{"ipv6", tcp(a6, b6, 1, 2, tcpSYN, 2, 4, 0x05, 0xa0), 2, 1438, 0, 1378},
		{"syn-ack", tcp(a4, b4, 1, 2, tcpSYN|0x10, 2, 4, 0x05, 0xb4), 2, 1438, 0, 1398},
		{"configured limit", tcp(a4, b4, 1, 2, tcpSYN, 2, 4, 0x05, 0xb4), 2, 1438, 1360, 1360},
		{"limit above the MTU", tcp(a4, b4, 1, 2, tcpSYN, 2, 4, 0x05, 0xb4), 2, 1438, 1450, 1398},
		{"odd place", tcp(a4, b4, 1, 2, tcpSYN, 1, 2, 4, 0x05, 0xb4, 1, 1, 1), 3, 1438, 0, 1398},
		{"odd place, ipv6", tcp(a6, b6, 1, 2, tcpSYN, 1, 2, 4, 0xff, 0xff, 1, 1, 1), 3, 1438, 0, 1378},
		{"behind other options", tcp(a4, b4, 1, 2, tcpSYN, 3, 3, 7, 4, 2, 2, 4, 0x05, 0xb4, 1, 1, 1), 7, 1400, 0, 1360},
	} {
		p := parsed(t, tt.b)
		before := bytes.Clone(tt.b)
		if !clampMSS(tt.b, &p, tt.mtu, tt.limit) {
			t.Errorf("%s: unchanged", tt.name)
			continue
		}
		if got := mssOf(tt.b, p.upper+tcpHeaderLen+tt.at); got != tt.want {
			t.Errorf("%s: MSS %d, want %d", tt.name, got, tt.want)
		}
		if sum := upperChecksum(tt.b, protoTCP, len(tt.b)-p.upper); !valid(sum) {
			t.Errorf("%s: the TCP checksum is off by %#x", tt.name, sum)
		}
		changed := 0
		for i := range tt.b {
			if tt.b[i] != before[i] {
				changed++
			}
		}
		if changed > 4 { // two of the value, two of the checksum
			t.Errorf("%s: %d octets changed", tt.name, changed)
		}
	}
}

func TestMSSIsLeftAlone(t *testing.T) {
	const a, b = "10.1.0.1", "10.2.0.1"
	mss := []byte{2, 4, 0x05, 0xb4}
	long := tcp(a, b, 1, 2, tcpSYN, mss...)
	long[32] = 0xf0 // a header longer than the packet
	for name, pkt := range map[string][]byte{
		"small enough":            tcp(a, b, 1, 2, tcpSYN, 2, 4, 0x05, 0x76),
		"no SYN":                  tcp(a, b, 1, 2, 0x10, mss...),
		"no option":               tcp(a, b, 1, 2, tcpSYN),
		"behind the end":          tcp(a, b, 1, 2, tcpSYN, 0, 0, 0, 0, 2, 4, 0x05, 0xb4),
		"option of length 0":      tcp(a, b, 1, 2, tcpSYN, 8, 0, 2, 4, 0x05, 0xb4, 1, 1),
		"option of length 1":      tcp(a, b, 1, 2, tcpSYN, 8, 1, 2, 4, 0x05, 0xb4, 1, 1),
		"option beyond the end":   tcp(a, b, 1, 2, tcpSYN, 8, 9, 2, 4),
		"cut in its kind":         tcp(a, b, 1, 2, tcpSYN, 1, 1, 1, 2),
		"a MSS of three octets":   tcp(a, b, 1, 2, tcpSYN, 2, 3, 0xff, 1),
		"data offset past packet": long,
		"later fragment":          fragment(tcp(a, b, 1, 2, tcpSYN, mss...), 64, false),
		"udp":                     udp(a, b, 1, 2, 32),
		"shorter than a header":   fragment(ip(a, b, protoTCP, []byte{0, 1, 0, 2, 0, 0, 0, 0}), 0, true),
	} {
		p := parsed(t, pkt)
		before := bytes.Clone(pkt)
		if clampMSS(pkt, &p, 1438, 0) || !bytes.Equal(before, pkt) {
			t.Errorf("%s: changed", name)
		}
	}
}
