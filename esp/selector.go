package esp

import (
	"fmt"
	"net/netip"
)

// A Selector is one traffic selector (RFC 7296 §3.13.1): a range of addresses, a protocol and a range of ports.
// From and To are of one family, neither has a zone, and From <= To.
type Selector struct {
	From, To         netip.Addr
	Proto            uint8  // IP protocol; 0 means any
	FromPort, ToPort uint16 // 0 to 65535 means any; 65535 to 0 means OPAQUE
}

// SelectorFor returns the selector for every address of p, any protocol and port.
func SelectorFor(p netip.Prefix) Selector {
	p = p.Masked()
	last := p.Addr().AsSlice()
	for i := p.Bits(); i < len(last)*8; i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	to, _ := netip.AddrFromSlice(last)
	return Selector{From: p.Addr(), To: to, ToPort: 65535}
}

// AnyIPv4 and AnyIPv6 return the selector that every packet of the family matches.
func AnyIPv4() Selector { return SelectorFor(netip.PrefixFrom(netip.IPv4Unspecified(), 0)) }
func AnyIPv6() Selector { return SelectorFor(netip.PrefixFrom(netip.IPv6Unspecified(), 0)) }

// Prefix returns s as a prefix and true when its range is one.
func (s Selector) Prefix() (netip.Prefix, bool) {
	for bits := 0; bits <= s.From.BitLen(); bits++ {
		p := netip.PrefixFrom(s.From, bits)
		if p.Masked().Addr() == s.From && SelectorFor(p).To == s.To {
			return p, true
		}
	}
	return netip.Prefix{}, false
}

// AnyPort reports whether the selector allows every port.
func (s Selector) AnyPort() bool { return s.FromPort == 0 && s.ToPort == 65535 }

// Opaque reports whether the selector is for packets whose ports cannot be seen (RFC 4301 §4.4.1.1).
func (s Selector) Opaque() bool { return s.FromPort == 65535 && s.ToPort == 0 }

// Contains reports whether addr, proto and port lie in s. A packet whose ports cannot be seen (a later fragment)
// is asked for with Selector.ContainsOpaque instead.
func (s Selector) Contains(addr netip.Addr, proto uint8, port uint16) bool {
	return s.From.Compare(addr) <= 0 && addr.Compare(s.To) <= 0 && s.From.BitLen() == addr.BitLen() &&
		(s.Proto == 0 || s.Proto == proto) && s.FromPort <= port && port <= s.ToPort
}

// ContainsOpaque reports whether a packet of addr and proto whose ports cannot be seen may pass s.
func (s Selector) ContainsOpaque(addr netip.Addr, proto uint8) bool {
	return s.From.Compare(addr) <= 0 && addr.Compare(s.To) <= 0 && s.From.BitLen() == addr.BitLen() &&
		(s.Proto == 0 || s.Proto == proto) && (s.AnyPort() || s.Opaque())
}

// Intersect returns what s and t have in common, and whether that is anything (RFC 7296 §2.9).
func (s Selector) Intersect(t Selector) (Selector, bool) {
	if s.From.BitLen() != t.From.BitLen() {
		return Selector{}, false
	}
	out := s
	if t.From.Compare(out.From) > 0 {
		out.From = t.From
	}
	if t.To.Compare(out.To) < 0 {
		out.To = t.To
	}
	if out.From.Compare(out.To) > 0 {
		return Selector{}, false
	}
	switch {
	case s.Proto == 0:
		out.Proto = t.Proto
	case t.Proto != 0 && t.Proto != s.Proto:
		return Selector{}, false
	}
	switch {
	case s.Opaque() && t.Opaque(), s.Opaque() && t.AnyPort():
		out.FromPort, out.ToPort = 65535, 0
		return out, true
	case t.Opaque() && s.AnyPort():
		out.FromPort, out.ToPort = 65535, 0
		return out, true
	case s.Opaque(), t.Opaque():
		return Selector{}, false
	}
	out.FromPort, out.ToPort = max(s.FromPort, t.FromPort), min(s.ToPort, t.ToPort)
	return out, out.FromPort <= out.ToPort
}

// Covers reports whether everything in t is also in s.
func (s Selector) Covers(t Selector) bool {
	both, ok := s.Intersect(t)
	return ok && both == t
}

func (s Selector) String() string {
	text := s.From.String() + "-" + s.To.String()
	if p, ok := s.Prefix(); ok {
		text = p.String()
	}
	switch {
	case s.Opaque():
		return fmt.Sprintf("%s[%d/opaque]", text, s.Proto)
	case !s.AnyPort() && s.FromPort == s.ToPort:
		return fmt.Sprintf("%s[%d/%d]", text, s.Proto, s.FromPort)
	case !s.AnyPort():
		return fmt.Sprintf("%s[%d/%d-%d]", text, s.Proto, s.FromPort, s.ToPort)
	case s.Proto != 0:
		return fmt.Sprintf("%s[%d]", text, s.Proto)
	}
	return text
}
