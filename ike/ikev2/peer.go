package ikev2

import (
	"crypto/rand"
	"encoding/binary"
	"io"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A peer is everything we have with one gateway: its IKE SA, the one that replaces it, and the Child SAs on the way
// out. It implements session.Session, for one goroutine.
type peer struct {
	cfg        Config
	candidates []Config // responder, until IKE_AUTH: who the peer may turn out to be
	begun      bool
	begunOn    esp.Path // initiator: where the first message went
	olderKey   int      // initiator: how many of our accepted keys the peer has rejected
	sas        []*SA    // oldest first
	fading     []fading
	out        session.Output
	pairing
	spreading
}

// A fading Child SA still receives what was on its way when it was deleted.
type fading struct {
	id    esp.ChildID
	until time.Time
}

// fade is how long an old inbound SA goes on receiving after a rekey.
const fade = 5 * time.Second

// New returns a session that waits for an Initiate command.
func New(cfg Config) session.Session { return &peer{cfg: cfg} }

// Accept returns a session that answers an IKE_SA_INIT request, which the caller passes to Receive. The peer may turn
// out to be any of the candidates, of which there is at least one: the identity in IKE_AUTH decides. They share their
// first one's retransmission and DPD settings until then.
func Accept(candidates []Config) session.Session {
	return &peer{cfg: candidates[0], candidates: candidates}
}

// Receive implements session.Session.
func (p *peer) Receive(now time.Time, msg []byte, on esp.Path) session.Output {
	h, err := wire.ParseHeader(msg)
	switch {
	case err != nil:
		p.dropped(now, &message{raw: msg, path: on}, err.Error())
	case p.find(h) != nil:
		p.find(h).receive(now, h, msg, on)
	case h.Exchange == wire.IKESAInit && !h.Response() && h.SPIr == 0 && h.MessageID == 0 && p.candidates != nil && !p.begun:
		p.begun = true
		s := &SA{p: p, state: halfOpen, spiI: h.SPIi, spiR: p.newIKESPI(), path: on, handshake: &handshake{}, expireAt: now.Add(halfOpenLife)}
		if p.cfg.Hurried {
			s.expireAt = now.Add(hurriedLife)
		}
		p.add(s)
		s.receive(now, h, msg, on)
	default:
		p.dropped(now, &message{Header: h, raw: msg, path: on}, "no IKE SA with these SPIs")
	}
	return p.finish()
}

// find returns the SA that a message belongs to. Both SPIs count, except that the first answer brings the responder's
// and a repeated first request does not know it.
func (p *peer) find(h wire.Header) *SA {
	for _, s := range p.sas {
		if s.spiI != h.SPIi {
			continue
		}
		first := h.Exchange == wire.IKESAInit && (s.state == initSent && h.Response() || !s.initiator && !h.Response() && h.SPIr == 0)
		if s.spiR == h.SPIr || first {
			return s
		}
	}
	return nil
}

// Do implements session.Session.
func (p *peer) Do(now time.Time, cmd session.Command) session.Output {
	switch c := cmd.(type) {
	case session.Initiate:
		p.expect(c.Local, c.Remote)
		p.initiate(now, c.Path)
	case session.Close:
		p.close(now, c)
	case session.Rekey:
		p.rekey(now, c.IKE)
	case session.Probe:
		p.probe(now)
	case session.PathSeen:
		p.packetSeen(now, c.Child, c.Path)
	case session.PathChanged:
		p.relocated(now, c.Local)
	case session.Configure:
		p.configure(c.Config.(Config))
	case session.Spent:
		if s := p.current(); s != nil && s.child(c.Child) != nil {
			s.want(now, task{opRekeyChild, c.Child})
		}
	}
	return p.finish()
}

// initiate begins an IKE SA, or asks again for the Child SA that the peer refused.
func (p *peer) initiate(now time.Time, path esp.Path) {
	p.begun, p.leads = true, true
	if s := p.current(); s != nil {
		if len(s.children) == 0 && (s.open == nil || !s.open.newChild()) {
			s.want(now, task{op: opNewChild})
		}
		return
	}
	for _, s := range p.sas {
		if s.state == initSent || s.state == intermediateSent || s.state == authSent || s.state == halfOpen {
			return
		}
	}
	p.askInit(now, path)
}

func (p *peer) close(now time.Time, c session.Close) {
	p.begun = true
	reason := c.Reason
	if reason == "" {
		reason = session.AdminDown
	}
	for _, s := range slices.Clone(p.sas) {
		switch {
		case c.Quiet:
			s.end(now, reason, "")
		case s.state == replaced || s.state == deleting:
		default:
			s.closeFor(now, reason, "")
		}
	}
	for _, f := range p.fading { // what is closed receives nothing any more
		p.childOp(session.ChildOp{Op: session.Remove, ID: f.id})
	}
	p.fading = nil
}

// probe asks now what would be asked later.
func (p *peer) probe(now time.Time) {
	for _, s := range p.sas {
		if s.open != nil {
			s.repeat(now)
		}
	}
	if s := p.current(); s != nil && s.open == nil {
		s.want(now, task{op: opLiveness})
	}
}

func (p *peer) rekey(now time.Time, ike bool) {
	s := p.current()
	if s == nil {
		return
	}
	if ike {
		s.want(now, task{op: opRekeyIKE})
		return
	}
	for _, c := range slices.Clone(s.children) {
		if c.state == childUp {
			s.want(now, task{opRekeyChild, c.id})
		}
	}
}

// Expire implements session.Session.
func (p *peer) Expire(now time.Time) session.Output {
	for _, s := range slices.Clone(p.sas) {
		s.expire(now)
	}
	if due(now, p.fillAt) {
		p.fillAt, p.refused = time.Time{}, nil
		if s := p.current(); s != nil {
			s.fill(now)
		}
	}
	p.fading = slices.DeleteFunc(p.fading, func(f fading) bool {
		if now.Before(f.until) {
			return false
		}
		p.childOp(session.ChildOp{Op: session.Remove, ID: f.id})
		return true
	})
	return p.finish()
}

// finish hands out what has gathered, with the next deadline.
func (p *peer) finish() session.Output {
	out := p.out
	p.out = session.Output{}
	for _, s := range p.sas {
		out.Wake = earliest(out.Wake, s.wake())
	}
	if len(p.sas) > 0 {
		out.Wake = earliest(out.Wake, p.fillAt)
	}
	for _, f := range p.fading {
		out.Wake = earliest(out.Wake, f.until)
	}
	out.Lingers = p.begun && !slices.ContainsFunc(p.sas, func(s *SA) bool { return s.state != refused && s.state != replaced })
	out.Done = p.begun && len(p.sas) == 0 && len(p.fading) == 0
	return out
}

// earliest returns the sooner of two deadlines; a zero one is none.
func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// current is the established SA that new exchanges run on: the newest.
func (p *peer) current() *SA {
	for _, s := range slices.Backward(p.sas) {
		if s.state == established && !s.closing() {
			return s
		}
	}
	return nil
}

func (p *peer) add(s *SA) {
	p.sas = append(p.sas, s)
	p.out.Claim = append(p.out.Claim, s.localSPI())
}

func (p *peer) remove(s *SA) {
	p.sas = slices.DeleteFunc(p.sas, func(have *SA) bool { return have == s })
	p.out.Release = append(p.out.Release, s.localSPI())
}

func (p *peer) send(path esp.Path, datagrams ...[]byte) {
	for _, b := range datagrams {
		p.out.Send = append(p.out.Send, session.Datagram{Bytes: b, Path: path})
	}
}

func (p *peer) childOp(c session.ChildOp) { p.out.Child = append(p.out.Child, c) }

func (p *peer) emit(e session.Event) {
	if e.Peer == "" {
		e.Peer = p.name()
	}
	if e.Peer == "" && e.Kind == session.Failed {
		for i := range p.candidates {
			e.Candidates = append(e.Candidates, p.candidates[i].Peer)
		}
	}
	p.out.Events = append(p.out.Events, e)
}

// name is the peer's, or empty while it may be one of several.
func (p *peer) name() string {
	if len(p.candidates) > 1 {
		return ""
	}
	return p.cfg.Peer
}

// heard and dropped report an inbound message.
func (p *peer) heard(now time.Time, s *SA, m *message, story string) {
	p.emit(session.Event{Kind: session.Message, Time: now, Exchange: m.Exchange.String(), MessageID: m.MessageID,
		Answer: m.Response(), Size: len(m.raw), Payloads: wire.Describe(m.payloads), Story: story, IKE: s.info()})
}

func (p *peer) dropped(now time.Time, m *message, why string) {
	p.emit(session.Event{Kind: session.Dropped, Time: now, Exchange: m.Exchange.String(), MessageID: m.MessageID,
		Answer: m.Response(), Size: len(m.raw), Story: why, IKE: session.IKEInfo{Version: 2, Path: m.path}})
}

// random fills b.
func (p *peer) random(b []byte) {
	if _, err := io.ReadFull(p.source(), b); err != nil {
		panic("bug: the source of randomness failed: " + err.Error())
	}
}

func (p *peer) source() io.Reader {
	if p.cfg.Rand == nil {
		return rand.Reader
	}
	return p.cfg.Rand
}

// newIKESPI draws an SPI; 0 means that there is none (RFC 7296 §3.1).
func (p *peer) newIKESPI() uint64 {
	var b [8]byte
	for {
		p.random(b[:])
		if spi := binary.BigEndian.Uint64(b[:]); spi != 0 {
			return spi
		}
	}
}

// nonceLen is what every PRF we know is content with: at least half its key (RFC 7296 §2.10).
const nonceLen = 32

func (p *peer) newNonce() []byte {
	b := make([]byte, nonceLen)
	p.random(b)
	return b
}

func (p *peer) backoff() session.Backoff {
	if p.cfg.Retransmit.Tries == 0 {
		return session.DefaultBackoff
	}
	return p.cfg.Retransmit
}

// livenessBackoff is the schedule of a liveness check.
func (p *peer) livenessBackoff() session.Backoff {
	dpd := p.cfg.DPD
	if dpd.Interval == 0 {
		return p.backoff()
	}
	return session.Backoff{First: dpd.Interval, Factor: 1, Tries: max(dpd.Retries, 1)}
}
