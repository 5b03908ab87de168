package ikev2

import (
	"encoding/binary"
	"slices"
	"testing"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestManInTheMiddle is AUT-06: everything that can be changed on the way in an IKE_SA_INIT, which is in clear, without
// making it malformed. No such handshake comes up at either end, and each end's own proof is shown only to whoever did
// the key exchange.
func TestManInTheMiddle(t *testing.T) {
	flip := func(b []byte) { b[len(b)-1] ^= 1 }
	for name, change := range map[string]func(*wire.Message){
		"a proposal is stripped": func(m *wire.Message) {
			sa := find[*wire.SA](m.Payloads)
			sa.Proposals = sa.Proposals[1:]
			for i := range sa.Proposals {
				sa.Proposals[i].Number = uint8(i + 1)
			}
		},
		"a transform is stripped": func(m *wire.Message) {
			p := &find[*wire.SA](m.Payloads).Proposals[0]
			p.Transforms = slices.DeleteFunc(p.Transforms, func(t wire.Transform) bool { return t.Type == wire.TransformENCR && t.KeyBits == 256 })
		},
		"the public value is another": func(m *wire.Message) { flip(find[*wire.KE](m.Payloads).Data) },
		"the nonce is another":        func(m *wire.Message) { flip(find[*wire.Nonce](m.Payloads).Data) },
		"NAT detection is another":    func(m *wire.Message) { flip(find[*wire.Notify](m.Payloads).Data) },
		"NAT detection is stripped": func(m *wire.Message) {
			m.Payloads = slices.DeleteFunc(m.Payloads, func(p wire.Payload) bool { return p.Type() == wire.TypeNotify })
		},
		"fragmentation is stripped": func(m *wire.Message) { m.Payloads = m.Payloads[:len(m.Payloads)-1] },
		"a vendor ID is put in": func(m *wire.Message) {
			m.Payloads = append(m.Payloads, &wire.Unknown{Kind: wire.TypeVendorID, Data: []byte("x")})
		},
		"a notify is put in":           func(m *wire.Message) { m.Payloads = append(m.Payloads, &wire.Notify{Kind: 40000}) },
		"the order is another":         func(m *wire.Message) { slices.Reverse(m.Payloads) },
		"a reserved flag is set":       func(m *wire.Message) { m.Header.Flags |= 0x80 },
		"the minor version is another": func(m *wire.Message) { m.Header.Version |= 1 },
		"a payload is marked critical": func(m *wire.Message) { m.Payloads = append(m.Payloads, &wire.Unknown{Kind: 250}) },
	} {
		for _, side := range []string{"request", "answer"} {
			t.Run(name+" in the "+side, func(t *testing.T) {
				l := newLab(t)
				l.a.cfg.IKE = ikeProposals(t, "aes256gcm16-aes128gcm16-prfsha256-curve25519", defaultIKE)
				l.b.cfg.IKE = ikeProposals(t, "aes128gcm16-aes256gcm16-prfsha256-curve25519", defaultIKE)
				l.initiate(l.a)
				if side == "answer" {
					l.deliver(l.a)
					if name == "a proposal is stripped" || name == "a transform is stripped" {
						change = func(m *wire.Message) { // the middle chooses instead of b: what a has offered too
							p := &find[*wire.SA](m.Payloads).Proposals[0]
							p.Transforms[0].KeyBits = 384 - p.Transforms[0].KeyBits
						}
					}
					l.editClear(l.b, change)
				} else {
					l.editClear(l.a, change)
				}
				l.settle()
				// Of the answer the initiator's proof covers the nonce only (RFC 7296 §2.15): b may think that it is up until a,
				// which sees that b's proof covers something else, deletes it.
				if ups := len(filter(l.a.events, session.IKEUp)); ups > 0 || l.b.sa() != nil {
					t.Errorf("the handshake is taken for good\n%s", l.log.String())
				}
				if ups := len(filter(l.b.events, session.IKEUp)); ups > 0 && side == "request" {
					t.Errorf("b takes the handshake for good\n%s", l.log.String())
				}
				l.mustBeGone()
			})
		}
	}
}

// TestBelowTheOffer is CRY-11 and N-06 (RFC 7296 §3.3.6): answers of a responder that chooses what it may not.
func TestBelowTheOffer(t *testing.T) {
	for name, change := range map[string]func(*wire.SA){
		"a cipher that was not offered": func(sa *wire.SA) { sa.Proposals[0].Transforms[0].ID = 12 },
		"another key length":            func(sa *wire.SA) { sa.Proposals[0].Transforms[0].KeyBits = 256 },
		"no key length":                 func(sa *wire.SA) { sa.Proposals[0].Transforms[0].KeyBits = 0 },
		"another number":                func(sa *wire.SA) { sa.Proposals[0].Number = 2 },
		"number 0":                      func(sa *wire.SA) { sa.Proposals[0].Number = 0 },
		"two proposals":                 func(sa *wire.SA) { sa.Proposals = append(sa.Proposals, sa.Proposals[0]) },
		"none":                          func(sa *wire.SA) { sa.Proposals[0].Transforms = nil },
		"two transforms of a type":      func(sa *wire.SA) { p := &sa.Proposals[0]; p.Transforms = append(p.Transforms, p.Transforms[0]) },
		"a transform less":              func(sa *wire.SA) { p := &sa.Proposals[0]; p.Transforms = p.Transforms[:len(p.Transforms)-1] },
		"a transform of an unknown type": func(sa *wire.SA) {
			p := &sa.Proposals[0]
			p.Transforms = append(p.Transforms, wire.Transform{Type: 77})
		},
		"another protocol":   func(sa *wire.SA) { sa.Proposals[0].Protocol = wire.ProtoAH },
		"an SPI of 3 octets": func(sa *wire.SA) { sa.Proposals[0].SPI = []byte{9, 9, 9} },
		"a reserved SPI":     func(sa *wire.SA) { sa.Proposals[0].SPI = []byte{0, 0, 0, 255} }, // SM-19
		"an SPI of zeros":    func(sa *wire.SA) { sa.Proposals[0].SPI = make([]byte, max(8, len(sa.Proposals[0].SPI))) },
	} {
		for _, m := range moments {
			if !m.answer() || !slices.Contains(m.must, wire.TypeSA) {
				continue
			}
			t.Run(m.name+", "+name, func(t *testing.T) {
				l, g := m.reach(t)
				before := l.sent(l.a)
				m.change(l, g, true, func(list []wire.Payload) []wire.Payload {
					change(find[*wire.SA](list))
					return list
				})
				children := len(l.a.children)
				l.deliver(g)
				l.mustBeSound()
				switch {
				case m.clear() && l.sent(l.a) != before: // not authentic: a good one may still come (RFC 7296 §2.21.1)
					t.Errorf("a goes on with it\n%s", l.log.String())
				case len(l.a.children) > children, len(filter(l.a.events, session.IKERekeyed)) > 0:
					t.Errorf("a takes it\n%s", l.log.String())
				}
				l.heals()
			})
		}
	}
}

// sent is how many messages g has sent so far.
func (l *lab) sent(g *gateway) int { return len(filterSent(g.events)) }

func filterSent(events []session.Event) (out []session.Event) {
	for _, e := range filter(events, session.Message) {
		if e.Sent {
			out = append(out, e)
		}
	}
	return out
}

// TestReflection is AUT-03: what a says comes back to a as if a peer had said it, bit by bit, with the roles swapped in the
// header, and by a whole connection of a with itself.
func TestReflection(t *testing.T) {
	for _, m := range moments {
		for flags := range 4 {
			l, g := m.reach(t)
			d := l.take(g)
			mirrored := slices.Clone(d.Bytes)
			mirrored[19] ^= []byte{0, byte(wire.FlagInitiator), byte(wire.FlagResponse), byte(wire.FlagInitiator | wire.FlagResponse)}[flags]
			if flags == 3 { // SPIs too
				binary.BigEndian.PutUint64(mirrored, binary.BigEndian.Uint64(d.Bytes[8:]))
				binary.BigEndian.PutUint64(mirrored[8:], binary.BigEndian.Uint64(d.Bytes))
			}
			before := g.snapshot()
			for _, s := range g.sessions {
				l.apply(g, s, s.Receive(l.now, mirrored, l.path(g)))
			}
			if got := g.snapshot(); got != before || len(g.queue) > 0 {
				t.Errorf("%s mirrored with flags %d did something:\n%s\nbefore:\n%s", m.name, flags, got, before)
			}
		}
	}
}

// TestConnectionToSelf is AUT-03: a's own messages lead back to a, which is configured as both ends, or is told that its
// peer has its own name.
func TestConnectionToSelf(t *testing.T) {
	for name, set := range map[string]func(l *lab){
		"as configured":       func(l *lab) {},
		"peers with one name": func(l *lab) { l.a.cfg.RemoteID = l.a.cfg.LocalID },
		"any peer":            func(l *lab) { l.a.cfg.RemoteID = auth.ID{} },
	} {
		l := newLab(t)
		set(l)
		l.b.cfg = l.a.cfg // b is a, in a mirror
		l.b.cfg.AllocSPI, l.b.cfg.LastInbound = newGateway(t, "b", 2).cfg.AllocSPI, newGateway(t, "b", 2).cfg.LastInbound
		l.initiate(l.a)
		l.settle()
		for _, g := range []*gateway{l.a, l.b} {
			if len(filter(g.events, session.IKEUp)) > 0 {
				t.Errorf("%s: an IKE SA with ourselves\n%s", name, l.log.String())
			}
		}
	}
}
