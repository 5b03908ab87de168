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
	if s.state != established || s.open != nil && s.open.op != opLiveness {
		return temporaryFailure("another exchange is in the way")
	}
	selection, err := suite.Select(s.p.cfg.IKE, m.sa, wire.ProtoIKE, suite.SelectOptions{WithGroups: true, PreferGroup: m.ke.Group})
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
	pair, err := group.Generate(s.p.source())
	if err != nil {
		return err
	}
	defer pair.Wipe()
	shared, err := pair.Shared(m.ke.Data)
	if err != nil {
		return invalidSyntax(err.Error())
	}
	nr := s.p.newNonce()
	n := &SA{p: s.p, state: established, spiI: spiI, spiR: s.p.newIKESPI(), suite: selection.Suite}
	if err := s.succeed(now, n, shared, nonces{i: m.nonce.Data, r: nr}); err != nil {
		return err
	}
	selection.Wire.SPI = ikeSPIBytes(n.spiR)
	s.reply(now, m, []wire.Payload{&wire.SA{Proposals: []wire.Proposal{selection.Wire}}, &wire.Nonce{Data: nr},
		&wire.KE{Group: group.ID, Data: pair.Public()}})
	s.state, s.reported, s.rekeyAt, s.expireAt = replaced, true, time.Time{}, now.Add(replacedLife)
	n.next(now)
	return nil
}

// ikeRekeyed takes the successor into use and deletes this IKE SA.
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
		return invalidSyntax(err.Error())
	}
	n := &SA{p: s.p, state: established, initiator: true, spiI: x.spi, spiR: spiR, suite: selection.Suite}
	if err := s.succeed(now, n, shared, nonces{i: x.ni, r: m.nonce.Data}); err != nil {
		return err
	}
	s.reported = true
	s.askDeleteIKE(now)
	n.next(now)
	return nil
}

// succeed gives n the keys, the Child SAs and what waits of s. Message IDs begin at 0 again (RFC 7296 §2.18).
func (s *SA) succeed(now time.Time, n *SA, shared []byte, x nonces) error {
	defer clear(shared)
	keys, err := deriveKeys(n.suite, rekeySeed(s.suite.PRF, s.keys.d, shared, x.i, x.r), x.i, x.r, n.spiI, n.spiR)
	if err != nil {
		return err
	}
	n.keys, n.path, n.nat, n.upSince, n.heardAt = keys, s.path, s.nat, now, now
	n.localID, n.remoteID = s.localID, s.remoteID
	n.children, s.children = s.children, nil
	n.pending, s.pending = s.pending, nil
	n.setLifetime(now)
	s.p.add(n)
	s.p.emit(session.Event{Kind: session.IKERekeyed, Time: now, IKE: n.info()})
	return nil
}

// ikeRekeyRefused tries the group that the peer names, or again later.
func (s *SA) ikeRekeyRefused(now time.Time, m *message) error {
	x := m.request.ike
	x.pair.Wipe()
	err := refusalOr(m, wire.NotifyInvalidSyntax)
	if group := namedGroup(s.p.cfg.IKE, err.data); err.notify == wire.NotifyInvalidKEPayload && group != nil && x.again < maxRestarts {
		s.sendRekeyIKE(now, group, x.again+1)
		return nil
	}
	s.rekeyIKELater(now, err)
	return nil
}

func (s *SA) rekeyIKELater(now time.Time, err error) {
	s.rekeyAt = now.Add(s.retryAfter(s.p.cfg.IKELifetime))
	_, hint := reasonOf(err, opRekeyIKE)
	s.p.emit(session.Event{Kind: session.Failed, Time: now, Reason: session.RekeyFailed, Hint: hint, IKE: s.info()})
}

func peerIKESPI(selection suite.Selection) (uint64, error) {
	if len(selection.PeerSPI) != 8 || binary.BigEndian.Uint64(selection.PeerSPI) == 0 {
		return 0, invalidSyntax("an IKE proposal of a rekey must have an SPI of 8 octets")
	}
	return binary.BigEndian.Uint64(selection.PeerSPI), nil
}
