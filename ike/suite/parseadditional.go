package suite

import (
	"slices"
	"strconv"
	"strings"

	"twinbore/ike/wire"
)

// additional takes a word about an additional key exchange, "ke1_mlkem768", and tells whether it was one.
func (r *reader) additional(w string) bool {
	prefix, name, found := strings.Cut(w, "_")
	digits, isKE := strings.CutPrefix(prefix, "ke")
	n, err := strconv.ParseUint(digits, 10, 8)
	switch {
	case !found || !isKE || digits == "" || strings.Trim(digits, "0123456789") != "":
		return false
	case err != nil || n < 1 || n > uint64(maxAdditional) || len(digits) > 1:
		r.problem("%s: additional key exchanges are ke1 to ke%d", w, maxAdditional)
		return true
	}
	i := int(n) - 1
	row, ok := Lookup(name)
	switch {
	case name == noneName:
		row = noneRow
	case !ok:
		r.meantAdditional[i] = true
		r.unknownMethod(w, name, additionalType(i))
		return true
	case row.Kind != KindGroup:
		r.meantAdditional[i] = true
		r.problem("%s: %s is no key exchange method; there are %s", w, row.Name, methodNames())
		return true
	}
	r.add(&r.p.Additional[i], row, inPlace(additionalType(i), row.Name))
	return true
}

// unknownMethod explains a word whose method is not in the table.
func (r *reader) unknownMethod(w, name string, t wire.TransformType) {
	if f, ok := foreignWord(name); ok && f.kind == KindGroup {
		r.problem("%s is refused: %s; use one of %s", w, f.why, methodNames())
		return
	}
	if row, ok := nearestRow(name); ok && row.Kind == KindGroup {
		r.problem("unknown word %q, did you mean %q?", w, inPlace(t, row.Name))
		return
	}
	r.problem("unknown word %q; key exchange methods are %s", w, methodNames())
}

// completeAdditional checks the additional key exchanges together: there is a first one, and all of them can take place.
func (r *reader) completeAdditional() {
	options, places := [][]Row{r.p.Groups}, []string{""}
	for i, rows := range r.p.Additional {
		word := "ke" + strconv.Itoa(i+1)
		if len(rows) == 0 {
			continue
		}
		if len(rows) == 1 && rows[0] == noneRow && !r.meantAdditional[i] {
			r.problem("%s_none lets %s be left out, but no method is given for it, like %s_mlkem768", word, word, word)
		}
		options, places = append(options, rows), append(places, word)
	}
	if len(places) > 1 && r.p.Protocol == wire.ProtoESP && r.noGroup() {
		r.problem("%s follows a first key exchange, which is missing: add one of %s", places[1], r.allowed(KindGroup))
	}
	if _, failed := distinct(options); failed > 0 && !slices.Contains(r.meantAdditional[:], true) && len(r.p.Groups) > 0 {
		r.problem("%s has no method of its own: each key exchange needs another one (RFC 9370 §2.2.1)", places[failed])
	}
}

// methodNames lists what can follow ke1_ to ke7_, ML-KEM first: it is what these are for. Weak ones are not suggested.
func methodNames() string {
	var kems, groups []string
	for _, row := range table {
		switch {
		case row.isKEM():
			kems = append(kems, row.Name)
		case row.Kind == KindGroup && row.Weak == "":
			groups = append(groups, row.Name)
		}
	}
	return strings.Join(append(kems, groups...), ", ")
}
