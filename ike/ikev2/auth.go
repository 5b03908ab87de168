package ikev2

import (
	"fmt"
	"time"

	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// sendAuth asks for authentication and the first Child SA (RFC 7296 §1.2).
func (s *SA) sendAuth(now time.Time) {
	cfg := &s.p.cfg
	we, err := s.p.ourselves(now, s.path, s.handshake.certReqs, s.handshake.hashes)
	if err != nil {
		reason, hint := s.reasonOf(err, opAuth)
		s.end(now, reason, hint)
		return
	}
	idi := we.id.Wire(true)
	s.localID = we.id.String()
	prove := func() (*wire.Auth, error) { return s.prove(we, s.signedOctets(true, idi.Body())) }
	ppk, err := s.offerPPK(prove)
	if err != nil {
		reason, hint := s.reasonOf(err, opAuth)
		s.end(now, reason, hint)
		return
	}
	proof, err := prove()
	if err != nil {
		reason, hint := s.reasonOf(err, opAuth)
		s.end(now, reason, hint)
		return
	}
	list := append([]wire.Payload{idi}, we.certificates()...)
	list = append(list, s.wishes()...)
	if cfg.RemoteID != (auth.ID{}) {
		list = append(list, cfg.RemoteID.Wire(false))
	}
	list = append(list, proof)
	x := s.newChildExchange(false, nil)
	list = append(list, x.offer...)
	list = append(list, s.p.cfg.supportsMOBIKE()...)
	if cfg.InitialContact {
		list = append(list, &wire.Notify{Kind: wire.NotifyInitialContact})
	}
	list = append(list, ppk...)
	s.state = authSent
	s.ask(now, wire.IKEAuth, list, "authenticate us and ask for a Child SA", &request{op: opAuth, child: x})
}

// answerAuth authenticates the initiator before anything of ours is shown (RFC 7296 §2.15, AUT-11), then makes the Child
// SA. A Child SA that cannot be made does not spoil the authentication (§2.21.2).
func (s *SA) answerAuth(now time.Time, m *message) error {
	if err := s.complete(); err != nil {
		return err
	}
	noChild, err := childless(m)
	if err != nil {
		return err
	}
	if err := s.authenticate(now, m); err != nil {
		return err
	}
	we, err := s.p.ourselves(now, s.path, m.certReqs, s.handshake.hashes)
	if err != nil {
		return s.refuseProof(err)
	}
	we.secret = s.handshake.secret // what the peer has, whichever is newest
	idr := we.id.Wire(false)
	proof, err := s.prove(we, s.signedOctets(false, idr.Body()))
	if err != nil {
		return s.refuseProof(err)
	}
	s.path = m.path
	list := append([]wire.Payload{idr}, we.certificates()...)
	list = append(list, proof)
	list = append(list, s.ppkTaken()...)
	s.localID, s.remoteID = we.id.String(), remoteName(m.idi)
	s.initialContact = m.notify(wire.NotifyInitialContact) != nil
	if s.learnMOBIKE(m); s.mobike.on {
		list = append(list, s.p.cfg.supportsMOBIKE()...)
	}
	nonces := nonces{i: s.handshake.ni, r: s.handshake.nr}
	s.becomeEstablished(now)
	if noChild {
		s.reply(now, m, list)
		return nil
	}
	answer, c, err := s.acceptChild(now, m, nonces, false)
	if err != nil {
		list = append(list, s.childRefusal(now, err))
	} else {
		list = append(list, answer...)
		s.install(now, c)
		s.activate(now, c)
		s.announceUp(now, c)
		s.provePFS(now, c)
	}
	s.reply(now, m, list)
	return nil
}

// authenticate picks the candidate whose peer ID is the one claimed, and verifies that the claim is backed by that
// candidate's own secret (RFC 7296 §1.2, AUT-02). Unknown identity and wrong key look alike from outside (AUT-01).
func (s *SA) authenticate(now time.Time, m *message) error {
	claimed, idErr := auth.FromWire(m.idi)
	var asked auth.ID
	if m.idr != nil {
		asked, _ = auth.FromWire(m.idr)
	}
	cfg, why := s.pick(claimed, asked)
	if idErr != nil {
		cfg, why = nil, idErr.Error()
	}
	var ppkErr *localError
	if cfg != nil {
		if m.auth, ppkErr = s.choosePPK(cfg, m); ppkErr != nil {
			s.settle(*cfg)
			return s.refuseProof(ppkErr)
		}
	}
	octets := s.signedOctets(true, m.idi.Body())
	if cfg == nil {
		s.disbelieve(now, claimed, m, octets)
		return s.refuseProof(&localError{reason: session.IDMismatch, hint: why, offers: s.mistaken(claimed, asked)})
	}
	refused := s.believe(now, cfg, claimed, m, octets)
	s.settle(*cfg)
	if refused != nil {
		refused.hint += s.ppkHint()
		return s.refuseProof(refused)
	}
	return nil
}

// refuseProof is all that an initiator learns, whatever is wrong with its identity, its proof or with us (AUT-01, AUT-04).
func (s *SA) refuseProof(err error) *localError {
	reason, hint := s.reasonOf(err, opAuth)
	return &localError{notify: wire.NotifyAuthenticationFailed, fatal: true, reason: reason, hint: hint, offers: s.explain(err, opAuth)}
}

// pick returns the candidate for an identity, or why there is none. The IKE suite in use must be one that its policy
// allows: it was chosen before the identity was known.
func (s *SA) pick(claimed, asked auth.ID) (*Config, string) {
	why := ""
	for i := range s.p.candidates {
		cfg := &s.p.candidates[i]
		own := cfg.ownID(s.path)
		switch {
		case claimed.Equal(own): // AUT-03
			why = toSelf(claimed)
		case !cfg.RemoteID.Equal(claimed):
			why = fmt.Sprintf("the peer says it is %s, we expect %s; set remote_id here or the identity at the peer", claimed, cfg.RemoteID)
		case asked != (auth.ID{}) && !own.Equal(asked):
			why = fmt.Sprintf("the peer asks for %s, we are %s; set local_id here or the remote identity at the peer", asked, own)
		case !allows(cfg.IKE, s.handshake.chosen):
			why = fmt.Sprintf("%s uses an IKE suite that connection %s does not allow", claimed, cfg.Peer)
		default:
			return cfg, ""
		}
	}
	return nil, why
}

// allows reports whether policy would have chosen this from an offer of nothing else.
func allows(policy []suite.Proposal, chosen wire.Proposal) bool {
	chosen.Number = 1 // it stands alone here
	_, err := suite.Select(policy, &wire.SA{Proposals: []wire.Proposal{chosen}}, wire.ProtoIKE, suite.SelectOptions{Additional: true})
	return err == nil
}

// settle is the moment at which a responder knows with whom it speaks.
func (s *SA) settle(cfg Config) {
	s.p.cfg = cfg
	s.p.candidates = s.p.candidates[:0:0]
}

// authAnswered authenticates the responder, then looks at its answer for the Child SA.
func (s *SA) authAnswered(now time.Time, m *message) error {
	x, n := m.request.child, nonces{i: s.handshake.ni, r: s.handshake.nr}
	if err := s.verifyResponder(now, m); err != nil {
		s.release(x)
		return err
	}
	s.remoteID = remoteName(m.idr)
	s.learnMOBIKE(m)
	s.becomeEstablished(now)
	if m.sa == nil {
		s.childFailed(now, x, refusalOf(m))
		return nil
	}
	c, err := s.completeChild(now, m, x, n, false)
	if err != nil {
		s.childFailed(now, x, err)
		return nil
	}
	s.spread(m)
	s.install(now, c)
	s.activate(now, c)
	s.announceUp(now, c)
	s.mayPair(m)
	s.provePFS(now, c)
	s.fill(now)
	return nil
}

// verifyResponder checks the claimed identity against the configured one, and then its proof.
func (s *SA) verifyResponder(now time.Time, m *message) error {
	cfg := &s.p.cfg
	claimed, err := auth.FromWire(m.idr)
	if err != nil {
		return &localError{reason: session.IDMismatch, hint: err.Error()}
	}
	if claimed.Equal(cfg.ownID(s.path)) { // AUT-03
		return &localError{reason: session.IDMismatch, hint: toSelf(claimed), offers: s.strange(claimed)}
	}
	if cfg.RemoteID != (auth.ID{}) && !claimed.Equal(cfg.RemoteID) {
		return &localError{reason: session.IDMismatch, offers: s.strange(claimed),
			hint: fmt.Sprintf("the peer says it is %s, we expect %s; set remote_id here or the identity at the peer", claimed, cfg.RemoteID)}
	}
	if err := s.ppkAnswered(m); err != nil {
		return err
	}
	octets := s.signedOctets(false, m.idr.Body())
	if refused := s.believe(now, cfg, claimed, m, octets); refused != nil {
		refused.hint += s.ppkHint()
		return refused
	}
	return nil
}

// toSelf explains that whoever is at the other end has our own name: a connection that leads back here, most often.
func toSelf(id auth.ID) string {
	return fmt.Sprintf("the peer says it is %s, which is our own identity; compare local_id and remote_id, and check that remote does not lead back here", id)
}

// authRefused is an answer without AUTH: an error notify, or nonsense (SM-02). It is protected but not authentic: only
// whoever did the key exchange with us can have sent it, and there is nothing at the peer to delete.
func (s *SA) authRefused(now time.Time, m *message) error {
	reason, hint := session.AuthFailed, "the peer's answer proves no identity"
	refusal := m.refusal()
	if refusal != nil {
		reason, hint = s.reasonOf(refusal, opAuth)
		s.offers = s.explain(refusal, opAuth)
	}
	s.release(m.request.child)
	if refusal != nil && refusal.notify == wire.NotifyAuthenticationFailed {
		if s.p.cfg.Auth.Certified(s.p.cfg.Peer) != nil {
			hint = "the peer rejected our certificate or identity; its log says why"
		} else if s.p.olderKey+1 < len(s.p.cfg.Auth.PSKs(s.p.cfg.Peer, now)) {
			s.tryOlderKey(now)
			return nil
		}
	}
	if reason == session.AuthFailed {
		hint += s.ppkHint()
	}
	s.end(now, reason, hint)
	return nil
}

// tryOlderKey begins anew with the next of our accepted keys: the peer may not have the newest yet (F5). A rejected
// IKE SA is at its end at both ends (RFC 7296 §2.21.2), and its failure is no news before the last key has failed.
func (s *SA) tryOlderKey(now time.Time) {
	p := s.p
	p.olderKey++
	s.reported = true
	s.end(now, "", "")
	p.askInit(now, p.begunOn)
}

// refusalOf returns the peer's error notify. An answer that neither refuses nor has what was asked for is our refusal:
// the peer may have made what it does not tell of.
func refusalOf(m *message) error {
	if refusal := m.refusal(); refusal != nil {
		return refusal
	}
	return invalidSyntax("its answer has neither what we asked for nor an error")
}

// remoteName prints an identity that was valid when it was compared.
func remoteName(id *wire.ID) string {
	parsed, err := auth.FromWire(id)
	if err != nil {
		return ""
	}
	return parsed.String()
}

// becomeEstablished is the only way to that state, and only verified AUTH leads here (CVE-2014-2338).
func (s *SA) becomeEstablished(now time.Time) {
	s.state, s.upSince = established, now
	if s.handshake.bare != nil {
		s.ppk = s.p.cfg.PPK.ID
	}
	s.setLifetime(now)
	s.p.emit(session.Event{Kind: session.IKEUp, Time: now, IKE: s.info()})
	for _, weak := range []string{s.suite.Weak(), s.handshake.weak} {
		if weak != "" {
			s.p.emit(session.Event{Kind: session.Weak, Time: now, Hint: weak, IKE: s.info()})
		}
	}
	s.forget()
}
