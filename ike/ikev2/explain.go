package ikev2

import (
	"errors"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// What Offers are about.
const (
	aboutIKE       = "IKE proposal"
	aboutESP       = "ESP proposal"
	aboutSelectors = "traffic selectors"
)

// explain lays side by side what both ends wanted, where err is that they did not agree; nil where it is something else.
// A peer that refuses tells nothing of its own, so that there is only our side.
func (s *SA) explain(err error, about op) *session.Offers {
	if local, ok := errors.AsType[*localError](err); ok {
		return local.offers
	}
	peer, ok := errors.AsType[*peerError](err)
	if !ok {
		return nil
	}
	switch peer.notify {
	case wire.NotifyNoProposalChosen, wire.NotifyInvalidKEPayload:
		if about == opInit || about == opRekeyIKE {
			return refusedProposals(aboutIKE, s.p.cfg.IKE, wire.ProtoIKE)
		}
		return refusedProposals(aboutESP, s.p.cfg.ESP, wire.ProtoESP)
	case wire.NotifyAuthenticationFailed:
		return s.rejected()
	case wire.NotifyTSUnacceptable, wire.NotifySinglePairRequired, wire.NotifyInvalidSelectors:
		return offeredSelectors(s.p.cfg.Local, s.p.cfg.Remote)
	}
	return nil
}

// mismatched is both sides of a choice that found nothing in common.
func mismatched(m *suite.Mismatch) *session.Offers {
	out := &session.Offers{About: aboutESP, Ours: m.Ours, Theirs: m.Theirs, Told: true}
	if m.Protocol == wire.ProtoIKE {
		out.About = aboutIKE
	}
	for _, d := range m.Nearest {
		out.Rows = append(out.Rows, session.Row{What: d.What(), Ours: d.Ours, Theirs: d.Theirs, Differs: true})
	}
	for _, d := range m.Common {
		out.Rows = append(out.Rows, session.Row{What: d.What(), Ours: d.Ours, Theirs: d.Theirs})
	}
	return out
}

// refusedProposals is our side of an offer that the peer refused.
func refusedProposals(about string, ours []suite.Proposal, proto wire.ProtocolID) *session.Offers {
	out := &session.Offers{About: about, Ours: proposalTexts(ours)}
	for _, d := range suite.Listing(ours, proto) {
		out.Rows = append(out.Rows, session.Row{What: d.What(), Ours: d.Ours})
	}
	return out
}

// offeredSelectors is our side of the networks.
func offeredSelectors(local, remote []esp.Selector) *session.Offers {
	return &session.Offers{About: aboutSelectors, Rows: []session.Row{
		{What: "networks here", Ours: selectorTexts(local)}, {What: "networks there", Ours: selectorTexts(remote)}}}
}

// comparedSelectors is both sides of the networks: ours, and what the peer said of them.
func comparedSelectors(ourLocal, ourRemote, local, remote []esp.Selector) *session.Offers {
	out := offeredSelectors(ourLocal, ourRemote)
	out.Told = true
	for i, theirs := range [][]esp.Selector{local, remote} {
		row := &out.Rows[i]
		row.Theirs = selectorTexts(theirs)
		ours := [][]esp.Selector{ourLocal, ourRemote}[i]
		row.Differs = !within(ours, theirs) || !within(theirs, ours)
	}
	return out
}

// toldSelectors bounds what is told of a peer's selectors, of which there may be hundreds.
const toldSelectors = 16

func selectorTexts(list []esp.Selector) []string {
	var out []string
	for _, s := range list[:min(len(list), toldSelectors)] {
		out = append(out, s.String())
	}
	if len(list) > toldSelectors {
		out = append(out, "and more")
	}
	return out
}
