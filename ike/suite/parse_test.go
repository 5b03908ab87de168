package suite

import (
	"reflect"
	"strings"
	"testing"

	"twinbore/ike/wire"
)

func ikes(t testing.TB, texts ...string) []Proposal {
	t.Helper()
	return parsed(t, ParseIKE, texts)
}

func esps(t testing.TB, texts ...string) []Proposal {
	t.Helper()
	return parsed(t, ParseESP, texts)
}

func parsed(t testing.TB, parse func(string) (Proposal, error), texts []string) []Proposal {
	t.Helper()
	var ps []Proposal
	for _, text := range texts {
		p, err := parse(text)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

func TestParseWritesTheShortestSpelling(t *testing.T) {
	for _, c := range []struct {
		parse      func(string) (Proposal, error)
		text, want string
	}{
		{ParseIKE, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha384-ecp384"},
		{ParseIKE, "aes256gcm-prfsha2_384-ecp384", "aes256gcm16-prfsha384-ecp384"},
		{ParseIKE, "aes256-sha256-modp2048", "aes256-sha256-modp2048"},
		{ParseIKE, "modp2048-prfsha256-sha2_256-aes256", "aes256-sha256-modp2048"}, // any order of kinds
		{ParseIKE, "aes256-sha256-prfsha384-modp2048", "aes256-sha256-prfsha384-modp2048"},
		{ParseIKE, "aes128-aes256-sha256-sha384-ecp256-x25519", "aes128-aes256-sha256-sha384-ecp256-curve25519"},
		{ParseIKE, "aes256gcm16-sha384-ecp384", "aes256gcm16-prfsha384-ecp384"}, // as strongSwan reads it
		{ParseIKE, "aes256gcm16-aes256-sha256-ecp256", "aes256gcm16-aes256-sha256-ecp256"},
		{ParseIKE, "chacha20poly1305-prfsha256-curve25519", "chacha20poly1305-prfsha256-curve25519"},
		{ParseIKE, "aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes256gcm16-prfsha384-ecp384-ke1_mlkem768"},
		{ParseIKE, "ke1_mlkem768-ke1_none-aes128-sha256-x25519-ke3_none-ke3_ecp384-ke1_mlkem1024",
			"aes128-sha256-curve25519-ke1_mlkem768-ke1_none-ke1_mlkem1024-ke3_none-ke3_ecp384"},
		{ParseIKE, "aes256-sha256-ecp384-ke1_x25519-ke7_ecp521-ke2_modp4096", "aes256-sha256-ecp384-ke1_curve25519-ke2_modp4096-ke7_ecp521"},
		{ParseIKE, "aes256-sha256-ecp384-ke1_ecp384-ke1_ecp256", "aes256-sha256-ecp384-ke1_ecp384-ke1_ecp256"}, // ecp256 is left for it
		{ParseESP, "aes256gcm16-ecp384-ke1_mlkem768-ke1_none-noesn", "aes256gcm16-ecp384-ke1_mlkem768-ke1_none-noesn"},
		{ParseESP, "aes256gcm16-mlkem768-noesn", "aes256gcm16-mlkem768-noesn"},
		{ParseESP, "aes256gcm16-mlkem768-ke1_ecp384", "aes256gcm16-mlkem768-ke1_ecp384"},
		{ParseESP, "aes256gcm16-ecp384", "aes256gcm16-ecp384"},
		{ParseESP, "aes256gcm16", "aes256gcm16"},
		{ParseESP, "aes256gcm16-noesn", "aes256gcm16-noesn"},
		{ParseESP, "aes256gcm16-esn", "aes256gcm16-esn"},
		{ParseESP, "aes256gcm16-esn-noesn", "aes256gcm16"},
		{ParseESP, "aes256gcm16-noesn-esn", "aes256gcm16-noesn-esn"},
		{ParseESP, "aes128-sha1-modp1024", "aes128-sha1-modp1024"},
	} {
		p, err := c.parse(c.text)
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		if got := p.String(); got != c.want {
			t.Errorf("%s is written %s, want %s", c.text, got, c.want)
		}
		again, err := c.parse(p.String())
		if err != nil || !reflect.DeepEqual(again, p) {
			t.Errorf("%s: %s does not read as the same (%v)", c.text, p, err)
		}
	}
}

// product.md §5: "without either both are offered, ESN first".
func TestParseESPOffersBothSequenceNumbers(t *testing.T) {
	if got := esps(t, "aes256gcm16")[0].ESN; !reflect.DeepEqual(got, []bool{true, false}) {
		t.Errorf("without a word ESN is %v, want both, extended first", got)
	}
	if got := esps(t, "aes256gcm16-noesn")[0].ESN; !reflect.DeepEqual(got, []bool{false}) {
		t.Errorf("with noesn ESN is %v, want false alone", got)
	}
}

func TestParseDerivesThePRF(t *testing.T) {
	p := ikes(t, "aes256-sha384-sha512-ecp384")[0]
	if got := strings.Join(names(p.PRF), " "); got != "prfsha384 prfsha512" {
		t.Errorf("PRFs are %s, want those of the integrity transforms", got)
	}
	p = ikes(t, "aes256gcm16-sha384-ecp384")[0]
	if len(p.Integ) != 0 || len(p.PRF) != 1 {
		t.Errorf("an AEAD has integrity %v and PRF %v, want none and one", names(p.Integ), names(p.PRF))
	}
}

// The error names the word, what is allowed, and the word that was meant; all problems come together.
func TestParseExplainsRefusals(t *testing.T) {
	for _, c := range []struct {
		parse func(string) (Proposal, error)
		text  string
		want  []string // in the error
		not   string   // not in the error
	}{
		{ParseIKE, "", []string{"empty", "aes256gcm16-prfsha384-ecp384"}, ""},
		{ParseESP, "", []string{"empty", "aes256gcm16-ecp384"}, ""},
		{ParseIKE, "aes256gmc16-prfsha384-ecp384", []string{`unknown word "aes256gmc16"`, `"aes256gcm16"`}, "missing"},
		{ParseIKE, "AES256-sha256-modp2048", []string{`unknown word "AES256"`, `"aes256"`}, "missing"},
		{ParseIKE, "aes256gcm16-prfsha348-ecp3844", []string{`"prfsha384"`, `"ecp384"`}, "missing"},
		{ParseIKE, "aes256gcm16-ecp384", []string{"PRF is missing", "prfsha384", "aes256gcm16 gives none"}, "prfsha1"},
		{ParseIKE, "aes256-ecp384", []string{"aes256 needs an integrity transform", "sha256"}, "PRF"},
		{ParseIKE, "aes256-sha256", []string{"group is missing", "curve25519"}, "modp1024"},
		{ParseIKE, "sha256", []string{"cipher is missing", "group is missing"}, "PRF"},
		{ParseIKE, "prfsha256-ecp256", []string{"cipher is missing"}, "group"},
		{ParseIKE, "aes256gcm16-sha256-prfsha256-ecp256", []string{"aes256gcm16 protects integrity itself", "leave sha256 out"}, ""},
		{ParseESP, "aes256gcm16-sha256", []string{"leave sha256 out"}, ""},
		{ParseESP, "aes256", []string{"aes256 needs an integrity transform"}, ""},
		{ParseESP, "aes256-sha256-prfsha256", []string{`"prfsha256" is a PRF`, "ike"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-esn", []string{`"esn"`, "only esp"}, ""},
		{ParseIKE, "aes256-aes256-sha256-ecp256", []string{"aes256 stands twice"}, ""},
		{ParseIKE, "aes256gcm-aes256gcm16-prfsha256-ecp256", []string{"aes256gcm16 stands twice"}, ""},
		{ParseESP, "aes256gcm16-esn-esn", []string{"esn stands twice"}, ""},
		{ParseIKE, "aes256--sha256-ecp256", []string{"word is missing beside a dash"}, ""},
		{ParseIKE, "3des-sha256-ecp256", []string{"3des is refused", "64-bit blocks", "aes256"}, "cipher is missing"},
		{ParseIKE, "aes192-sha256-ecp256", []string{"aes192 is refused: not supported"}, "cipher is missing"},
		{ParseIKE, "aes256-md5-ecp256", []string{"md5 is refused: broken"}, "needs an integrity"},
		{ParseIKE, "aes256-sha256-modp768", []string{"modp768 is refused"}, "group is missing"},
		{ParseESP, "null-sha256", []string{"null is refused"}, "cipher is missing"},
		{ParseIKE, "wireguard-please", []string{`unknown word "wireguard"; there are encryption aes128`, `unknown word "please"`, "cipher is missing", "group is missing"}, "did you mean"},
		{ParseESP, "wireguard-aes256gcm16", []string{"sequence numbers esn, noesn"}, "PRF"},
		{ParseIKE, strings.Repeat("aes256-", 70), []string{"71 words"}, "stands twice"},
		{ParseIKE, "aes256-sha256-mlkem768", []string{"mlkem768 is too large for the first key exchange", "write ke1_mlkem768 after one of curve25519"}, "group is missing"},
		{ParseIKE, "aes256-sha256", []string{"group is missing"}, "mlkem768"},
		{ParseIKE, "aes256-sha256-ke1_mlkem768", []string{"group is missing"}, "mlkem768,"},
		{ParseESP, "aes256gcm16-ke2_mlkem768", []string{"ke2 follows a first key exchange, which is missing", "ecp384"}, "group is missing"},
		{ParseIKE, "aes256-sha256-ecp256-ke0_mlkem768", []string{"ke0_mlkem768: additional key exchanges are ke1 to ke7"}, "unknown"},
		{ParseIKE, "aes256-sha256-ecp256-ke8_mlkem768", []string{"ke8_mlkem768: additional key exchanges are ke1 to ke7"}, "unknown"},
		{ParseIKE, "aes256-sha256-ecp256-ke01_mlkem768", []string{"ke01_mlkem768: additional key exchanges are ke1 to ke7"}, "unknown"},
		{ParseIKE, "aes256-sha256-ecp256-ke99999999999999999999_mlkem768", []string{"additional key exchanges are ke1 to ke7"}, "unknown"},
		{ParseIKE, "aes256-sha256-ecp256-ke_mlkem768", []string{`unknown word "ke_mlkem768"`}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke-1_mlkem768", []string{`unknown word "ke"`}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke1_", []string{`unknown word "ke1_"; key exchange methods are mlkem768, mlkem1024, curve25519`}, "did you mean"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_mlkem786", []string{`unknown word "ke1_mlkem786", did you mean "ke1_mlkem768"?`}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke1_kyber3", []string{`unknown word "ke1_kyber3"; key exchange methods are mlkem768`}, "modp1024"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_aes265", []string{`unknown word "ke1_aes265"; key exchange methods are mlkem768`}, "did you mean"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_mlkem512", []string{"ke1_mlkem512 is refused: not supported; use one of mlkem768"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke1_3des", []string{`unknown word "ke1_3des"`}, "64-bit"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_aes256", []string{"ke1_aes256: aes256 is no key exchange method", "mlkem768"}, "stands twice"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_ke2_mlkem768", []string{`unknown word "ke1_ke2_mlkem768"`}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke1_ecp384-ke1_ecp384", []string{"ke1_ecp384 stands twice"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke1_x25519-ke1_curve25519", []string{"ke1_curve25519 stands twice"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke2_none", []string{"ke2_none lets ke2 be left out, but no method is given for it"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ke2_none-ke2_mlkem", []string{`unknown word "ke2_mlkem"`}, "no method is given"},
		{ParseIKE, "aes256-sha256-ecp256-ke1_ecp256", []string{"ke1 has no method of its own", "RFC 9370"}, ""},
		{ParseIKE, "aes256-sha256-ecp256-ecp384-ke1_ecp256-ke2_ecp384", []string{"ke2 has no method of its own"}, "ke1 has"},
		{ParseIKE, "aes256-sha256-ecp256-none", []string{`unknown word "none"`}, ""},
		{ParseIKE, "wireguard", []string{"additional key exchanges ke1_ to ke7_ before one of mlkem768"}, ""},
		{ParseIKE, "aes256-sha256-modp2048 ", []string{`unknown word "modp2048 "`, `"modp2048"`}, ""},
	} {
		p, err := c.parse(c.text)
		if err == nil {
			t.Errorf("%q is read as %s, want an error", c.text, p)
			continue
		}
		if !reflect.DeepEqual(p, Proposal{}) {
			t.Errorf("%q: a proposal comes with the error", c.text)
		}
		for _, w := range c.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%q: error is\n%v\nwant in it: %s", c.text, err, w)
			}
		}
		if c.not != "" && strings.Contains(err.Error(), c.not) {
			t.Errorf("%q: error is\n%v\nwant not in it: %s", c.text, err, c.not)
		}
	}
}

// CRY-10: weak algorithms say so, each of them; the built-in modern profile of product.md §5 has none.
func TestWeak(t *testing.T) {
	for _, p := range append(
		ikes(t, "aes256gcm16-prfsha384-ecp384", "aes256gcm16-prfsha256-ecp256", "aes256-sha256-modp2048"),
		esps(t, "aes256gcm16-ecp384", "aes256gcm16-ecp256", "aes256-sha256-modp2048")...) {
		if w := p.Weak(); w != nil {
			t.Errorf("%s: weak is %q, want nothing", p, w)
		}
	}
	w := ikes(t, "aes128-sha256-sha1-ecp256-modp1024")[0].Weak()
	if got := strings.Join(w, "\n"); len(w) != 3 || !strings.HasPrefix(got, "sha1: ") || !strings.Contains(got, "\nprfsha1: ") ||
		!strings.Contains(got, "\nmodp1024: ") {
		t.Errorf("weak is\n%s\nwant sha1, prfsha1 and modp1024 with their reasons", got)
	}
	w = esps(t, "aes256gcm16-ecp384-ke1_mlkem768-ke2_modp1024-ke2_none")[0].Weak()
	if len(w) != 1 || !strings.HasPrefix(w[0], "ke2_modp1024: ") {
		t.Errorf("weak is %q, want ke2_modp1024 alone", w)
	}
}

func FuzzParseProposal(f *testing.F) {
	for _, s := range []string{"aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha256-ecp256-modp2048", "aes256gcm16-noesn-esn", "3des-md5",
		"aes256gmc16", "--", "aes256gcm16-aes256-sha256-ecp256", "aes256gcm16-sha384-x25519",
		"aes256gcm16-prfsha384-ecp384-ke1_mlkem768", "aes256gcm16-ecp384-ke1_mlkem768-ke1_none-ke7_modp4096-noesn", "aes256-sha256-ecp256-ke1_ecp256-ke1_none"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, parse := range []func(string) (Proposal, error){ParseIKE, ParseESP} {
			p, err := parse(text)
			if err != nil {
				continue
			}
			again, err := parse(p.String())
			if err != nil || !reflect.DeepEqual(again, p) {
				t.Fatalf("%q is written %q, which reads as %+v, %v", text, p, again, err)
			}
			for _, o := range Offer([]Proposal{p}, p.Protocol, nil, WithGroups) {
				if why := unsound(o); why != "" {
					t.Fatalf("%q is offered as %+v: %s", text, o, why)
				}
			}
		}
	})
}

// unsound is RFC 7296 §3.3.2 and §3.3.3 said once more: what a proposal must hold and must not.
func unsound(o wire.Proposal) string {
	count := map[wire.TransformType]int{}
	aead, other, additional := 0, 0, 0
	for _, t := range o.Transforms {
		count[t.Type]++
		if t.Type > 5 {
			additional++
		}
		if t.Type > 12 {
			return "an unknown type"
		}
		if o.Protocol == wire.ProtoIKE && t.Type == wire.TransformKE && (t.ID == 36 || t.ID == 37) {
			return "ML-KEM in the first message"
		}
		if t.Bad {
			return "a bad transform"
		}
		if t.Type != wire.TransformENCR {
			if t.KeyBits != 0 {
				return "a key length where none belongs"
			}
			continue
		}
		switch t.ID {
		case 12:
			other++
		case 20, 28:
			aead++
		default:
			return "a cipher that we do not have"
		}
		if (t.KeyBits == 0) != (t.ID == 28) {
			return "a key length missing or too much"
		}
	}
	ike := o.Protocol == wire.ProtoIKE
	switch {
	case aead+other == 0:
		return "no cipher"
	case aead > 0 && other > 0:
		return "AEADs and other ciphers in one"
	case aead > 0 && count[wire.TransformINTEG] > 0:
		return "integrity beside an AEAD"
	case other > 0 && count[wire.TransformINTEG] == 0:
		return "a cipher without integrity"
	case ike != (count[wire.TransformPRF] > 0):
		return "a PRF missing or too much"
	case ike && count[wire.TransformKE] == 0:
		return "no group"
	case count[wire.TransformKE] == 0 && additional > 0:
		return "an additional key exchange without a first one"
	case ike == (count[wire.TransformESN] > 0):
		return "ESN missing or too much"
	}
	return ""
}
