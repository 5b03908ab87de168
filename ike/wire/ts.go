package wire

import (
	"encoding/binary"
	"net/netip"
)

// A TS lists the traffic that one end sends or receives: TSi what is at the initiator, TSr what is at the responder
// (RFC 7296 §3.13).
//
//	┌─1─────┬─3────────┬─ … ────────────────┐
//	│ count │ reserved │ traffic selectors  │
//	└───────┴──────────┴────────────────────┘
type TS struct {
	Initiator bool // TSi, otherwise TSr
	Selectors []TrafficSelector
	Unknown   int // selectors received of a type that is not known and so are not in Selectors; not sent
}

// A TrafficSelector is a range of addresses, a protocol and a range of ports (RFC 7296 §3.13.1).
//
//	┌─1───────┬─1────────┬─2──────┬─2──────────┬─2────────┬─4 or 16────────────┬─4 or 16──────────┐
//	│ type 7  │ protocol │ length │ first port │ last port│ first address      │ last address     │
//	│ or 8    │          │        │            │          │                    │                  │
//	└─────────┴──────────┴────────┴────────────┴──────────┴────────────────────┴──────────────────┘
//
// Selectors can be compared with ==.
type TrafficSelector struct {
	Proto            uint8      // IP protocol; 0 means any
	FromPort, ToPort uint16     // From <= To, 0 to 65535 means any; or 65535 to 0, which is OPAQUE
	From, To         netip.Addr // both IPv4 or both IPv6, From <= To, no zone
}

const (
	tsIPv4Range  = 7
	tsIPv6Range  = 8
	selectorHead = 4  // octets that selectors of all types have
	selectorIPv4 = 16 // octets of the shortest that we know
)

// Type returns TypeTSi or TypeTSr.
func (p *TS) Type() PayloadType {
	if p.Initiator {
		return TypeTSi
	}
	return TypeTSr
}

func parseTS(c *cursor, initiator bool) *TS {
	p := &TS{Initiator: initiator}
	count := int(c.u8("TS count"))
	c.skip(3, "TS reserved")
	if count*selectorHead > c.left() {
		c.fail("TS count", "%d in %d octets", count, c.left())
	}
	for i := 0; i < count && !c.failed(); i++ {
		s, known := parseSelector(c)
		if !known {
			p.Unknown++
			continue
		}
		if p.Selectors == nil {
			p.Selectors = make([]TrafficSelector, 0, min(count-i, 1+c.left()/selectorIPv4))
		}
		p.Selectors = append(p.Selectors, s)
	}
	return p
}

// parseSelector reads one selector; known is false when its type is not one of ours, and then it was skipped.
func parseSelector(c *cursor) (s TrafficSelector, known bool) {
	kind := c.u8("selector type")
	s.Proto = c.u8("selector protocol")
	body := c.sub(int(c.u16("selector length"))-selectorHead, "selector length")
	var addrLen int
	switch kind {
	case tsIPv4Range:
		addrLen = 4
	case tsIPv6Range:
		addrLen = 16
	default:
		return TrafficSelector{}, false
	}
	s.FromPort, s.ToPort = body.u16("selector port"), body.u16("selector port")
	s.From, _ = netip.AddrFromSlice(body.view(addrLen, "selector address"))
	s.To, _ = netip.AddrFromSlice(body.view(addrLen, "selector address"))
	body.end("selector")
	opaque := s.FromPort == 0xffff && s.ToPort == 0
	switch {
	case s.From.Compare(s.To) > 0:
		body.fail("selector addresses", "the first comes after the last")
	case s.FromPort > s.ToPort && !opaque:
		body.fail("selector ports", "%d comes after %d", s.FromPort, s.ToPort)
	}
	return s, true
}

func (p *TS) appendBody(b []byte) []byte {
	b = append(b, count8(len(p.Selectors), "selectors"), 0, 0, 0)
	for _, s := range p.Selectors {
		b = s.append(b)
	}
	return b
}

func (s TrafficSelector) append(b []byte) []byte {
	if !s.From.IsValid() || s.From.BitLen() != s.To.BitLen() {
		panic("bug: traffic selector without two addresses of one family")
	}
	kind := byte(tsIPv6Range)
	if s.From.Is4() {
		kind = tsIPv4Range
	}
	start := len(b)
	b = append(b, kind, s.Proto, 0, 0)
	b = binary.BigEndian.AppendUint16(b, s.FromPort)
	b = binary.BigEndian.AppendUint16(b, s.ToPort)
	b = append(b, s.From.AsSlice()...)
	b = append(b, s.To.AsSlice()...)
	putLen(b, start, 2)
	return b
}
