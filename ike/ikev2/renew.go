package ikev2

import (
	"net/netip"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// A peer may refuse to rekey for as long as it likes (TEMPORARY_FAILURE, RFC 7296 §2.25), and the simplest ones always do: they
// have one Child SA in one IKE SA (NO_ADDITIONAL_SAS, §1.3). What has been refused is asked for again every few seconds.
// Shortly before its hard end whoever began the IKE SA begins another beside it, from the start; once that is up the engine
// lets the older go, so that traffic always has a Child SA. Should that come to nothing it is begun again.

// renewAhead is how long before the hard end of something with this lifetime another IKE SA is begun: enough for a few lost
// messages.
func renewAhead(life time.Duration) time.Duration { return min(life/10, time.Minute) }

// renewAt is when to begin another IKE SA because the peer refuses to rekey; zero is never.
func (s *SA) renewAt() (at time.Time) {
	if s.state != established || s.closing() || !s.p.begunOn.Remote.IsValid() {
		return at
	}
	if s.denied && !s.expireAt.IsZero() {
		at = s.expireAt.Add(-renewAhead(s.p.cfg.IKELifetime))
	}
	for _, c := range s.children {
		if c.denied && !c.expireAt.IsZero() && (c.state == childUp || c.state == childRekeying) {
			at = earliest(at, c.expireAt.Add(-renewAhead(s.p.cfg.ChildLifetime)))
		}
	}
	if !at.IsZero() && !s.renewed.IsZero() {
		if again := s.renewed.Add(s.p.backoff().Budget() + renewPause); again.After(at) {
			at = again
		}
	}
	return at
}

// renewPause is how long to wait after an attempt has come to nothing.
const renewPause = 3 * time.Second

// renew asks for another session, to where the peer is now, on the ports of a first message.
func (s *SA) renew(now time.Time) {
	s.renewed = now
	s.p.out.Renew = &session.Initiate{Path: esp.Path{Local: netip.AddrPortFrom(s.path.Local.Addr(), s.p.begunOn.Local.Port()),
		Remote: netip.AddrPortFrom(s.path.Remote.Addr(), s.p.begunOn.Remote.Port())}}
}
