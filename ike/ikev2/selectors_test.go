package ikev2

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// The small space in which selectors are compared one by one: 16 addresses, 3 protocols, 4 ports and none.
type point struct{ addr, proto, port int }

var space = func() (out []point) {
	for addr := range 16 {
		for proto := range 3 {
			for port := -1; port < 4; port++ { // -1: the ports cannot be seen
				out = append(out, point{addr, proto + 1, port})
			}
		}
	}
	return out
}()

func small(addr int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, 0, byte(addr)}) }

// has reports whether a packet at p passes one of list, by the data path's own question.
func has(list []esp.Selector, p point) bool {
	return slices.ContainsFunc(list, func(s esp.Selector) bool {
		if p.port < 0 {
			return s.ContainsOpaque(small(p.addr), uint8(p.proto))
		}
		return s.Contains(small(p.addr), uint8(p.proto), uint16(p.port))
	})
}

// randomSelectors draws up to n selectors in the small space, some of them of IPv6.
func randomSelectors(chance *rand.Rand, n int) (out []esp.Selector) {
	for range 1 + chance.IntN(n) {
		from, to := chance.IntN(16), chance.IntN(16)
		s := esp.Selector{From: small(min(from, to)), To: small(max(from, to)), Proto: uint8(chance.IntN(4)), ToPort: 65535}
		switch chance.IntN(4) {
		case 0:
			a, b := chance.IntN(4), chance.IntN(4)
			s.FromPort, s.ToPort = uint16(min(a, b)), uint16(max(a, b))
		case 1:
			s.FromPort, s.ToPort = 65535, 0
		}
		if chance.IntN(8) == 0 {
			s.From, s.To = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::9")
		}
		out = append(out, s)
	}
	return out
}

// TestNarrowAgainstBruteForce is TS-01 and N-60 (RFC 7296 §2.9): of random policies and proposals exactly what both have
// comes out, packet by packet, and what the peer asks for first is part of it wherever policy has any of it.
func TestNarrowAgainstBruteForce(t *testing.T) {
	chance := rand.New(rand.NewPCG(9, 9))
	for round := range 3000 {
		policy, asked := randomSelectors(chance, 5), randomSelectors(chance, 5)
		got := narrow(policy, asked)
		for _, p := range space {
			if want := has(policy, p) && has(asked, p); has(got, p) != want {
				t.Fatalf("round %d: %+v passes %v, want %v\npolicy %v\nasked  %v\ngot    %v", round, p, !want, want, policy, asked, got)
			}
		}
		for _, s := range got {
			if !covered(policy, s) || !covered(asked, s) {
				t.Fatalf("round %d: %v is more than policy %v or proposal %v", round, s, policy, asked)
			}
		}
		if first := narrow(policy, asked[:1]); len(first) > 0 && (len(got) == 0 || !covered(asked[:1], got[0])) {
			t.Fatalf("round %d: %v is asked for first and allowed in part, and %v comes first", round, asked[0], got)
		}
		if len(got) > 0 != within(asked, got) || len(got) > 0 && !within(got, got) {
			t.Fatalf("round %d: within(%v, %v) is wrong", round, asked, got)
		}
		if within(asked, policy) {
			for _, p := range space {
				if has(policy, p) && !has(asked, p) {
					t.Fatalf("round %d: %v is within %v but for %+v", round, policy, asked, p)
				}
			}
		}
	}
}

// TestNarrowIsBounded: 255 of theirs against 255 of ours, all different, end at what a payload can count.
func TestNarrowIsBounded(t *testing.T) {
	var policy, asked []esp.Selector
	for i := range 255 {
		policy = append(policy, esp.Selector{From: small(i), To: small(i), ToPort: 65535})
		asked = append(asked, esp.Selector{From: small(0), To: small(255), Proto: 6, FromPort: uint16(i), ToPort: uint16(i)})
	}
	if got := narrow(policy, asked); len(got) != maxSelectors {
		t.Errorf("%d selectors", len(got))
	}
}

// TestWiderAnswers is TS-02 and SM-17: a responder that answers with more than it was asked for, in IKE_AUTH, for a new
// Child SA and for a successor. The Child SA is refused and deleted at the peer; the IKE SA and the old one live.
func TestWiderAnswers(t *testing.T) {
	wider := map[string]func(ts *wire.TS){
		"one address more": func(ts *wire.TS) { ts.Selectors[0].To = ts.Selectors[0].To.Next() },
		"one before":       func(ts *wire.TS) { ts.Selectors[0].From = ts.Selectors[0].From.Prev() },
		"everything": func(ts *wire.TS) {
			ts.Selectors[0].From, ts.Selectors[0].To = netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255")
		},
		"another besides": func(ts *wire.TS) {
			other := ts.Selectors[0]
			other.To = other.To.Next()
			other.From = other.To
			ts.Selectors = append(ts.Selectors, other)
		},
		"IPv6 besides": func(ts *wire.TS) {
			ts.Selectors = append(ts.Selectors, wire.TrafficSelector{ToPort: 65535, From: netip.IPv6Unspecified(), To: netip.IPv6LinkLocalAllNodes()})
		},
		"another instead": func(ts *wire.TS) {
			ts.Selectors[0].From, ts.Selectors[0].To = netip.MustParseAddr("172.16.0.0"), netip.MustParseAddr("172.16.0.9")
		},
	}
	for _, m := range moments {
		if !m.answer() || !slices.Contains(m.must, wire.TypeTSi) {
			continue
		}
		for name, widen := range wider {
			for _, which := range []int{0, 1} {
				l, g := m.reach(t)
				old := len(l.a.children)
				l.edit(g, func(list []wire.Payload) []wire.Payload {
					var both []*wire.TS
					for _, p := range list {
						if ts, ok := p.(*wire.TS); ok {
							both = append(both, ts)
						}
					}
					widen(both[which])
					return list
				})
				l.deliver(g)
				l.mustBeSound()
				if len(l.a.children) != old || l.a.sa() == nil {
					t.Errorf("%s with %s: %d Child SAs, before %d; IKE SA %v", m.name, name, len(l.a.children), old, l.a.sa() != nil)
				}
				l.settle()
				if n := len(l.b.sa().children); n != old {
					t.Errorf("%s with %s: b is left with %d Child SAs, want %d\n%s", m.name, name, n, old, l.log.String())
				}
				l.heals()
				if n := len(filter(l.a.events, session.IKEUp)); n != 1 {
					t.Errorf("%s with %s: %d IKE SAs", m.name, name, n)
				}
			}
		}
	}
}

// TestRekeyOutsidePolicy is SM-17 (impair rekey_*_supernet and subnet): a request to rekey that asks for more is narrowed to
// policy, one that asks for other networks is refused; the old Child SA stays until a successor is made.
func TestRekeyOutsidePolicy(t *testing.T) {
	whole, half, other := esp.AnyIPv4(), prefixes("10.0.1.128/25")[0], prefixes("172.16.0.0/12")[0]
	for _, c := range []struct {
		asks esp.Selector
		gets []esp.Selector
	}{{whole, prefixes("10.0.1.0/24")}, {half, []esp.Selector{half}}, {other, nil}} {
		l := connected(t)
		old := l.b.sa().children[0]
		list := append(l.childRequest(l.a, 0x9999), &wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(old.out), Kind: wire.NotifyRekeySA})
		list[2] = toWire([]esp.Selector{c.asks}, true)
		l.request(l.a, wire.CreateChildSA, list...)
		l.mustStay(0)
		var got []esp.Selector
		if now := l.b.sa().children; len(now) == 2 {
			got = now[1].remote
		} else if says(l.peek(l.b)) != wire.NotifyTSUnacceptable || old.state != childUp {
			t.Errorf("asked for %v: answered {%s}", c.asks, wire.Describe(l.peek(l.b)))
		}
		if fmt.Sprint(got) != fmt.Sprint(c.gets) {
			t.Errorf("asked for %v: %v, want %v", c.asks, got, c.gets)
		}
	}
}
