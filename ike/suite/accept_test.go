package suite

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

// answered is the peer's choice from our offer.
func answered(t *testing.T, ours []Proposal, theirs []Proposal, proto wire.ProtocolID, groups GroupChoice) *wire.SA {
	t.Helper()
	spi := espSPI
	if proto == wire.ProtoIKE {
		spi = nil
	}
	s, err := Select(theirs, &wire.SA{Proposals: Offer(ours, proto, spi, groups)}, proto, SelectOptions{WithGroups: groups})
	if err != nil {
		t.Fatal(err)
	}
	s.Wire.SPI = spi
	return &wire.SA{Proposals: []wire.Proposal{s.Wire}}
}

// N-06: what a sound responder answers is accepted, and both ends have the same suite.
func TestAcceptTakesWhatSelectGives(t *testing.T) {
	for _, c := range []struct {
		ours, theirs []Proposal
		proto        wire.ProtocolID
		groups       GroupChoice
		want         string
		esn          bool
	}{
		{ikes(t, "aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha256-ecp256-modp2048"), ikes(t, "aes256-sha256-modp2048"), wire.ProtoIKE, WithGroups, "aes256-sha256-modp2048", false},
		{ikes(t, "aes256gcm16-aes256-sha256-ecp256"), ikes(t, "aes256-sha256-ecp256"), wire.ProtoIKE, WithGroups, "aes256-sha256-ecp256", false},
		{esps(t, "aes256gcm16-ecp384", "aes256gcm16-ecp256", "aes128gcm16"), esps(t, "aes128gcm16-noesn"), wire.ProtoESP, WithoutGroups, "aes128gcm16", false},
		{esps(t, "chacha20poly1305-curve25519"), esps(t, "chacha20poly1305-curve25519"), wire.ProtoESP, WithGroups, "chacha20poly1305-curve25519", true},
	} {
		answer := answered(t, c.ours, c.theirs, c.proto, c.groups)
		s, err := Accept(c.ours, answer, c.proto, c.groups)
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		if s.Suite.String() != c.want || s.Suite.ESN != c.esn || s.Suite.IKE != (c.proto == wire.ProtoIKE) {
			t.Errorf("suite is %s (ESN %v), want %s (ESN %v)", s.Suite, s.Suite.ESN, c.want, c.esn)
		}
		if !bytes.Equal(s.PeerSPI, answer.Proposals[0].SPI) {
			t.Errorf("%s: the peer's SPI is %x, want %x", c.want, s.PeerSPI, answer.Proposals[0].SPI)
		}
	}
}

// CRY-11 (RFC 7296 §3.3.6): an answer that is not a choice from our offer ends the exchange.
func TestAcceptRefusesWhatWasNotOffered(t *testing.T) {
	ours := ikes(t, "aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha256-modp2048")
	good := func() *wire.SA {
		return answered(t, ours, ikes(t, "aes256-sha256-modp2048"), wire.ProtoIKE, WithGroups)
	}
	if _, err := Accept(ours, good(), wire.ProtoIKE, WithGroups); err != nil {
		t.Fatal(err)
	}
	change := func(f func(*wire.Proposal)) *wire.SA { return edited(good(), f) }
	for _, c := range []struct {
		name   string
		answer *wire.SA
		want   string // in the error
	}{
		{"no SA", nil, "0 proposals"},
		{"no proposal", &wire.SA{}, "0 proposals"},
		{"two proposals", &wire.SA{Proposals: append(good().Proposals, good().Proposals...)}, "2 proposals"},
		{"number 0", change(func(p *wire.Proposal) { p.Number = 0 }), "proposal 0 of 2"},
		{"a number past ours", change(func(p *wire.Proposal) { p.Number = 3 }), "proposal 3 of 2"},
		{"the number of another proposal", change(func(p *wire.Proposal) { p.Number = 1 }), "did not offer in proposal 1"},
		{"another protocol", change(func(p *wire.Proposal) { p.Protocol = wire.ProtoESP }), "for ESP, not for IKE"},
		{"an SPI of 4 octets", change(func(p *wire.Proposal) { p.SPI = espSPI }), "SPI has 4 octets"},
		{"a cipher never offered", change(replaced(wire.Transform{Type: 1, ID: 28})), "chose chacha20poly1305"},
		{"ENCR_NULL", change(replaced(wire.Transform{Type: 1, ID: 11})), "chose null"},
		{"another key length", change(replaced(wire.Transform{Type: 1, ID: 12, KeyBits: 192})), "chose aes192"},
		{"no key length", change(replaced(wire.Transform{Type: 1, ID: 12})), "aes without key length"},
		{"a weaker group", change(replaced(wire.Transform{Type: 4, ID: 2})), "chose modp1024"},
		{"an unknown attribute", change(replaced(wire.Transform{Type: 4, ID: 14, Bad: true})), "modp2048 with an unknown attribute"},
		{"two ciphers", change(with(wire.Transform{Type: 1, ID: 12, KeyBits: 128})), "two transforms of type ENCR"},
		{"the same transform twice", change(with(wire.Transform{Type: 4, ID: 14})), "two transforms of type KE"},
		{"no group", change(without(wire.TransformKE)), "no transform of type KE"},
		{"no PRF", change(without(wire.TransformPRF)), "no transform of type PRF"},
		{"no integrity", change(without(wire.TransformINTEG)), "no transform of type INTEG"},
		{"integrity NONE", change(replaced(wire.Transform{Type: 3})), "chose none"},
		{"ESN", change(with(wire.Transform{Type: 5, ID: 1})), "chose esn"},
		{"an unknown type", change(with(wire.Transform{Type: 99, ID: 1})), "TRANSFORM_99 1"},
		{"no transforms", change(func(p *wire.Proposal) { p.Transforms = nil }), "no transform of type ENCR"},
	} {
		s, err := Accept(ours, c.answer, wire.ProtoIKE, WithGroups)
		if err == nil {
			t.Errorf("%s: %s is accepted", c.name, s.Suite)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %q, want in it %q", c.name, err, c.want)
		}
	}
	espOurs := esps(t, "aes256gcm16-ecp256")
	withGroup := answered(t, espOurs, espOurs, wire.ProtoESP, WithGroups)
	withoutESN := answered(t, espOurs, espOurs, wire.ProtoESP, WithGroups)
	if s, err := Accept(espOurs, edited(withoutESN, without(wire.TransformESN)), wire.ProtoESP, WithGroups); err == nil {
		t.Errorf("an answer that leaves sequence numbers open is accepted: %s", s.Suite)
	}
	if s, err := Accept(espOurs, withGroup, wire.ProtoESP, WithoutGroups); err == nil {
		t.Errorf("a group in IKE_AUTH is accepted: %s", s.Suite)
	}
	if s, err := Accept(espOurs, edited(withGroup, func(p *wire.Proposal) { p.SPI = make([]byte, 4) }), wire.ProtoESP, WithGroups); err == nil {
		t.Errorf("SPI 0 is accepted: %s", s.Suite)
	}
}

// Any offer, against policies of every shape: what is chosen stands in the offer as in the policy, a sound initiator
// accepts it, and nothing is chosen only if nothing of the offer is in the policy.
func FuzzSelect(f *testing.F) {
	for seed := range byte(8) {
		f.Add([]byte{seed, 17, 3, 200, 9, 12, 0, 1, 4, 20, 255, 3, 2, 1}, uint64(seed))
	}
	policies := [][]Proposal{
		ikes(f, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-aes256-aes128-sha256-sha1-ecp256-modp2048"),
		ikes(f, "aes128-sha1-modp1024", "chacha20poly1305-prfsha512-curve25519"),
		esps(f, "aes256gcm16-ecp384", "chacha20poly1305-aes128-sha512-noesn"),
		esps(f, "aes128-sha1-esn", "aes256gcm16-aes128gcm16-modp2048-ecp256"),
		ikes(f, "aes256gcm16-prfsha384-ecp384-ecp256-ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_none", "aes256gcm16-prfsha384-ecp384-ke1_ecp384-ke1_ecp521-ke1_none"),
		esps(f, "aes256gcm16-ecp384-mlkem768-ke1_mlkem768-ke1_ecp384", "aes256gcm16-ecp256-ke3_mlkem1024-ke3_none-noesn"),
	}
	f.Fuzz(func(t *testing.T, noise []byte, seed uint64) {
		ours := policies[seed%uint64(len(policies))]
		proto := ours[0].Protocol
		opts := SelectOptions{WithGroups: seed&64 != 0, Additional: seed&128 != 0, PreferGroup: uint16(seed >> 8 % 32)}
		sa := randomOffer(policies, proto, noise, seed)
		s, err := Select(ours, sa, proto, opts)
		if err != nil {
			m := err.(*Mismatch)
			if text := m.Error() + m.Hint(); strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) || len(text) > 8192 {
				t.Fatalf("the explanation is %q", text)
			}
			for _, o := range sa.Proposals {
				if !opts.Additional && slices.ContainsFunc(only(o, proto, opts).Transforms, func(tr wire.Transform) bool { return isAdditional(tr.Type) }) {
					continue
				}
				if fits := inPolicy(ours, o, proto, opts.WithGroups); fits && unsound(only(o, proto, opts)) == "" {
					t.Fatalf("nothing is chosen, and yet %+v is in the policy", o)
				}
			}
			return
		}
		from := sa.Proposals[s.Wire.Number-1]
		for _, tr := range s.Wire.Transforms {
			if !slices.Contains(from.Transforms, tr) {
				t.Fatalf("%s was not offered", transformName(tr))
			}
		}
		for _, r := range s.Suite.rows() {
			if r.Name != "" && !slices.ContainsFunc(ours, func(p Proposal) bool {
				return slices.Contains(slices.Concat(p.Encr, p.Integ, p.PRF, p.exchanges()), r)
			}) {
				t.Fatalf("%s is not in our policy", r.Name)
			}
		}
		exchanges := append([]*Group{s.Suite.Group}, s.Suite.Additional...)
		for i, g := range exchanges {
			if len(exchanges) > 1 && (g == nil || slices.Contains(exchanges[:i], g)) {
				t.Fatalf("%s: key exchange %d is missing or repeats a method", s.Suite, i)
			}
		}
		if !opts.Additional && len(exchanges) > 1 {
			t.Fatalf("%s: additional key exchanges cannot follow", s.Suite)
		}
		if s.Suite.Algorithm == nil || (proto == wire.ProtoIKE) != (s.Suite.PRF != nil) || proto == wire.ProtoIKE && s.Suite.Group == nil {
			t.Fatalf("the suite is not whole: %+v", s.Suite)
		}
		if s.Suite.EncrKeyLen()+s.Suite.IntegKeyLen() != s.Suite.Algorithm.KeyLen {
			t.Fatalf("%s: the keys do not add up", s.Suite)
		}
		if why := unsound(only(s.Wire, proto, opts)); why != "" {
			t.Fatalf("the answer %+v is unsound: %s", s.Wire, why)
		}
	})
}

// only leaves out what does not count: NONE, and groups where there is no key exchange.
func only(o wire.Proposal, proto wire.ProtocolID, opts SelectOptions) wire.Proposal {
	o.Transforms = slices.DeleteFunc(slices.Clone(o.Transforms), func(tr wire.Transform) bool {
		return isNone(tr) || isExchange(tr.Type) && proto == wire.ProtoESP && !opts.WithGroups
	})
	return o
}

// inPolicy judges a proposal that offers exactly one transform of each type, by taking our offers apart.
func inPolicy(ours []Proposal, o wire.Proposal, proto wire.ProtocolID, groups GroupChoice) bool {
	if flaw(&o, proto, int(o.Number)) != "" {
		return false
	}
	for _, mine := range Offer(ours, proto, nil, groups || proto == wire.ProtoIKE) {
		if _, err := chosen(mine, o); err == nil {
			return true
		}
	}
	return false
}

// randomOffer mixes rows of the policies with noise.
func randomOffer(policies [][]Proposal, proto wire.ProtocolID, noise []byte, seed uint64) *wire.SA {
	src := rand.New(rand.NewPCG(seed, uint64(len(noise))))
	sa := new(wire.SA)
	for i := range 1 + src.IntN(4) {
		o := wire.Proposal{Number: uint8(i + 1), Protocol: proto}
		if proto == wire.ProtoESP {
			o.SPI = espSPI
		}
		base := policies[src.IntN(len(policies))]
		offer := Offer(base, base[0].Protocol, nil, WithGroups)
		o.Transforms = slices.Clone(offer[src.IntN(len(offer))].Transforms)
		for range src.IntN(4) {
			if n := len(o.Transforms); n > 0 && src.IntN(2) == 0 {
				o.Transforms = slices.Delete(o.Transforms, 0, 1)
			}
			if n := len(noise); n >= 4 {
				at := src.IntN(n - 3)
				o.Transforms = append(o.Transforms, wire.Transform{Type: wire.TransformType(noise[at] % 14), ID: uint16(noise[at+1] % 40),
					KeyBits: uint16(noise[at+2]%3) * 128, Bad: noise[at+3] > 200})
			}
		}
		sa.Proposals = append(sa.Proposals, o)
	}
	return sa
}
