package ikev2

import (
	"encoding/binary"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A rekeyExchange is our open request to replace the IKE SA.
type rekeyExchange struct {
	spi   uint64
	ni    []byte
	pair  *suite.KeyPair
	again int
	rival *ikeRival // what the peer made meanwhile

	mixture
	made *SA // what the answer agrees to
}

// replacedLife is how long a replaced IKE SA waits for the peer's Delete before it is forgotten.
const replacedLife = 60 * time.Second

func ikeSPIBytes(spi uint64) []byte { return binary.BigEndian.AppendUint64(nil, spi) }

// askRekeyIKE asks for a successor of this IKE SA, always with a new key exchange (RFC 7296 §1.3.2, §2.18).
func (s *SA) askRekeyIKE(now time.Time) {
	s.rekeyAt = time.Time{}
	s.sendRekeyIKE(now, suite.Groups(s.p.cfg.IKE)[0], 0)
}

func (s *SA) sendRekeyIKE(now time.Time, group *suite.Group, again int) {
	pair, err := group.Generate(s.p.source())
	if err != nil {
		s.rekeyIKELater(now, err)
		return
	}
	x := &rekeyExchange{spi: s.p.newIKESPI(), ni: s.p.newNonce(), pair: pair, again: again}
	list := []wire.Payload{&wire.SA{Proposals: suite.Offer(s.p.cfg.IKE, wire.ProtoIKE, ikeSPIBytes(x.spi), suite.WithGroups)},
		&wire.Nonce{Data: x.ni}, &wire.KE{Group: group.ID, Data: pair.Public()}}
	s.ask(now, wire.CreateChildSA, list, "ask to rekey the IKE SA", &request{op: opRekeyIKE, ike: x})
}

// answerRekeyIKE makes the successor and hands the Child SAs over to it. The old one stays to answer until the peer
// deletes it (RFC 7296 §2.8, §2.18).
func (s *SA) answerRekeyIKE(now time.Time, m *message) error {
	mine := s.rekeying()
	if s.state != established || s.closing() || mine == nil && s.open != nil && s.open.op != opLiveness || mine != nil && (mine.rival != nil || s.open.op == opFollowup) {
		return temporaryFailure("another exchange is in the way")
	}
	if len(s.p.sas) >= maxSAs {
		return temporaryFailure("too many IKE SAs wait for their Delete")
	}
	selection, err := suite.Select(s.p.cfg.IKE, m.sa, wire.ProtoIKE, suite.SelectOptions{WithGroups: true, PreferGroup: m.ke.Group, Additional: true})
	if err != nil {
		return noProposal(err, true)
	}
	spiI, err := peerIKESPI(selection)
	if err != nil {
		return err
	}
	group := selection.Suite.Group
	if m.ke.Group != group.ID {
		return &localError{notify: wire.NotifyInvalidKEPayload, data: binary.BigEndian.AppendUint16(nil, group.ID),
			reason: session.InvalidKELoop, hint: "asked the peer to use " + group.Name}
	}
	public, shared, err := group.Respond(s.p.source(), m.ke.Data)
	if err != nil {
		return badPublicValue(err)
	}
	x := mixture{nonces: nonces{i: m.nonce.Data, r: s.p.newNonce()}, shared: [][]byte{shared}, rest: selection.Suite.Additional}
	n := &SA{p: s.p, spiI: spiI, spiR: s.p.newIKESPI(), suite: selection.Suite}
	selection.Wire.SPI = ikeSPIBytes(n.spiR)
	answer := []wire.Payload{&wire.SA{Proposals: []wire.Proposal{selection.Wire}}, &wire.Nonce{Data: x.r}, &wire.KE{Group: group.ID, Data: public}}
	if x.more() {
		return s.leaveIKE(now, m, &unfinished{mixture: x, ike: n}, answer)
	}
	if err := s.begin(now, n, &x); err != nil {
		return err
	}
	s.reply(now, m, answer)
	s.ikeMadeByPeer(now, n, x.nonces)
	return nil
}

// ikeMadeByPeer hands over to the peer's successor, or leaves that to the end of our own request for one.
func (s *SA) ikeMadeByPeer(now time.Time, n *SA, x nonces) {
	if mine := s.rekeying(); mine != nil {
		mine.rival = &ikeRival{sa: n, n: x}
		return
	}
	s.inherit(now, n)
}

// ikeRekeyed takes the answer for a successor, and makes it or goes on to it.
func (s *SA) ikeRekeyed(now time.Time, m *message) error {
	x := m.request.ike
	defer x.pair.Wipe()
	selection, err := suite.Accept(s.p.cfg.IKE, m.sa, wire.ProtoIKE, true)
	if err != nil {
		return noProposal(err, true)
	}
	spiR, err := peerIKESPI(selection)
	if err != nil {
		return err
	}
	if group := selection.Suite.Group; m.ke.Group != group.ID || x.pair.Group().ID != group.ID {
		return &localError{reason: session.InvalidKELoop, hint: "the peer answers with another group than the one we sent"}
	}
	shared, err := x.pair.Shared(m.ke.Data)
	if err != nil {
		return badPublicValue(err)
	}
	x.made = &SA{p: s.p, initiator: true, spiI: x.spi, spiR: spiR, suite: selection.Suite}
	x.mixture = mixture{nonces: nonces{i: x.ni, r: m.nonce.Data}, shared: [][]byte{shared}, rest: selection.Suite.Additional}
	switch {
	case !x.more():
		return s.ikeMade(now, x)
	case s.state == replaced, s.closing(): // the peer has decided for its own, or nobody wants it any more
		x.wipe()
	case !s.ikeStaysBack(now, x):
		s.askFollowup(now, m, m.request)
	}
	return nil
}

// ikeMade takes our successor into use and deletes this IKE SA. The peer has it already, so that where it is not wanted
// any more it must be deleted too, or it would live on there until liveness finds out.
func (s *SA) ikeMade(now time.Time, x *rekeyExchange) error {
	n := x.made
	if err := s.begin(now, n, &x.mixture); err != nil {
		return err
	}
	if s.state == replaced || s.closing() { // the peer has decided for its own, or we are told to end
		n.reason, n.hint = s.reason, s.hint
		n.askDeleteIKE(now)
		return nil
	}
	if x.rival != nil && redundant(x.nonces, x.rival.n) && (x.rival.stands() || s.waits(x.rival.u)) {
		n.askDeleteIKE(now)
		s.ikeStaysBack(now, x)
		return nil
	}
	if x.rival.stands() {
		x.rival.sa.replace(now)
	}
	s.handOver(now, n)
	s.reported = true
	s.askDeleteIKE(now)
	n.next(now)
	return nil
}

// begin makes n out of s with keys of its own. Message IDs begin at 0 again (RFC 7296 §2.18). Until handOver it is not
// the one that new exchanges run on.
func (s *SA) begin(now time.Time, n *SA, x *mixture) error {
	defer x.wipe()
	if min(len(x.i), len(x.r)) < n.suite.PRF.MinNonce() {
		return shortNonce(n.suite)
	}
	keys, err := deriveKeys(n.suite, rekeySeed(s.suite.PRF, s.keys.d, x.first(), x.i, x.r, x.others()...), x.i, x.r, n.spiI, n.spiR)
	if err != nil {
		return err
	}
	n.state, n.reported = established, true
	n.fragments = s.fragments
	n.mobike = mobike{on: s.mobike.on, began: s.mobike.began}
	n.keys, n.path, n.nat, n.upSince, n.heardAt = keys, s.path, s.nat, now, now
	n.localID, n.remoteID, n.secret, n.ppk = s.localID, s.remoteID, s.secret, s.ppk // SK_d carries a PPK on (RFC 8784 §3)
	s.p.add(n)
	return nil
}

// handOver gives n the Child SAs and what waits of s.
func (s *SA) handOver(now time.Time, n *SA) {
	n.reported = false
	n.children, s.children = s.children, nil
	n.pending, s.pending = s.pending, nil
	n.pollAt = s.pollAt
	s.forsakeAll()
	n.setLifetime(now)
	s.p.emit(session.Event{Kind: session.IKERekeyed, Time: now, IKE: n.info()})
}

// inherit makes the peer's successor the one that stays; the peer deletes s.
func (s *SA) inherit(now time.Time, successor *SA) {
	s.handOver(now, successor)
	s.replace(now)
	successor.next(now)
}

// replace leaves s to the peer to delete, for a while.
func (s *SA) replace(now time.Time) {
	s.state, s.reported, s.rekeyAt, s.expireAt = replaced, true, time.Time{}, now.Add(replacedLife)
}

// rekeying returns our open request to replace s, or nil.
func (s *SA) rekeying() *rekeyExchange {
	if s.open == nil {
		return nil
	}
	return s.open.ike
}

// ikeRekeyRefused tries the group that the peer names, or again later.
func (s *SA) ikeRekeyRefused(now time.Time, m *message) error {
	x := m.request.ike
	x.pair.Wipe()
	if s.state == replaced {
		return nil
	}
	if x.rival.stands() {
		s.inherit(now, x.rival.sa)
		return nil
	}
	err := m.refusal()
	if err == nil {
		return refusalOf(m)
	}
	if group := namedGroup(s.p.cfg.IKE, err.data); err.notify == wire.NotifyInvalidKEPayload && group != nil && x.again < maxRestarts {
		s.sendRekeyIKE(now, group, x.again+1)
		return nil
	}
	s.rekeyIKELater(now, err)
	return nil
}

func (s *SA) rekeyIKELater(now time.Time, err error) {
	s.rekeyAt, s.denied = now.Add(s.retryAfter(s.p.cfg.IKELifetime)), true
	s.rekeyFailed(now, err, opRekeyIKE)
}

func peerIKESPI(selection suite.Selection) (uint64, error) {
	if len(selection.PeerSPI) != 8 || binary.BigEndian.Uint64(selection.PeerSPI) == 0 {
		return 0, invalidSyntax("an IKE proposal of a rekey must have an SPI of 8 octets")
	}
	return binary.BigEndian.Uint64(selection.PeerSPI), nil
}
