package esp

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// The small world in which selectors are compared with brute force: 256 addresses, three protocols, and the ports at
// which ranges can begin and end.
var (
	worldProtos = []uint8{1, 6, 17}
	worldPorts  = []uint16{0, 1, 79, 80, 81, 443, 65534, 65535}
)

func worldAddr(i uint8) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, i}) }

// smallSelector makes a valid selector of the small world from four octets.
func smallSelector(a, b, proto, ports uint8) Selector {
	s := Selector{From: worldAddr(min(a, b)), To: worldAddr(max(a, b))}
	if i := int(proto) % (len(worldProtos) + 1); i > 0 {
		s.Proto = worldProtos[i-1]
	}
	if ports%5 == 4 {
		s.FromPort, s.ToPort = 65535, 0 // OPAQUE
		return s
	}
	from, to := worldPorts[ports%8], worldPorts[ports/8%8]
	if ports%5 == 3 {
		from, to = 0, 65535
	}
	s.FromPort, s.ToPort = min(from, to), max(from, to)
	return s
}

// points calls f for each packet of the small world, until f returns false: port -1 stands for ports that cannot be seen.
func points(f func(addr netip.Addr, proto uint8, port int) bool) {
	for i := range 256 {
		for _, proto := range worldProtos {
			if !f(worldAddr(uint8(i)), proto, -1) {
				return
			}
			for _, port := range worldPorts {
				if !f(worldAddr(uint8(i)), proto, int(port)) {
					return
				}
			}
		}
	}
}

func (s Selector) passes(addr netip.Addr, proto uint8, port int) bool {
	if port < 0 {
		return s.ContainsOpaque(addr, proto)
	}
	return s.Contains(addr, proto, uint16(port))
}

// compareWithBruteForce checks Intersect and Covers packet by packet (TS-01): what two selectors have in common is in
// both, and everything that is in both is in it.
func compareWithBruteForce(t *testing.T, x, y uint32) {
	t.Helper()
	s := smallSelector(uint8(x>>24), uint8(x>>16), uint8(x>>8), uint8(x))
	u := smallSelector(uint8(y>>24), uint8(y>>16), uint8(y>>8), uint8(y))
	both, ok := s.Intersect(u)
	common, covers := false, true
	points(func(addr netip.Addr, proto uint8, port int) bool {
		inS, inU := s.passes(addr, proto, port), u.passes(addr, proto, port)
		if got := ok && both.passes(addr, proto, port); got != (inS && inU) {
			t.Errorf("%s and %s: have %s (%v) in common; %s proto %d port %d is in: %v, %v, %v", s, u, both, ok, addr, proto, port, inS, inU, got)
			return false
		}
		common = common || inS && inU
		covers = covers && (inS || !inU)
		return true
	})
	if ok != common {
		t.Errorf("%s and %s: something in common is %v, want %v", s, u, ok, common)
	}
	if got := s.Covers(u); got != covers {
		t.Errorf("%s covers %s: %v, want %v", s, u, got, covers)
	}
	if ok && (!s.Covers(both) || !u.Covers(both)) {
		t.Errorf("%s and %s: what they have in common, %s, is not covered by both", s, u, both)
	}
	if again, ok2 := u.Intersect(s); ok2 != ok || ok && again != both {
		t.Errorf("%s and %s: %s one way and %s the other", s, u, both, again)
	}
}

func TestSelectorsAgainstBruteForce(t *testing.T) { // TS-01
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		x := rnd.Uint32()
		y := rnd.Uint32()
		if rnd.IntN(2) == 0 {
			y = y&0xffff | x&0xffff0000 // equal addresses, so that protocols and ports decide
		}
		compareWithBruteForce(t, x, y)
	}
}

func FuzzSelector(f *testing.F) { // TS-01
	f.Add(uint32(0x00ff0003), uint32(0x10200003))
	f.Add(uint32(0x00100104), uint32(0x0820000b))
	f.Add(uint32(0x05050004), uint32(0x05050204))
	f.Add(uint32(0x0a1400ff), uint32(0x141e0120))
	f.Fuzz(compareWithBruteForce)
}

func TestSelectorsOfTwoFamiliesHaveNothingInCommon(t *testing.T) {
	if both, ok := AnyIPv4().Intersect(AnyIPv6()); ok {
		t.Errorf("IPv4 and IPv6 have %s in common", both)
	}
	mapped := netip.MustParseAddr("::ffff:10.0.0.1")
	if AnyIPv4().Contains(mapped, 6, 80) || !AnyIPv6().Contains(mapped, 6, 80) {
		t.Error("an IPv4 address in IPv6 clothes is an IPv6 address to a selector")
	}
	if AnyIPv6().Contains(netip.MustParseAddr("10.0.0.1"), 6, 80) || AnyIPv6().ContainsOpaque(netip.MustParseAddr("10.0.0.1"), 6) {
		t.Error("an IPv4 address passes a selector for IPv6")
	}
}

func TestSelectorForAPrefixIsThatPrefix(t *testing.T) {
	for _, text := range []string{"0.0.0.0/0", "10.0.0.0/8", "10.1.2.3/32", "10.1.2.0/23", "::/0", "2001:db8::/33", "2001:db8::1/128", "::ffff:0:0/97"} {
		p := netip.MustParsePrefix(text)
		s := SelectorFor(p)
		if got, ok := s.Prefix(); !ok || got != p {
			t.Errorf("%s comes back as %s, %v", p, got, ok)
		}
		if s.String() != p.String() || !s.AnyPort() || s.Opaque() {
			t.Errorf("%s prints as %s", p, s)
		}
	}
	if s := SelectorFor(netip.MustParsePrefix("10.1.2.3/8")); s.String() != "10.0.0.0/8" {
		t.Errorf("bits after the prefix stay: %s", s)
	}
	if p, ok := (Selector{From: worldAddr(1), To: worldAddr(2)}).Prefix(); ok {
		t.Errorf("10.0.0.1-10.0.0.2 is the prefix %s", p)
	}
}

func TestSelectorString(t *testing.T) {
	for want, s := range map[string]Selector{
		"10.0.0.1-10.0.0.2[6/80]":      {worldAddr(1), worldAddr(2), 6, 80, 80},
		"10.0.0.0/31[17/0-443]":        {worldAddr(0), worldAddr(1), 17, 0, 443},
		"10.0.0.7/32[1]":               {worldAddr(7), worldAddr(7), 1, 0, 65535},
		"10.0.0.7/32[6/opaque]":        {worldAddr(7), worldAddr(7), 6, 65535, 0},
		"10.0.0.0-10.0.0.254":          {worldAddr(0), worldAddr(254), 0, 0, 65535},
		"10.0.0.0-10.0.0.2[0/1-65535]": {worldAddr(0), worldAddr(2), 0, 1, 65535},
	} {
		if got := s.String(); got != want {
			t.Errorf("%#v prints as %s, want %s", s, got, want)
		}
	}
}
