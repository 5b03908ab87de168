package ikev2

import (
	"encoding/binary"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A handshake is what an IKE SA remembers only until the peer is authenticated.
type handshake struct {
	ni, nr   []byte
	pair     *suite.KeyPair
	peerKE   []byte
	request  []byte // RealMessage1, as sent: AUTH covers it (RFC 7296 §2.15)
	response []byte // RealMessage2
	chosen   wire.Proposal

	intermediates
	ppk  bool  // both ends say that they can use a PPK (RFC 8784)
	bare *bare // once a PPK is in the keys: what they were without

	cookie   []byte // initiator
	restarts int    // by COOKIE and INVALID_KE_PAYLOAD; at most maxRestarts
	refusal  error  // an unprotected refusal, believed only when nothing better comes (RFC 7296 §2.21.1)
	bad      int    // responder: messages that did not open

	secret    auth.Secret     // the one of ours that the peer has
	weak      string          // what is weak about a proof, ours or the peer's
	announced []auth.Hash     // what we said that we verify signatures with
	hashes    []auth.Hash     // what the peer said
	certReqs  []*wire.CertReq // of the responder
}

// maxRestarts bounds how often an unauthenticated answer can send us back to the start.
const maxRestarts = 3

// patience is how long an initiator goes on after an unprotected refusal, which anybody can send: the real answer takes
// one round trip.
const patience = 3 * time.Second

// askInit begins an IKE SA (RFC 7296 §1.2).
func (p *peer) askInit(now time.Time, path esp.Path) {
	s := &SA{p: p, state: initSent, initiator: true, spiI: p.newIKESPI(), path: path, handshake: &handshake{ni: p.newNonce()},
		nat: natStatus{forced: p.forcesEncap()}}
	p.add(s)
	p.begunOn = path
	if _, err := p.ourselves(now, path, nil, auth.Hashes()); err != nil {
		reason, hint := s.reasonOf(err, opInit)
		s.end(now, reason, hint)
		return
	}
	if s.requirePPK(now) {
		s.sendInit(now, suite.Groups(p.cfg.IKE)[0])
	}
}

// sendInit makes the request, anew after a COOKIE or INVALID_KE_PAYLOAD.
func (s *SA) sendInit(now time.Time, group *suite.Group) {
	h := s.handshake
	if h.pair == nil || h.pair.Group() != group {
		pair, err := group.Generate(s.p.source())
		if err != nil {
			s.end(now, session.DatapathError, err.Error())
			return
		}
		if h.pair != nil {
			h.pair.Wipe()
		}
		h.pair = pair
	}
	var list []wire.Payload
	if h.cookie != nil { // first, everything else unchanged (RFC 7296 §2.6)
		list = append(list, &wire.Notify{Kind: wire.NotifyCookie, Data: h.cookie})
	}
	list = append(list,
		&wire.SA{Proposals: suite.Offer(s.p.cfg.IKE, wire.ProtoIKE, nil, suite.WithGroups)},
		&wire.KE{Group: group.ID, Data: h.pair.Public()},
		&wire.Nonce{Data: h.ni})
	list = append(list, s.natNotifies(s.spiI, 0, s.path)...)
	if announcesIntermediate(s.p.cfg.IKE) {
		list = append(list, supportsIntermediate())
	}
	if announcesPPK(s.p.cfg) {
		list = append(list, usesPPK())
	}
	list = append(list, supportsFragments())
	list = append(list, s.announce()...)
	m := &wire.Message{Header: s.header(wire.IKESAInit, 0, false), Payloads: list}
	h.request = m.Marshal()
	s.open = &request{op: opInit, exchange: wire.IKESAInit, started: now, backoff: s.p.backoff(), bytes: [][]byte{h.request}}
	s.nextOut = 1
	s.p.emit(session.Event{Kind: session.Message, Time: now, Sent: true, Exchange: wire.IKESAInit.String(),
		Size: len(h.request), Payloads: wire.Describe(list), Story: "ask for an IKE SA", IKE: s.info()})
	s.send(now)
}

// answerInit is the responder's half. The costly part, the shared secret, waits for IKE_AUTH.
func (s *SA) answerInit(now time.Time, m *message) error {
	h := s.handshake
	if m.SPIi == 0 {
		return invalidSyntax("the initiator's SPI is 0")
	}
	selection, err := s.chooseIKE(m)
	if err != nil {
		return err
	}
	if group := selection.Suite.Group; m.ke.Group != group.ID {
		return &localError{notify: wire.NotifyInvalidKEPayload, data: binary.BigEndian.AppendUint16(nil, group.ID),
			reason: session.InvalidKELoop, hint: "asked the peer to use " + group.Name}
	} else if len(m.ke.Data) != group.PublicLen {
		return invalidSyntax("the public value has the wrong length for " + group.Name)
	}
	if len(m.nonce.Data) < selection.Suite.PRF.MinNonce() {
		return shortNonce(selection.Suite)
	}
	h.pair, err = selection.Suite.Group.Generate(s.p.source())
	if err != nil {
		return err
	}
	h.ni, h.nr, h.peerKE = m.nonce.Data, s.p.newNonce(), m.ke.Data
	h.nr = h.nr[:min(nonceLen, len(h.ni))] // so that the answer is never longer than the request (DOS-05)
	h.request = append([]byte(nil), m.raw...)
	h.chosen = selection.Wire
	s.suite, s.nat = selection.Suite, detectNAT(m)
	s.nat.forced = s.p.forcesEncap()
	list := []wire.Payload{&wire.SA{Proposals: []wire.Proposal{selection.Wire}},
		&wire.KE{Group: m.ke.Group, Data: h.pair.Public()}, &wire.Nonce{Data: h.nr}}
	if s.nat.supported {
		list = append(list, s.natNotifies(s.spiI, s.spiR, esp.Path{Local: m.path.Local, Remote: m.path.Remote})...)
	}
	if len(s.suite.Additional) > 0 {
		list = append(list, supportsIntermediate())
	}
	if h.ppk = m.notify(wire.NotifyUsePPK) != nil && announcesPPK(s.p.candidates...); h.ppk {
		list = append(list, usesPPK())
	}
	if s.fragments = m.notify(wire.NotifyIKEv2FragmentationSupported) != nil; s.fragments {
		list = append(list, supportsFragments())
	}
	list = append(list, s.askForCertificate(m, list)...)
	list = s.announceChildless(m, list)
	h.response = s.answerClear(now, m, list)
	return nil
}

// chooseIKE selects by the first candidate whose policy allows anything that the peer offers.
func (s *SA) chooseIKE(m *message) (suite.Selection, error) {
	var errs []error
	for i := range s.p.candidates {
		selection, err := suite.Select(s.p.candidates[i].IKE, m.sa, wire.ProtoIKE, suite.SelectOptions{WithGroups: true, PreferGroup: m.ke.Group,
			Additional: m.notify(wire.NotifyIntermediateExchangeSupported) != nil})
		if err == nil {
			return selection, nil
		}
		errs = append(errs, err)
	}
	refused := noProposal(errs[0], true)
	if len(errs) > 1 {
		refused.offers = s.p.mismatchedAll(errs)
	}
	return suite.Selection{}, refused
}

// answerClear answers IKE_SA_INIT.
func (s *SA) answerClear(now time.Time, m *message, list []wire.Payload) []byte {
	header := s.header(wire.IKESAInit, 0, true)
	if s.suite.PRF == nil { // a refusal makes no SA
		header.SPIr = 0
	}
	answer := (&wire.Message{Header: header, Payloads: list}).Marshal()
	s.keepAnswer(m, [][]byte{answer})
	s.p.emit(session.Event{Kind: session.Message, Time: now, Sent: true, Exchange: m.Exchange.String(),
		Answer: true, Size: len(answer), Payloads: wire.Describe(list), IKE: s.info()})
	s.p.send(m.path, answer)
	return answer
}

// cookieAsked sends the same request with the cookie in front (RFC 7296 §2.6).
func (s *SA) cookieAsked(now time.Time, m *message) error {
	cookie := m.notify(wire.NotifyCookie).Data
	if len(cookie) < 1 || len(cookie) > 64 || !s.restart() {
		return nil // as if it had not come: a good answer still may
	}
	s.handshake.cookie = cookie
	s.sendInit(now, s.handshake.pair.Group())
	return nil
}

// groupAsked sends the request with another of our groups (RFC 7296 §1.3). A group that we did not offer is refused:
// the notify is not authentic and might ask for a weak one.
func (s *SA) groupAsked(now time.Time, m *message) error {
	group := namedGroup(s.p.cfg.IKE, m.notify(wire.NotifyInvalidKEPayload).Data)
	if group == nil || !s.restart() {
		return s.initRefused(now, m)
	}
	s.sendInit(now, group)
	return nil
}

// namedGroup reads INVALID_KE_PAYLOAD: the group, if it is one that we offer, else nil.
func namedGroup(ours []suite.Proposal, data []byte) *suite.Group {
	if len(data) != 2 {
		return nil
	}
	for _, group := range suite.Groups(ours) {
		if group.ID == binary.BigEndian.Uint16(data) {
			return group
		}
	}
	return nil
}

func (s *SA) restart() bool {
	s.handshake.restarts++
	return s.handshake.restarts <= maxRestarts
}

// initRefused remembers an unprotected error. Anybody may have sent it, so the good answer is still waited for, but no
// longer than patience (RFC 7296 §2.21.1).
func (s *SA) initRefused(now time.Time, m *message) error {
	refusal := m.refusal()
	if refusal == nil {
		return nil
	}
	return s.note(now, refusal)
}

// initAnswered takes the answer and goes on, to IKE_AUTH unless there are more key exchanges.
func (s *SA) initAnswered(now time.Time, m *message) error {
	h := s.handshake
	selection, err := suite.Accept(s.p.cfg.IKE, m.sa, wire.ProtoIKE, true)
	if err != nil {
		return s.ignore(now, m, err.Error())
	}
	group := selection.Suite.Group
	if m.SPIr == 0 || m.ke.Group != group.ID || group.ID != h.pair.Group().ID {
		return s.ignore(now, m, "the answer is for another group, or has no SPI")
	}
	if len(m.ke.Data) != group.PublicLen {
		return s.ignore(now, m, "the public value has the wrong length for "+group.Name)
	}
	if len(m.nonce.Data) < selection.Suite.PRF.MinNonce() {
		return s.ignore(now, m, shortNonce(selection.Suite).hint)
	}
	if len(selection.Suite.Additional) > 0 && m.notify(wire.NotifyIntermediateExchangeSupported) == nil {
		return s.ignoreFor(now, m, intermediateMissing())
	}
	nat := detectNAT(m)
	if why := s.p.cfg.misfit(nat); why != nil {
		return s.ignoreFor(now, m, why)
	}
	h.ppk = s.p.cfg.PPK.usable() && m.notify(wire.NotifyUsePPK) != nil
	if s.p.cfg.PPK.Required && !h.ppk {
		return s.ignoreFor(now, m, ppkMissing(&s.p.cfg))
	}
	h.nr, h.peerKE, h.response = m.nonce.Data, m.ke.Data, append([]byte(nil), m.raw...)
	nat.forced = s.nat.forced
	s.spiR, s.suite, s.nat = m.SPIr, selection.Suite, nat
	s.fragments = m.notify(wire.NotifyIKEv2FragmentationSupported) != nil
	s.noteWishes(m)
	if err := s.completeKeys(); err != nil {
		s.spiR, s.suite = 0, suite.Suite{}
		return s.ignore(now, m, err.Error())
	}
	s.open, s.expireAt = nil, time.Time{}
	s.float()
	s.goOn(now)
	return nil
}

// ignore goes on waiting: what is wrong with an unprotected answer may be an attacker's doing (RFC 7296 §2.21.1).
func (s *SA) ignore(now time.Time, m *message, why string) error {
	s.p.dropped(now, m, why)
	return s.note(now, &peerError{notify: wire.NotifyNoProposalChosen})
}

// ignoreFor is ignore of an answer that is well-formed and does not do.
func (s *SA) ignoreFor(now time.Time, m *message, why *localError) error {
	s.p.dropped(now, m, why.hint)
	return s.note(now, why)
}

// note keeps the first refusal for the case that nothing better comes.
func (s *SA) note(now time.Time, refusal error) error {
	if s.handshake.refusal == nil {
		s.handshake.refusal = refusal
		s.expireAt = now.Add(patience)
	}
	return nil
}

// completeKeys computes the shared secret and the keys once; a responder does so when IKE_AUTH comes (hardening: a
// flood of first messages costs no shared secrets).
func (s *SA) completeKeys() error {
	if s.keys != nil {
		return nil
	}
	h := s.handshake
	shared, err := h.pair.Shared(h.peerKE)
	if err != nil {
		return err
	}
	defer clear(shared)
	s.keys, err = deriveKeys(s.suite, firstSeed(s.suite.PRF, h.ni, h.nr, shared), h.ni, h.nr, s.spiI, s.spiR)
	h.pair.Wipe()
	return err
}
