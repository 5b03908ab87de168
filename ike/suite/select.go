package suite

import (
	"slices"

	"twinbore/ike/wire"
)

// SelectOptions are the circumstances of a choice.
type SelectOptions struct {
	// WithGroups says that an ESP offer comes with a key exchange: in CREATE_CHILD_SA, not in IKE_AUTH, where
	// groups are passed over. An IKE offer is always judged with its groups.
	WithGroups bool
	// PreferGroup is the group of the KE payload that came along, 0 for none: it is taken where the best proposal
	// allows it, which spares the round trip of INVALID_KE_PAYLOAD.
	PreferGroup uint16
	// Additional says that more key exchanges can follow: in CREATE_CHILD_SA, by IKE_FOLLOWUP_KE; in IKE_SA_INIT only if
	// the peer announced IKE_INTERMEDIATE, as we shall then (RFC 9370 §2.2.1, H-01). Otherwise NONE alone can be chosen.
	Additional bool
}

// A Selection is what was agreed.
type Selection struct {
	Suite   Suite
	Wire    wire.Proposal // what the responder answers with: number and transforms of the offer; it has no SPI yet
	PeerSPI []byte        // of the peer's proposal: ESP 4 octets; IKE none, or 8 in a rekey, which the caller checks
}

// Select is the responder's choice from a peer's offer: our order of proposals decides, then our order within a kind.
// A proposal with an unknown transform type is passed over, and so is a transform that is unknown or has an
// unknown attribute; the rest is judged as usual (RFC 7296 §3.3.6). No method serves two key exchanges (RFC 9370 §2.2.1).
// If nothing fits the error is a *Mismatch.
func Select(ps []Proposal, offer *wire.SA, proto wire.ProtocolID, opts SelectOptions) (Selection, error) {
	opts.WithGroups = opts.WithGroups || proto == wire.ProtoIKE
	theirs := candidates(offer, proto)
	for _, p := range ps {
		if p.Protocol != proto {
			continue
		}
		for _, a := range p.alternatives(opts.WithGroups) {
			if s, ok := a.best(theirs, proto, opts); ok {
				return s, nil
			}
		}
	}
	return Selection{}, newMismatch(ps, theirs, proto, opts)
}

// best takes, among the proposals that fit a, the one with what we prefer.
func (a alternative) best(theirs []candidate, proto wire.ProtocolID, opts SelectOptions) (Selection, bool) {
	var found match
	var from *candidate
	for i := range theirs {
		if theirs[i].flaw != "" {
			continue
		}
		m := a.match(&theirs[i], opts)
		if len(m.missing) == 0 && (from == nil || slices.Compare(m.rank[:], found.rank[:]) < 0) {
			found, from = m, &theirs[i]
		}
	}
	if from == nil {
		return Selection{}, false
	}
	return Selection{
		Suite:   newSuite(proto == wire.ProtoIKE, found.choice),
		Wire:    wire.Proposal{Number: from.Number, Protocol: proto, Transforms: found.transforms},
		PeerSPI: slices.Clone(from.SPI),
	}, true
}
