package ikev2

import (
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// answerInformational answers deletes, notifies, and liveness checks, which carry nothing (RFC 7296 §1.4).
func (s *SA) answerInformational(now time.Time, m *message) error {
	var spis []uint32
	for _, d := range m.deletes {
		switch d.Protocol {
		case wire.ProtoIKE: // all Child SAs go with it; whatever else the message says has no SA to act on
			s.reply(now, m, nil)
			if mine := s.rekeying(); mine != nil && mine.rival.stands() { // its rekey is done, ours will come to nothing
				s.inherit(now, mine.rival.sa)
			}
			s.gone(now, session.PeerDeleted, "the peer deleted the IKE SA")
			return nil
		case wire.ProtoESP:
			s.chosen(now)
			for _, spi := range d.SPIs {
				if mine, ok := s.peerDeletes(now, esp.SPI(spi)); ok {
					spis = append(spis, uint32(mine))
				}
			}
		}
	}
	if m.notify(wire.NotifyAuthenticationFailed) != nil { // how an initiator says that it did not believe our AUTH
		s.reply(now, m, nil)
		s.gone(now, session.AuthFailed, "the peer rejected our pre-shared key or identity; compare the key and the IDs on both ends")
		return nil
	}
	var list []wire.Payload
	if len(spis) > 0 {
		list = append(list, &wire.Delete{Protocol: wire.ProtoESP, SPIs: spis})
	}
	list = append(list, s.answerMobility(now, m)...)
	s.reply(now, m, list)
	return nil
}

// peerDeletes ends the Child SA that the peer knows by spi and returns our SPI for the answer. There is none when our own
// Delete crosses it (RFC 7296 §1.4.1), or when nothing is known by it.
func (s *SA) peerDeletes(now time.Time, spi esp.SPI) (esp.SPI, bool) {
	c := s.childByOut(spi)
	if c == nil {
		return 0, false
	}
	if s.isRival(c) && c.state == childUp { // one that it has replaced since goes as any other does
		s.retire(now, c)
		return esp.SPI(c.id), true
	}
	switch c.state {
	case childDeleting:
		s.retire(now, c)
		return 0, false
	case childRekeying:
		if rival := s.rivalOf(s.replacing(c.id)); rival != nil { // its rekey is done, ours will come to nothing
			s.retire(now, c)
			s.yieldTo(now, c.id, rival)
			break
		}
		s.lost(now, c)
	case childReplaced:
		if successor := s.child(c.replacedBy); successor != nil {
			s.activate(now, successor)
		}
		s.retire(now, c)
	default:
		s.lost(now, c)
	}
	return esp.SPI(c.id), true
}

// lost ends a Child SA that the peer deleted and that has no successor.
func (s *SA) lost(now time.Time, c *child) {
	s.drop(now, c)
	s.refill(now)
	s.p.emit(session.Event{Kind: session.ChildDown, Time: now, Reason: session.PeerDeleted,
		Hint: "the peer deleted the Child SA", IKE: s.info(), Child: c.info()})
}

// gone ends the SA on the peer's word, or with what the peer has done. The answer stays for a repeated request as long as the peer may repeat it.
func (s *SA) gone(now time.Time, reason session.Reason, hint string) {
	s.report(now, reason, hint)
	s.removeChildren(now)
	s.open, s.pending = nil, nil
	s.state, s.rekeyAt, s.expireAt = refused, time.Time{}, now.Add(s.p.backoff().Budget())
}

// askDeleteChild tells the peer that we no longer have a Child SA: by our own SPI for it (RFC 7296 §1.4.1).
func (s *SA) askDeleteChild(now time.Time, id esp.ChildID) {
	s.ask(now, wire.Informational, []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(id)}}},
		"delete a Child SA", &request{op: opDeleteChild, deleting: id})
}

// childrenDeleted ends our half as well.
func (s *SA) childrenDeleted(now time.Time, m *message) error {
	if c := s.child(m.request.deleting); c != nil {
		s.retire(now, c)
	}
	return nil
}

// askDeleteIKE is the last request on an IKE SA (RFC 7296 §2.8).
func (s *SA) askDeleteIKE(now time.Time) {
	s.state, s.expireAt, s.rekeyAt = deleting, time.Time{}, time.Time{}
	s.ask(now, wire.Informational, []wire.Payload{&wire.Delete{Protocol: wire.ProtoIKE}}, "delete the IKE SA",
		&request{op: opDeleteIKE, backoff: deleteBackoff})
}

// deleteBackoff is short: the peer finds out by itself when the Delete is lost.
var deleteBackoff = session.Backoff{First: 500 * time.Millisecond, Factor: 2, Tries: 3}

func (s *SA) ikeDeleted(now time.Time, m *message) error {
	s.end(now, s.reason, s.hint)
	return nil
}
