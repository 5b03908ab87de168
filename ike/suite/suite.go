package suite

import (
	"strings"

	"twinbore/esp/protect"
	"twinbore/ike/wire"
)

// A Suite is what two peers agreed on for an IKE SA or a Child SA. It holds no keys and never changes.
type Suite struct {
	IKE       bool               // for an IKE SA; otherwise for a Child SA
	Algorithm *protect.Algorithm // what seals: SK payloads or ESP packets
	PRF       *PRF               // nil for a Child SA, which uses its IKE SA's
	Group     *Group             // nil: no key exchange (a Child SA without PFS)
	ESN       bool               // extended sequence numbers; Child SA only
	KeyBits   uint16             // of the cipher, when it is negotiable; else 0

	// Additional is the key exchanges that must follow the first, in this order and none left out (RFC 9370 §2.2.2 and
	// §2.2.4, H-04). Those agreed to be NONE are not in it. The caller must not change it.
	Additional []*Group

	// The rows behind: Name is "" where there is none.
	Encr, Integ, PRFRow, GroupRow Row
	additional                    [maxAdditional]Row // by place, "none" among them
}

// newSuite puts rows together. The rows fit each other: Proposal's rules have seen to it.
func newSuite(ike bool, c choice) Suite {
	s := Suite{
		IKE:       ike,
		Algorithm: combine(c[wire.TransformENCR], c[wire.TransformINTEG]),
		PRF:       c[wire.TransformPRF].prf,
		Group:     c[wire.TransformKE].group,
		ESN:       c[wire.TransformESN].Name == esnRow,
		KeyBits:   c[wire.TransformENCR].KeyBits,
		Encr:      c[wire.TransformENCR],
		Integ:     c[wire.TransformINTEG],
		PRFRow:    c[wire.TransformPRF],
		GroupRow:  c[wire.TransformKE],
	}
	for i := range s.additional {
		s.additional[i] = c[additionalType(i)]
		if g := s.additional[i].group; g != nil {
			s.Additional = append(s.Additional, g)
		}
	}
	return s
}

// combine returns the packet protection of a cipher and, unless it is an AEAD, an integrity transform.
func combine(encr, integ Row) *protect.Algorithm {
	if encr.Kind == KindAEAD {
		return encr.aead
	}
	return protect.CBC(int(encr.KeyBits), integ.integ)
}

// EncrKeyLen is the length of SK_ei and SK_er in octets, the salt of an AEAD included (RFC 7296 §2.14, RFC 5282 §7).
func (s Suite) EncrKeyLen() int { return s.Encr.keyLen() }

// IntegKeyLen is the length of SK_ai and SK_ar in octets: 0 for an AEAD (RFC 5282 §7). protect wants the
// encryption key first, then this one; together they have Algorithm.KeyLen octets.
func (s Suite) IntegKeyLen() int { return s.Integ.keyLen() }

// String is the suite as one would write it in configuration: "aes256gcm16-prfsha384-ecp384-ke1_mlkem768". The PRF is
// left out where it follows from the integrity transform, and so are key exchanges that do not take place; ESN is told
// apart in Suite.ESN only.
func (s Suite) String() string {
	var words []string
	for _, r := range s.rows() {
		if r.Name != "" && !(r.Kind == KindPRF && s.Integ.Name != "" && r.Name == "prf"+s.Integ.Name) {
			words = append(words, r.Name)
		}
	}
	return strings.Join(words, "-")
}

// Weak names the weak algorithms of the suite, each with the reason: "" if there are none.
func (s Suite) Weak() string { return strings.Join(weakOf(s.rows()), "; ") }

func (s Suite) rows() []Row {
	rows := []Row{s.Encr, s.Integ, s.PRFRow, s.GroupRow}
	for i, r := range s.additional {
		if r.group != nil {
			rows = append(rows, r.at(additionalType(i)))
		}
	}
	return rows
}

// weakOf describes the weak ones among rows.
func weakOf(rows []Row) []string {
	var weak []string
	for _, r := range rows {
		if r.Weak != "" {
			weak = append(weak, r.Name+": "+r.Weak)
		}
	}
	return weak
}
