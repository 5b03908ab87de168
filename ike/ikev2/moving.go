package ikev2

import (
	"net/netip"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// The path of an IKE SA and of its Child SAs moves together, and only on the word of something new and authentic:
//
//	an IKE message from elsewhere      a NAT before the peer has another mapping (RFC 7296 §2.23); not with MOBIKE
//	an ESP packet, the newest of all   the same, told by the data path
//	UPDATE_SA_ADDRESSES                the peer has another address (RFC 4555); mobike.go
//	our own address is another         told by a command
//
// The first two change nothing where we are behind a NAT ourselves: anybody on the way could break the connection with
// one packet (RFC 7296 §2.23, RPL-09).

// moveHold is how long after a move packets from elsewhere change nothing: what the data path tells may be older than
// the move, and somebody who copies packets on the way must not make the path follow each of them.
const moveHold = time.Second

// follow takes the peer's address from a message that is new and authentic. With MOBIKE only the initiator's word counts
// (RFC 4555 §3.8).
func (s *SA) follow(now time.Time, path esp.Path) {
	if !s.mobike.on {
		s.followTo(now, path)
	}
}

// packetSeen takes the peer's address from the newest authentic packet of a Child SA (N-63).
func (p *peer) packetSeen(now time.Time, id esp.ChildID, path esp.Path) {
	for _, s := range p.sas {
		if s.child(id) != nil && !now.Before(s.movedAt.Add(moveHold)) {
			if path.Local.Port() == 0 { // without UDP it tells of addresses alone
				path.Local = netip.AddrPortFrom(path.Local.Addr(), s.path.Local.Port())
				path.Remote = netip.AddrPortFrom(path.Remote.Addr(), s.path.Remote.Port())
			}
			s.followTo(now, path)
			return
		}
	}
}

func (s *SA) followTo(now time.Time, path esp.Path) {
	if s.state != established || s.closing() || s.nat.local || path.Remote == s.path.Remote || path.Local.Port() != s.path.Local.Port() {
		return
	}
	nat := path.Remote.Port() != s.path.Remote.Port() // nobody else changes ports
	s.move(now, path)
	if nat && !s.encap() {
		s.closeFor(now, session.NoResponse, "a NAT has come between us and the peer, and ESP goes without UDP; beginning anew")
		return
	}
	s.checkPath(now)
}

// move makes path the one of the SA, of its Child SAs, and of the SAs that are about to go.
func (s *SA) move(now time.Time, path esp.Path) {
	old := s.path
	for _, one := range s.p.sas {
		if one.path != old {
			continue
		}
		one.path, one.movedAt, one.nat = path, now, s.nat
		one.reroute(now)
	}
	s.p.emit(session.Event{Kind: session.Moved, Time: now, IKE: s.info()})
}

// renat takes what NAT detection says of the path. Where ESP must now go into UDP, or out of it, the Child SAs do so at once
// (RFC 4555 §3.5).
func (s *SA) renat(now time.Time, m *message) {
	s.learnNAT(m)
	s.reroute(now)
	if s.p.cfg.misfit(s.nat) == nil {
		return
	}
	for _, c := range s.children {
		if c.state == childUp {
			c.rekeyAt = earliest(c.rekeyAt, now.Add(moveHold)) // askChild ends the IKE SA, unless the path has changed again
		}
	}
}

// reroute has the data path send ESP to where it now must go.
func (s *SA) reroute(now time.Time) {
	to := s.espPath()
	for _, c := range s.children {
		if c.path == to {
			continue
		}
		was := c.encap()
		c.path = to
		s.p.childOp(session.ChildOp{Op: session.Move, ID: c.id, Child: esp.Child{Path: to}})
		if c.encap() != was {
			s.p.emit(session.Event{Kind: session.ChildMoved, Time: now, IKE: s.info(), Child: c.info()})
		}
	}
}

// relocated is our own address being another one.
func (p *peer) relocated(now time.Time, local netip.Addr) {
	for _, s := range slices.Clone(p.sas) {
		if s.path.Local.Addr() == local {
			continue
		}
		path := esp.Path{Local: netip.AddrPortFrom(local, s.path.Local.Port()), Remote: s.path.Remote}
		switch {
		case s.state == established && !s.closing() && s.mobike.began:
			s.move(now, path)
			s.want(now, task{op: opUpdate})
		case s.state == established, s.state == initSent, s.state == authSent:
			s.path = path // the Delete comes from where we are
			s.closeFor(now, session.NoResponse, "our outside address is another now, and the peer does not follow (no MOBIKE, or the peer began the IKE SA); beginning anew")
		}
	}
}
