package ikev2

import (
	"bytes"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// Where CREATE_CHILD_SA agrees on more than one key exchange, the others follow it, one IKE_FOLLOWUP_KE each, and the new
// SA is made by the last (RFC 9370 §2.2.4). Other exchanges may come between, so a link that the responder makes up says
// which SA an IKE_FOLLOWUP_KE is for (H-05):
//
//	CREATE_CHILD_SA   SA Ni KEi …  ──►  ◄──  SA Nr KEr … N(ADDITIONAL_KEY_EXCHANGE)(link1)
//	IKE_FOLLOWUP_KE   KEi(1) N(…)(link1)  ──►  ◄──  KEr(1) N(…)(link2)
//	IKE_FOLLOWUP_KE   KEi(2) N(…)(link2)  ──►  ◄──  KEr(2)                     both have the SA now
//
// Who loses a collision of such rekeys by the nonces has nothing to delete yet, and just does not go on.

// A mixture is what the keys of an SA made by CREATE_CHILD_SA come from.
type mixture struct {
	nonces
	shared [][]byte       // SK(0), which is nil where there was no key exchange, then SK(1) and so on
	rest   []*suite.Group // what must still take place, in this order and none left out (H-04)
}

// more reports whether key exchanges are missing.
func (x *mixture) more() bool { return len(x.rest) > 0 }

// take adds the secret of the next key exchange.
func (x *mixture) take(shared []byte) {
	x.shared, x.rest = append(x.shared, shared), x.rest[1:]
}

// first and others are the secrets as the formulas have them: SK(0) | Ni | Nr | SK(1) | … (RFC 9370 §2.2.4).
func (x *mixture) first() []byte    { return x.shared[0] }
func (x *mixture) others() [][]byte { return x.shared[1:] }

func (x *mixture) wipe() {
	for _, shared := range x.shared {
		clear(shared)
	}
	x.shared = nil
}

// An unfinished SA is one that the peer makes, as long as key exchanges are missing.
type unfinished struct {
	mixture
	link  []byte
	until time.Time
	child *child      // one of the two
	old   esp.ChildID // the Child SA that it replaces; 0 for a new one
	ike   *SA
}

// Limits of what a peer may leave unfinished. RFC 9370 §2.2.4 advises to wait for 5 to 20 s.
const (
	maxUnfinished  = 4
	unfinishedLife = 20 * time.Second
)

// linkLen is how long our links are: not to be met by chance.
const linkLen = 8

func linkNotify(link []byte) wire.Payload {
	return &wire.Notify{Kind: wire.NotifyAdditionalKeyExchange, Data: link}
}

// linkIn returns the link of a message; nil is none.
func linkIn(m *message) []byte {
	if n := m.notify(wire.NotifyAdditionalKeyExchange); n != nil {
		return n.Data
	}
	return nil
}

// leave keeps u until the peer goes on with it and returns what tells the peer how.
func (s *SA) leave(now time.Time, u *unfinished) wire.Payload {
	u.link, u.until = make([]byte, linkLen), now.Add(unfinishedLife)
	s.p.random(u.link)
	if !slices.Contains(s.unfinished, u) {
		s.unfinished = append(s.unfinished, u)
	}
	return linkNotify(u.link)
}

// leaveChild answers CREATE_CHILD_SA with a Child SA that has more key exchanges before it. A peer that has begun a
// successor of the same Child SA before has given that up.
func (s *SA) leaveChild(now time.Time, m *message, old esp.ChildID, c *child, answer []wire.Payload) error {
	u := &unfinished{mixture: *c.from, child: c, old: old}
	for _, before := range slices.Clone(s.unfinished) {
		if before.child != nil && before.old == old {
			s.forsake(before)
		}
	}
	if err := s.room(); err != nil {
		s.forsake(u)
		return err
	}
	s.reply(now, m, append(answer, s.leave(now, u)))
	if mine := s.replacing(old); mine != nil && old != 0 {
		mine.rival = &childRival{c: c, n: u.nonces, u: u}
	}
	return nil
}

// leaveIKE does the same for the successor of the IKE SA.
func (s *SA) leaveIKE(now time.Time, m *message, u *unfinished, answer []wire.Payload) error {
	for _, before := range slices.Clone(s.unfinished) {
		if before.ike != nil {
			s.forsake(before)
		}
	}
	if err := s.room(); err != nil {
		s.forsake(u)
		return err
	}
	s.reply(now, m, append(answer, s.leave(now, u)))
	if mine := s.rekeying(); mine != nil {
		mine.rival = &ikeRival{sa: u.ike, n: u.nonces, u: u}
	}
	return nil
}

// room refuses one more unfinished SA where there are too many.
func (s *SA) room() error {
	if len(s.unfinished) >= maxUnfinished {
		return temporaryFailure("too many SAs wait for their key exchanges")
	}
	return nil
}

// forsake forgets u: its SPI goes back, its secrets are wiped.
func (s *SA) forsake(u *unfinished) {
	s.unfinished = slices.DeleteFunc(s.unfinished, func(have *unfinished) bool { return have == u })
	u.wipe()
	if u.child != nil {
		s.p.childOp(session.ChildOp{Op: session.Remove, ID: u.child.id})
	}
}

// forsakeAll forgets everything that the peer left unfinished.
func (s *SA) forsakeAll() {
	for _, u := range slices.Clone(s.unfinished) {
		s.forsake(u)
	}
}

// yields reports whether the peer is about to replace this IKE SA: then nothing of ours begins on it.
func (s *SA) yields() bool {
	return slices.ContainsFunc(s.unfinished, func(u *unfinished) bool { return u.ike != nil })
}

// successorComes reports whether the peer is about to replace a Child SA.
func (s *SA) successorComes(id esp.ChildID) bool {
	return slices.ContainsFunc(s.unfinished, func(u *unfinished) bool { return u.child != nil && u.old == id })
}

// unfinishedEnds is the first time that something unfinished is given up; zero is never.
func (s *SA) unfinishedEnds() (at time.Time) {
	for _, u := range s.unfinished {
		at = earliest(at, u.until)
	}
	return at
}

// expireUnfinished gives up what the peer does not go on with.
func (s *SA) expireUnfinished(now time.Time) {
	for _, u := range slices.Clone(s.unfinished) {
		if due(now, u.until) {
			s.forsake(u)
		}
	}
	s.next(now)
}

// answerFollowup is the responder's half. The last one makes the SA.
func (s *SA) answerFollowup(now time.Time, m *message) error {
	link := linkIn(m)
	at := slices.IndexFunc(s.unfinished, func(u *unfinished) bool { return len(link) > 0 && bytes.Equal(u.link, link) })
	if at < 0 {
		return &localError{notify: wire.NotifyStateNotFound, reason: session.RekeyFailed, hint: "the peer goes on with key exchanges of an SA that is not there"}
	}
	u := s.unfinished[at]
	group := u.rest[0]
	if m.ke.Group != group.ID {
		s.forsake(u)
		return otherMethod(m.ke.Group, group)
	}
	public, shared, err := group.Respond(s.p.source(), m.ke.Data)
	if err != nil {
		s.forsake(u)
		return badPublicValue(err)
	}
	u.take(shared)
	answer := []wire.Payload{&wire.KE{Group: group.ID, Data: public}}
	if u.more() {
		s.reply(now, m, append(answer, s.leave(now, u)))
		return nil
	}
	s.unfinished = slices.Delete(s.unfinished, at, at+1)
	if u.ike != nil {
		return s.finishIKE(now, m, u, answer)
	}
	return s.finishChild(now, m, u, answer)
}

// finishChild installs the Child SA and answers, then does what answering CREATE_CHILD_SA does without more exchanges.
func (s *SA) finishChild(now time.Time, m *message, u *unfinished, answer []wire.Payload) error {
	if err := s.keyChild(u.child, &u.mixture, false); err != nil {
		s.p.childOp(session.ChildOp{Op: session.Remove, ID: u.child.id})
		return err
	}
	s.install(now, u.child)
	s.pollAt = now.Add(pollEvery)
	s.reply(now, m, answer)
	s.childMadeByPeer(now, u.old, u.child, u.nonces)
	return nil
}

// finishIKE makes the successor of the IKE SA and answers.
func (s *SA) finishIKE(now time.Time, m *message, u *unfinished, answer []wire.Payload) error {
	if err := s.begin(now, u.ike, &u.mixture); err != nil {
		return err
	}
	s.reply(now, m, answer)
	s.ikeMadeByPeer(now, u.ike, u.nonces)
	return nil
}

// askFollowup sends the next key exchange of our open request r, whose last answer was m.
func (s *SA) askFollowup(now time.Time, m *message, r *request) {
	link, x := linkIn(m), r.mixture()
	if len(link) == 0 {
		s.followupSpoilt(now, r, invalidSyntax("more key exchanges are agreed, and it has no link to them"))
		return
	}
	group := x.rest[0]
	pair, err := group.Generate(s.p.source())
	if err != nil {
		s.followupSpoilt(now, r, err)
		return
	}
	next := &request{op: opFollowup, child: r.child, ike: r.ike}
	next.setPair(pair)
	s.ask(now, wire.IKEFollowupKE, []wire.Payload{&wire.KE{Group: group.ID, Data: pair.Public()}, linkNotify(link)}, "go on with "+group.Name, next)
}

// followupAnswered takes one more secret. The last one makes the SA.
func (s *SA) followupAnswered(now time.Time, m *message) error {
	r := m.request
	pair, x := r.pair(), r.mixture()
	defer pair.Wipe()
	if m.ke.Group != pair.Group().ID {
		s.followupSpoilt(now, r, otherMethod(m.ke.Group, pair.Group()))
		return nil
	}
	shared, err := pair.Shared(m.ke.Data)
	if err != nil {
		s.followupSpoilt(now, r, badPublicValue(err))
		return nil
	}
	x.take(shared)
	switch {
	case x.more() && (s.state == replaced || s.closing()): // the peer has decided for its own, or nobody wants it any more
		x.wipe()
	case x.more():
		s.askFollowup(now, m, r)
	case r.ike != nil:
		return s.ikeMade(now, r.ike)
	default:
		s.childMade(now, r)
	}
	return nil
}

// followupRefused ends our request: the peer does not know of it any more, or is busy.
func (s *SA) followupRefused(now time.Time, m *message) error {
	s.followupSpoilt(now, m.request, refusalOf(m))
	return nil
}

// followupSpoilt gives up the SA that we were making. The one it should replace lives on.
func (s *SA) followupSpoilt(now time.Time, r *request, err error) {
	r.mixture().wipe()
	if s.closing() { // nobody wants it any more
		return
	}
	if r.ike == nil {
		s.childSpoilt(now, r, err)
		return
	}
	if fatal(err) {
		reason, hint := s.reasonOf(err, opRekeyIKE)
		s.closeFor(now, reason, hint)
		return
	}
	if s.state == replaced { // the peer has decided for its own
		return
	}
	if r.ike.rival.stands() {
		s.inherit(now, r.ike.rival.sa)
		return
	}
	s.rekeyIKELater(now, err)
}

// mixture, pair and setPair are of the SA that the request makes.
func (r *request) mixture() *mixture {
	if r.ike != nil {
		return &r.ike.mixture
	}
	return &r.child.mixture
}

func (r *request) pair() *suite.KeyPair {
	if r.ike != nil {
		return r.ike.pair
	}
	return r.child.pair
}

func (r *request) setPair(pair *suite.KeyPair) {
	if r.ike != nil {
		r.ike.pair = pair
		return
	}
	r.child.pair = pair
}

// newChild reports whether the request is for a Child SA beside those there are, by CREATE_CHILD_SA.
func (r *request) newChild() bool {
	return r.op == opNewChild || r.op == opFollowup && r.child != nil && r.child.old == 0
}
