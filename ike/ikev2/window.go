package ikev2

import (
	"crypto/sha256"
	"math"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// An op is what one of our requests is for.
type op uint8

const (
	opNone op = iota
	opInit
	opIntermediate
	opAuth
	opNewChild
	opRekeyChild
	opRekeyIKE
	opFollowup // an additional key exchange of one of the three before
	opDeleteChild
	opDeleteIKE
	opLiveness
	opUpdate
)

// A window is the Message ID bookkeeping of one IKE SA, window size 1 (RFC 7296 §2.1 to §2.3).
type window struct {
	nextOut uint32   // Message ID of our next request
	open    *request // ours that waits for its answer

	nextIn   uint32            // Message ID of the peer's next request
	asked    [sha256.Size]byte // the request that answer is for, so that only an identical one gets it again
	answer   [][]byte          // its datagrams, kept until the peer's next request
	answered bool
	againAt  time.Time // not before this is it sent once more
}

// repeatEvery is how often a repeated request brings its answer again. Whoever has recorded one can repeat it from any
// address as fast as he likes, and the answer may be the longer of the two (RFC 7383 §2.6.1); no peer that has lost it
// asks sooner.
const repeatEvery = 250 * time.Millisecond

// A request is ours, kept bit by bit until it is answered (RFC 7296 §2.1).
type request struct {
	op       op
	id       uint32
	exchange wire.ExchangeType
	bytes    [][]byte // its datagrams
	backoff  session.Backoff
	sent     int       // how many times
	started  time.Time // first sent
	sentAt   time.Time // last sent
	resendAt time.Time // or give up
	child    *childExchange
	ike      *rekeyExchange
	deleting esp.ChildID
	cookie2  []byte // the answer must bring it back
}

// send puts the request on the wire once more.
func (s *SA) send(now time.Time) {
	r := s.open
	r.sent++
	r.sentAt = now
	wait, _ := r.backoff.Wait(r.sent)
	r.resendAt = now.Add(wait)
	if r.sent > 1 {
		s.repeat(now)
		return
	}
	s.p.send(s.path, r.bytes...)
}

// repeat sends the open request again, bit by bit the same (RFC 7296 §2.1).
func (s *SA) repeat(now time.Time) {
	r := s.open
	s.p.emit(session.Event{Kind: session.Message, Time: now, Sent: true, Again: true, Exchange: r.exchange.String(), MessageID: r.id,
		Size: size(r.bytes), Story: "ask again: no answer yet", IKE: s.info()})
	s.p.send(s.path, r.bytes...)
}

// ask seals payloads as our next request. Only one may be open.
func (s *SA) ask(now time.Time, exchange wire.ExchangeType, payloads []wire.Payload, story string, r *request) {
	r.id, r.exchange, r.started = s.nextOut, exchange, now
	if r.backoff.Tries == 0 {
		r.backoff = s.p.backoff()
	}
	s.nextOut++
	s.open = r
	s.wear(now, r.id)
	r.bytes = s.seal(now, s.header(exchange, r.id, false), payloads, story)
	s.send(now)
}

// reply seals payloads as the answer to the peer's request m and keeps it.
func (s *SA) reply(now time.Time, m *message, payloads []wire.Payload) {
	s.keepAnswer(m, s.seal(now, s.header(m.Exchange, m.MessageID, true), payloads, ""))
	s.p.send(m.path, s.answer...)
	s.wear(now, m.MessageID)
}

// Message IDs never start over (RFC 7296 §2.2): an IKE SA that has used tiredID is replaced, one that has used spentID
// ends, and a request with the last of all is not taken.
const (
	tiredID = math.MaxUint32 - 1<<16
	spentID = math.MaxUint32 - 8
)

// wear plans what an ID that has been used, of ours or the peer's, makes necessary.
func (s *SA) wear(now time.Time, id uint32) {
	switch {
	case s.state != established:
	case id == tiredID:
		s.rekeyAt = now
	case id == spentID:
		s.expireAt = now
	}
}

// keepAnswer moves the window past request m. A peer that repeats m gets the same octets (RFC 7296 §2.1).
func (s *SA) keepAnswer(m *message, answer [][]byte) {
	s.asked, s.answer, s.answered, s.againAt = sha256.Sum256(m.raw), answer, true, time.Time{}
	s.nextIn = m.MessageID + 1
}

// retransmit does what is due for the open request: send it again, or conclude that the peer is gone.
func (s *SA) retransmit(now time.Time) {
	r := s.open
	if r == nil {
		return
	}
	if s.silentSince(now, r.started) {
		s.unanswered(now)
		return
	}
	if now.Before(r.resendAt) {
		return
	}
	if _, more := r.backoff.Wait(r.sent); more || s.state == established && !s.closing() && s.lastHeard().After(r.sentAt) && now.Sub(r.started) < stalled {
		s.send(now) // out of tries, but the peer is there: packets keep coming in
		return
	}
	s.unanswered(now)
}

// stalled is when a request will not be answered any more by a peer that is there: it waits for another Message ID than we are
// at, and nothing can be asked on this IKE SA again (RFC 7296 §2.1: it is deemed to have failed).
const stalled = 5 * time.Minute

// silentSince reports whether the whole time that liveness allows has passed after since without anything authentic
// from the peer; an exchange that is open for any purpose serves as the question (RFC 7296 §2.4).
func (s *SA) silentSince(now, since time.Time) bool {
	deadline := s.silenceEnds(since)
	return !deadline.IsZero() && !now.Before(deadline) && !s.lastHeard().After(since)
}

// silenceEnds is when silence that began at since means that the peer is dead; zero means never.
func (s *SA) silenceEnds(since time.Time) time.Time {
	dpd := s.p.cfg.DPD
	if dpd.Interval == 0 || s.state != established {
		return time.Time{}
	}
	return since.Add(dpd.Interval * time.Duration(max(dpd.Retries, 1)))
}
