package ikev2

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestWhatWeSendHasNothingReserved is N-02 and N-03 (RFC 7296 §2.5, §3.1, §3.2): in all messages of a life the minor version, the
// reserved flags, and of every payload the critical bit and the reserved ones are 0, in clear and inside.
func TestWhatWeSendHasNothingReserved(t *testing.T) {
	plain := func(g *gateway, h wire.Header, chain []byte) {
		for len(chain) > 0 {
			if chain[1] != 0 {
				t.Errorf("%s sends %v #%d with %#x beside a payload's type", g.name, h.Exchange, h.MessageID, chain[1])
			}
			chain = chain[binary.BigEndian.Uint16(chain[2:]):]
		}
	}
	l := newLab(t)
	seen := map[wire.ExchangeType]int{}
	settle := func() {
		l.overhear(func(g *gateway, h wire.Header, msg []byte) {
			if h.Version != wire.V2 || h.Flags&^(wire.FlagInitiator|wire.FlagResponse) != 0 {
				t.Errorf("%s sends %v #%d with version %#x and flags %#x", g.name, h.Exchange, h.MessageID, byte(h.Version), byte(h.Flags))
			}
			if seen[h.Exchange]++; h.Exchange == wire.IKESAInit {
				plain(g, h, msg[wire.HeaderLen:])
			} else {
				if msg[wire.HeaderLen+1] != 0 {
					t.Errorf("%s sends %v #%d with %#x beside SK's type", g.name, h.Exchange, h.MessageID, msg[wire.HeaderLen+1])
				}
				plain(g, h, l.open(g, msg).plain)
			}
		})
	}
	for _, do := range append(story(l), func() { l.do(l.b, session.Close{}) }) {
		do()
		settle()
	}
	for _, exchange := range []wire.ExchangeType{wire.IKESAInit, wire.IKEAuth, wire.CreateChildSA, wire.Informational} {
		if seen[exchange] < 2 {
			t.Errorf("%d messages of %v", seen[exchange], exchange)
		}
	}
}

// TestReservedOctetsAreCoveredAsTheyCame is N-03 (RFC 7296 §2.15): reserved fields of IKE_SA_INIT and of the identities are
// ignored, and AUTH covers them as they were received: a peer that sets them and covers them is believed, one who changes
// them on the way is found out.
func TestReservedOctetsAreCoveredAsTheyCame(t *testing.T) {
	for name, forger := range map[string]bool{"the peer itself": false, "somebody on the way": true} {
		for _, end := range []string{"a", "b"} {
			l := newLab(t)
			l.initiate(l.a)
			g := l.a
			if end == "b" {
				l.deliver(l.a)
				g = l.b
			}
			g.queue[0].Bytes = slices.Clone(g.queue[0].Bytes)
			g.queue[0].Bytes[19] |= 1    // a reserved flag
			g.queue[0].Bytes[29] |= 0x7f // beside the first payload's critical bit
			if !forger {
				l.believe(g)
			}
			l.settle()
			if up := l.b.sa() != nil && l.a.sa() != nil; up == forger {
				t.Errorf("%s sets reserved bits of IKE_SA_INIT of %s: up %v", name, end, up)
			}
		}
	}
	for covered, want := range map[bool]bool{true: true, false: false} {
		l := atAuth(t, nil)
		from := l.a.sessions[0].(*peer).sas[0]
		we, err := from.p.ourselves(l.now, from.path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		l.edit(l.a, func(list []wire.Payload) []wire.Payload {
			body := find[*wire.ID](list).Body()
			body[1], body[2], body[3] = 1, 2, 3
			if covered {
				proof, err := from.prove(we, from.signedOctets(true, body))
				if err != nil {
					t.Fatal(err)
				}
				find[*wire.Auth](list).Data = proof.Data
			}
			list[slices.IndexFunc(list, func(p wire.Payload) bool { return p.Type() == wire.TypeIDi })] = &wire.Unknown{Kind: wire.TypeIDi, Data: body}
			return list
		})
		l.deliver(l.a)
		if up := l.b.sa() != nil; up != want {
			t.Errorf("an identity with reserved octets, covered by AUTH %v: up %v\n%s", covered, up, l.log.String())
		}
	}
}

// TestLargeMessages is N-01 (RFC 7296 §2): messages of 3000 octets are taken in one piece, in clear and sealed, as are those
// of 60,000.
func TestLargeMessages(t *testing.T) {
	filler := func(n int) []wire.Payload {
		return slices.Repeat([]wire.Payload{&wire.VendorID{Data: bytes.Repeat([]byte{7}, n/30)}}, 30)
	}
	for _, n := range []int{1280, 3000, 60000} {
		l := newLab(t)
		l.initiate(l.a)
		l.sayClear(l.a, func(m *wire.Message) { m.Payloads = append(m.Payloads, filler(n)...) })
		if got := len(l.queued(l.a)); got < n {
			t.Fatalf("%d octets", got)
		}
		l.deliver(l.a)
		l.deliver(l.b)
		l.edit(l.a, func(list []wire.Payload) []wire.Payload { return append(list, filler(n)...) })
		l.deliver(l.a)
		l.edit(l.b, func(list []wire.Payload) []wire.Payload { return append(list, filler(n)...) })
		l.settle()
		l.unharmed()
	}
}
