package suite

import (
	"strings"
	"testing"

	"twinbore/ike/wire"
)

func TestRowsAreWholeAndDistinct(t *testing.T) {
	words := map[string]string{}
	numbers := map[wire.Transform]string{}
	for _, r := range Table() {
		for _, w := range append(strings.Fields(r.Aliases), r.Name) {
			if words[w] != "" {
				t.Errorf("%q names both %s and %s", w, words[w], r.Name)
			}
			words[w] = r.Name
			if got, ok := Lookup(w); !ok || got != r {
				t.Errorf("Lookup(%q) gives %q, want %q", w, got.Name, r.Name)
			}
		}
		if other := numbers[r.transform()]; other != "" {
			t.Errorf("%s and %s have the same number", other, r.Name)
		}
		numbers[r.transform()] = r.Name
		if r.RFC == "" {
			t.Errorf("%s: no RFC", r.Name)
		}
		made := map[Kind]bool{
			KindENCR:  r.KeyBits != 0 && combine(r, mustLookup(t, "sha256")) != nil,
			KindAEAD:  r.aead != nil && r.aead.Name == r.Name && r.aead.AEAD,
			KindINTEG: r.integ.String() == r.Name,
			KindPRF:   r.prf != nil && r.prf.ID == r.ID && r.prf.Name == r.Name,
			KindGroup: r.group != nil && r.group.ID == r.ID && r.group.Name == r.Name,
			KindESN:   true,
		}
		if !made[r.Kind] {
			t.Errorf("%s: nothing here computes it, or it is called otherwise", r.Name)
		}
	}
}

func mustLookup(t testing.TB, name string) Row {
	t.Helper()
	r, ok := Lookup(name)
	if !ok {
		t.Fatalf("no row %q", name)
	}
	return r
}

// what RFC 8247 requires or recommends, under strongSwan's names and with IANA's numbers.
func TestTableHasWhatTheRFCsWant(t *testing.T) {
	for name, want := range map[string]wire.Transform{
		"aes128":           {Type: 1, ID: 12, KeyBits: 128},
		"aes256":           {Type: 1, ID: 12, KeyBits: 256},
		"aes128gcm16":      {Type: 1, ID: 20, KeyBits: 128},
		"aes256gcm16":      {Type: 1, ID: 20, KeyBits: 256},
		"aes256gcm":        {Type: 1, ID: 20, KeyBits: 256},
		"aes256gcm128":     {Type: 1, ID: 20, KeyBits: 256},
		"chacha20poly1305": {Type: 1, ID: 28},
		"prfsha1":          {Type: 2, ID: 2},
		"prfsha256":        {Type: 2, ID: 5},
		"prfsha384":        {Type: 2, ID: 6},
		"prfsha512":        {Type: 2, ID: 7},
		"sha1":             {Type: 3, ID: 2},
		"sha256":           {Type: 3, ID: 12},
		"sha2_256":         {Type: 3, ID: 12},
		"sha384":           {Type: 3, ID: 13},
		"sha512":           {Type: 3, ID: 14},
		"modp1024":         {Type: 4, ID: 2},
		"modp1536":         {Type: 4, ID: 5},
		"modp2048":         {Type: 4, ID: 14},
		"modp3072":         {Type: 4, ID: 15},
		"modp4096":         {Type: 4, ID: 16},
		"ecp256":           {Type: 4, ID: 19},
		"ecp384":           {Type: 4, ID: 20},
		"ecp521":           {Type: 4, ID: 21},
		"curve25519":       {Type: 4, ID: 31},
		"x25519":           {Type: 4, ID: 31},
		"mlkem768":         {Type: 4, ID: 36},
		"mlkem1024":        {Type: 4, ID: 37},
		"noesn":            {Type: 5, ID: 0},
		"esn":              {Type: 5, ID: 1},
	} {
		if got := mustLookup(t, name).transform(); got != want {
			t.Errorf("%s is %+v, want %+v", name, got, want)
		}
	}
}

// CRY-10, A-03, A-04, D-04, N-13: what is forbidden is not there under any word or number, and what is weak says so.
func TestTableHasNothingForbidden(t *testing.T) {
	for _, word := range []string{"des", "3des", "null", "md5", "md5_128", "prfmd5", "aes", "modp768", "modp1024s160", "modp2048s224",
		"modp2048s256", "aes256gcm8", "none", "modpnone", "aes128gmac"} {
		if r, ok := Lookup(word); ok && r.Name != "aes128" {
			t.Errorf("%q is %s, want it refused", word, r.Name)
		}
	}
	forbidden := map[wire.TransformType][]uint16{
		wire.TransformENCR:  {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 21},
		wire.TransformPRF:   {0, 1},
		wire.TransformINTEG: {0, 1, 3, 4, 6},
		wire.TransformKE:    {0, 1, 22, 23, 24},
	}
	for kind, ids := range forbidden {
		for _, id := range ids {
			for _, bits := range []uint16{0, 128, 256} {
				if r, ok := rowOf(wire.Transform{Type: kind, ID: id, KeyBits: bits}); ok {
					t.Errorf("%s %d is %s, want it absent", kind, id, r.Name)
				}
			}
		}
	}
	weak := map[string]bool{"sha1": true, "prfsha1": true, "modp1024": true, "modp1536": true}
	for _, r := range Table() {
		if (r.Weak != "") != weak[r.Name] {
			t.Errorf("%s: weak is %q", r.Name, r.Weak)
		}
	}
}

func TestTableIsACopy(t *testing.T) {
	Table()[0].Weak = "changed by a caller"
	if Table()[0].Weak != "" {
		t.Error("a caller changed the table")
	}
}

func TestForeignRowsAreNotInTheTable(t *testing.T) {
	for _, f := range foreign {
		if _, ok := Lookup(f.name); ok {
			t.Errorf("%s is in the table and among the refused", f.name)
		}
		if _, ok := rowOf(wire.Transform{Type: f.kind.Transform(), ID: f.id}); ok {
			t.Errorf("number %d of %s is in the table and among the refused", f.id, f.name)
		}
	}
}

func TestTransformNames(t *testing.T) {
	for want, tr := range map[string]wire.Transform{
		"aes256":                               {Type: 1, ID: 12, KeyBits: 256},
		"aes192":                               {Type: 1, ID: 12, KeyBits: 192},
		"aesgcm16 without key length":          {Type: 1, ID: 20},
		"3des":                                 {Type: 1, ID: 3},
		"aes128ccm8":                           {Type: 1, ID: 14, KeyBits: 128},
		"chacha20poly1305 with a key length":   {Type: 1, ID: 28, KeyBits: 256},
		"ENCR 12345":                           {Type: 1, ID: 12345, KeyBits: 9},
		"none":                                 {Type: 3},
		"KE 1025":                              {Type: 4, ID: 1025},
		"mlkem768":                             {Type: 4, ID: 36},
		"ESN 7":                                {Type: 5, ID: 7},
		"ke1_mlkem768":                         {Type: 6, ID: 36},
		"ke7_mlkem512":                         {Type: 12, ID: 35},
		"ke2_none":                             {Type: 7},
		"ADDKE1 1025":                          {Type: 6, ID: 1025},
		"ke3_ecp384 with a key length":         {Type: 8, ID: 20, KeyBits: 384},
		"ke3_ecp384 with an unknown attribute": {Type: 8, ID: 20, Bad: true},
		"TRANSFORM_13 36":                      {Type: 13, ID: 36},
		"TRANSFORM_200 1":                      {Type: 200, ID: 1},
		"sha256 with an unknown attribute":     {Type: 3, ID: 12, Bad: true},
	} {
		if got := transformName(tr); got != want {
			t.Errorf("%+v is called %q, want %q", tr, got, want)
		}
	}
}
