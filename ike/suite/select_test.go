package suite

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"twinbore/esp/protect"
	"twinbore/ike/wire"
)

// offered is a peer's IKE offer as its configuration would write it.
func offered(t testing.TB, texts ...string) *wire.SA {
	t.Helper()
	return &wire.SA{Proposals: Offer(ikes(t, texts...), wire.ProtoIKE, nil, WithGroups)}
}

func offeredESP(t testing.TB, groups GroupChoice, texts ...string) *wire.SA {
	t.Helper()
	return &wire.SA{Proposals: Offer(esps(t, texts...), wire.ProtoESP, espSPI, groups)}
}

func TestSelectFollowsOurOrder(t *testing.T) {
	for _, c := range []struct {
		name   string
		ours   []Proposal
		theirs *wire.SA
		prefer uint16
		want   string
		number uint8
	}{
		{"our first proposal, though it is their last",
			ikes(t, "aes256gcm16-prfsha384-ecp384", "aes128-sha256-modp2048"), offered(t, "aes128-sha256-modp2048", "aes256gcm16-prfsha384-ecp384"), 0,
			"aes256gcm16-prfsha384-ecp384", 2},
		{"our order within each kind",
			ikes(t, "aes256-aes128-sha512-sha256-ecp384-ecp256"), offered(t, "aes128-aes256-sha256-sha512-prfsha256-prfsha512-ecp256-ecp384"), 0,
			"aes256-sha512-ecp384", 1},
		{"our order within a kind also across their proposals",
			ikes(t, "aes256gcm16-aes128gcm16-prfsha256-ecp256"), offered(t, "aes128gcm16-prfsha256-ecp256", "aes256gcm16-prfsha256-ecp256"), 0,
			"aes256gcm16-prfsha256-ecp256", 2},
		{"their first proposal of two that are equal to us",
			ikes(t, "aes256gcm16-prfsha256-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp256-ecp384", "aes256gcm16-prfsha256-prfsha384-ecp256"), 0,
			"aes256gcm16-prfsha256-ecp256", 1},
		{"the group of their KE payload",
			ikes(t, "aes256gcm16-prfsha256-ecp384-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp256-ecp384"), 19,
			"aes256gcm16-prfsha256-ecp256", 1},
		{"the group of their KE payload, which another of their proposals has",
			ikes(t, "aes256gcm16-prfsha256-ecp384-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp384", "aes256gcm16-prfsha256-ecp256"), 19,
			"aes256gcm16-prfsha256-ecp256", 2},
		{"the group of their KE payload does not cost a better cipher",
			ikes(t, "aes256gcm16-aes128gcm16-prfsha256-ecp384-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp384", "aes128gcm16-prfsha256-ecp256"), 19,
			"aes256gcm16-prfsha256-ecp384", 1},
		{"the group of their KE payload does not raise a worse proposal",
			ikes(t, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp256", "aes256gcm16-prfsha384-ecp384"), 19,
			"aes256gcm16-prfsha384-ecp384", 2},
		{"a KE payload of a group that we do not allow",
			ikes(t, "aes256gcm16-prfsha256-ecp384-ecp256"), offered(t, "aes256gcm16-prfsha256-modp1024-ecp256-ecp384"), 2,
			"aes256gcm16-prfsha256-ecp384", 1},
		{"a KE payload of a group that they do not offer",
			ikes(t, "aes256gcm16-prfsha256-ecp384-ecp256"), offered(t, "aes256gcm16-prfsha256-ecp384"), 19,
			"aes256gcm16-prfsha256-ecp384", 1},
		{"the AEAD half of a proposal that mixes",
			ikes(t, "aes256gcm16-aes256-sha256-ecp256"), offered(t, "aes256-sha256-ecp256", "aes256gcm16-prfsha256-ecp256"), 0,
			"aes256gcm16-prfsha256-ecp256", 2},
		{"the other half of a proposal that mixes",
			ikes(t, "aes256gcm16-aes256-sha256-ecp256"), offered(t, "aes256-sha256-ecp256", "aes128gcm16-prfsha256-ecp256"), 0,
			"aes256-sha256-ecp256", 1},
	} {
		s, err := Select(c.ours, c.theirs, wire.ProtoIKE, SelectOptions{PreferGroup: c.prefer})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := s.Suite.String(); got != c.want || s.Wire.Number != c.number {
			t.Errorf("%s: got %s of proposal %d, want %s of %d", c.name, got, s.Wire.Number, c.want, c.number)
		}
	}
}

// N-06: the answer has the number and, of each type, one transform of the offer; the suite says the same.
func TestSelectAnswersFromTheOffer(t *testing.T) {
	theirs := offeredESP(t, WithGroups, "aes128gcm16", "aes256-aes128-sha512-sha256-ecp384-ecp256")
	s, err := Select(esps(t, "aes128-sha256-ecp256-noesn"), theirs, wire.ProtoESP, SelectOptions{WithGroups: true})
	if err != nil {
		t.Fatal(err)
	}
	want := []wire.Transform{{Type: 1, ID: 12, KeyBits: 128}, {Type: 3, ID: 12}, {Type: 4, ID: 19}, {Type: 5, ID: 0}}
	if s.Wire.Number != 2 || s.Wire.Protocol != wire.ProtoESP || s.Wire.SPI != nil || !slices.Equal(s.Wire.Transforms, want) {
		t.Errorf("answer is %+v, want number 2, no SPI, %+v", s.Wire, want)
	}
	if !bytes.Equal(s.PeerSPI, espSPI) {
		t.Errorf("the peer's SPI is %x, want %x", s.PeerSPI, espSPI)
	}
	u := s.Suite
	if u.IKE || u.Algorithm != protect.CBC(128, protect.HMACSHA256) || u.PRF != nil || u.Group != ecp256 || u.ESN || u.KeyBits != 128 {
		t.Errorf("suite is %+v", u)
	}
}

func TestSuiteOfIKE(t *testing.T) {
	for text, want := range map[string]struct {
		algorithm   *protect.Algorithm
		encr, integ int // octets of keys, RFC 7296 §2.14, RFC 5282 §7
		prf         *PRF
		group       *Group
		keyBits     uint16
		weak        bool
	}{
		"aes256gcm16-prfsha384-ecp384":          {protect.AES256GCM16, 36, 0, prfSHA384, ecp384, 256, false},
		"aes128gcm16-prfsha256-ecp256":          {protect.AES128GCM16, 20, 0, prfSHA256, ecp256, 128, false},
		"chacha20poly1305-prfsha512-curve25519": {protect.ChaCha20Poly1305, 36, 0, prfSHA512, x25519, 0, false},
		"aes256-sha512-modp4096":                {protect.CBC(256, protect.HMACSHA512), 32, 64, prfSHA512, modp4096, 256, false},
		"aes128-sha384-prfsha256-modp3072":      {protect.CBC(128, protect.HMACSHA384), 16, 48, prfSHA256, modp3072, 128, false},
		"aes128-sha1-modp1024":                  {protect.CBC(128, protect.InsecureHMACSHA1), 16, 20, insecurePRFSHA1, insecureMODP1024, 128, true},
	} {
		s, err := Select(ikes(t, text), offered(t, text), wire.ProtoIKE, SelectOptions{})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		u := s.Suite
		if !u.IKE || u.Algorithm != want.algorithm || u.PRF != want.prf || u.Group != want.group || u.KeyBits != want.keyBits {
			t.Errorf("%s: suite is %+v", text, u)
		}
		if u.EncrKeyLen() != want.encr || u.IntegKeyLen() != want.integ || u.EncrKeyLen()+u.IntegKeyLen() != u.Algorithm.KeyLen {
			t.Errorf("%s: keys of %d and %d octets, want %d and %d, %d together", text, u.EncrKeyLen(), u.IntegKeyLen(), want.encr, want.integ, u.Algorithm.KeyLen)
		}
		if u.String() != text {
			t.Errorf("%s is written %s", text, u)
		}
		if (u.Weak() != "") != want.weak {
			t.Errorf("%s: weak is %q", text, u.Weak())
		}
	}
}

// PFS is what the configuration says: a group there makes it required, none there makes it refused. In IKE_AUTH there
// is none either way (RFC 7296 §1.2).
func TestSelectPFS(t *testing.T) {
	withNone := offeredESP(t, WithGroups, "aes256gcm16-ecp256")
	withNone.Proposals[0].Transforms = append(withNone.Proposals[0].Transforms, wire.Transform{Type: wire.TransformKE})
	for _, c := range []struct {
		name   string
		ours   string
		theirs *wire.SA
		groups bool
		want   string // "" for a mismatch
	}{
		{"both", "aes256gcm16-ecp256", offeredESP(t, WithGroups, "aes256gcm16-ecp256"), true, "aes256gcm16-ecp256"},
		{"ours alone", "aes256gcm16-ecp256", offeredESP(t, WithGroups, "aes256gcm16"), true, ""},
		{"theirs alone", "aes256gcm16", offeredESP(t, WithGroups, "aes256gcm16-ecp256"), true, ""},
		{"theirs, or none", "aes256gcm16", withNone, true, "aes256gcm16"},
		{"theirs, or none, and we want it", "aes256gcm16-ecp256", withNone, true, "aes256gcm16-ecp256"},
		{"neither", "aes256gcm16", offeredESP(t, WithGroups, "aes256gcm16"), true, "aes256gcm16"},
		{"IKE_AUTH", "aes256gcm16-ecp256", offeredESP(t, WithoutGroups, "aes256gcm16-ecp256"), false, "aes256gcm16"},
		{"IKE_AUTH with groups that should not be there", "aes256gcm16-ecp256", offeredESP(t, WithGroups, "aes256gcm16-ecp384"), false, "aes256gcm16"},
	} {
		s, err := Select(esps(t, c.ours), c.theirs, wire.ProtoESP, SelectOptions{WithGroups: c.groups})
		if (err == nil) != (c.want != "") || err == nil && s.Suite.String() != c.want {
			t.Errorf("%s: got %q, %v, want %q", c.name, s.Suite, err, c.want)
		}
	}
	s, err := Select(esps(t, "aes256gcm16"), withNone, wire.ProtoESP, SelectOptions{WithGroups: true})
	if err != nil || !slices.Contains(s.Wire.Transforms, wire.Transform{Type: wire.TransformKE}) || s.Suite.Group != nil {
		t.Errorf("answer to group NONE is %+v, %v, want it answered with NONE and no group", s.Wire, err)
	}
}

// edited is their one proposal, changed.
func edited(sa *wire.SA, change func(*wire.Proposal)) *wire.SA {
	change(&sa.Proposals[0])
	return sa
}

func with(ts ...wire.Transform) func(*wire.Proposal) {
	return func(p *wire.Proposal) { p.Transforms = append(p.Transforms, ts...) }
}

func without(kind wire.TransformType) func(*wire.Proposal) {
	return func(p *wire.Proposal) {
		p.Transforms = slices.DeleteFunc(p.Transforms, func(t wire.Transform) bool { return t.Type == kind })
	}
}

func replaced(t wire.Transform) func(*wire.Proposal) {
	return func(p *wire.Proposal) {
		without(t.Type)(p)
		p.Transforms = append(p.Transforms, t)
	}
}

// MAL-10 (CVE-2016-5391, RFC 7296 §5), N-13: combinations that protect nothing, or not as meant.
func TestSelectRefusesUnsoundProposals(t *testing.T) {
	aead, cbc := "aes256gcm16-prfsha256-ecp256", "aes256-sha256-ecp256"
	for _, c := range []struct {
		name   string
		theirs *wire.SA
	}{
		{"without a group", edited(offered(t, aead), without(wire.TransformKE))},
		{"group NONE", edited(offered(t, aead), replaced(wire.Transform{Type: wire.TransformKE}))},
		{"without a PRF", edited(offered(t, aead), without(wire.TransformPRF))},
		{"without a cipher", edited(offered(t, cbc), without(wire.TransformENCR))},
		{"ENCR_NULL", edited(offered(t, cbc), replaced(wire.Transform{Type: wire.TransformENCR, ID: 11}))},
		{"3DES", edited(offered(t, cbc), replaced(wire.Transform{Type: wire.TransformENCR, ID: 3}))},
		{"integrity NONE without an AEAD", edited(offered(t, cbc), replaced(wire.Transform{Type: wire.TransformINTEG}))},
		{"no integrity without an AEAD", edited(offered(t, cbc), without(wire.TransformINTEG))},
		{"an AEAD with integrity", edited(offered(t, aead), with(wire.Transform{Type: wire.TransformINTEG, ID: 12}))},
		{"an AEAD with integrity or NONE", edited(offered(t, aead), with(wire.Transform{Type: wire.TransformINTEG}, wire.Transform{Type: wire.TransformINTEG, ID: 12}))},
		{"an AEAD among other ciphers", edited(offered(t, cbc), with(wire.Transform{Type: wire.TransformENCR, ID: 20, KeyBits: 256}))},
		{"ESN in an IKE proposal", edited(offered(t, aead), with(wire.Transform{Type: wire.TransformESN, ID: 1}))},
		{"no transforms", edited(offered(t, aead), func(p *wire.Proposal) { p.Transforms = nil })},
	} {
		s, err := Select(ikes(t, aead, cbc), c.theirs, wire.ProtoIKE, SelectOptions{})
		var m *Mismatch
		if !errors.As(err, &m) {
			t.Errorf("%s: got %q, %v, want a Mismatch", c.name, s.Suite, err)
		}
	}
	// NONE beside an AEAD is how some write that they have none (RFC 7296 §3.3.2); it belongs to the answer then.
	s, err := Select(ikes(t, aead), edited(offered(t, aead), with(wire.Transform{Type: wire.TransformINTEG})), wire.ProtoIKE, SelectOptions{})
	if err != nil || !slices.Contains(s.Wire.Transforms, wire.Transform{Type: wire.TransformINTEG}) {
		t.Errorf("an AEAD with integrity NONE gives %+v, %v, want it accepted and answered", s.Wire, err)
	}
	// The same for ESP: a PRF does not belong there, ESN does (RFC 7296 §3.3.3).
	for _, change := range []func(*wire.Proposal){without(wire.TransformESN), with(wire.Transform{Type: wire.TransformPRF, ID: 5})} {
		if s, err := Select(esps(t, "aes256gcm16"), edited(offeredESP(t, WithGroups, "aes256gcm16"), change), wire.ProtoESP, SelectOptions{}); err == nil {
			t.Errorf("ESP proposal %+v is accepted", s.Wire)
		}
	}
}

// MAL-09, N-05 (RFC 7296 §3.3.5, §3.3.6): what is unknown makes its transform or its proposal unacceptable, and the rest
// is judged as usual. The payload's structure is ike/wire's business.
func TestSelectPassesOverWhatIsUnknown(t *testing.T) {
	aead, cbc := "aes256gcm16-prfsha256-ecp256", "aes256-sha256-ecp256"
	type change = func(*wire.Proposal)
	for _, c := range []struct {
		name   string
		change change
		fits   bool // the changed proposal can still be chosen
	}{
		{"as it is", with(), true},
		{"an unknown cipher beside", with(wire.Transform{Type: 1, ID: 12345, KeyBits: 256}), true},
		{"an unknown group beside", with(wire.Transform{Type: 4, ID: 1025}), true},
		{"a transform with an unknown attribute beside", with(wire.Transform{Type: 4, ID: 20, Bad: true}), true},
		{"the same transform twice", with(wire.Transform{Type: 4, ID: 19}), true},
		{"an unknown attribute on the one that we need", replaced(wire.Transform{Type: 4, ID: 19, Bad: true}), false},
		{"key length missing", replaced(wire.Transform{Type: 1, ID: 20}), false},
		{"key length missing beside a good one", with(wire.Transform{Type: 1, ID: 20}), false},
		{"key length 192", replaced(wire.Transform{Type: 1, ID: 20, KeyBits: 192}), false},
		{"key length 65535", replaced(wire.Transform{Type: 1, ID: 20, KeyBits: 65535}), false},
		{"key length twice", replaced(wire.Transform{Type: 1, ID: 20, KeyBits: 256, Bad: true}), false},
		{"key length on a fixed-length cipher", replaced(wire.Transform{Type: 1, ID: 28, KeyBits: 256}), false},
		{"key length on a PRF", replaced(wire.Transform{Type: 2, ID: 5, KeyBits: 256}), false},
		{"transform type 0", with(wire.Transform{Type: 0, ID: 1}), false},
		{"an additional key exchange that we do not want", with(wire.Transform{Type: 6, ID: 36}), false},
		{"an additional key exchange that need not take place", with(wire.Transform{Type: 6, ID: 36}, wire.Transform{Type: 6}), true},
		{"transform type 13", with(wire.Transform{Type: 13, ID: 36}), false},
		{"transform type 241", with(wire.Transform{Type: 241, ID: 1}), false},
		{"number 0", func(p *wire.Proposal) { p.Number = 0 }, false},
		{"number 2 in the first place", func(p *wire.Proposal) { p.Number = 2 }, false},
		{"for ESP", func(p *wire.Proposal) { p.Protocol = wire.ProtoESP }, false},
		{"for AH", func(p *wire.Proposal) { p.Protocol = wire.ProtoAH }, false},
		{"SPI of 8 octets", func(p *wire.Proposal) { p.SPI = ikeSPI }, true},
		{"SPI of 8 zeros", func(p *wire.Proposal) { p.SPI = make([]byte, 8) }, false},
		{"SPI of 4 octets", func(p *wire.Proposal) { p.SPI = espSPI }, false},
		{"SPI of 255 octets", func(p *wire.Proposal) { p.SPI = bytes.Repeat([]byte{1}, 255) }, false},
	} {
		theirs := edited(offered(t, aead, cbc), c.change)
		s, err := Select(ikes(t, aead+"-curve25519", cbc), theirs, wire.ProtoIKE, SelectOptions{})
		if err != nil {
			t.Errorf("%s: the other proposal is refused too: %v", c.name, err)
			continue
		}
		if want := map[bool]uint8{true: 1, false: 2}[c.fits]; s.Wire.Number != want {
			t.Errorf("%s: proposal %d is chosen, want %d", c.name, s.Wire.Number, want)
		}
	}
	for _, spi := range [][]byte{nil, {}, {1, 2, 3}, {0, 0, 0, 0}, {0, 0, 0, 255}, ikeSPI, bytes.Repeat([]byte{1}, 255)} {
		theirs := edited(offeredESP(t, WithGroups, "aes256gcm16"), func(p *wire.Proposal) { p.SPI = spi })
		if _, err := Select(esps(t, "aes256gcm16"), theirs, wire.ProtoESP, SelectOptions{}); err == nil {
			t.Errorf("an ESP proposal with SPI %x is accepted", spi)
		}
	}
}

// MAL-11: an SA payload as large as it can be costs little time, whatever is in it.
func BenchmarkSelectFromTheLargestOffer(b *testing.B) {
	var sa wire.SA
	for i := range wire.MaxProposals {
		p := wire.Proposal{Number: uint8(i + 1), Protocol: wire.ProtoIKE}
		for j := range wire.MaxTransforms {
			p.Transforms = append(p.Transforms, wire.Transform{Type: wire.TransformType(j%5 + 1), ID: uint16(1000 + j)})
		}
		sa.Proposals = append(sa.Proposals, p)
	}
	ours := ikes(b, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256", "aes256-sha256-modp2048")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Select(ours, &sa, wire.ProtoIKE, SelectOptions{}); err == nil {
			b.Fatal("nothing of it can be accepted")
		}
	}
}
