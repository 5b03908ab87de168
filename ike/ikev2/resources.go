package ikev2

import (
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// Several Child SAs for the same traffic, so that each worker of the data path seals with an SA of its own (RFC 9611). Who
// begins asks for it together with the first Child SA; once the peer agrees, the others are made one after the other by
// the same end. Each is rekeyed by itself, as any other.
//
//	IKE_AUTH         … SA TSi TSr N(SA_RESOURCE_INFO)  ──►  ◄──  … SA TSi TSr N(SA_RESOURCE_INFO)
//	CREATE_CHILD_SA  SA Ni TSi TSr N(SA_RESOURCE_INFO) ──►  ◄──  SA Nr TSi TSr N(SA_RESOURCE_INFO)
//	CREATE_CHILD_SA  SA Ni TSi TSr N(SA_RESOURCE_INFO) ──►  ◄──  N(TS_MAX_QUEUE)      enough
//
// Where a Child SA is made for each pair of networks there are several anyway, and this is left alone.

// maxAlike bounds the Child SAs for the same traffic: each needs room for its successor beside it.
const maxAlike = maxChildren / 2

// A spreading is what a peer remembers of this.
type spreading struct {
	group uint64 // what the data path knows them by, once both ends have announced it; 0: they have not
	full  bool   // the peer wants no more than there are
}

func (p *peer) agreed() bool { return p.group != 0 }

// spreads reports whether we want several Child SAs for the same traffic.
func (p *peer) spreads() bool { return p.cfg.Resources > 1 && !p.pairwise() }

// resourceInfo is what says so. It names no resource: which worker uses a Child SA is each end's own affair.
func (p *peer) resourceInfo() []wire.Payload {
	if !p.spreads() {
		return nil
	}
	return []wire.Payload{&wire.Notify{Kind: wire.NotifySAResourceInfo}}
}

// spread notes that the peer wants it, too, in its request or its answer for a new Child SA, and returns what to answer.
func (s *SA) spread(m *message) []wire.Payload {
	if m.notify(wire.NotifySAResourceInfo) == nil || m.notify(wire.NotifyRekeySA) != nil || !s.p.spreads() {
		return nil
	}
	if !s.p.agreed() {
		s.p.group = s.spiI // any number that no other session has
	}
	return s.p.resourceInfo()
}

// alike counts the Child SAs that are not about to go.
func (s *SA) alike() int {
	n := 0
	for _, c := range s.children {
		if c.state == childUp || c.state == childRekeying {
			n++
		}
	}
	return n
}

// tooAlike refuses one more Child SA for the same traffic.
func (s *SA) tooAlike(m *message) error {
	if m.notify(wire.NotifySAResourceInfo) == nil || !s.p.agreed() || s.alike() < maxAlike {
		return nil
	}
	return &localError{notify: wire.NotifyTSMaxQueue, reason: session.RateLimited, hint: "the peer asks for too many Child SAs for the same traffic"}
}

// enough notes that the peer refuses to make another Child SA beside those there are, which is no failure.
func (s *SA) enough(x *childExchange) bool {
	if !s.p.agreed() || s.p.pairwise() || x.old != 0 || s.alike() == 0 {
		return false
	}
	s.p.full = true
	return true
}
