package ikev2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// What can become of a first request besides an error notify.
const (
	goesUp  wire.NotifyType = 0     // as if nothing were strange
	dropped wire.NotifyType = 65535 // without an answer
)

// TestHostileFirstRequest: an IKE_SA_INIT request with one thing changed by its sender, and what becomes of it.
// Nothing of a refused one is kept, and no answer is longer than the request (DOS-05).
func TestHostileFirstRequest(t *testing.T) {
	ke := func(m *wire.Message) *wire.KE { return find[*wire.KE](m.Payloads) }
	sa := func(m *wire.Message) *wire.Proposal { return &find[*wire.SA](m.Payloads).Proposals[0] }
	nonce := func(n int) func(*wire.Message) {
		return func(m *wire.Message) {
			p := find[*wire.Nonce](m.Payloads)
			p.Data = slices.Repeat(p.Data[:1], n)
		}
	}
	add := func(list ...wire.Payload) func(*wire.Message) {
		return func(m *wire.Message) { m.Payloads = append(m.Payloads, list...) }
	}
	drop := func(kind wire.TransformType) func(*wire.Message) {
		return func(m *wire.Message) {
			sa(m).Transforms = slices.DeleteFunc(sa(m).Transforms, func(t wire.Transform) bool { return t.Type == kind })
		}
	}
	set := func(t wire.Transform) func(*wire.Message) {
		return func(m *wire.Message) { drop(t.Type)(m); sa(m).Transforms = append(sa(m).Transforms, t) }
	}
	cases := []firstCase{
		{"MAL-05: 30 unknown payloads", add(slices.Repeat([]wire.Payload{&wire.Unknown{Kind: 200}}, 30)...), goesUp},
		{"MAL-05: 65 unknown payloads, CVE-2026-12413", add(slices.Repeat([]wire.Payload{&wire.Unknown{Kind: 200}}, 65)...), dropped},
		{"MAL-06: an unknown payload", add(&wire.Unknown{Kind: 222, Data: []byte("?")}), goesUp},
		{"MAL-06: an unknown critical payload", add(&wire.Unknown{Kind: 222, Critical: true}), wire.NotifyUnsupportedCriticalPayload},
		{"MAL-07: NAT-D of a draft", add(&wire.Unknown{Kind: 130}, &wire.Unknown{Kind: 131}, &wire.Unknown{Kind: 132}), goesUp},
		{"MAL-07: payloads of IKEv1", add(&wire.Unknown{Kind: 1}, &wire.Unknown{Kind: 5}, &wire.Unknown{Kind: 13}), goesUp},
		{"MAL-09: the only proposal has number 0", func(m *wire.Message) { sa(m).Number = 0 }, wire.NotifyNoProposalChosen},
		{"MAL-09: the only proposal has number 2", func(m *wire.Message) { sa(m).Number = 2 }, wire.NotifyNoProposalChosen},
		{"MAL-09: a proposal for ESP", func(m *wire.Message) { sa(m).Protocol = wire.ProtoESP }, wire.NotifyNoProposalChosen},
		{"MAL-09: a proposal with an SPI of 4 octets", func(m *wire.Message) { sa(m).SPI = make([]byte, 4) }, wire.NotifyNoProposalChosen},
		{"MAL-09: a proposal with an SPI of 255 octets", func(m *wire.Message) { sa(m).SPI = make([]byte, 255) }, wire.NotifyNoProposalChosen},
		{"MAL-09: a cipher without its key length", func(m *wire.Message) { sa(m).Transforms[0].KeyBits = 0 }, wire.NotifyNoProposalChosen},
		{"MAL-09: a cipher with a key of 65535 bits", func(m *wire.Message) { sa(m).Transforms[0].KeyBits = 65535 }, wire.NotifyNoProposalChosen},
		{"MAL-09: a cipher with two key lengths", func(m *wire.Message) { sa(m).Transforms[0].Bad = true }, wire.NotifyNoProposalChosen},
		{"MAL-09: a second, broken transform beside", func(m *wire.Message) {
			sa(m).Transforms = append(sa(m).Transforms, wire.Transform{Type: wire.TransformENCR, ID: 999})
		}, goesUp},
		{"MAL-09: a transform of an unknown type", func(m *wire.Message) {
			sa(m).Transforms = append(sa(m).Transforms, wire.Transform{Type: 99, ID: 1})
		}, wire.NotifyNoProposalChosen},
		{"MAL-10: no group, CVE-2016-5391", drop(wire.TransformKE), wire.NotifyNoProposalChosen},
		{"MAL-10: the group NONE", set(wire.Transform{Type: wire.TransformKE}), wire.NotifyNoProposalChosen},
		{"MAL-10: ENCR_NULL", set(wire.Transform{Type: wire.TransformENCR, ID: 11}), wire.NotifyNoProposalChosen},
		{"MAL-10: AES-CBC without integrity", set(wire.Transform{Type: wire.TransformENCR, ID: 12, KeyBits: 128}), wire.NotifyNoProposalChosen},
		{"MAL-10: an AEAD with integrity", func(m *wire.Message) {
			sa(m).Transforms = append(sa(m).Transforms, wire.Transform{Type: wire.TransformINTEG, ID: 12})
		}, wire.NotifyNoProposalChosen},
		{"MAL-10: no PRF", drop(wire.TransformPRF), wire.NotifyNoProposalChosen},
		{"MAL-12: KE of group 0", func(m *wire.Message) { ke(m).Group = 0 }, wire.NotifyInvalidKEPayload},
		{"MAL-12: KE of a group that was not proposed", func(m *wire.Message) { ke(m).Group = 19 }, wire.NotifyInvalidKEPayload},
		{"MAL-12: KE of group 1025, CVE-2014-9221", func(m *wire.Message) { ke(m).Group = 1025 }, wire.NotifyInvalidKEPayload},
		{"MAL-12: KE of group 65535", func(m *wire.Message) { ke(m).Group = 65535 }, wire.NotifyInvalidKEPayload},
		{"MAL-12: KE without data, CVE-2023-41913", func(m *wire.Message) { ke(m).Data = nil }, wire.NotifyInvalidSyntax},
		{"MAL-12: KE one octet short", func(m *wire.Message) { ke(m).Data = ke(m).Data[1:] }, wire.NotifyInvalidSyntax},
		{"MAL-12: KE one octet long", func(m *wire.Message) { ke(m).Data = append(ke(m).Data, 0) }, wire.NotifyInvalidSyntax},
		{"MAL-13: no nonce", nonce(0), dropped},
		{"MAL-13: a nonce of 15 octets", nonce(15), dropped},
		{"MAL-13: a nonce of 16 octets", nonce(16), goesUp},
		{"MAL-13: a nonce of 256 octets", nonce(256), goesUp},
		{"MAL-13: a nonce of 257 octets", nonce(257), dropped},
		{"MAL-16: NAT detection of 19 octets", func(m *wire.Message) {
			for _, p := range m.Payloads {
				if n, ok := p.(*wire.Notify); ok && len(n.Data) == 20 {
					n.Data = n.Data[1:]
				}
			}
		}, goesUp},
		{"MAL-16: an unknown error", add(&wire.Notify{Kind: 8191}), goesUp},
		{"MAL-16: an unknown status with an SPI", add(&wire.Notify{Kind: 40000, Protocol: 77, SPI: make([]byte, 255)}), goesUp},
		{"MAL-16: cookies of 0 and 65 octets", add(&wire.Notify{Kind: wire.NotifyCookie}, &wire.Notify{Kind: wire.NotifyCookie, Data: make([]byte, 65)}), goesUp},
		{"MAL-24: reserved flags", func(m *wire.Message) { m.Header.Flags |= 0xc7 }, goesUp},
		{"MAL-24: a minor version", func(m *wire.Message) { m.Header.Version |= 7 }, goesUp},
		{"SM-12: INITIAL_CONTACT in clear", add(&wire.Notify{Kind: wire.NotifyInitialContact}), goesUp},
		{"MAL-25: things nobody asked for", add(&wire.Unknown{Kind: wire.TypeCP, Data: []byte{1, 0, 0, 0, 0, 1, 0, 1}}, &wire.Unknown{Kind: wire.TypeEAP},
			&wire.Notify{Kind: wire.NotifyRedirect, Data: []byte{1, 4, 192, 0, 2, 9}}, &wire.Notify{Kind: wire.NotifyRedirectSupported},
			&wire.Notify{Kind: wire.NotifyMOBIKESupported}, &wire.Notify{Kind: wire.NotifyHTTPCertLookupSupported}), goesUp},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := newLab(t)
			l.initiate(l.a)
			l.sayClear(l.a, c.change)
			request := len(l.a.queue[0].Bytes)
			l.deliver(l.a)
			if len(l.b.queue) > 0 && len(l.b.queue[0].Bytes) > request {
				t.Errorf("an answer of %d octets to a request of %d", len(l.b.queue[0].Bytes), request)
			}
			switch {
			case c.want == goesUp:
				l.settle()
				if l.unharmed(); l.b.sa().nat != (natStatus{supported: !strings.Contains(c.name, "NAT detection")}) {
					t.Errorf("b found NAT %+v", l.b.sa().nat)
				}
				return
			case c.want == dropped && len(l.b.queue) > 0:
				t.Errorf("b answers {%s}", wire.Describe(l.answered(l.b)))
			case c.want != dropped:
				answer := l.peek(l.b)
				if says(answer) != c.want {
					t.Fatalf("b answers {%s}, want %v", wire.Describe(answer), c.want)
				}
				n := answer[0].(*wire.Notify)
				if want := c.data(); string(n.Data) != string(want) || len(n.SPI) > 0 || n.Protocol != 0 {
					t.Errorf("b answers %v with data %x, want %x and no SPI", n.Kind, n.Data, want)
				}
			}
			if l.empty(l.b); len(filter(l.b.events, session.IKEUp)) > 0 {
				t.Error("an IKE SA came up")
			}
			l.mustBeSound()
		})
	}
}

// data is what a notify of b says: our group (RFC 7296 §1.3), or the type that is not known (§2.5).
func (c *firstCase) data() []byte {
	switch c.want {
	case wire.NotifyInvalidKEPayload:
		return []byte{0, 31}
	case wire.NotifyUnsupportedCriticalPayload:
		return []byte{222}
	}
	return nil
}

// A firstCase is a row of TestHostileFirstRequest.
type firstCase struct {
	name   string
	change func(*wire.Message)
	want   wire.NotifyType
}

// TestNonceShorterThanHalfTheKey is MAL-13 and RFC 7296 §2.10: prfsha512 has a key of 64 octets, so 31 are too few, in any
// exchange and from either end.
func TestNonceShorterThanHalfTheKey(t *testing.T) {
	for _, m := range moments {
		if !slices.Contains(m.must, wire.TypeNonce) {
			continue
		}
		for _, n := range []int{31, 32} {
			l, g := m.with("aes128gcm16-prfsha512-curve25519")(t)
			var nonce *wire.Nonce
			m.change(l, g, true, func(list []wire.Payload) []wire.Payload {
				nonce = find[*wire.Nonce](list)
				nonce.Data = nonce.Data[:n]
				return list
			})
			to := l.other(g)
			children, sas := len(to.children), len(to.sessions)
			l.deliver(g)
			taken := len(to.children) > children || len(to.sessions) > sas || m.clear() && m.answer() && len(l.a.queue) > 0
			for _, s := range to.sessions {
				taken = taken || len(s.(*peer).sas) > 1
			}
			if want := n == 32; taken != want {
				t.Errorf("%s with a nonce of %d octets: taken %v", m.name, n, taken)
			}
			l.mustBeSound()
		}
	}
}

// TestHostileFirstOctets: faults that no honest encoder can write, octet by octet, at every place of the first request.
// All are dropped and leave nothing (MAL-05, MAL-09, MAL-24).
func TestHostileFirstOctets(t *testing.T) {
	l := newLab(t)
	l.initiate(l.a)
	good := l.take(l.a).Bytes
	var bad = map[string][]byte{
		"one octet more":               append(slices.Clone(good), 0),
		"SPIr in the first request":    withOctet(good, 8, 1),
		"marked as an answer":          withOctet(good, 19, good[19]|byte(wire.FlagResponse)),
		"from the responder":           withOctet(good, 19, good[19]&^byte(wire.FlagInitiator)),
		"message ID 1":                 withOctet(good, 23, 1),
		"another exchange":             withOctet(good, 18, 35),
		"the header leads to SK":       withOctet(good, 16, 46),
		"the SA says more proposals":   withOctet(good, 32, 2),
		"the last transform says more": nil,
	}
	at := wire.HeaderLen
	for kind := good[16]; kind != 0; {
		n := int(binary.BigEndian.Uint16(good[at+2:]))
		for _, length := range []int{0, 1, 2, 3, n + 1, len(good), 65535} {
			b := slices.Clone(good)
			binary.BigEndian.PutUint16(b[at+2:], uint16(length))
			bad[fmt.Sprintf("payload %d at %d says %d octets", kind, at, length)] = b
		}
		kind, at = good[at], at+n
	}
	for i := wire.HeaderLen + 4 + 8; i < len(good); i++ { // transforms: type of next at their first octet
		if good[i] == 3 && good[i+1] == 0 && good[i+2] == 0 && good[i+3] == 8 {
			bad["the last transform says more"] = withOctet(good, i, 0)
			break
		}
	}
	if bad["the last transform says more"] == nil {
		t.Fatal("no transform found")
	}
	for name, msg := range bad {
		fix := slices.Clone(msg)
		binary.BigEndian.PutUint32(fix[24:], uint32(len(fix)))
		s := Accept([]Config{l.b.cfg})
		out := s.Receive(l.now, fix, l.path(l.b))
		if len(out.Send) > 0 || len(out.Child) > 0 || len(out.Claim) != len(out.Release) || len(s.(*peer).sas) > 0 {
			t.Errorf("%s: %d answers, claims %x, %d IKE SAs", name, len(out.Send), out.Claim, len(s.(*peer).sas))
		}
	}
	for n := range good { // every shorter one, its length put right
		short := slices.Clone(good[:n])
		if n >= wire.HeaderLen {
			binary.BigEndian.PutUint32(short[24:], uint32(n))
		}
		s := Accept([]Config{l.b.cfg})
		if out := s.Receive(l.now, short, esp.Path{}); len(out.Send) > 0 || len(s.(*peer).sas) > 0 {
			t.Errorf("%d octets of %d are answered or kept", n, len(good))
		}
	}
}

func withOctet(b []byte, at int, value byte) []byte {
	out := slices.Clone(b)
	out[at] = value
	return out
}
