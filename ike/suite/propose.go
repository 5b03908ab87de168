package suite

import (
	"slices"

	"twinbore/ike/wire"
)

// A GroupChoice says whether an ESP offer holds key exchanges, the first and additional ones: it does in
// CREATE_CHILD_SA, and never in IKE_AUTH, where there is no KE payload (RFC 7296 §1.2). An IKE offer always holds them.
type GroupChoice = bool

// The two choices.
const (
	WithoutGroups GroupChoice = false
	WithGroups    GroupChoice = true
)

// Offer writes our SA payload: the preferred proposal first, numbered from 1, all with spi (ESP: 4 octets; IKE:
// none, or 8 in a rekey). A proposal that mixes AEADs with other ciphers becomes two (RFC 7296 §3.3), and what is
// equal without its groups is written once. The same arguments give the same offer, on which Accept relies. What goes
// past wire.MaxProposals is left out.
func Offer(ps []Proposal, proto wire.ProtocolID, spi []byte, groups GroupChoice) []wire.Proposal {
	var offer []wire.Proposal
	for _, p := range ps {
		if p.Protocol != proto {
			continue
		}
		for _, a := range p.alternatives(groups) {
			transforms := a.transforms()
			known := slices.ContainsFunc(offer, func(o wire.Proposal) bool { return slices.Equal(o.Transforms, transforms) })
			if known || len(offer) == wire.MaxProposals {
				continue
			}
			offer = append(offer, wire.Proposal{
				Number:     uint8(len(offer) + 1),
				Protocol:   proto,
				SPI:        slices.Clone(spi),
				Transforms: transforms,
			})
		}
	}
	return offer
}

// transforms writes the alternative out. ESN is there in every ESP proposal, as it must be (RFC 7296 §3.3.3).
func (a alternative) transforms() []wire.Transform {
	var ts []wire.Transform
	for _, t := range transformOrder {
		for _, r := range a[t] {
			ts = append(ts, r.as(t))
		}
	}
	return ts
}

// Groups lists the groups that a peer may choose for the first key exchange from an offer of ps, the preferred first
// and each once. The first is the one to send a KE payload of; an INVALID_KE_PAYLOAD that names another group than these is refused
// (RFC 7296 §1.3).
func Groups(ps []Proposal) []*Group {
	var groups []*Group
	for _, p := range ps {
		for _, r := range p.Groups {
			if !slices.Contains(groups, r.group) {
				groups = append(groups, r.group)
			}
		}
	}
	return groups
}
