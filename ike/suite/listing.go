package suite

import (
	"slices"

	"twinbore/ike/wire"
)

// Listing tells what proposals for one protocol accept of each kind, over all of them: how an offer is shown of which the
// peer says nothing but that it refuses it. Theirs is empty throughout.
func Listing(ps []Proposal, proto wire.ProtocolID) []Difference {
	var out []Difference
	for _, t := range transformOrder {
		d := Difference{Kind: kindOf(t)}
		if isAdditional(t) {
			d.Additional = int(t-wire.TransformADDKE1) + 1
		}
		for _, p := range ps {
			if p.Protocol != proto {
				continue
			}
			for _, a := range p.alternatives(WithGroups) {
				for _, r := range a[t] {
					if name := longName(r); !slices.Contains(d.Ours, name) {
						d.Ours = append(d.Ours, name)
					}
				}
			}
		}
		if len(d.Ours) > 0 {
			out = append(out, d)
		}
	}
	return out
}
