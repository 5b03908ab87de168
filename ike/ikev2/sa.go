package ikev2

import (
	"crypto/sha256"
	"errors"
	"math"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// An SA is one IKE SA. Its peer owns it.
type SA struct {
	p          *peer
	state      state
	initiator  bool // of this IKE SA, which after a rekey is whoever rekeyed
	spiI, spiR uint64
	path       esp.Path
	suite      suite.Suite
	keys       *keys
	window

	handshake  *handshake // until the peer is authenticated
	nat        natStatus
	mobike     mobike
	movedAt    time.Time      // the path last moved
	fragments  bool           // both ends take fragments (RFC 7383 §2.3)
	collecting [2]*collection // of a request, of an answer

	upSince  time.Time // peer authenticated; zero before
	heardAt  time.Time // last authentic IKE message
	rekeyAt  time.Time
	denied   bool      // the peer has refused to rekey this IKE SA
	renewed  time.Time // when another session was last asked for
	expireAt time.Time // hard end; for a half-open SA the end of waiting
	children []*child
	pending  []task // what waits for the window

	unfinished []*unfinished // SAs that the peer makes and that wait for its key exchanges

	localID, remoteID string
	secret            string // name of the pre-shared key that the peer used; empty with certificates
	ppk               string // id of the PPK that is in the keys; empty: none is
	initialContact    bool
	pollAt            time.Time // look for a first packet on a Child SA that the peer made

	reported bool           // its end has been told, or is no news because it was replaced
	reason   session.Reason // why it is being deleted
	hint     string
	offers   *session.Offers // what both ends wanted, if that is why
}

// A task is a request of ours that waits until no other is open (RFC 7296 §2.3).
type task struct {
	op    op
	child esp.ChildID
}

// halfOpenLife bounds how long a peer may take to authenticate itself, and hurriedLife how long where many try to.
const (
	halfOpenLife = 30 * time.Second
	hurriedLife  = 5 * time.Second
)

// maxBad is how many messages that do not open a half-open SA stands before it is given up (RFC 8019 §4.2).
const maxBad = 5

func (s *SA) localSPI() uint64 {
	if s.initiator {
		return s.spiI
	}
	return s.spiR
}

// receive takes a message whose SPIs lead here.
func (s *SA) receive(now time.Time, h wire.Header, raw []byte, path esp.Path) {
	m := &message{Header: h, raw: raw, path: path}
	if h.Initiator() == s.initiator {
		s.spurn(now, m, "its initiator flag is ours")
		return
	}
	if h.Response() {
		if s.open == nil || s.open.id != h.MessageID || s.open.exchange != h.Exchange {
			s.p.dropped(now, m, "an answer to nothing we asked")
			return
		}
	} else if !s.fresh(now, m) {
		return
	}
	var list []wire.Payload
	var err error
	if h.Exchange == wire.IKESAInit {
		clear, parseErr := wire.ParseMessage(raw)
		if critical, ok := errors.AsType[*wire.CriticalError](parseErr); ok && s.state == halfOpen && !s.answered && len(raw) >= refusalLen {
			s.refuse(now, m, unsupported(critical))
			return
		} else if parseErr != nil {
			s.spurn(now, m, parseErr.Error())
			return
		}
		list = clear.Payloads
	} else if s.state == initSent { // there is nothing yet to open it with, and whoever sent it may be anybody
		s.p.dropped(now, m, "not allowed while the IKE SA is "+s.state.String())
		return
	} else if list, err = s.unseal(now, m); errors.Is(err, errNotAuthentic) {
		return
	}
	m.sort(list)
	s.handle(now, m, err)
}

// spurn drops a message in clear that is malformed. If it is the first of all, the SA that it began was none.
func (s *SA) spurn(now time.Time, m *message, why string) {
	s.p.dropped(now, m, why)
	if s.state == halfOpen && !s.answered {
		s.reported = true
		s.end(now, "", "")
	}
}

// fresh reports whether a request is the next one. The one before is answered again, but only to the same octets; a
// request that is older or too new is dropped (RFC 7296 §2.1, §2.2, §2.3).
func (s *SA) fresh(now time.Time, m *message) bool {
	switch {
	case m.MessageID == s.nextIn && m.MessageID != math.MaxUint32:
		return true
	case s.answered && m.MessageID == s.nextIn-1 && sha256.Sum256(m.raw) == s.asked: // of fragments only the first does it
		if m.Exchange != wire.IKESAInit && now.Before(s.againAt) {
			s.p.dropped(now, m, "a request that is repeated too often")
			return false
		}
		s.againAt = now.Add(repeatEvery)
		s.p.emit(session.Event{Kind: session.Message, Time: now, Exchange: m.Exchange.String(), MessageID: m.MessageID,
			Size: len(m.raw), Again: true, Story: "a repeated request; send the kept answer", IKE: s.info()})
		s.p.send(m.path, s.answer...)
	default:
		s.p.dropped(now, m, "its message ID is outside the window")
	}
	return false
}

// unseal opens a protected message. errNotAuthentic means that the sender may be anybody; any other error comes from
// the peer itself.
func (s *SA) unseal(now time.Time, m *message) ([]wire.Payload, error) {
	if err := s.completeKeys(); err != nil {
		s.p.dropped(now, m, err.Error())
		s.end(now, session.AuthFailed, err.Error())
		return nil, errNotAuthentic
	}
	first, plain, err := s.openMessage(m)
	if err != nil {
		if errors.Is(err, errIncomplete) {
			s.heardAt = now
			s.p.heard(now, s, m, "keep a fragment")
			return nil, errNotAuthentic
		}
		s.p.dropped(now, m, err.Error())
		if s.state == halfOpen && errors.Is(err, errNotAuthentic) {
			if s.handshake.bad++; s.handshake.bad >= maxBad {
				s.end(now, session.AuthFailed, "too many messages that do not open; the peer may be using another key exchange")
			}
		}
		return nil, errNotAuthentic
	}
	s.heardAt = now
	s.follow(now, m.path)
	defer clear(plain)
	if m.Exchange == wire.IKEIntermediate {
		if env, err := wire.FindEnvelope(m.raw, m.Header); err == nil { // a message in fragments stands by its first one now
			m.covered = coveredReceived(m.raw, env, plain)
		}
	}
	return wire.ParsePayloads(first, plain)
}

// openMessage opens m, or the fragment that it is.
func (s *SA) openMessage(m *message) (first wire.PayloadType, plain []byte, err error) {
	env, err := wire.FindEnvelope(m.raw, m.Header)
	if err != nil {
		return 0, nil, err
	}
	if env.Kind == wire.TypeSKF && !s.fragments {
		return 0, nil, errors.New("a fragment, though fragmentation was not negotiated")
	}
	if plain, err = s.openEnvelope(m.raw, env); err != nil {
		return 0, nil, err
	}
	if env.Kind == wire.TypeSK {
		*s.slot(m) = nil // it came whole after all
		return env.Inner, plain, nil
	}
	return s.collect(m, env, plain)
}

// handle acts on a message that is authentic, or came in clear where that is allowed.
func (s *SA) handle(now time.Time, m *message, bad error) {
	if m.Response() {
		s.handleAnswer(now, m, bad)
		return
	}
	rule, missing, fits := s.match(m)
	if !fits && missing == "" {
		s.p.dropped(now, m, "not allowed while the IKE SA is "+s.state.String())
		return
	}
	if m.Exchange == wire.IKESAInit && !fits {
		s.spurn(now, m, missing)
		return
	}
	story := "answer with a syntax error"
	if bad == nil && fits {
		story = rule.story
	}
	s.p.heard(now, s, m, story)
	err := bad
	if critical, ok := errors.AsType[*wire.CriticalError](err); ok {
		err = unsupported(critical)
	} else if err != nil {
		err = invalidSyntax(err.Error())
	} else if !fits {
		err = invalidSyntax(missing)
	} else {
		err = rule.do(s, now, m)
	}
	if err != nil {
		s.refuse(now, m, err)
	}
	s.next(now)
}

// handleAnswer ends our open request.
func (s *SA) handleAnswer(now time.Time, m *message, bad error) {
	rule, missing, fits := s.match(m)
	if s.closing() { // what it brings is not wanted any more
		m.request, s.open = s.open, nil
		if bad == nil && fits && m.request.ike != nil && rule.need != 0 { // but the peer has made an IKE SA, which must be deleted too
			s.p.heard(now, s, m, rule.story)
			rule.do(s, now, m) // an error means that we cannot even tell the peer which
		}
		s.next(now)
		return
	}
	if bad != nil || !fits {
		if m.Exchange == wire.IKESAInit { // not authentic: a good answer may still come (RFC 7296 §2.21.1)
			s.p.dropped(now, m, missing)
			return
		}
		if bad == nil {
			bad = errors.New(missing)
		}
		s.p.heard(now, s, m, "the answer makes no sense")
		if r := s.open; r.child != nil && r.op != opAuth { // MAL-15: it costs the Child SA, not the IKE SA
			s.open = nil
			s.childSpoilt(now, r, invalidSyntax(bad.Error()))
			s.next(now)
			return
		}
		s.closeFor(now, session.AuthFailed, "the peer's answer makes no sense: "+bad.Error())
		return
	}
	s.p.heard(now, s, m, rule.story)
	if m.request = s.open; m.Exchange != wire.IKESAInit {
		s.open = nil
	}
	if err := rule.do(s, now, m); err != nil {
		reason, hint := s.reasonOf(err, rule.answers)
		s.offers = s.explain(err, rule.answers)
		s.closeFor(now, reason, hint)
	}
	s.next(now)
}

// refuse answers a request with the error it caused (RFC 7296 §2.21.3). A half-open SA ends with it, another only if the error
// is fatal. differs: §2.21.3 ends the IKE SA with every INVALID_SYNTAX; ours costs what was asked for, so that a fault of the
// peer in one payload does not take the traffic of all Child SAs with it (MAL-15).
func (s *SA) refuse(now time.Time, m *message, err error) {
	local, ok := errors.AsType[*localError](err)
	if !ok {
		local = &localError{notify: wire.NotifyInvalidSyntax, reason: session.DatapathError, hint: err.Error()}
	}
	notify := &wire.Notify{Kind: local.notify, Data: local.data}
	if s.state == halfOpen {
		s.offers = local.offers
	}
	if m.Exchange == wire.IKESAInit { // nothing is kept: a repeated request is refused anew
		s.answerClear(now, m, []wire.Payload{notify})
		s.reported = local.notify == wire.NotifyInvalidKEPayload // the initiator comes back with the right group
		s.end(now, local.reason, local.hint)
		return
	}
	s.reply(now, m, []wire.Payload{notify})
	if s.state == halfOpen {
		s.report(now, local.reason, local.hint)
		s.state = refused
		s.expireAt = now.Add(s.p.backoff().Budget())
		s.forget()
	} else if local.fatal {
		s.gone(now, local.reason, local.hint)
	}
}

// next starts the next of our pending requests if none is open.
func (s *SA) next(now time.Time) {
	for s.open == nil && s.state == established && len(s.pending) > 0 && !s.yields() {
		t := s.pending[0]
		s.pending = s.pending[1:]
		s.start(now, t)
	}
}

// want queues a request unless the same one waits already.
func (s *SA) want(now time.Time, t task) {
	for _, have := range s.pending {
		if have == t {
			return
		}
	}
	s.pending = append(s.pending, t)
	s.next(now)
}

func (s *SA) start(now time.Time, t task) {
	switch t.op {
	case opNewChild:
		s.askNewChild(now)
	case opRekeyChild:
		s.askRekeyChild(now, t.child)
	case opRekeyIKE:
		s.askRekeyIKE(now)
	case opDeleteChild:
		s.askDeleteChild(now, t.child)
	case opDeleteIKE:
		s.askDeleteIKE(now)
	case opLiveness:
		s.askLiveness(now)
	case opUpdate:
		s.askUpdate(now)
	}
}

// unanswered ends the SA because a protected request was never answered; only that proves the peer gone (RFC 7296 §2.4).
func (s *SA) unanswered(now time.Time) {
	r := s.open
	s.abandon()
	s.open = nil
	switch {
	case s.state == deleting || s.closing():
		s.end(now, s.reason, s.hint)
	case r.ike != nil && r.ike.rival.stands(): // the peer has replaced it meanwhile, and answers no more here
		s.inherit(now, r.ike.rival.sa)
	case s.state == initSent && s.handshake.refusal != nil:
		reason, hint := s.reasonOf(s.handshake.refusal, opInit)
		s.offers = s.explain(s.handshake.refusal, opInit)
		s.end(now, reason, hint)
	case s.state == initSent, s.state == intermediateSent, s.state == authSent:
		s.end(now, session.NoResponse, "no answer to "+r.exchange.String()+"; check the address, UDP ports 500 and 4500 on the way, and that the peer knows us")
	default:
		s.end(now, session.DPDTimeout, "no answer to "+r.exchange.String()+"; the path or the peer is down")
	}
}

// closeFor deletes the SA at the peer, as far as it has one, and ends it.
func (s *SA) closeFor(now time.Time, reason session.Reason, hint string) {
	switch s.state {
	case initSent, intermediateSent, halfOpen:
		s.end(now, reason, hint)
		return
	case refused, deleting, replaced:
		return
	case authSent: // the peer may have it, and only a Delete tells it (RFC 7296 §2.21.2)
		s.abandon()
		s.open = nil
	}
	s.report(now, reason, hint)
	s.removeChildren(now)
	s.forget()
	s.state, s.rekeyAt = established, time.Time{}
	s.pending = []task{{op: opDeleteIKE}}
	s.next(now)
}

// closing reports whether the SA waits only for an open request to end before it is deleted.
func (s *SA) closing() bool { return s.reported && s.state == established }

// report tells the end of the SA once.
func (s *SA) report(now time.Time, reason session.Reason, hint string) {
	if s.reason, s.hint = reason, hint; s.reported {
		return
	}
	s.reported = true
	kind := session.Failed
	if !s.upSince.IsZero() {
		kind = session.IKEDown
	}
	s.p.emit(session.Event{Kind: kind, Time: now, Reason: reason, Hint: hint, IKE: s.info(), Offers: s.offers})
}

// end forgets the SA at once and says why.
func (s *SA) end(now time.Time, reason session.Reason, hint string) {
	s.report(now, reason, hint)
	s.removeChildren(now)
	s.p.remove(s)
	s.forget()
	s.keys.wipe()
}

// forget drops what is needed only until the peer is authenticated (RFC 7296 §2.12).
func (s *SA) forget() {
	if s.handshake == nil {
		return
	}
	if s.handshake.pair != nil {
		s.handshake.pair.Wipe()
	}
	if pair := s.handshake.intermediates.pair; pair != nil {
		pair.Wipe()
	}
	s.handshake.bare.wipe()
	s.handshake = nil
}

// info describes the SA for events.
func (s *SA) info() session.IKEInfo {
	out := session.IKEInfo{Version: 2, Initiator: s.initiator, SPIi: s.spiI, SPIr: s.spiR, LocalID: s.localID, RemoteID: s.remoteID, Secret: s.secret,
		PPK: s.ppk, NAT: s.nat.String(), Path: s.path, Established: s.upSince, RekeyAt: s.rekeyAt, InitialContact: s.initialContact}
	if s.suite.PRF != nil {
		out.Suite = s.suite.String()
	}
	return out
}
