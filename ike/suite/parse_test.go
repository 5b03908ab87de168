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
}

func FuzzParseProposal(f *testing.F) {
	for _, s := range []string{"aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha256-ecp256-modp2048", "aes256gcm16-noesn-esn", "3des-md5",
		"aes256gmc16", "--", "aes256gcm16-aes256-sha256-ecp256", "aes256gcm16-sha384-x25519"} {
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
	aead, other := 0, 0
	for _, t := range o.Transforms {
		count[t.Type]++
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
	case ike == (count[wire.TransformESN] > 0):
		return "ESN missing or too much"
	}
	return ""
}
