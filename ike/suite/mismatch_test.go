package suite

import (
	"strings"
	"testing"

	"twinbore/ike/wire"
)

func mismatch(t *testing.T, ours []Proposal, theirs *wire.SA, proto wire.ProtocolID, groups GroupChoice) *Mismatch {
	t.Helper()
	return mismatchWith(t, ours, theirs, proto, SelectOptions{WithGroups: groups, Additional: true})
}

func mismatchWith(t *testing.T, ours []Proposal, theirs *wire.SA, proto wire.ProtocolID, opts SelectOptions) *Mismatch {
	t.Helper()
	s, err := Select(ours, theirs, proto, opts)
	if err == nil {
		t.Fatalf("%s is chosen, want a mismatch", s.Suite)
	}
	m, ok := err.(*Mismatch)
	if !ok {
		t.Fatalf("error is %T, want *Mismatch", err)
	}
	return m
}

// Each mismatch is told transform by transform, against the proposals that have most in common, with what to change.
func TestMismatchExplainsItself(t *testing.T) {
	modern := []string{"aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"}
	for _, c := range []struct {
		name   string
		ours   []Proposal
		theirs *wire.SA
		proto  wire.ProtocolID
		err    string
		hint   string
	}{
		{"an old device",
			ikes(t, modern...), offered(t, "aes128-sha1-modp1024"), wire.ProtoIKE,
			"no proposal in common: encryption: they offer aes128 (CBC), we accept aes256gcm16; PRF: they offer prfsha1, we accept prfsha384; " +
				"group: they offer modp1024, we accept ecp384 (they offer aes128-sha1-modp1024; we accept aes256gcm16-prfsha384-ecp384, aes256-sha256-modp2048)",
			`at the peer, configure encryption aes256gcm16, PRF prfsha384, group ecp384; or add "aes128-sha1-modp1024" to ike here, which is weak and needs allow_weak`},
		{"one thing in the second proposal",
			ikes(t, modern...), offered(t, "aes256-sha256-ecp256-curve25519"), wire.ProtoIKE,
			"no proposal in common: group: they offer ecp256 and curve25519, we accept modp2048 " +
				"(they offer aes256-sha256-ecp256-curve25519; we accept aes256gcm16-prfsha384-ecp384, aes256-sha256-modp2048)",
			`at the peer, configure group modp2048; or add "aes256-sha256-ecp256" to ike here`},
		{"integrity alone",
			ikes(t, "aes256-sha256-sha384-modp2048"), offered(t, "aes256-sha512-prfsha256-modp2048"), wire.ProtoIKE,
			"no proposal in common: integrity: they offer sha512, we accept sha256 or sha384 " +
				"(they offer aes256-sha512-prfsha256-modp2048; we accept aes256-sha256-sha384-modp2048)",
			`at the peer, configure integrity sha256 or sha384; or add "aes256-sha512-prfsha256-modp2048" to ike here`},
		{"something that is not here",
			ikes(t, "aes256-sha256-modp2048"), edited(offered(t, "aes256-sha256-modp2048"), replaced(wire.Transform{Type: 1, ID: 3})), wire.ProtoIKE,
			"no proposal in common: encryption: they offer 3des, we accept aes256 (CBC) (they offer sha256-modp2048-3des; we accept aes256-sha256-modp2048)",
			"at the peer, configure encryption aes256 (CBC)"},
		{"a number that nobody knows",
			ikes(t, "aes256-sha256-modp2048"), edited(offered(t, "aes256-sha256-modp2048"), replaced(wire.Transform{Type: 1, ID: 12345})), wire.ProtoIKE,
			"no proposal in common: encryption: they offer ENCR 12345, we accept aes256 (CBC) (they offer sha256-modp2048-ENCR 12345; we accept aes256-sha256-modp2048)",
			"at the peer, configure encryption aes256 (CBC)"},
		{"PFS there, none here",
			esps(t, "aes256gcm16"), offeredESP(t, WithGroups, "aes256gcm16-ecp256"), wire.ProtoESP,
			"no proposal in common: group: they offer ecp256, we accept none (they offer aes256gcm16-ecp256; we accept aes256gcm16)",
			`at the peer, configure no PFS; or add "aes256gcm16-ecp256" to esp here`},
		{"PFS here, none there",
			esps(t, "aes256gcm16-ecp256-noesn"), offeredESP(t, WithGroups, "aes256gcm16-noesn"), wire.ProtoESP,
			"no proposal in common: group: they offer none, we accept ecp256 (they offer aes256gcm16-noesn; we accept aes256gcm16-ecp256-noesn)",
			`at the peer, configure group ecp256; or add "aes256gcm16-noesn" to esp here`},
		{"sequence numbers",
			esps(t, "aes256gcm16-esn"), offeredESP(t, WithGroups, "aes256gcm16-noesn"), wire.ProtoESP,
			"no proposal in common: sequence numbers: they offer noesn, we accept esn (they offer aes256gcm16-noesn; we accept aes256gcm16-esn)",
			`at the peer, configure sequence numbers esn; or add "aes256gcm16-noesn" to esp here`},
		{"an additional key exchange there, none here",
			ikes(t, "aes256gcm16-prfsha384-ecp384"), offered(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), wire.ProtoIKE,
			"no proposal in common: additional key exchange 1: they offer mlkem768, we accept none " +
				"(they offer aes256gcm16-prfsha384-ecp384-ke1_mlkem768; we accept aes256gcm16-prfsha384-ecp384)",
			`at the peer, configure no additional key exchange 1; or add "aes256gcm16-prfsha384-ecp384-ke1_mlkem768" to ike here`},
		{"an additional key exchange here, none there",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), offered(t, "aes256gcm16-prfsha384-ecp384"), wire.ProtoIKE,
			"no proposal in common: additional key exchange 1: they offer none, we accept mlkem768 " +
				"(they offer aes256gcm16-prfsha384-ecp384; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768)",
			`at the peer, configure additional key exchange 1 mlkem768; or add "aes256gcm16-prfsha384-ecp384" to ike here`},
		{"another method for an additional key exchange",
			esps(t, "aes256gcm16-ecp384-ke1_mlkem768-ke1_none-noesn"), offeredESP(t, WithGroups, "aes256gcm16-ecp384-ke1_mlkem1024-noesn"), wire.ProtoESP,
			"no proposal in common: additional key exchange 1: they offer mlkem1024, we accept mlkem768 or none " +
				"(they offer aes256gcm16-ecp384-ke1_mlkem1024-noesn; we accept aes256gcm16-ecp384-ke1_mlkem768-ke1_none-noesn)",
			`at the peer, configure additional key exchange 1 mlkem768 or none; or add "aes256gcm16-ecp384-ke1_mlkem1024-noesn" to esp here`},
		{"an additional key exchange in another place",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), offered(t, "aes256gcm16-prfsha384-ecp384-ke2_mlkem768"), wire.ProtoIKE,
			"no proposal in common: additional key exchange 1: they offer none, we accept mlkem768; additional key exchange 2: they offer mlkem768, we accept none " +
				"(they offer aes256gcm16-prfsha384-ecp384-ke2_mlkem768; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768)",
			`at the peer, configure additional key exchange 1 mlkem768, no additional key exchange 2; or add "aes256gcm16-prfsha384-ecp384-ke2_mlkem768" to ike here`},
		{"an additional key exchange of a number that nobody knows",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"),
			edited(offered(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), replaced(wire.Transform{Type: 6, ID: 1025})), wire.ProtoIKE,
			"no proposal in common: additional key exchange 1: they offer KE 1025, we accept mlkem768 " +
				"(they offer aes256gcm16-prfsha384-ecp384-ADDKE1 1025; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768)",
			"at the peer, configure additional key exchange 1 mlkem768"},
		{"a method that would serve two key exchanges",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke2_mlkem768-ke2_mlkem1024"),
			edited(offered(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), with(wire.Transform{Type: 7, ID: 36})), wire.ProtoIKE,
			"no proposal in common: additional key exchange 2: they offer mlkem768, we accept mlkem768 or mlkem1024, and what is common serves another key exchange " +
				"(they offer aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke2_mlkem768; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke2_mlkem768-ke2_mlkem1024)",
			"at the peer, configure additional key exchange 2 with a method that no other has"},
		{"something else, where an additional key exchange is in common",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), offered(t, "aes128gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none"), wire.ProtoIKE,
			"no proposal in common: encryption: they offer aes128gcm16, we accept aes256gcm16 " +
				"(they offer aes128gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768)",
			`at the peer, configure encryption aes256gcm16; or add "aes128gcm16-prfsha384-ecp384-ke1_mlkem768" to ike here`},
		{"something else, where an additional key exchange can be left out",
			ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none"), offered(t, "aes128gcm16-prfsha384-ecp384-ke1_mlkem1024-ke1_none"), wire.ProtoIKE,
			"no proposal in common: encryption: they offer aes128gcm16, we accept aes256gcm16 " +
				"(they offer aes128gcm16-prfsha384-ecp384-ke1_mlkem1024-ke1_none; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none)",
			`at the peer, configure encryption aes256gcm16; or add "aes128gcm16-prfsha384-ecp384" to ike here`},
		{"an unknown type of transform",
			ikes(t, "aes256gcm16-prfsha384-ecp384"), edited(offered(t, "aes256gcm16-prfsha384-ecp384"), with(wire.Transform{Type: 13, ID: 36})), wire.ProtoIKE,
			"no proposal in common: their proposal cannot be accepted: it has a transform of the unknown type 13 " +
				"(they offer aes256gcm16-prfsha384-ecp384-TRANSFORM_13 36; we accept aes256gcm16-prfsha384-ecp384)",
			"at the peer, configure aes256gcm16-prfsha384-ecp384"},
		{"an AEAD with integrity",
			esps(t, "aes256gcm16"), edited(offeredESP(t, WithGroups, "aes256gcm16"), with(wire.Transform{Type: 3, ID: 12})), wire.ProtoESP,
			"no proposal in common: their proposal cannot be accepted: it joins a cipher that protects integrity itself with sha256; " +
				"integrity: they offer sha256, we accept none (they offer aes256gcm16-sha256; we accept aes256gcm16)",
			"at the peer, configure no integrity"},
		{"nothing offered", ikes(t, "aes256-sha256-ecp256"), nil, wire.ProtoIKE,
			"no proposal in common: the peer offers none for IKE", "at the peer, configure aes256-sha256-ecp256"},
		{"nothing configured", nil, offered(t, "aes256-sha256-ecp256"), wire.ProtoIKE,
			"no proposal in common: none is configured for IKE", "write a proposal under ike here"},
	} {
		m := mismatch(t, c.ours, c.theirs, c.proto, WithGroups)
		if got := m.Error(); got != c.err {
			t.Errorf("%s: error is\n%s\nwant\n%s", c.name, got, c.err)
		}
		if got := m.Hint(); got != c.hint {
			t.Errorf("%s: hint is\n%s\nwant\n%s", c.name, got, c.hint)
		}
	}
}

// H-01: a method for an additional key exchange is worth nothing from a peer that does not announce IKE_INTERMEDIATE.
func TestMismatchWithoutIntermediate(t *testing.T) {
	m := mismatchWith(t, ikes(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"), offered(t, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none"),
		wire.ProtoIKE, SelectOptions{})
	want := "no proposal in common: additional key exchange 1: they offer mlkem768 without IKE_INTERMEDIATE and none, we accept mlkem768 " +
		"(they offer aes256gcm16-prfsha384-ecp384-ke1_mlkem768-ke1_none; we accept aes256gcm16-prfsha384-ecp384-ke1_mlkem768)"
	if got := m.Error(); got != want {
		t.Errorf("error is\n%s\nwant\n%s", got, want)
	}
	if got, want := m.Hint(), "at the peer, configure additional key exchange 1 mlkem768"; got != want {
		t.Errorf("hint is\n%s\nwant\n%s", got, want)
	}
}

// A hostile offer must not fill the log: MAL-11 once more.
func TestMismatchIsShortWhateverIsOffered(t *testing.T) {
	var sa wire.SA
	for i := range wire.MaxProposals {
		p := wire.Proposal{Number: uint8(i + 1), Protocol: wire.ProtoIKE}
		for j := range wire.MaxTransforms {
			p.Transforms = append(p.Transforms, wire.Transform{Type: wire.TransformType(j), ID: uint16(65000 + j), KeyBits: 65535})
			p.Transforms = append(p.Transforms, wire.Transform{Type: wire.TransformENCR, ID: uint16(65000 + j), KeyBits: 65535})
		}
		sa.Proposals = append(sa.Proposals, p)
	}
	m := mismatch(t, ikes(t, "aes256gcm16-prfsha384-ecp384"), &sa, wire.ProtoIKE, WithGroups)
	if n := len(m.Error()) + len(m.Hint()); n > 4096 {
		t.Errorf("error and hint have %d octets, want a few lines", n)
	}
	if want := "56 more"; !strings.Contains(m.Error(), want) || !strings.Contains(m.Error(), "248 more") {
		t.Errorf("error is\n%s\nwant it to say how much is left out", m.Error())
	}
	if len(m.Theirs) != toldProposals+1 {
		t.Errorf("%d proposals are told, want %d and the count", len(m.Theirs), toldProposals)
	}
}
