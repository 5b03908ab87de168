package suite

import (
	"slices"
	"strings"

	"twinbore/ike/wire"
)

// A Proposal is one alternative of the configuration: what is acceptable of each kind, the preferred first. It comes
// from ParseIKE or ParseESP and is not changed afterwards; the zero Proposal accepts nothing.
type Proposal struct {
	Protocol wire.ProtocolID // ProtoIKE or ProtoESP
	Encr     []Row           // ciphers; AEADs among them need no integrity transform
	Integ    []Row           // for the ciphers that are no AEADs
	PRF      []Row           // IKE only
	Groups   []Row           // ESP: none means no PFS, any means PFS with one of them
	ESN      []bool          // ESP only; true is extended sequence numbers

	// Additional is what is acceptable for the key exchanges after the first, ke1 to ke7 (RFC 9370); nothing: this one
	// does not take place. The row "none" among others says that it need not.
	Additional [maxAdditional][]Row
}

// String is the proposal in its shortest spelling: parsing it again gives the same proposal.
func (p Proposal) String() string {
	rows := slices.Concat(p.Encr, p.Integ)
	if !slices.Equal(p.PRF, derivePRF(p.Integ)) {
		rows = append(rows, p.PRF...)
	}
	rows = append(rows, p.exchanges()...)
	if !slices.Equal(p.ESN, bothESN) {
		rows = append(rows, esnRows(p.ESN)...)
	}
	return strings.Join(names(rows), "-")
}

// Weak describes each weak algorithm of the proposal, with the reason; none: nil. The configuration must allow them.
func (p Proposal) Weak() []string {
	return weakOf(slices.Concat(p.Encr, p.Integ, p.PRF, p.exchanges()))
}

// exchanges is the methods of all key exchanges, each under its word.
func (p Proposal) exchanges() []Row {
	rows := slices.Clone(p.Groups)
	for i, list := range p.Additional {
		for _, r := range list {
			rows = append(rows, r.at(additionalType(i)))
		}
	}
	return rows
}

// bothESN is what an ESP proposal accepts that says nothing about sequence numbers.
var bothESN = []bool{true, false}

// derivePRF gives the PRF that goes with each integrity transform, as strongSwan does when none is named.
func derivePRF(integ []Row) []Row {
	var prfs []Row
	for _, r := range integ {
		if prf, ok := Lookup("prf" + r.Name); ok {
			prfs = append(prfs, prf)
		}
	}
	return prfs
}

func esnRows(values []bool) []Row {
	var rows []Row
	for _, esn := range values {
		name := noESNRow
		if esn {
			name = esnRow
		}
		r, _ := Lookup(name)
		rows = append(rows, r)
	}
	return rows
}

func names(rows []Row) []string {
	var words []string
	for _, r := range rows {
		words = append(words, r.Name)
	}
	return words
}

// An alternative is a Proposal, or the AEAD or the other part of one, by transform type: what is acceptable of each,
// the preferred first. Nothing acceptable means that the type must be absent or NONE.
type alternative [transformTypes][]Row

// alternatives splits a proposal that mixes AEADs with other ciphers: on the wire they never stand in one proposal
// (RFC 7296 §3.3), as the one kind goes without integrity and the other never. The preferred cipher's part is first.
func (p Proposal) alternatives(groups GroupChoice) []alternative {
	var parts []alternative
	for _, kind := range []Kind{KindAEAD, KindENCR} {
		encr := slices.DeleteFunc(slices.Clone(p.Encr), func(r Row) bool { return r.Kind != kind })
		if len(encr) == 0 {
			continue
		}
		var a alternative
		a[wire.TransformENCR] = encr
		if kind == KindENCR {
			a[wire.TransformINTEG] = p.Integ
		}
		a[wire.TransformPRF] = p.PRF
		if groups == WithGroups || p.Protocol == wire.ProtoIKE {
			a[wire.TransformKE] = p.Groups
			copy(a[wire.TransformADDKE1:], p.Additional[:])
		}
		a[wire.TransformESN] = esnRows(p.ESN)
		parts = append(parts, a)
	}
	if len(parts) == 2 && p.Encr[0].Kind == KindENCR {
		slices.Reverse(parts)
	}
	return parts
}
