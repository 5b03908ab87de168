package ikev2

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// selectorOctets is one traffic selector as a hostile encoder writes it.
func selectorOctets(kind, proto byte, length uint16, ports [2]uint16, addrs ...byte) []byte {
	b := []byte{kind, proto}
	for _, n := range []uint16{length, ports[0], ports[1]} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	return append(b, addrs...)
}

// tsOctets is a TS payload with count selectors, if one believes it.
func tsOctets(kind wire.PayloadType, count byte, selectors ...[]byte) wire.Payload {
	return &wire.Unknown{Kind: kind, Data: slices.Concat([]byte{count, 0, 0, 0}, slices.Concat(selectors...))}
}

// TestHostileSelectors is MAL-15 (CVE-2023-23009): traffic selectors that are none, in requests for a new Child SA and to
// rekey one, and in their answers. They cost the Child SA that was asked for, never the IKE SA or the Child SA there is.
func TestHostileSelectors(t *testing.T) {
	all := [2]uint16{0, 65535}
	theirs, net6 := []byte{10, 0, 1, 0, 10, 0, 1, 255}, make([]byte, 32)
	good := selectorOctets(7, 0, 16, all, theirs...)
	for name, ts := range map[string]func(kind wire.PayloadType) wire.Payload{
		"no selectors":       func(k wire.PayloadType) wire.Payload { return tsOctets(k, 0) },
		"count 0 before one": func(k wire.PayloadType) wire.Payload { return tsOctets(k, 0, good) },
		"count 2 of one":     func(k wire.PayloadType) wire.Payload { return tsOctets(k, 2, good) },
		"count 255 of one":   func(k wire.PayloadType) wire.Payload { return tsOctets(k, 255, good) },
		"length 0":           func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(7, 0, 0, all, theirs...)) },
		"length 8":           func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(7, 0, 8, all, theirs...)) },
		"length 15":          func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(7, 0, 15, all, theirs...)) },
		"length 40 for IPv4": func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(7, 0, 40, all, net6...)) },
		"length 65535": func(k wire.PayloadType) wire.Payload {
			return tsOctets(k, 1, selectorOctets(7, 0, 65535, all, theirs...))
		},
		"start after end": func(k wire.PayloadType) wire.Payload {
			return tsOctets(k, 1, selectorOctets(7, 0, 16, all, 10, 0, 1, 9, 10, 0, 1, 1))
		},
		"ports the wrong way": func(k wire.PayloadType) wire.Payload {
			return tsOctets(k, 1, selectorOctets(7, 6, 16, [2]uint16{9, 8}, theirs...))
		},
		"an unknown type": func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(9, 0, 16, all, theirs...)) },
		"IPv6 alone":      func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, selectorOctets(8, 0, 40, all, net6...)) },
		"octets behind":   func(k wire.PayloadType) wire.Payload { return tsOctets(k, 1, good, []byte{1, 2, 3}) },
		"another network": func(k wire.PayloadType) wire.Payload {
			return tsOctets(k, 1, selectorOctets(7, 0, 16, all, 172, 16, 0, 0, 172, 16, 0, 9))
		},
	} {
		for _, m := range moments {
			if m.name[:3] != "new" && m.name[:12] != "rekey child " {
				continue
			}
			t.Run(m.name+", "+name, func(t *testing.T) {
				l, g := m.reach(t)
				m.change(l, g, false, func(list []wire.Payload) []wire.Payload {
					list[slices.IndexFunc(list, func(p wire.Payload) bool { return p.Type() == wire.TypeTSi })] = ts(wire.TypeTSi)
					return list
				})
				to := l.other(g)
				before := len(to.children)
				l.deliver(g)
				l.mustBeSound()
				if len(to.children) != before {
					t.Errorf("%s has %d Child SAs, before %d", to.name, len(to.children), before)
				}
				if !m.answer() {
					if got := says(l.peek(to)); got != wire.NotifyInvalidSyntax && got != wire.NotifyTSUnacceptable {
						t.Errorf("the answer is %v", got)
					}
				}
				l.heals()
				if downs := len(filter(l.a.events, session.IKEDown)) + len(filter(l.b.events, session.IKEDown)); downs > 0 {
					t.Errorf("it cost the IKE SA\n%s", l.log.String())
				}
			})
		}
	}
}

// TestMixedSelectorsAreNarrowed is the other half of MAL-15: what is strange beside what is wanted is passed over.
func TestMixedSelectorsAreNarrowed(t *testing.T) {
	all := [2]uint16{0, 65535}
	l := connected(t)
	l.childless()
	l.initiate(l.a)
	l.edit(l.a, func(list []wire.Payload) []wire.Payload {
		i := slices.IndexFunc(list, func(p wire.Payload) bool { return p.Type() == wire.TypeTSi })
		list[i] = tsOctets(wire.TypeTSi, 4, selectorOctets(8, 0, 40, all, make([]byte, 32)...), selectorOctets(200, 0, 20, all, make([]byte, 12)...),
			selectorOctets(7, 17, 16, [2]uint16{65535, 0}, 10, 0, 1, 0, 10, 0, 1, 255), selectorOctets(7, 0, 16, all, 10, 0, 1, 0, 10, 0, 1, 255))
		return list
	})
	l.deliver(l.a)
	opaque := esp.Selector{Proto: 17, FromPort: 65535, From: netip.MustParseAddr("10.0.1.0"), To: netip.MustParseAddr("10.0.1.255")}
	if got, want := l.b.sa().children[0].remote, append([]esp.Selector{opaque}, l.b.cfg.Remote...); !slices.Equal(got, want) {
		t.Errorf("b takes %v, want %v", got, want)
	}
	l.mustBeSound()
}

// TestManySelectors: policy and proposal can have more in common than a TS payload can count (TS-01).
func TestManySelectors(t *testing.T) {
	l := newLab(t)
	l.b.cfg.Remote, l.b.cfg.Local = prefixes("10.0.0.0/16", "10.1.0.0/16"), prefixes("10.0.2.0/24", "10.0.3.0/24")
	l.a.cfg.Local = nil
	for i := range 254 { // each of one address in the first prefix, and the last in both
		from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		l.a.cfg.Local = append(l.a.cfg.Local, esp.Selector{From: from, To: from, ToPort: 65535})
	}
	l.a.cfg.Local = append(l.a.cfg.Local, esp.Selector{From: netip.MustParseAddr("10.0.250.0"), To: netip.MustParseAddr("10.1.9.0"), ToPort: 65535})
	l.initiate(l.a)
	l.settle()
	l.unharmed()
	if n := len(l.b.sa().children[0].remote); n != 255 {
		t.Errorf("b has %d selectors, want 255", n)
	}
}

// TestHostileNotifies is MAL-16 (CVE-2023-38710), SM-10 and RFC 7296 §3.10.1: REKEY_SA for things that are no ESP SA of the
// peer's, unknown errors and statuses. Nothing is rekeyed, and no number that makes no sense is echoed.
func TestHostileNotifies(t *testing.T) {
	for name, n := range map[string]wire.Notify{
		"REKEY_SA without a protocol": {Kind: wire.NotifyRekeySA, SPI: []byte{1, 2, 3, 4}}, "REKEY_SA of IKE": {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoIKE, SPI: make([]byte, 8)},
		"REKEY_SA of protocol 255": {Kind: wire.NotifyRekeySA, Protocol: 255, SPI: []byte{1, 2, 3, 4}}, "REKEY_SA of AH": {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoAH, SPI: []byte{1, 2, 3, 4}},
		"REKEY_SA without an SPI": {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoESP}, "REKEY_SA with an SPI of 3 octets": {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoESP, SPI: []byte{1, 2, 3}},
		"REKEY_SA with an SPI of 255 octets": {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoESP, SPI: make([]byte, 255)},
		"REKEY_SA of an unknown SA":          {Kind: wire.NotifyRekeySA, Protocol: wire.ProtoESP, SPI: []byte{9, 9, 9, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			l := connected(t)
			l.do(l.a, session.Rekey{})
			l.edit(l.a, func(list []wire.Payload) []wire.Payload {
				*find[*wire.Notify](list) = n
				return list
			})
			l.deliver(l.a)
			answer := l.peek(l.b)
			if got := says(answer); got != wire.NotifyInvalidSyntax && got != wire.NotifyChildSANotFound {
				t.Fatalf("the answer is {%s}", wire.Describe(answer))
			}
			if echo := answer[0].(*wire.Notify); echo.Protocol != 0 && (echo.Protocol != wire.ProtoESP || len(echo.SPI) != 4) {
				t.Errorf("the answer echoes protocol %v and an SPI of %d octets", echo.Protocol, len(echo.SPI))
			}
			if l.mustBeSound(); says(answer) == wire.NotifyChildSANotFound {
				return // a believes it, and b, whom a did not ask, keeps what it has
			}
			l.heals()
		})
	}
	l := connected(t)
	var kinds []int
	for kind := range 120 {
		kinds = append(kinds, kind, 16384+kind)
	}
	for _, kind := range append(kinds, 8191, 8192, 16383, 40959, 40960, 65535) {
		if kind == int(wire.NotifyAuthenticationFailed) {
			continue
		}
		l.request(l.a, wire.Informational, &wire.Notify{Kind: wire.NotifyType(kind), Protocol: wire.ProtocolID(kind), SPI: make([]byte, kind%9), Data: make([]byte, kind%70)})
		if answer := l.answered(l.b); len(answer) != 0 {
			t.Errorf("notify %d is answered {%s}", kind, wire.Describe(answer))
		}
	}
	l.unharmed()
	if n := len(l.b.events) - len(filter(l.b.events, session.Message)); n != 3 {
		t.Errorf("b told %d things, want 3: that it is up, its Child SA too, and the rekey at the end", n)
	}
}

// TestHostileDeletes is MAL-17 (CVE-2023-38712): only what is the peer's own in this IKE SA ends, once.
func TestHostileDeletes(t *testing.T) {
	for name, deletes := range map[string]func(mine, other uint32) []wire.Payload{
		"an SA that is not": func(_, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{0, 1, 0xffffffff}}}
		},
		"the victim's own SPI": func(_, o uint32) []wire.Payload {
			return []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{o}}}
		},
		"of AH": func(m, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Delete{Protocol: wire.ProtoAH, SPIs: []uint32{m}}}
		},
		"of no protocol": func(m, _ uint32) []wire.Payload { return []wire.Payload{&wire.Delete{SPIs: []uint32{m}}} },
		"none":           func(_, _ uint32) []wire.Payload { return []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP}} },
		"1024 that are not": func(_, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP, SPIs: make([]uint32, 1024)}}
		},
		"count beyond the end": func(_, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Unknown{Kind: wire.TypeDelete, Data: []byte{3, 4, 255, 255, 0, 0, 0, 1}}}
		},
		"SPIs of 8 octets": func(_, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Unknown{Kind: wire.TypeDelete, Data: append([]byte{3, 8, 0, 1}, make([]byte, 8)...)}}
		},
		"the IKE SA with an SPI": func(_, _ uint32) []wire.Payload {
			return []wire.Payload{&wire.Unknown{Kind: wire.TypeDelete, Data: append([]byte{1, 8, 0, 1}, make([]byte, 8)...)}}
		},
	} {
		l := connected(t)
		c := l.b.sa().children[0]
		l.request(l.a, wire.Informational, deletes(uint32(c.out), uint32(c.id))...)
		if answer := l.answered(l.b); len(answer) > 0 && says(answer) != wire.NotifyInvalidSyntax {
			t.Errorf("%s: answered {%s}", name, wire.Describe(answer))
		}
		l.unharmed()
	}

	l := connected(t)
	c := l.b.sa().children[0]
	twice := &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(c.out), uint32(c.out), 7}}
	l.request(l.a, wire.Informational, twice, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(c.out)}})
	if answer := l.answered(l.b); len(answer) != 1 || !slices.Equal(find[*wire.Delete](answer).SPIs, []uint32{uint32(c.id)}) {
		t.Errorf("one SA deleted thrice: answered {%s}", wire.Describe(answer))
	}
	l.mustBeSound()
	if downs := filter(l.b.events, session.ChildDown); len(downs) != 1 {
		t.Errorf("%d Child SAs went down, want 1", len(downs))
	}

	l = connected(t) // the SPI is that of another peer's Child SA with the same gateway
	elsewhere := newLab(t)
	elsewhere.a.cfg.Rand, elsewhere.a.nextSPI, elsewhere.b = seeded(9), 0x63000000, l.b
	elsewhere.initiate(elsewhere.a)
	elsewhere.settle()
	theirs := elsewhere.a.sa().children[0]
	l.request(l.a, wire.Informational, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(theirs.id), uint32(theirs.out)}})
	if answer := l.answered(l.b); len(answer) != 0 || l.b.children[esp.ChildID(theirs.out)] == nil || len(l.b.children) != 2 {
		t.Errorf("the other peer's SA is deleted: answered {%s}", wire.Describe(answer))
	}

	l = connected(t) // what stands behind the Delete of the IKE SA acts on nothing
	c = l.b.sa().children[0]
	l.request(l.a, wire.Informational, &wire.Delete{Protocol: wire.ProtoIKE}, &wire.Notify{Kind: wire.NotifyAuthenticationFailed},
		&wire.Delete{Protocol: wire.ProtoIKE}, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(c.out)}})
	if answer := l.answered(l.b); len(answer) != 0 || len(l.b.queue) != 0 {
		t.Errorf("the Delete of the IKE SA is answered {%s} and %d times more", wire.Describe(answer), len(l.b.queue))
	}
	if downs := filter(l.b.events, session.IKEDown); len(downs) != 1 || len(filter(l.b.events, session.ChildDown)) != 1 || l.b.sa() != nil || len(l.b.children) != 0 {
		t.Errorf("%d IKE SAs went down", len(downs))
	}
	l.mustBeSound()
}
