package datapath

import (
	"bytes"
	"testing"
)

func TestFragNeededSaysTheMTU(t *testing.T) { // ESP-06, RFC 1191 §4
	big := withDF(udp("10.1.0.1", "10.2.0.1", 1000, 53, 1472))
	p := parsed(t, big)
	b := tooBigAnswer(nil, big, &p, 1438)
	q := parsed(t, b)
	if q.src != p.dst || q.dst != p.src || q.proto != protoICMP || q.length != len(b) || len(b) > maxICMPv4 {
		t.Errorf("headers %+v, %d octets", q, len(b))
	}
	if b[20] != 3 || b[21] != 4 || be16(b, 26) != 1438 {
		t.Errorf("type %d code %d MTU %d, want 3, 4, 1438", b[20], b[21], be16(b, 26))
	}
	if !valid(onesComplement(b[:20])) || !valid(onesComplement(b[20:])) {
		t.Error("a checksum is wrong")
	}
	if !bytes.Equal(b[28:], big[:len(b)-28]) || len(b)-28 < 28 {
		t.Error("the quote is not the start of the packet")
	}
}

func TestPacketTooBigSaysTheMTU(t *testing.T) { // ESP-06, RFC 4443 §3.2
	big := udp("2001:db8:1::1", "2001:db8:2::1", 1000, 53, 1452)
	p := parsed(t, big)
	b := tooBigAnswer(nil, big, &p, 1418)
	q := parsed(t, b)
	if q.src != p.dst || q.dst != p.src || q.proto != protoICMPv6 || len(b) != minIPv6MTU {
		t.Errorf("headers %+v, %d octets", q, len(b))
	}
	if b[40] != 2 || b[41] != 0 || be16(b, 44) != 0 || be16(b, 46) != 1418 {
		t.Errorf("type %d code %d MTU %d, want 2, 0, 1418", b[40], b[41], be16(b, 46))
	}
	if !valid(upperChecksum(b, protoICMPv6, len(b)-40)) {
		t.Error("the checksum is wrong")
	}
	if !bytes.Equal(b[48:], big[:len(b)-48]) {
		t.Error("the quote is not the start of the packet")
	}
}

func TestShortPacketsAreQuotedWhole(t *testing.T) {
	small := withDF(udp("10.1.0.1", "10.2.0.1", 1, 2, 5)) // an odd number of octets to sum
	p := parsed(t, small)
	b := tooBigAnswer(nil, small, &p, 10)
	if !bytes.Equal(b[28:], small) || !valid(onesComplement(b[20:])) {
		t.Errorf("% x", b)
	}
}

func TestWhatMustNotBeAnswered(t *testing.T) { // RFC 1122 §3.2.2, RFC 4443 §2.4
	const a, b = "10.1.0.1", "10.2.0.1"
	for name, tt := range map[string]struct {
		b    []byte
		want bool
	}{
		"udp":                {udp(a, b, 1, 2, 8), true},
		"echo":               {echo(a, b, 8), true},
		"first fragment":     {fragment(udp(a, b, 1, 2, 8), 0, true), true},
		"icmp error":         {unreachable(a, b, udp(b, a, 1, 2, 8)), false},
		"icmpv6 error":       {unreachable("2001:db8::1", "2001:db8::2", udp(b, a, 1, 2, 8)), false},
		"later fragment":     {fragment(udp(a, b, 1, 2, 8), 64, false), false},
		"to a group":         {udp(a, "224.0.0.5", 1, 2, 8), false},
		"from nowhere":       {udp("0.0.0.0", b, 1, 2, 8), false},
		"from a group":       {udp("224.0.0.5", b, 1, 2, 8), false},
		"from this host, lo": {udp("127.0.0.1", b, 1, 2, 8), false},
	} {
		p := parsed(t, tt.b)
		if got := p.mayAnswer(); got != tt.want {
			t.Errorf("%s: mayAnswer = %v", name, got)
		}
	}
}

func TestBucketLimitsARate(t *testing.T) {
	k := bucket{perSecond: 10, burst: 3}
	now, taken := int64(1e18), 0
	for range 100 {
		if k.take(now) {
			taken++
		}
	}
	if taken != 3 {
		t.Errorf("a burst of %d, want 3", taken)
	}
	for range 1000 { // one second in steps of a millisecond
		now += 1e6
		if k.take(now) {
			taken++
		}
	}
	if taken != 13 {
		t.Errorf("%d after a second, want 13", taken)
	}
	now += 3600e9
	for range 100 {
		if k.take(now) {
			taken++
		}
	}
	if taken != 16 {
		t.Errorf("%d after an hour of rest, want 16", taken)
	}
}
