package suite

import (
	"fmt"
	"slices"

	"twinbore/ike/wire"
)

// Accept is the initiator's check of the answer to the offer that Offer makes of the same arguments: one proposal, of
// a number that we offered, with one transform of each type that stands there and every one as we offered it
// (RFC 7296 §2.7, §3.3.6). Anything else is an error, and the exchange must be given up: a peer that answers so is
// broken or someone has changed what it said.
func Accept(ps []Proposal, answer *wire.SA, proto wire.ProtocolID, withGroups bool) (Selection, error) {
	if answer == nil || len(answer.Proposals) != 1 {
		n := 0
		if answer != nil {
			n = len(answer.Proposals)
		}
		return Selection{}, fmt.Errorf("the peer chose %d proposals, not one", n)
	}
	a := answer.Proposals[0]
	offer := Offer(ps, proto, nil, withGroups)
	if a.Number < 1 || int(a.Number) > len(offer) {
		return Selection{}, fmt.Errorf("the peer chose proposal %d of %d", a.Number, len(offer))
	}
	if a.Protocol != proto {
		return Selection{}, fmt.Errorf("the peer chose a proposal for %s, not for %s", a.Protocol, proto)
	}
	if f := flawOfSPI(a.SPI, proto); f != "" {
		return Selection{}, fmt.Errorf("the peer chose a proposal, but %s", f)
	}
	c, err := chosen(offer[a.Number-1], a)
	if err != nil {
		return Selection{}, err
	}
	return Selection{Suite: newSuite(proto == wire.ProtoIKE, c), Wire: a, PeerSPI: slices.Clone(a.SPI)}, nil
}

// chosen checks the transforms of an answer against those of the proposal that it chose from. Where NONE was offered for
// an additional key exchange, saying nothing of it means the same: strongSwan 6 answers so.
func chosen(offered, answer wire.Proposal) (choice, error) {
	var c choice
	for _, t := range answer.Transforms {
		if !slices.Contains(offered.Transforms, t) {
			return choice{}, fmt.Errorf("the peer chose %s, which we did not offer in proposal %d", transformName(t), answer.Number)
		}
		if c[t.Type].Name != "" {
			return choice{}, fmt.Errorf("the peer chose two transforms of type %s", t.Type)
		}
		c[t.Type], _ = rowOf(t)
	}
	for _, t := range offered.Transforms {
		optional := isAdditional(t.Type) && slices.Contains(offered.Transforms, noneRow.as(t.Type))
		if c[t.Type].Name == "" && !optional {
			return choice{}, fmt.Errorf("the peer chose no transform of type %s", t.Type)
		}
	}
	if r, twice := c.repeated(); twice { // RFC 9370 §2.2.1, H-03
		return choice{}, fmt.Errorf("the peer chose %s for two key exchanges", r.Name)
	}
	return c, nil
}
