package ikev2

import (
	"errors"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// What Child SAs there are to be: one for everything, or one for each pair of a local and a remote network. A peer that
// cannot have several in one says so (SINGLE_PAIR_REQUIRED, ADDITIONAL_TS_POSSIBLE, RFC 7296 §2.9), or the configuration
// does. Of several, all are made one after the other, by the end that began; what the peer refuses is asked for again
// after a while.

// A pair is the selectors of one Child SA that is to be.
type pair struct{ local, remote []esp.Selector }

// A pairing is what a peer remembers of this.
type pairing struct {
	single  bool                     // the peer has shown that it wants pairs
	leads   bool                     // we began, and make what is missing
	packet  *pair                    // of the packet that waits for the first Child SA; nil: none
	refused map[[2]esp.Selector]bool // pairs that the peer refuses, until fillAt
	fillAt  time.Time                // when to look for pairs that are missing
}

// refillAfter is how long to wait before what is missing is asked for again.
const refillAfter = time.Minute

func (p *peer) pairwise() bool { return p.cfg.PerPair || p.single }

// several reports whether there are to be more Child SAs than one.
func (p *peer) several() bool { return p.pairwise() || p.agreed() }

// pairs returns the Child SAs that the configuration means. That of the packet that waits comes first.
func (p *peer) pairs() []pair {
	if !p.pairwise() {
		return []pair{{p.cfg.Local, p.cfg.Remote}}
	}
	var out []pair
	for _, local := range p.cfg.Local {
		for _, remote := range p.cfg.Remote {
			one := pair{[]esp.Selector{local}, []esp.Selector{remote}}
			switch {
			case local.From.BitLen() != remote.From.BitLen():
			case p.packet != nil && one.covers(*p.packet):
				out = append([]pair{one}, out...)
			default:
				out = append(out, one)
			}
		}
	}
	return out
}

func (a pair) covers(b pair) bool { return within(a.local, b.local) && within(a.remote, b.remote) }

// key is the pair of a pairwise Child SA.
func (a pair) key() [2]esp.Selector { return [2]esp.Selector{a.local[0], a.remote[0]} }

// expect notes the packet that waits, if the policy allows it.
func (p *peer) expect(local, remote []esp.Selector) {
	packet := pair{local, remote}
	if (pair{p.cfg.Local, p.cfg.Remote}).covers(packet) {
		p.packet = &packet
	}
}

// missing returns a Child SA that there should be and is not.
func (s *SA) missing() (pair, bool) {
	if !s.p.pairwise() {
		more := s.p.agreed() && s.p.leads && !s.p.full && s.alike() < min(s.p.cfg.Resources, maxAlike)
		return s.p.pairs()[0], len(s.children) == 0 || more
	}
	for _, one := range s.p.pairs() {
		if !s.p.refused[one.key()] && !s.serves(one, nil) {
			return one, true
		}
	}
	return pair{}, false
}

// serves reports whether a Child SA besides one has traffic of a pair; a narrowed one serves it as well.
func (s *SA) serves(p pair, besides *child) bool {
	for _, c := range s.children {
		if c != besides && c.state != childDeleting && len(narrow(c.local, p.local)) > 0 && len(narrow(c.remote, p.remote)) > 0 {
			return true
		}
	}
	return false
}

// asks returns the selectors to ask for: those of the Child SA that is replaced where there are several, else what is
// missing, with those of the packet that waits in front (RFC 7296 §2.9).
func (s *SA) asks(old *child) pair {
	if old != nil && s.p.pairwise() {
		return pair{old.local, old.remote}
	}
	one, ok := s.missing()
	if !ok {
		one = s.p.pairs()[0]
	}
	if packet := s.p.packet; old == nil && packet != nil && one.covers(*packet) {
		one = pair{append(packet.local[:1:1], one.local...), append(packet.remote[:1:1], one.remote...)}
	}
	return one
}

// fill asks for what is missing.
func (s *SA) fill(now time.Time) {
	s.p.packet = nil
	if _, ok := s.missing(); ok && s.p.leads && s.p.several() && s.state == established && !s.closing() {
		s.want(now, task{op: opNewChild})
	}
}

// refill looks for what is missing after a while.
func (s *SA) refill(now time.Time) {
	if s.p.several() && s.p.leads {
		s.p.fillAt = earliest(s.p.fillAt, now.Add(refillAfter))
	}
}

// mayPair notes that the peer can have more, in Child SAs of their own (ADDITIONAL_TS_POSSIBLE).
func (s *SA) mayPair(m *message) {
	if m.notify(wire.NotifyAdditionalTSPossible) != nil {
		s.p.single = true
	}
}

// parted reports whether a refused request for a Child SA is asked for again in other words: pair by pair where the peer
// takes one at a time, or the next pair.
func (s *SA) parted(now time.Time, x *childExchange, err error) bool {
	refusal, _ := errors.AsType[*peerError](err)
	pairwise := s.p.pairwise()
	if !pairwise {
		if refusal == nil || refusal.notify != wire.NotifySinglePairRequired || len(s.p.cfg.Local)*len(s.p.cfg.Remote) < 2 {
			return false
		}
		s.p.single, s.p.leads = true, true
	} else {
		if s.p.refused == nil {
			s.p.refused = map[[2]esp.Selector]bool{}
		}
		s.p.refused[pair{x.local[len(x.local)-1:], x.remote[len(x.remote)-1:]}.key()] = true
		s.refill(now)
	}
	if _, more := s.missing(); !more || !s.p.leads {
		return false
	}
	s.release(x)
	s.deleteRefused(now, x, err)
	if reason, hint := s.reasonOf(err, opNewChild); pairwise && len(s.children) > 0 {
		s.p.emit(session.Event{Kind: session.ChildFailed, Time: now, Reason: reason, Hint: hint, IKE: s.info()})
	}
	s.want(now, task{op: opNewChild})
	return true
}

// proveAfter is how long the end that answered waits for the other to prove PFS.
const proveAfter = 5 * time.Second

// provePFS has the first Child SA replaced, whose keys are those of the IKE SA's own exchange, so that a PFS group which the
// peer does not take is found now and not at the first rekey.
func (s *SA) provePFS(now time.Time, c *child) {
	if !s.p.cfg.VerifyPFS || s.firstChildGroup() == nil {
		return
	}
	if c.proving = true; s.initiator {
		s.want(now, task{opRekeyChild, c.id})
		return
	}
	c.rekeyAt = earliest(c.rekeyAt, now.Add(proveAfter))
}

// disproved ends the IKE SA when the Child SA that was to prove PFS could not be replaced.
func (s *SA) disproved(now time.Time, x *childExchange, err error) bool {
	old := s.child(x.old)
	refusal, theirs := errors.AsType[*peerError](err)
	if old == nil || !old.proving || theirs && refusal.notify == wire.NotifyTemporaryFailure {
		return false
	}
	s.release(x)
	reason, hint := s.reasonOf(err, opRekeyChild)
	s.closeFor(now, reason, "verify_pfs: "+hint)
	return true
}
