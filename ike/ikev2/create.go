package ikev2

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// maxChildren bounds the Child SAs of one IKE SA, those being rekeyed included (SM-11).
const maxChildren = 16

// maxSAs bounds the IKE SAs of one peer that wait for a Delete, and maxFading the Child SAs that still receive what is on
// its way: a peer may rekey as fast as it can (DOS-08).
const (
	maxSAs    = 8
	maxFading = 16
)

// askNewChild asks for the Child SA (RFC 7296 §1.3.1), unless the peer has made it while our request waited.
func (s *SA) askNewChild(now time.Time) {
	if _, ok := s.missing(); ok {
		s.askChild(now, opNewChild, nil, s.firstChildGroup(), 0)
	}
}

// askRekeyChild asks for a successor of one Child SA (RFC 7296 §1.3.3, §2.8). One that is itself a successor which the
// peer has not shown to have waits: the peer would answer that it does not know it.
func (s *SA) askRekeyChild(now time.Time, id esp.ChildID) {
	c := s.child(id)
	switch {
	case c == nil || c.state != childUp:
	case c.awaits() && slices.ContainsFunc(s.children, func(old *child) bool { return old.state == childReplaced && old.replacedBy == id }):
		c.rekeyAt = now.Add(s.retryAfter(s.p.cfg.ChildLifetime))
	case s.successorComes(id):
		c.rekeyAt = now.Add(unfinishedLife)
	default:
		c.state, c.rekeyAt = childRekeying, time.Time{}
		s.askChild(now, opRekeyChild, c, s.firstChildGroup(), 0)
	}
}

// firstChildGroup is the group for PFS that we try first; nil is none.
func (s *SA) firstChildGroup() *suite.Group {
	if groups := suite.Groups(s.p.cfg.ESP); len(groups) > 0 {
		return groups[0]
	}
	return nil
}

// askChild sends CREATE_CHILD_SA for a new Child SA, or for the successor of old.
func (s *SA) askChild(now time.Time, what op, old *child, group *suite.Group, again int) {
	if why := s.p.cfg.misfit(s.nat); why != nil { // since the path has changed
		s.closeFor(now, why.reason, why.hint)
		return
	}
	x := s.newChildExchange(true, old)
	x.ni, x.again = s.p.newNonce(), again
	var list []wire.Payload
	story := "ask for a new Child SA"
	if old != nil {
		x.old, story = old.id, "ask to rekey a Child SA"
		list = append(list, &wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(esp.SPI(old.id)), Kind: wire.NotifyRekeySA})
	}
	list = append(list, x.offer[0], &wire.Nonce{Data: x.ni})
	if group != nil {
		pair, err := group.Generate(s.p.source())
		if err != nil {
			s.childFailed(now, x, err)
			return
		}
		x.pair = pair
		list = append(list, &wire.KE{Group: group.ID, Data: pair.Public()})
	}
	list = append(list, x.offer[1:]...)
	s.ask(now, wire.CreateChildSA, list, story, &request{op: what, child: x})
}

// busy is the answer while this IKE SA is about to go, or our own request is in the way (RFC 7296 §2.25).
func (s *SA) busy() error {
	if s.state != established || s.closing() || s.rekeying() != nil {
		return temporaryFailure("another exchange is in the way")
	}
	return nil
}

func temporaryFailure(hint string) *localError {
	return &localError{notify: wire.NotifyTemporaryFailure, reason: session.RekeyFailed, hint: hint}
}

// answerNewChild makes a Child SA beside the ones there are. Where both ends ask at once for the one that they miss, the
// request of the IKE SA's initiator counts.
func (s *SA) answerNewChild(now time.Time, m *message) error {
	if err := s.busy(); err != nil {
		return err
	}
	if s.initiator && s.open != nil && s.open.newChild() {
		return temporaryFailure("our own request for the same is open")
	}
	if err := s.tooAlike(m); err != nil {
		return err
	}
	return s.answerChild(now, m, 0)
}

// answerRekeyChild makes the successor of a Child SA. Outbound traffic stays on the old one until the peer shows that it
// has the new one: by its Delete, or by a packet (RFC 7296 §2.8).
func (s *SA) answerRekeyChild(now time.Time, m *message) error {
	notify := m.notify(wire.NotifyRekeySA)
	if notify.Protocol != wire.ProtoESP || len(notify.SPI) != 4 {
		return invalidSyntax("REKEY_SA does not name an ESP SA")
	}
	if err := s.busy(); err != nil {
		return err
	}
	spi := esp.SPI(binary.BigEndian.Uint32(notify.SPI))
	old := s.childByOut(spi)
	if old == nil && s.open != nil && s.open.newChild() { // it may be in the answer that we wait for
		return temporaryFailure("our own request for a Child SA is open, and may have made it")
	}
	if old == nil {
		s.reply(now, m, []wire.Payload{&wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(spi), Kind: wire.NotifyChildSANotFound}})
		return nil
	}
	mine := s.replacing(old.id)
	if old.state != childUp && (mine == nil || mine.rival != nil || s.open.op == opFollowup) { // RFC 9370 §2.2.4
		return temporaryFailure("the Child SA is being deleted or rekeyed, or has been replaced")
	}
	return s.answerChild(now, m, old.id)
}

// answerChild is what both have in common: choose, install, answer. Where more key exchanges are agreed, the last of
// them installs. old is the Child SA that is rekeyed; 0 is none.
func (s *SA) answerChild(now time.Time, m *message, old esp.ChildID) error {
	n := nonces{i: m.nonce.Data, r: s.p.newNonce()}
	if len(s.children)+len(s.unfinished) >= max(maxChildren, 2*len(s.p.pairs())) {
		return &localError{notify: wire.NotifyNoAdditionalSAs, reason: session.RateLimited, hint: "the peer asks for too many Child SAs"}
	}
	answer, c, err := s.acceptChild(now, m, n, true)
	if err != nil {
		return err
	}
	c.replaces = old
	if c.from != nil {
		return s.leaveChild(now, m, old, c, answer)
	}
	s.install(now, c)
	s.pollAt = now.Add(pollEvery)
	s.reply(now, m, answer)
	s.childMadeByPeer(now, old, c, n)
	return nil
}

// childMadeByPeer puts a Child SA that the peer made into use, or leaves that to the end of our own request for the
// successor of the same.
func (s *SA) childMadeByPeer(now time.Time, old esp.ChildID, c *child, n nonces) {
	if old == 0 {
		if s.p.agreed() || !s.serves(pair{c.local, c.remote}, c) {
			s.activate(now, c)
		}
		s.announceUp(now, c)
		return
	}
	if mine := s.replacing(old); mine != nil {
		mine.rival = &childRival{c: c, n: n}
		return
	}
	s.yieldTo(now, old, c)
}

// childAnswered takes the answer for a Child SA, new or in place of another, and makes it or goes on to it.
func (s *SA) childAnswered(now time.Time, m *message) error {
	r, x := m.request, m.request.child
	if r.op == opNewChild {
		s.mayPair(m)
		s.spread(m)
	}
	_, err := s.completeChild(now, m, x, nonces{i: x.ni, r: m.nonce.Data}, true)
	switch {
	case err != nil:
		s.childSpoilt(now, r, err)
	case !x.more():
		s.childMade(now, r)
	case !s.staysBack(now, x):
		s.askFollowup(now, m, r)
	}
	return nil
}

// childMade puts the Child SA of our request into use. One that replaces another gets its traffic, and the old one is
// deleted (RFC 7296 §2.8).
func (s *SA) childMade(now time.Time, r *request) {
	x, c := r.child, r.child.made
	if len(x.shared) > 0 { // the keys had to wait for more key exchanges
		if err := s.keyChild(c, &x.mixture, true); err != nil {
			s.childSpoilt(now, r, err)
			return
		}
	}
	c.replaces = x.old
	s.install(now, c)
	switch {
	case x.old == 0:
		s.activate(now, c)
		s.announceUp(now, c)
		s.fill(now)
	case x.rival != nil:
		s.resolveChildren(now, x, c, x.nonces)
	default:
		s.takeOver(now, x.old, c)
	}
}

// takeOver moves traffic to c, which we made, and deletes the SA it replaces.
func (s *SA) takeOver(now time.Time, old esp.ChildID, c *child) {
	s.activate(now, c)
	s.announceRekey(now, c, old)
	if replaced := s.child(old); replaced != nil {
		replaced.state, replaced.replacedBy = childDeleting, c.id
		s.want(now, task{opDeleteChild, replaced.id})
	}
}

// yieldTo leaves old to the peer, which made c to replace it and will delete it.
func (s *SA) yieldTo(now time.Time, old esp.ChildID, c *child) {
	if replaced := s.child(old); replaced != nil {
		replaced.state, replaced.replacedBy, replaced.rekeyAt = childReplaced, c.id, time.Time{}
	} else {
		s.activate(now, c)
	}
	s.announceRekey(now, c, old)
}

func (s *SA) announceRekey(now time.Time, c *child, old esp.ChildID) {
	s.p.emit(session.Event{Kind: session.ChildRekeyed, Time: now, IKE: s.info(), Child: c.info(), Old: old})
	s.announceWeak(now, c)
}

// replacing returns our open request to replace a Child SA, or nil.
func (s *SA) replacing(id esp.ChildID) *childExchange {
	if s.open == nil || s.open.child == nil || s.open.child.old != id {
		return nil
	}
	return s.open.child
}

// childRefused is an error notify in answer to our request, or nonsense.
func (s *SA) childRefused(now time.Time, m *message) error {
	r := m.request
	x, err := r.child, m.refusal()
	if err == nil {
		s.childSpoilt(now, r, refusalOf(m))
		return nil
	}
	group := namedGroup(s.p.cfg.ESP, err.data)
	switch {
	case x.rival != nil: // the peer's own successor stands (RFC 7296 §2.25.1)
		s.release(x)
		s.fallBack(now, x)
	case err.notify == wire.NotifyInvalidKEPayload && group != nil && x.again < maxRestarts:
		s.release(x)
		s.askChild(now, r.op, s.child(x.old), group, x.again+1)
	case err.notify != wire.NotifyTemporaryFailure && s.enough(x):
		s.release(x)
	case r.op == opNewChild && len(s.children) > 0 && (!s.p.pairwise() || err.notify == wire.NotifyTemporaryFailure):
		s.release(x) // the peer's own request was in the way, and has made it
		s.refill(now)
	case r.op == opNewChild:
		s.childFailed(now, x, err)
	case err.notify == wire.NotifyChildSANotFound:
		s.release(x)
		if old := s.child(x.old); old != nil { // the peer has lost it (RFC 7296 §2.25): make another
			s.drop(now, old)
			s.p.emit(session.Event{Kind: session.ChildDown, Time: now, Reason: session.PeerDeleted,
				Hint: "the peer does not know the Child SA any more", IKE: s.info(), Child: old.info()})
		}
		if _, ok := s.missing(); ok {
			s.want(now, task{op: opNewChild})
		}
	default:
		s.rekeyLater(now, x, err)
	}
	return nil
}

// childSpoilt ends our request r for a Child SA, new or in place of another, with an answer that we do not take. The IKE
// SA lives on, but for a public value that is none.
func (s *SA) childSpoilt(now time.Time, r *request, err error) {
	if fatal(err) {
		s.release(r.child)
		reason, hint := s.reasonOf(err, r.op)
		s.closeFor(now, reason, hint)
		return
	}
	if r.child.old == 0 {
		s.childFailed(now, r.child, err)
		return
	}
	s.rekeyLater(now, r.child, err)
	s.deleteRefused(now, r.child, err)
}

// fallBack takes the peer's successor because ours has come to nothing, or goes on with the old Child SA, if that is
// still there.
func (s *SA) fallBack(now time.Time, x *childExchange) {
	old := s.child(x.old)
	switch {
	case old == nil || old.state != childRekeying:
	case s.rivalOf(x) != nil:
		s.yieldTo(now, x.old, s.rivalOf(x))
	default:
		old.state, old.rekeyAt = childUp, now.Add(s.retryAfter(s.p.cfg.ChildLifetime))
	}
}

// rekeyLater keeps the old Child SA and tries again, as long as it lives.
func (s *SA) rekeyLater(now time.Time, x *childExchange, err error) {
	if s.disproved(now, x, err) {
		return
	}
	s.release(x)
	s.fallBack(now, x)
	if old := s.child(x.old); old != nil {
		old.denied = true
	}
	s.rekeyFailed(now, err, opRekeyChild)
}

// rekeyFailed tells of a rekey that was refused, unless only its moment was wrong (RFC 7296 §2.25).
func (s *SA) rekeyFailed(now time.Time, err error, about op) {
	if refusal, ok := errors.AsType[*peerError](err); ok && refusal.notify == wire.NotifyTemporaryFailure {
		return
	}
	_, hint := s.reasonOf(err, about)
	s.p.emit(session.Event{Kind: session.Failed, Time: now, Reason: session.RekeyFailed, Hint: hint, IKE: s.info(), Offers: s.explain(err, about)})
}

// childFailed reports that there is no Child SA; the IKE SA lives on (RFC 7296 §2.21.2).
func (s *SA) childFailed(now time.Time, x *childExchange, err error) {
	if refusal, ok := errors.AsType[*peerError](err); ok {
		refusal.asked = &pair{x.local, x.remote}
	}
	if s.parted(now, x, err) {
		return
	}
	s.release(x)
	reason, hint := s.reasonOf(err, opNewChild)
	s.p.emit(session.Event{Kind: session.ChildFailed, Time: now, Reason: reason, Hint: hint, IKE: s.info(),
		Offers: s.explain(err, opNewChild)})
	s.deleteRefused(now, x, err)
}

// deleteRefused tells the peer that we do not take what it answered: it has installed it.
func (s *SA) deleteRefused(now time.Time, x *childExchange, err error) {
	if _, ours := errors.AsType[*localError](err); ours {
		s.want(now, task{opDeleteChild, esp.ChildID(x.spi)})
	}
}

// childRefusal is the notify with which IKE_AUTH says that the Child SA could not be made.
func (s *SA) childRefusal(now time.Time, err error) *wire.Notify {
	reason, hint := s.reasonOf(err, opNewChild)
	s.p.emit(session.Event{Kind: session.ChildFailed, Time: now, Reason: reason, Hint: hint, IKE: s.info(),
		Offers: s.explain(err, opNewChild)})
	if local, ok := errors.AsType[*localError](err); ok {
		return &wire.Notify{Kind: local.notify, Data: local.data}
	}
	return &wire.Notify{Kind: wire.NotifyNoProposalChosen}
}
