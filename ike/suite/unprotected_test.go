package suite

import (
	"errors"
	"testing"

	"twinbore/ike/wire"
)

// B-03, B-04 (RFC 8221 §4, §5, §6): what hides nothing or proves nothing is neither chosen from a peer's offer nor taken
// from its answer, whatever it is called; the sound proposal behind it is.
func TestESPIsNeverUnprotected(t *testing.T) {
	const (
		null, gmacNull     = 11, 21
		gmac128, gmac256   = 9, 11
		none, sha256, aes  = 0, 12, 12
		cipher, protection = wire.TransformENCR, wire.TransformINTEG
	)
	cbc, aead := "aes256-sha256", "aes256gcm16"
	for name, change := range map[string]func(*wire.Proposal){
		"AES-CBC without integrity":   without(protection),
		"AES-CBC with integrity NONE": replaced(wire.Transform{Type: protection, ID: none}),
		"AES-CTR with integrity NONE": func(p *wire.Proposal) {
			replaced(wire.Transform{Type: cipher, ID: 13, KeyBits: 256})(p)
			without(protection)(p)
		},
		"NULL with SHA2": replaced(wire.Transform{Type: cipher, ID: null}),
		"NULL with NONE": func(p *wire.Proposal) { replaced(wire.Transform{Type: cipher, ID: null})(p); without(protection)(p) },
		"AES-GMAC as NULL's cipher": func(p *wire.Proposal) {
			replaced(wire.Transform{Type: cipher, ID: gmacNull, KeyBits: 128})(p)
			without(protection)(p)
		},
		"AES-GMAC of 128 bits for CBC": replaced(wire.Transform{Type: protection, ID: gmac128}),
		"AES-GMAC of 256 bits for NULL": func(p *wire.Proposal) {
			replaced(wire.Transform{Type: cipher, ID: null})(p)
			replaced(wire.Transform{Type: protection, ID: gmac256})(p)
		},
		"no cipher, but integrity": without(cipher),
		"neither":                  func(p *wire.Proposal) { without(cipher)(p); without(protection)(p) },
	} {
		ours := esps(t, cbc, aead)
		bad := edited(offeredESP(t, WithGroups, cbc), change)
		if s, err := Select(ours, bad, wire.ProtoESP, SelectOptions{}); err == nil {
			t.Errorf("%s: chosen as %s", name, s.Suite)
		} else if m := (*Mismatch)(nil); !errors.As(err, &m) {
			t.Errorf("%s: %v", name, err)
		}
		both := edited(offeredESP(t, WithGroups, cbc, aead), change)
		if s, err := Select(ours, both, wire.ProtoESP, SelectOptions{}); err != nil || s.Wire.Number != 2 {
			t.Errorf("%s: the sound proposal behind it is not chosen: %v, %v", name, s.Wire, err)
		}
		answer := answered(t, esps(t, cbc), esps(t, cbc), wire.ProtoESP, WithGroups)
		change(&answer.Proposals[0])
		if s, err := Accept(esps(t, cbc), answer, wire.ProtoESP, WithGroups); err == nil {
			t.Errorf("%s: taken as an answer: %s", name, s.Suite)
		}
	}
	for _, text := range []string{"aes256", "null", "null-sha256", "aes256-none", "sha256", "aes128gmac", "aes256gmac", "aes256-aes256gmac", "aes256ctr"} {
		if p, err := ParseESP(text); err == nil {
			t.Errorf("%s is read as %s", text, p)
		}
	}
	for _, r := range Table() {
		if id := r.transform(); id.Type == cipher && (id.ID == null || id.ID == gmacNull) || id.Type == protection && id.ID >= gmac128 && id.ID <= gmac256 {
			t.Errorf("%s is in the table", r.Name)
		}
	}
	if mustLookup(t, "aes256").ID != aes || mustLookup(t, "sha256").ID != sha256 {
		t.Error("this test has other numbers than the table")
	}
}
