package ikev2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A childState is where a Child SA is in its life.
type childState uint8

const (
	childUp       childState = iota
	childRekeying            // our request to replace it is open
	childReplaced            // the peer replaced it and will delete it
	childDeleting            // our Delete is open or waits
)

// A child is one Child SA: an ESP SA in each direction.
type child struct {
	id            esp.ChildID // = our inbound SPI
	out           esp.SPI
	state         childState
	suite         suite.Suite
	local, remote []esp.Selector
	replaces      esp.ChildID   // the one that it was made to replace; 0: none
	path          esp.Path      // without ports: ESP goes without UDP
	params        [2]esp.Params // in, out; keys are wiped once installed

	upSince    time.Time
	rekeyAt    time.Time
	expireAt   time.Time
	active     bool
	denied     bool        // the peer has refused to rekey it
	proving    bool        // the first, to be replaced at once because of VerifyPFS
	replacedBy esp.ChildID // childReplaced: outbound moves there when the peer shows that it has it
	from       *mixture    // what the keys come from, as long as key exchanges are missing
}

// A childExchange is our open request for a Child SA.
type childExchange struct {
	spi    esp.SPI
	ni     []byte
	pair   *suite.KeyPair // nil without PFS
	offer  []wire.Payload // SA, TSi, TSr
	old    esp.ChildID    // the Child SA that is rekeyed; 0 for a new one
	local  []esp.Selector
	remote []esp.Selector
	again  int         // restarts by INVALID_KE_PAYLOAD
	rival  *childRival // what the peer made meanwhile to replace the same one

	mixture
	made *child // what the answer agrees to
}

type nonces struct{ i, r []byte }

// newChildExchange reserves an SPI and makes the payloads that ask for a Child SA. The key exchange is offered only in
// CREATE_CHILD_SA (RFC 7296 §1.2).
func (s *SA) newChildExchange(withGroups bool, old *child) *childExchange {
	cfg, asks := &s.p.cfg, s.asks(old)
	x := &childExchange{spi: cfg.AllocSPI(), local: asks.local, remote: asks.remote}
	x.offer = []wire.Payload{&wire.SA{Proposals: suite.Offer(cfg.ESP, wire.ProtoESP, spiBytes(x.spi), withGroups)},
		toWire(x.local, true), toWire(x.remote, false)}
	if old == nil {
		x.offer = append(x.offer, s.p.resourceInfo()...)
	}
	return x
}

func spiBytes(spi esp.SPI) []byte { return binary.BigEndian.AppendUint32(nil, uint32(spi)) }

// acceptChild chooses for the responder of an exchange and derives the keys, unless key exchanges are missing. It
// installs nothing.
func (s *SA) acceptChild(now time.Time, m *message, n nonces, withGroups bool) (answer []wire.Payload, c *child, err error) {
	cfg := &s.p.cfg
	if why := cfg.misfit(s.nat); why != nil {
		return nil, nil, why
	}
	options := suite.SelectOptions{WithGroups: withGroups, Additional: withGroups}
	if m.ke != nil {
		options.PreferGroup = m.ke.Group
	}
	selection, err := suite.Select(cfg.ESP, m.sa, wire.ProtoESP, options)
	if err != nil {
		return nil, nil, noProposal(err, false)
	}
	out, err := peerSPI(selection)
	if err != nil {
		return nil, nil, err
	}
	// TSi is what is at the initiator, so for a responder the remote side (RFC 7296 §2.9).
	remote, local := narrow(cfg.Remote, fromWire(m.tsi)), narrow(cfg.Local, fromWire(m.tsr))
	if len(local) == 0 || len(remote) == 0 {
		return nil, nil, &localError{notify: wire.NotifyTSUnacceptable, reason: session.TSUnacceptable,
			hint: fmt.Sprintf("the peer asks for %v === %v, we allow %v === %v; compare local and remote networks on both ends",
				fromWire(m.tsr), fromWire(m.tsi), cfg.Local, cfg.Remote),
			offers: comparedSelectors(cfg.Local, cfg.Remote, fromWire(m.tsr), fromWire(m.tsi))}
	}
	var shared []byte
	var ke []wire.Payload
	if group := selection.Suite.Group; withGroups && group != nil {
		if m.ke == nil || m.ke.Group != group.ID {
			return nil, nil, &localError{notify: wire.NotifyInvalidKEPayload, data: binary.BigEndian.AppendUint16(nil, group.ID),
				reason: session.InvalidKELoop, hint: "asked the peer to use " + group.Name}
		}
		var public []byte
		if public, shared, err = group.Respond(s.p.source(), m.ke.Data); err != nil {
			return nil, nil, badPublicValue(err)
		}
		ke = []wire.Payload{&wire.KE{Group: group.ID, Data: public}}
	}
	c = &child{id: esp.ChildID(cfg.AllocSPI()), out: out, suite: selection.Suite, local: local, remote: remote}
	x := &mixture{nonces: n, shared: [][]byte{shared}, rest: selection.Suite.Additional}
	if x.more() {
		c.from = x
	} else if err := s.keyChild(c, x, false); err != nil {
		s.p.childOp(session.ChildOp{Op: session.Remove, ID: c.id})
		return nil, nil, err
	}
	selection.Wire.SPI = spiBytes(esp.SPI(c.id))
	answer = append(answer, &wire.SA{Proposals: []wire.Proposal{selection.Wire}})
	if withGroups {
		answer = append(answer, &wire.Nonce{Data: n.r})
	}
	answer = append(answer, ke...)
	answer = append(answer, toWire(remote, true), toWire(local, false))
	return append(answer, s.spread(m)...), c, nil
}

// completeChild checks the answer against what we asked for and derives the keys, unless key exchanges are missing (RFC 7296 §2.7, §3.3.6, CRY-11).
func (s *SA) completeChild(now time.Time, m *message, x *childExchange, n nonces, withGroups bool) (*child, error) {
	cfg := &s.p.cfg
	selection, err := suite.Accept(cfg.ESP, m.sa, wire.ProtoESP, withGroups)
	if err != nil {
		return nil, noProposal(err, false)
	}
	out, err := peerSPI(selection)
	if err != nil {
		return nil, err
	}
	if m.tsi == nil || m.tsr == nil {
		return nil, invalidSyntax("a traffic selector payload is missing")
	}
	local, remote := fromWire(m.tsi), fromWire(m.tsr)
	if !within(x.local, local) || !within(x.remote, remote) {
		return nil, &localError{reason: session.TSUnacceptable,
			hint:   fmt.Sprintf("the peer answers %v === %v, which is more than the %v === %v that we asked for", local, remote, x.local, x.remote),
			offers: comparedSelectors(x.local, x.remote, local, remote)}
	}
	if cfg.RefuseNarrower && (!within(local, x.local) || !within(remote, x.remote)) {
		return nil, &localError{reason: session.TSUnacceptable,
			hint:   fmt.Sprintf("the peer narrows to %v === %v; set narrow: accept, or the same networks on both ends", local, remote),
			offers: comparedSelectors(x.local, x.remote, local, remote)}
	}
	var shared []byte
	if group := selection.Suite.Group; withGroups && group != nil {
		if m.ke == nil || x.pair == nil || m.ke.Group != group.ID || x.pair.Group().ID != group.ID {
			return nil, &localError{reason: session.InvalidKELoop, hint: "the peer answers with another group than the one we sent"}
		}
		if shared, err = x.pair.Shared(m.ke.Data); err != nil {
			return nil, badPublicValue(err)
		}
		x.pair.Wipe()
	}
	c := &child{id: esp.ChildID(x.spi), out: out, suite: selection.Suite, local: local, remote: remote}
	x.mixture = mixture{nonces: n, shared: [][]byte{shared}, rest: selection.Suite.Additional}
	if x.made = c; x.more() {
		return c, nil
	}
	return c, s.keyChild(c, &x.mixture, true)
}

// peerSPI reads the SPI of a chosen ESP proposal; 0 to 255 are reserved (RFC 4303 §2.1).
func peerSPI(selection suite.Selection) (esp.SPI, error) {
	if len(selection.PeerSPI) != 4 {
		return 0, invalidSyntax("an ESP proposal must have an SPI of 4 octets")
	}
	spi := esp.SPI(binary.BigEndian.Uint32(selection.PeerSPI))
	if spi < 256 {
		return 0, invalidSyntax("the peer's ESP SPI is a reserved one")
	}
	return spi, nil
}

// keyChild derives both directions; initiator means of this exchange, not of the IKE SA (RFC 7296 §2.17).
func (s *SA) keyChild(c *child, x *mixture, initiator bool) error {
	defer x.wipe()
	c.from = nil
	if min(len(x.i), len(x.r)) < s.suite.PRF.MinNonce() {
		return shortNonce(s.suite)
	}
	fromI, fromR, err := childKeys(s.suite.PRF, s.keys.d, x.first(), x.i, x.r, c.suite.Algorithm, x.others()...)
	if err != nil {
		return err
	}
	in, out := fromI, fromR
	if initiator {
		in, out = fromR, fromI
	}
	c.params[0] = esp.Params{SPI: esp.SPI(c.id), Algorithm: c.suite.Algorithm, Key: in, ESN: c.suite.ESN, Window: s.p.cfg.Window}
	c.params[1] = esp.Params{SPI: c.out, Algorithm: c.suite.Algorithm, Key: out, ESN: c.suite.ESN}
	return nil
}

// install makes the data path receive on c. Outbound traffic moves only by activate.
func (s *SA) install(now time.Time, c *child) {
	c.upSince, c.path = now, s.espPath()
	s.setChildLifetime(now, c)
	s.children = append(s.children, c)
	s.p.childOp(session.ChildOp{Op: session.Install, ID: c.id, Child: esp.Child{ID: c.id, Peer: s.p.cfg.Peer,
		In: c.params[0], Out: c.params[1], Local: c.local, Remote: c.remote, Path: c.path,
		Replaces: c.replaces, Group: s.p.group, Limits: s.p.cfg.ChildLimits}})
	c.params = [2]esp.Params{}
}

// encap reports whether ESP goes inside UDP.
func (c *child) encap() bool { return c.path.Local.Port() != 0 }

func (s *SA) activate(now time.Time, c *child) {
	if !c.active {
		c.active = true
		s.p.childOp(session.ChildOp{Op: session.Activate, ID: c.id})
	}
}

func (s *SA) announceUp(now time.Time, c *child) {
	s.p.emit(session.Event{Kind: session.ChildUp, Time: now, IKE: s.info(), Child: c.info()})
	s.announceWeak(now, c)
}

func (s *SA) announceWeak(now time.Time, c *child) {
	if weak := c.suite.Weak(); weak != "" {
		s.p.emit(session.Event{Kind: session.Weak, Time: now, Hint: weak, IKE: s.info(), Child: c.info()})
	}
}

// child returns the Child SA with our inbound SPI, or nil.
func (s *SA) child(id esp.ChildID) *child {
	for _, c := range s.children {
		if c.id == id {
			return c
		}
	}
	return nil
}

// childByOut returns the Child SA that the peer knows by its own inbound SPI.
func (s *SA) childByOut(spi esp.SPI) *child {
	for _, c := range s.children {
		if c.out == spi {
			return c
		}
	}
	return nil
}

// retire takes c off the SA when a successor has its traffic. What is on its way to us may still arrive for a while.
func (s *SA) retire(now time.Time, c *child) {
	s.detach(now, c)
	if len(s.p.fading) == maxFading {
		s.p.childOp(session.ChildOp{Op: session.Remove, ID: s.p.fading[0].id})
		s.p.fading = s.p.fading[1:]
	}
	s.p.fading = append(s.p.fading, fading{c.id, now.Add(fade)})
}

// drop ends c in the data path at once: it has no successor, and traffic must not go on into it.
func (s *SA) drop(now time.Time, c *child) {
	s.detach(now, c)
	s.p.childOp(session.ChildOp{Op: session.Remove, ID: c.id})
}

// detach takes c off the SA. What c has replaced, and the peer has not deleted yet, is left to the successor of c, or is
// in use again.
func (s *SA) detach(now time.Time, c *child) {
	s.children = slices.DeleteFunc(s.children, func(have *child) bool { return have == c })
	for _, old := range s.children {
		if old.state != childReplaced || old.replacedBy != c.id {
			continue
		}
		if old.replacedBy = c.replacedBy; s.child(old.replacedBy) == nil {
			old.state, old.replacedBy, old.active = childUp, 0, false
			old.rekeyAt = now.Add(s.retryAfter(s.p.cfg.ChildLifetime))
			s.activate(now, old)
		}
	}
}

// removeChildren takes every Child SA out of the data path at once: their IKE SA ends.
func (s *SA) removeChildren(now time.Time) {
	for _, c := range s.children {
		s.p.childOp(session.ChildOp{Op: session.Remove, ID: c.id})
		if c.state != childReplaced {
			s.p.emit(session.Event{Kind: session.ChildDown, Time: now, Reason: s.reason, Hint: s.hint, IKE: s.info(), Child: c.info()})
		}
	}
	s.children = nil
	s.forsakeAll()
	s.abandon()
}

// abandon gives back the SPI of a Child SA that we asked for and shall not get.
func (s *SA) abandon() {
	if s.open != nil && s.open.child != nil {
		s.release(s.open.child)
		s.open.child = nil
	}
}

func (s *SA) release(x *childExchange) {
	s.p.childOp(session.ChildOp{Op: session.Remove, ID: esp.ChildID(x.spi)})
	x.wipe()
	if x.pair != nil {
		x.pair.Wipe()
	}
}

func (c *child) info() session.ChildInfo {
	return session.ChildInfo{ID: c.id, SPIIn: esp.SPI(c.id), SPIOut: c.out, Suite: c.suite.String(), Encap: c.encap(), ESN: c.suite.ESN,
		Local: c.local, Remote: c.remote, Established: c.upSince, RekeyAt: c.rekeyAt}
}
