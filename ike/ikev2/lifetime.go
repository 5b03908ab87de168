package ikev2

import (
	"encoding/binary"
	"slices"
	"time"

	"twinbore/ike/session"
)

// setLifetime plans the rekey of an IKE SA and its hard end. Lifetimes are each end's own affair in IKEv2 (RFC 7296 §2.8).
func (s *SA) setLifetime(now time.Time) {
	s.rekeyAt, s.expireAt = s.p.lifetime(now, s.p.cfg.IKELifetime, s.initiator)
}

func (s *SA) setChildLifetime(now time.Time, c *child) {
	c.rekeyAt, c.expireAt = s.p.lifetime(now, s.p.cfg.ChildLifetime, s.initiator)
}

// lifetime returns when to rekey and when to end. The initiator comes first, so that the two ends seldom collide, and
// jitter keeps the tunnels of one gateway apart (hardening §5.3).
func (p *peer) lifetime(now time.Time, life time.Duration, initiator bool) (rekey, expire time.Time) {
	if life == 0 {
		return time.Time{}, time.Time{}
	}
	share := p.cfg.RekeyAt
	if share == 0 {
		share = 0.78
	}
	share += p.cfg.Jitter * (2*p.fraction() - 1)
	if !initiator {
		share += (1 - share) / 2
	}
	return now.Add(time.Duration(share * float64(life))), now.Add(life)
}

// fraction draws from [0, 1).
func (p *peer) fraction() float64 {
	var b [8]byte
	p.random(b[:])
	return float64(binary.BigEndian.Uint64(b[:])>>11) / (1 << 53)
}

// retryAfter is how long to wait after a refused rekey, with jitter so that two ends that refuse each other part
// (RFC 7296 §2.25).
func (s *SA) retryAfter(life time.Duration) time.Duration {
	wait := 10 * time.Second
	if life > 0 {
		wait = min(wait, life/20)
	}
	return wait/2 + time.Duration(s.p.fraction()*float64(wait))
}

// lastHeard is when anything authentic came from the peer: an IKE message or a packet in a Child SA (RFC 7296 §2.4).
func (s *SA) lastHeard() time.Time {
	heard := s.heardAt
	for _, c := range s.children {
		if at := s.p.cfg.LastInbound(c.id); at.After(heard) {
			heard = at
		}
	}
	return heard
}

// livenessAt is when silence makes us ask; zero is never.
func (s *SA) livenessAt() time.Time {
	if s.state != established || s.open != nil || s.yields() || s.p.cfg.DPD.Interval == 0 {
		return time.Time{}
	}
	return s.lastHeard().Add(s.p.cfg.DPD.Interval)
}

// pollEvery is how often we look whether the peer uses a Child SA that it made.
const pollEvery = time.Second

// awaits reports whether c waits for the peer to show that it has it.
func (c *child) awaits() bool { return !c.active && c.state == childUp }

// wake is the SA's earliest deadline.
func (s *SA) wake() time.Time {
	at := earliest(earliest(s.expireAt, s.rekeyAt), s.unfinishedEnds())
	if s.open != nil {
		at = earliest(at, s.open.resendAt)
		if end := s.silenceEnds(s.open.started); !end.IsZero() && !s.lastHeard().After(s.open.started) {
			at = earliest(at, end)
		}
	}
	at = earliest(earliest(at, s.livenessAt()), s.renewAt())
	for _, c := range s.children {
		at = earliest(at, earliest(c.rekeyAt, c.expireAt))
		if c.awaits() {
			at = earliest(at, s.pollAt)
		}
	}
	return at
}

// due reports whether a deadline has come.
func due(now, at time.Time) bool { return !at.IsZero() && !now.Before(at) }

// expire does what is due.
func (s *SA) expire(now time.Time) {
	s.retransmit(now)
	if !slices.Contains(s.p.sas, s) {
		return
	}
	if due(now, s.expireAt) {
		s.outlived(now)
		return
	}
	if s.state != established {
		return
	}
	s.expireUnfinished(now)
	if due(now, s.renewAt()) {
		s.renew(now)
	}
	if due(now, s.rekeyAt) && s.yields() {
		s.rekeyAt = now.Add(unfinishedLife)
	} else if due(now, s.rekeyAt) {
		s.rekeyAt = time.Time{}
		s.want(now, task{op: opRekeyIKE})
	}
	poll := due(now, s.pollAt)
	if poll {
		s.pollAt = now.Add(pollEvery)
	}
	for _, c := range slices.Clone(s.children) {
		s.expireChild(now, c, poll)
	}
	if due(now, s.livenessAt()) {
		s.want(now, task{op: opLiveness})
	}
}

// outlived ends an SA whose time is over.
func (s *SA) outlived(now time.Time) {
	s.expireAt = time.Time{}
	switch s.state {
	case initSent:
		s.unanswered(now)
	case halfOpen:
		s.end(now, session.NoResponse, "the peer began but did not authenticate itself in time")
	case established:
		s.closeFor(now, session.LifetimeExpired, "the IKE SA was not rekeyed in time; compare the lifetimes and proposals on both ends")
	default:
		s.end(now, s.reason, s.hint)
	}
}

func (s *SA) expireChild(now time.Time, c *child, poll bool) {
	switch {
	case due(now, c.expireAt): // an expired SA must not be used (RFC 7296 §2.8)
		if successor := s.child(c.replacedBy); successor != nil {
			s.activate(now, successor)
		}
		s.drop(now, c)
		if c.state == childUp || c.state == childRekeying {
			s.p.emit(session.Event{Kind: session.ChildDown, Time: now, Reason: session.LifetimeExpired,
				Hint: "the Child SA was not rekeyed in time; compare the lifetimes and ESP proposals on both ends", IKE: s.info(), Child: c.info()})
		}
		s.want(now, task{opDeleteChild, c.id})
		s.refill(now)
	case due(now, c.rekeyAt):
		c.rekeyAt = time.Time{}
		s.want(now, task{opRekeyChild, c.id})
	case poll && c.awaits():
		if !s.p.cfg.LastInbound(c.id).IsZero() {
			s.activate(now, c)
		}
	}
}
