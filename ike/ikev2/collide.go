package ikev2

import (
	"bytes"
	"slices"
	"time"
)

// Both ends may rekey the same SA at once. Each then answers the other's request as usual, so that two successors exist.
// Of their four nonces the lowest decides: the SA it belongs to is redundant, and its own initiator deletes it; the
// initiator of the one that stays deletes the old SA (RFC 7296 §2.8.1, §2.8.2).

// A childRival is the successor that the peer made of a Child SA while our own request for one was open.
type childRival struct {
	c *child
	n nonces
	u *unfinished // what c waits for; nil: nothing
}

// An ikeRival is the same for an IKE SA. It is undecided, and inherits nothing, until our request is answered.
type ikeRival struct {
	sa *SA
	n  nonces
	u  *unfinished // what sa waits for; nil: nothing
}

// stands reports whether there is a successor of the peer's that can still be taken.
func (r *ikeRival) stands() bool {
	return r != nil && r.sa.state == established && slices.Contains(r.sa.p.sas, r.sa)
}

// chosen takes s, a successor of the peer's that we have not decided on, for the one that stays: the peer has heard all
// nonces before us and deletes Child SAs on it.
func (s *SA) chosen(now time.Time) {
	for _, old := range s.p.sas {
		if mine := old.rekeying(); mine != nil && mine.rival.stands() && mine.rival.sa == s && !old.closing() {
			mine.rival = nil
			old.inherit(now, s)
			return
		}
	}
}

// redundant reports whether what was made with mine gives way to what was made with theirs.
func redundant(mine, theirs nonces) bool {
	return bytes.Compare(mine.lowest(), theirs.lowest()) < 0
}

func (n nonces) lowest() []byte {
	if bytes.Compare(n.i, n.r) < 0 {
		return n.i
	}
	return n.r
}

// rivalOf returns the peer's successor of the Child SA that x shall replace, as long as it is in use, or nil.
func (s *SA) rivalOf(x *childExchange) *child {
	if x == nil || x.rival == nil {
		return nil
	}
	if c := s.child(x.rival.c.id); c != nil && c.state == childUp {
		return c
	}
	return nil
}

// resolveChildren decides between c, which we have just made to replace old, and the peer's rival.
func (s *SA) resolveChildren(now time.Time, x *childExchange, c *child, n nonces) {
	rival := s.rivalOf(x)
	switch {
	case s.waits(x.rival.u) && redundant(n, x.rival.n): // theirs comes by IKE_FOLLOWUP_KE
		c.state = childDeleting
		s.want(now, task{opDeleteChild, c.id})
		s.fallBack(now, x)
		return
	case rival == nil && !s.waits(x.rival.u) && s.child(x.old) == nil && redundant(n, x.rival.n): // the peer has decided, and has replaced its own since
		c.state = childDeleting
		s.want(now, task{opDeleteChild, c.id})
		return
	case rival == nil: // the peer has deleted its own already, or does not go on with it
		s.takeOver(now, x.old, c)
		return
	}
	if redundant(n, x.rival.n) {
		c.state = childDeleting
		s.want(now, task{opDeleteChild, c.id})
		if s.child(x.old) != nil || !rival.active { // else the peer has deleted the old one before, and we have gone over already
			s.yieldTo(now, x.old, rival)
		}
		return
	}
	rival.state, rival.replacedBy = childReplaced, c.id
	s.takeOver(now, x.old, c)
}

// waits reports whether the peer may still go on with u.
func (s *SA) waits(u *unfinished) bool { return u != nil && slices.Contains(s.unfinished, u) }

// staysBack reports whether we do not go on with x, for which more key exchanges are agreed, because the peer's rival
// wins: there is nothing to delete yet (RFC 9370 §2.2.4). Where ours wins, the peer does the same, or deletes its own.
func (s *SA) staysBack(now time.Time, x *childExchange) bool {
	if x.rival == nil {
		return false
	}
	theirs := s.rivalOf(x)
	switch {
	case redundant(x.nonces, x.rival.n) && (theirs != nil || s.waits(x.rival.u)):
		s.release(x)
		s.fallBack(now, x)
		return true
	case s.waits(x.rival.u):
		s.forsake(x.rival.u)
	}
	return false
}

// ikeStaysBack is the same for an IKE SA.
func (s *SA) ikeStaysBack(now time.Time, x *rekeyExchange) bool {
	switch {
	case x.rival == nil:
	case !redundant(x.nonces, x.rival.n):
		if s.waits(x.rival.u) {
			s.forsake(x.rival.u)
		}
	case x.rival.stands():
		x.wipe()
		s.inherit(now, x.rival.sa)
		return true
	case s.waits(x.rival.u):
		x.wipe()
		s.rekeyAt = now.Add(unfinishedLife + s.retryAfter(s.p.cfg.IKELifetime))
		return true
	}
	return false
}

// isRival reports whether c is what the peer made while our own request to replace the same Child SA is open. It carries
// no traffic yet; the peer deletes it when ours wins.
func (s *SA) isRival(c *child) bool {
	return s.open != nil && s.open.child != nil && s.open.child.rival != nil && s.open.child.rival.c == c
}
