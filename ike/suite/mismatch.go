package suite

import (
	"fmt"
	"slices"
	"strings"

	"twinbore/ike/wire"
)

// A Mismatch is the error of Select: nothing that the peer offers is acceptable. It explains itself by the pair of
// proposals that have most in common. It holds nothing of the peer's but numbers, and no more than fits a log line.
type Mismatch struct {
	Protocol wire.ProtocolID
	Ours     []string     // our proposals as written in configuration
	Theirs   []string     // theirs in the same words; past 8, how many more there are
	Flaw     string       // why their nearest proposal would be unacceptable to anyone, "" if it would not
	Nearest  []Difference // what differs between the nearest two
	Common   []Difference // what does not differ between them
	usable   string       // the nearest of theirs as a proposal for our configuration, "" if we cannot do it
}

// A Difference is a kind of algorithm in which two proposals have nothing in common.
type Difference struct {
	Kind       Kind
	Additional int      // of KindGroup: which additional key exchange, 1 to 7 (RFC 9370); 0: the first key exchange
	Theirs     []string // empty: they have none
	Ours       []string // empty: we want none
	Taken      bool     // there is something in common, but another key exchange needs it (RFC 9370 §2.2.1)
}

func (d Difference) String() string {
	s := fmt.Sprintf("%s: they offer %s, we accept %s", d.What(), oneOf(d.Theirs, "and"), oneOf(d.Ours, "or"))
	if d.Taken {
		s += ", and what is common serves another key exchange"
	}
	return s
}

// What says in which place the difference is: "encryption", "additional key exchange 1".
func (d Difference) What() string {
	if d.Additional > 0 {
		return fmt.Sprintf("additional key exchange %d", d.Additional)
	}
	return d.Kind.String()
}

// Limits of what is told of a peer's offer, which may hold thousands of transforms.
const (
	toldProposals  = 8
	toldTransforms = 8
)

func newMismatch(ps []Proposal, theirs []candidate, proto wire.ProtocolID, opts SelectOptions) *Mismatch {
	m := &Mismatch{Protocol: proto}
	for i := range min(len(theirs), toldProposals) {
		m.Theirs = append(m.Theirs, theirs[i].text())
	}
	if more := len(theirs) - toldProposals; more > 0 {
		m.Theirs = append(m.Theirs, fmt.Sprintf("%d more", more))
	}
	least := -1
	for _, p := range ps {
		if p.Protocol != proto {
			continue
		}
		m.Ours = append(m.Ours, p.String())
		for _, a := range p.alternatives(opts.WithGroups) {
			for i := range theirs {
				o := &theirs[i]
				missing := a.match(o, opts).missing
				distance := len(missing)
				if o.flaw != "" {
					distance += len(transformOrder) // a proposal that nobody can accept is the last to compare with
				}
				if least < 0 || distance < least {
					least = distance
					m.Flaw, m.Nearest, m.usable = o.flaw, a.differences(o, missing, opts), a.usable(o, opts)
					m.Common = a.differences(o, a.others(o, missing), opts)
				}
			}
		}
	}
	return m
}

// differences writes out the types in which a and o do not meet. That an AEAD needs no integrity transform goes without
// saying where the cipher differs anyway.
func (a alternative) differences(o *candidate, missing []wire.TransformType, opts SelectOptions) []Difference {
	var ds []Difference
	for _, t := range missing {
		if t == wire.TransformINTEG && len(a[t]) == 0 && slices.Contains(missing, wire.TransformENCR) {
			continue
		}
		d := Difference{Kind: kindOf(t)}
		if isAdditional(t) {
			d.Additional = int(t-wire.TransformADDKE1) + 1
		}
		d.Taken = isExchange(t) && len(a.options(t, o, opts)) > 0
		for _, r := range a[t] {
			d.Ours = append(d.Ours, longName(r))
		}
		for _, tr := range o.byType[t] {
			name := longTransformName(asFirst(tr))
			if isAdditional(t) && !opts.Additional && len(a[t]) > 0 && !isNone(tr) {
				name += " without IKE_INTERMEDIATE"
			}
			d.Theirs = append(d.Theirs, name)
		}
		ds = append(ds, d)
	}
	return ds
}

// others returns the types besides missing that a or o say anything about.
func (a alternative) others(o *candidate, missing []wire.TransformType) []wire.TransformType {
	var out []wire.TransformType
	for _, t := range transformOrder {
		if !slices.Contains(missing, t) && len(a[t])+len(o.byType[t]) > 0 {
			out = append(out, t)
		}
	}
	return out
}

// Error tells what differs, transform by transform, and then both sides in full.
func (m *Mismatch) Error() string {
	switch {
	case len(m.Theirs) == 0:
		return fmt.Sprintf("no proposal in common: the peer offers none for %s", m.Protocol)
	case len(m.Ours) == 0:
		return fmt.Sprintf("no proposal in common: none is configured for %s", m.Protocol)
	}
	var parts []string
	if m.Flaw != "" {
		parts = append(parts, "their proposal cannot be accepted: "+m.Flaw)
	}
	for _, d := range m.Nearest {
		parts = append(parts, d.String())
	}
	return fmt.Sprintf("no proposal in common: %s (they offer %s; we accept %s)",
		strings.Join(parts, "; "), strings.Join(m.Theirs, ", "), strings.Join(m.Ours, ", "))
}

// Hint tells a person what to change, here or at the peer.
func (m *Mismatch) Hint() string {
	word := protocolWord(m.Protocol)
	if len(m.Ours) == 0 {
		return fmt.Sprintf("write a proposal under %s here", word)
	}
	if len(m.Nearest) == 0 {
		return fmt.Sprintf("at the peer, configure %s", m.Ours[0])
	}
	var wants []string
	for _, d := range m.Nearest {
		switch {
		case d.Taken:
			wants = append(wants, d.What()+" with a method that no other has")
		case len(d.Ours) > 0:
			wants = append(wants, fmt.Sprintf("%s %s", d.What(), oneOf(d.Ours, "or")))
		case d.Kind == KindGroup && d.Additional == 0:
			wants = append(wants, "no PFS")
		default:
			wants = append(wants, "no "+d.What())
		}
	}
	hint := "at the peer, configure " + strings.Join(wants, ", ")
	if m.usable == "" {
		return hint
	}
	hint += fmt.Sprintf("; or add %q to %s here", m.usable, word)
	if p, err := parse(m.usable, m.Protocol); err == nil && len(p.Weak()) > 0 {
		hint += ", which is weak and needs allow_weak"
	}
	return hint
}

// usable is the peer's proposal as one that our configuration could hold, choosing what we accept anyway where the
// peer leaves a choice.
func (a alternative) usable(o *candidate, opts SelectOptions) string {
	if o.flaw != "" {
		return ""
	}
	var words []string
	for _, t := range transformOrder {
		offered := o.byType[t]
		if len(offered) == 0 || isBothESN(offered) {
			continue
		}
		row := firstOf(a[t], offered)
		switch {
		case row == noneRow, row.Name == "" && slices.ContainsFunc(offered, isNone):
			continue
		case row.Name == "":
			i := slices.IndexFunc(offered, func(tr wire.Transform) bool { _, ok := rowOf(tr); return ok })
			if i < 0 {
				return ""
			}
			row, _ = rowOf(offered[i])
		}
		if isAdditional(t) && !opts.Additional {
			return "" // the peer could not do it
		}
		words = append(words, inPlace(t, row.Name))
	}
	p, err := parse(strings.Join(words, "-"), o.Protocol)
	if err != nil {
		return ""
	}
	return p.String()
}

// text writes a peer's proposal in the words of our configuration.
func (o *candidate) text() string {
	if len(o.Transforms) == 0 {
		return "a proposal without transforms"
	}
	told := slices.Clone(o.Transforms)
	if slices.EqualFunc(o.byType[wire.TransformPRF], o.byType[wire.TransformINTEG], isPRFOf) {
		told = slices.DeleteFunc(told, func(t wire.Transform) bool { return t.Type == wire.TransformPRF })
	}
	if isBothESN(o.byType[wire.TransformESN]) {
		told = slices.DeleteFunc(told, func(t wire.Transform) bool { return t.Type == wire.TransformESN })
	}
	var words []string
	for _, t := range told[:min(len(told), toldTransforms)] {
		words = append(words, transformName(t))
	}
	if more := len(told) - toldTransforms; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, "-")
}

// isPRFOf tells whether a PRF goes without saying where an integrity transform has been named.
func isPRFOf(prf, integ wire.Transform) bool { return transformName(prf) == "prf"+transformName(integ) }

// isBothESN recognizes what a proposal offers that says nothing about sequence numbers.
func isBothESN(offered []wire.Transform) bool {
	return slices.EqualFunc(offered, esnRows(bothESN), func(t wire.Transform, r Row) bool { return r.is(t) })
}

// kindOf is the kind that a transform type is called by in a text.
func kindOf(t wire.TransformType) Kind {
	if isAdditional(t) {
		return KindGroup
	}
	for k := KindENCR; k <= KindESN; k++ {
		if k.Transform() == t {
			return k
		}
	}
	return 0
}

// longName tells AES-CBC from AES-GCM for a reader who sees only one of the two names.
func longName(r Row) string {
	if r.Kind == KindENCR {
		return r.Name + " (CBC)"
	}
	return r.Name
}

func longTransformName(t wire.Transform) string {
	if r, ok := rowOf(t); ok {
		return longName(r)
	}
	return transformName(t)
}

// oneOf joins names with a last word between, and cuts a long list.
func oneOf(names []string, word string) string {
	switch n := len(names); {
	case n == 0:
		return "none"
	case n == 1:
		return names[0]
	case n > toldTransforms:
		return fmt.Sprintf("%s %s %d more", strings.Join(names[:toldTransforms], ", "), word, n-toldTransforms)
	default:
		return strings.Join(names[:n-1], ", ") + " " + word + " " + names[n-1]
	}
}
