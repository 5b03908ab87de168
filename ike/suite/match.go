package suite

import (
	"encoding/binary"
	"fmt"
	"slices"

	"twinbore/ike/wire"
)

// A candidate is a peer's proposal, sorted for the choice.
type candidate struct {
	*wire.Proposal
	flaw   string                           // why nobody could accept it, "" if one could
	byType [transformTypes][]wire.Transform // its transforms, in their order; those of unknown types left out
}

func candidates(offer *wire.SA, proto wire.ProtocolID) []candidate {
	if offer == nil {
		return nil
	}
	cs := make([]candidate, len(offer.Proposals))
	for i := range cs {
		p := &offer.Proposals[i]
		cs[i] = candidate{Proposal: p, flaw: flaw(p, proto, i+1)}
		sorted := make([]wire.Transform, 0, len(p.Transforms))
		for _, kind := range transformOrder {
			from := len(sorted)
			for _, t := range p.Transforms {
				if t.Type == kind {
					sorted = append(sorted, t)
				}
			}
			cs[i].byType[kind] = sorted[from:len(sorted):len(sorted)]
		}
	}
	return cs
}

// A choice is one row for each transform type; the zero Row where there is none.
type choice [transformTypes]Row

// A match is what came of laying a peer's proposal beside one of our alternatives.
type match struct {
	choice     choice
	transforms []wire.Transform     // of the peer's proposal, for the answer
	missing    []wire.TransformType // of which nothing was acceptable

	// rank orders the matches of one alternative, the least being best: for each type the place of the chosen row in our
	// order, and before the group's place whether it is another than the preferred one.
	rank [transformTypes]int
}

func (a alternative) match(o *candidate, opts SelectOptions) match {
	var m match
	ranked := 0
	rank := func(place int) { m.rank[ranked] = place; ranked++ }
	exchanges := a.exchanges(o, opts)
	for _, t := range transformOrder {
		offered := o.byType[t]
		if len(a[t]) == 0 {
			m.none(t, offered, opts)
			continue
		}
		row := exchanges[t]
		if !isExchange(t) {
			row = firstOf(a[t], offered)
		}
		if row.Name == "" {
			m.missing = append(m.missing, t)
			continue
		}
		m.choice[t] = row
		if i := slices.IndexFunc(offered, row.is); i >= 0 { // NONE of ours needs no word of theirs
			m.transforms = append(m.transforms, offered[i])
		}
		switch {
		case t != wire.TransformKE:
		case row.ID == opts.PreferGroup:
			rank(0)
		default:
			rank(1)
		}
		rank(slices.Index(a[t], row))
	}
	return m
}

// none judges a type of which we want nothing: it must be absent, or NONE must be among what is offered, which is
// then part of the answer (RFC 7296 §3.3.3). differs: groups in an IKE_AUTH offer are passed over though RFC 7296
// §1.2 forbids them; strongSwan does the same, as there are peers that send them.
func (m *match) none(t wire.TransformType, offered []wire.Transform, opts SelectOptions) {
	if i := slices.IndexFunc(offered, isNone); i >= 0 {
		m.transforms = append(m.transforms, offered[i])
		return
	}
	if len(offered) > 0 && (!isExchange(t) || opts.WithGroups) {
		m.missing = append(m.missing, t)
	}
}

// isNone recognizes the types of transform that have a NONE.
func isNone(t wire.Transform) bool {
	return t == wire.Transform{Type: wire.TransformINTEG, ID: idNone} || asFirst(t) == wire.Transform{Type: wire.TransformKE, ID: idNone}
}

// firstOf is the first of ours that is among the offered, the zero Row if none is.
func firstOf(ours []Row, offered []wire.Transform) Row {
	for _, r := range ours {
		if slices.ContainsFunc(offered, r.is) {
			return r
		}
	}
	return Row{}
}

// flaw says what makes a peer's proposal unacceptable whatever our policy, "" if nothing does. place counts from 1.
func flaw(o *wire.Proposal, proto wire.ProtocolID, place int) string {
	switch {
	case o.Protocol != proto:
		return fmt.Sprintf("it is for %s, not for %s", o.Protocol, proto)
	case int(o.Number) != place: // RFC 7296 §3.3.1
		return fmt.Sprintf("it has number %d in place %d", o.Number, place)
	}
	if f := flawOfSPI(o.SPI, proto); f != "" {
		return f
	}
	aead := slices.ContainsFunc(o.Transforms, isAEAD)
	for _, t := range o.Transforms {
		switch {
		case t.Type < wire.TransformENCR || t.Type >= transformTypes: // RFC 7296 §3.3.6
			return fmt.Sprintf("it has a transform of the unknown type %d", t.Type)
		case aead && t.Type == wire.TransformINTEG && !isNone(t): // RFC 7296 §3.3, RFC 5282 §8
			return fmt.Sprintf("it joins a cipher that protects integrity itself with %s", transformName(t))
		case needsKeyLength(t): // RFC 7296 §3.3.5
			return fmt.Sprintf("it has %s", transformName(t))
		}
	}
	return ""
}

// flawOfSPI knows the sizes of RFC 7296 §3.3.1, and that 0 to 255 are no SPIs for use (RFC 4303 §2.1).
func flawOfSPI(spi []byte, proto wire.ProtocolID) string {
	switch {
	case proto == wire.ProtoIKE && len(spi) != 0 && len(spi) != 8,
		proto == wire.ProtoESP && len(spi) != 4:
		return fmt.Sprintf("its SPI has %d octets", len(spi))
	case proto == wire.ProtoESP && binary.BigEndian.Uint32(spi) < 256:
		return "its SPI is a reserved one"
	case proto == wire.ProtoIKE && len(spi) == 8 && binary.BigEndian.Uint64(spi) == 0:
		return "its SPI is zero"
	}
	return ""
}

// isAEAD knows the registry's combined ciphers, those that we do not have included.
func isAEAD(t wire.Transform) bool {
	if t.Type != wire.TransformENCR {
		return false
	}
	return slices.ContainsFunc(table, func(r Row) bool { return r.Kind == KindAEAD && r.ID == t.ID }) ||
		slices.ContainsFunc(foreign, func(f foreignRow) bool { return f.kind == KindAEAD && f.id == t.ID })
}

// needsKeyLength tells whether the Key Length attribute is missing where it must be.
func needsKeyLength(t wire.Transform) bool {
	return t.KeyBits == 0 && !t.Bad &&
		slices.ContainsFunc(table, func(r Row) bool { return r.Kind.Transform() == t.Type && r.ID == t.ID && r.KeyBits != 0 })
}
