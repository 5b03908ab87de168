package ikev2

import (
	"encoding/binary"
	"errors"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// maxChildren bounds the Child SAs of one IKE SA, those being rekeyed included (SM-11).
const maxChildren = 16

// askNewChild asks for a Child SA beside the ones there are (RFC 7296 §1.3.1).
func (s *SA) askNewChild(now time.Time) {
	s.askChild(now, opNewChild, nil, s.firstChildGroup(), 0)
}

// askRekeyChild asks for a successor of one Child SA (RFC 7296 §1.3.3, §2.8).
func (s *SA) askRekeyChild(now time.Time, id esp.ChildID) {
	if c := s.child(id); c != nil && c.state == childUp {
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
	x := s.newChildExchange(true)
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
	if s.state != established || s.open != nil && s.open.op == opRekeyIKE {
		return temporaryFailure("another exchange is in the way")
	}
	return nil
}

func temporaryFailure(hint string) *localError {
	return &localError{notify: wire.NotifyTemporaryFailure, reason: session.RekeyFailed, hint: hint}
}

// answerNewChild makes a Child SA beside the ones there are.
func (s *SA) answerNewChild(now time.Time, m *message) error {
	if err := s.busy(); err != nil {
		return err
	}
	c, err := s.answerChild(now, m)
	if err != nil {
		return err
	}
	if len(s.children) == 1 {
		s.activate(now, c)
	}
	s.announceUp(now, c)
	return nil
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
	if old == nil {
		s.reply(now, m, []wire.Payload{&wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(spi), Kind: wire.NotifyChildSANotFound}})
		return nil
	}
	if old.state != childUp {
		return temporaryFailure("the Child SA is being rekeyed or deleted by us")
	}
	c, err := s.answerChild(now, m)
	if err != nil {
		return err
	}
	old.state, old.replacedBy, old.rekeyAt = childReplaced, c.id, time.Time{}
	s.p.emit(session.Event{Kind: session.ChildRekeyed, Time: now, IKE: s.info(), Child: c.info(), Old: old.id})
	s.announceWeak(now, c)
	return nil
}

// answerChild is what both have in common: choose, install, answer.
func (s *SA) answerChild(now time.Time, m *message) (*child, error) {
	if len(s.children) >= maxChildren {
		return nil, &localError{notify: wire.NotifyNoAdditionalSAs, reason: session.RateLimited, hint: "the peer asks for too many Child SAs"}
	}
	answer, c, err := s.acceptChild(now, m, nonces{i: m.nonce.Data, r: s.p.newNonce()}, true)
	if err != nil {
		return nil, err
	}
	s.install(now, c)
	s.pollAt = now.Add(pollEvery)
	s.reply(now, m, answer)
	return c, nil
}

// childAnswered completes a new Child SA.
func (s *SA) childAnswered(now time.Time, m *message) error {
	x := m.request.child
	c, err := s.completeChild(now, m, x, nonces{i: x.ni, r: m.nonce.Data}, true)
	if err != nil {
		s.childFailed(now, x, err)
		return nil
	}
	s.install(now, c)
	s.activate(now, c)
	s.announceUp(now, c)
	return nil
}

// childRekeyed moves traffic to the successor and deletes the old Child SA (RFC 7296 §2.8).
func (s *SA) childRekeyed(now time.Time, m *message) error {
	x := m.request.child
	c, err := s.completeChild(now, m, x, nonces{i: x.ni, r: m.nonce.Data}, true)
	if err != nil {
		s.rekeyLater(now, x, err)
		s.deleteRefused(now, x, err)
		return nil
	}
	s.install(now, c)
	s.activate(now, c)
	s.p.emit(session.Event{Kind: session.ChildRekeyed, Time: now, IKE: s.info(), Child: c.info(), Old: x.old})
	s.announceWeak(now, c)
	if old := s.child(x.old); old != nil {
		old.state = childDeleting
		s.want(now, task{opDeleteChild, old.id})
	}
	return nil
}

// childRefused is an error notify in answer to our request, or nonsense.
func (s *SA) childRefused(now time.Time, m *message) error {
	r := m.request
	x, err := r.child, refusalOr(m, wire.NotifyInvalidSyntax)
	group := namedGroup(s.p.cfg.ESP, err.data)
	switch {
	case err.notify == wire.NotifyInvalidKEPayload && group != nil && x.again < maxRestarts:
		s.release(x)
		s.askChild(now, r.op, s.child(x.old), group, x.again+1)
	case r.op == opNewChild:
		s.childFailed(now, x, err)
	case err.notify == wire.NotifyChildSANotFound:
		s.release(x)
		if old := s.child(x.old); old != nil { // the peer has lost it (RFC 7296 §2.25): make another
			s.drop(old)
			s.p.emit(session.Event{Kind: session.ChildDown, Time: now, Reason: session.PeerDeleted,
				Hint: "the peer does not know the Child SA any more", IKE: s.info(), Child: old.info()})
		}
		s.want(now, task{op: opNewChild})
	default:
		s.rekeyLater(now, x, err)
	}
	return nil
}

// rekeyLater keeps the old Child SA and tries again, as long as it lives.
func (s *SA) rekeyLater(now time.Time, x *childExchange, err error) {
	s.release(x)
	if old := s.child(x.old); old != nil && old.state == childRekeying {
		old.state, old.rekeyAt = childUp, now.Add(s.retryAfter(s.p.cfg.ChildLifetime))
	}
	_, hint := reasonOf(err, opRekeyChild)
	s.p.emit(session.Event{Kind: session.Failed, Time: now, Reason: session.RekeyFailed, Hint: hint, IKE: s.info()})
}

// childFailed reports that there is no Child SA; the IKE SA lives on (RFC 7296 §2.21.2).
func (s *SA) childFailed(now time.Time, x *childExchange, err error) {
	s.release(x)
	reason, hint := reasonOf(err, opNewChild)
	s.p.emit(session.Event{Kind: session.ChildFailed, Time: now, Reason: reason, Hint: hint, IKE: s.info()})
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
	reason, hint := reasonOf(err, opNewChild)
	s.p.emit(session.Event{Kind: session.ChildFailed, Time: now, Reason: reason, Hint: hint, IKE: s.info()})
	if local, ok := errors.AsType[*localError](err); ok {
		return &wire.Notify{Kind: local.notify, Data: local.data}
	}
	return &wire.Notify{Kind: wire.NotifyNoProposalChosen}
}
