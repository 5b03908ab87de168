package suite

import (
	"fmt"
	"slices"

	"twinbore/ike/wire"
)

// Up to seven key exchanges may follow the first one, each with its own type of transform but the numbers of type KE, 0
// meaning NONE: it does not take place (RFC 9370 §2.2.1). In a proposal they are ke1_ to ke7_ before a method.
const (
	maxAdditional  = int(wire.TransformADDKE7-wire.TransformADDKE1) + 1
	noneName       = "none"
	transformTypes = wire.TransformADDKE7 + 1 // to index arrays by type; type 0 is reserved
)

// noneRow stands among the rows of an additional key exchange that may as well not take place. It is in no table: as a
// first key exchange it would leave the keys without a secret.
var noneRow = Row{Name: noneName, Kind: KindGroup, ID: idNone, RFC: "9370"}

// exchangeOrder is the order of the key exchanges: that of their transform types.
var exchangeOrder = []wire.TransformType{wire.TransformKE, wire.TransformADDKE1, wire.TransformADDKE2, wire.TransformADDKE3,
	wire.TransformADDKE4, wire.TransformADDKE5, wire.TransformADDKE6, wire.TransformADDKE7}

// transformOrder is the order in which transforms are written, in proposals as on the wire.
var transformOrder = slices.Concat([]wire.TransformType{wire.TransformENCR, wire.TransformINTEG, wire.TransformPRF},
	exchangeOrder, []wire.TransformType{wire.TransformESN})

func isAdditional(t wire.TransformType) bool {
	return t >= wire.TransformADDKE1 && t <= wire.TransformADDKE7
}

func isExchange(t wire.TransformType) bool { return t == wire.TransformKE || isAdditional(t) }

// additionalType is the transform type of ke1 to ke7, counted from 0.
func additionalType(i int) wire.TransformType { return wire.TransformADDKE1 + wire.TransformType(i) }

// asFirst is the transform that t would be as a first key exchange: methods have the same numbers everywhere.
func asFirst(t wire.Transform) wire.Transform {
	if isAdditional(t.Type) {
		t.Type = wire.TransformKE
	}
	return t
}

// inPlace is the word of a method in a place: "ecp384" in that of the first key exchange, "ke1_ecp384" after it.
func inPlace(t wire.TransformType, name string) string {
	if !isAdditional(t) {
		return name
	}
	return fmt.Sprintf("ke%d_%s", t-wire.TransformADDKE1+1, name)
}

// at is the row under its word in a place.
func (r Row) at(t wire.TransformType) Row {
	r.Name = inPlace(t, r.Name)
	return r
}

// exchanges chooses the methods of all key exchanges together. The zero Row is where nothing can be: no method in common,
// or none that is left.
func (a alternative) exchanges(o *candidate, opts SelectOptions) choice {
	var c choice
	var types []wire.TransformType
	var options [][]Row
	for _, t := range exchangeOrder {
		if rows := a.options(t, o, opts); len(rows) > 0 {
			types, options = append(types, t), append(options, rows)
		}
	}
	rows, failed := distinct(options)
	for i, t := range types {
		switch {
		case failed < 0:
			c[t] = rows[i]
		case i != failed: // there is no choice; this one shall not be blamed
			c[t] = options[i][0]
		}
	}
	return c
}

// options is what both ends accept for one key exchange, in our order, the preferred group before.
func (a alternative) options(t wire.TransformType, o *candidate, opts SelectOptions) []Row {
	offered := o.byType[t]
	var rows []Row
	for _, r := range a[t] {
		common := slices.ContainsFunc(offered, r.is)
		switch {
		case r == noneRow:
			common = common || len(offered) == 0
		case isAdditional(t):
			common = common && opts.Additional
		}
		switch {
		case !common:
		case t == wire.TransformKE && r.ID == opts.PreferGroup:
			rows = slices.Insert(rows, 0, r)
		default:
			rows = append(rows, r)
		}
	}
	return rows
}

// distinct chooses an option for each of several key exchanges so that none but NONE is chosen twice: what is agreed
// must not hold a method twice (RFC 9370 §2.2.1, H-03). Options are in order of preference, and earlier exchanges
// weigh more. It finds a choice wherever there is one, which going from first to last without looking back does not.
// failed is the first exchange that cannot be served together with those before it, -1 if all can.
func distinct(options [][]Row) (chosen []Row, failed int) {
	for n := range options {
		if !servable(options[:n+1]) {
			return nil, n
		}
	}
	rest := slices.Clone(options)
	for i, rows := range options {
		for j := range rows {
			rest[i] = rows[j : j+1]
			if servable(rest) {
				chosen = append(chosen, rows[j])
				break
			}
		}
	}
	return chosen, -1
}

// servable tells whether there is a choice for all the exchanges: a matching of exchanges and methods, by augmenting
// paths. Its time is bounded by the product of the exchanges, eight at most, and of all their options.
func servable(options [][]Row) bool {
	var held [1 + maxAdditional]uint16 // the method of each exchange; 0: none yet, or NONE
	for i := range options {
		var asked [1 + maxAdditional]bool
		if !serve(i, options, &held, &asked) {
			return false
		}
	}
	return true
}

// serve gives exchange i a method, from another exchange if that one can do with another method. asked marks the
// exchanges that have been asked for theirs.
func serve(i int, options [][]Row, held *[1 + maxAdditional]uint16, asked *[1 + maxAdditional]bool) bool {
	asked[i] = true
	for _, r := range options[i] {
		holder := -1
		if r.ID != idNone {
			holder = slices.Index(held[:len(options)], r.ID)
		}
		if holder < 0 || !asked[holder] && serve(holder, options, held, asked) {
			held[i] = r.ID
			return true
		}
	}
	return false
}

// repeated finds a method that is chosen for two key exchanges.
func (c choice) repeated() (Row, bool) {
	for i, t := range exchangeOrder {
		for _, later := range exchangeOrder[i+1:] {
			if c[t].group != nil && c[t].group == c[later].group {
				return c[t], true
			}
		}
	}
	return Row{}, false
}
