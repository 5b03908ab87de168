package netstack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"
)

// MaxPingSize is how many octets of data an echo request has at most, in either family.
const MaxPingSize = 65535 - 40 - echoHeader

// patience is how long an answer is waited for. What comes later is nobody's.
const patience = 10 * time.Second

// A Ping is an echo request to be sent.
type Ping struct {
	Peer   string     // the tunnel it goes by, "connection/tunnel"
	Source netip.Addr // of ours; the zero Addr: our inside address of the tunnel
	Target netip.Addr
	Seq    uint16
	Size   int  // octets of data, 0 to MaxPingSize; it is never fragmented
	Whole  bool // nor may the outer packet be
}

// A Verdict is how a Ping was answered.
type Verdict string

// What there is to be heard.
const (
	Reply       Verdict = "reply"
	Unreachable Verdict = "unreachable" // a router or the target refuses it
	TooBig      Verdict = "too_big"     // it does not fit, and must not be fragmented
	Expired     Verdict = "expired"     // it met more routers than it may, or a fragment was lost
)

// An Answer is what came back for a Ping.
type Answer struct {
	Peer    string
	Target  netip.Addr
	Seq     uint16
	Verdict Verdict
	From    netip.Addr // who answered: the target, or a router
	RTT     time.Duration
	MTU     int // with TooBig: octets of the largest packet; 0 if that is not said
	TTL     int // of the answer as it came
}

// Pings are the echo requests of one user. They have an identifier of their own, and answers find the way by it. All methods are safe
// for concurrent use.
type Pings struct {
	stack *Stack
	id    uint16
	hear  func(Answer)

	mu    sync.Mutex // guards the rest
	out   map[request]sent
	swept time.Time
}

// A request is what tells one echo request from another of the same Pings.
type request struct {
	peer   string
	target netip.Addr
	seq    uint16
}

type sent struct {
	at     time.Time
	source netip.Addr
	size   int
	secret uint64 // begins the data: nobody answers what he has not seen
}

// Pings makes such for one user. hear is called for each answer, by the goroutine that calls Control, and must return; it may
// send. What was answered, and what is older than ten seconds, is not waited for. Close gives the identifier back.
func (s *Stack) Pings(hear func(Answer)) *Pings {
	p := &Pings{stack: s, hear: hear, out: map[request]sent{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for p.id = uint16(rand.Uint32()); s.pings[p.id] != nil; p.id++ {
	}
	s.pings[p.id] = p
	return p
}

// Close ends them: nothing more is heard, but for what is being told already.
func (p *Pings) Close() {
	p.stack.mu.Lock()
	defer p.stack.mu.Unlock()
	delete(p.stack.pings, p.id)
}

// Send sends an echo request. Another one to the same target by the same tunnel and with the same number takes its place. An error
// means that it did not leave.
func (p *Pings) Send(q Ping) error {
	if !q.Source.IsValid() {
		var err error
		if q.Source, err = p.stack.insideOf(q.Peer); err != nil {
			return err
		}
	}
	switch {
	case q.Source.Is4() != q.Target.Is4() || !q.Target.IsValid():
		return fmt.Errorf("%v cannot ping %v", q.Source, q.Target)
	case q.Size < 0 || q.Size > MaxPingSize:
		return fmt.Errorf("%d octets of data are not between 0 and %d", q.Size, MaxPingSize)
	}
	secret := rand.Uint64()
	packet := newEcho(q.Source, q.Target, p.id, q.Seq, dataOf(secret, q.Size))
	key, now := request{q.Peer, q.Target, q.Seq}, time.Now()
	p.mu.Lock()
	p.sweep(now)
	p.out[key] = sent{at: now, source: q.Source, size: q.Size, secret: secret}
	p.mu.Unlock()
	send := p.stack.cfg.Send
	if q.Whole {
		send = p.stack.cfg.Whole
	}
	if err := send(q.Peer, packet); err != nil {
		p.mu.Lock()
		delete(p.out, key)
		p.mu.Unlock()
		return err
	}
	return nil
}

// sweep forgets what nobody has answered, once a second. The caller holds mu.
func (p *Pings) sweep(now time.Time) {
	if now.Sub(p.swept) < time.Second {
		return
	}
	p.swept = now
	for key, s := range p.out {
		if now.Sub(s.at) > patience {
			delete(p.out, key)
		}
	}
}

// dataOf is the data of an echo request: the secret, and octets that count up.
func dataOf(secret uint64, size int) []byte {
	data := binary.BigEndian.AppendUint64(make([]byte, 0, size+8), secret)
	for i := len(data); i < size; i++ {
		data = append(data, byte(i))
	}
	return data[:size]
}

// replied takes an echo reply. One that answers nothing of ours is the host's.
func (s *Stack) replied(peer string, m *message) bool {
	return s.answered(request{peer, m.src, m.seq()}, m.id(), m, Reply)
}

// refused takes an ICMP error, of which those about our echo requests and about TCP of ours are ours.
func (s *Stack) refused(peer string, packet []byte, m *message) bool {
	if p, ok := parseIP(m.body[echoHeader:]); ok {
		if t, ok := p.tcp(); ok {
			return s.deliver(peer, packet, t.src, t.dst)
		}
	}
	about, ok := m.quoted()
	if !ok || about.kind() != echoRequest {
		return false
	}
	verdict := Unreachable
	switch m.kind() {
	case tooBig:
		verdict = TooBig
	case expired:
		verdict = Expired
	}
	return s.answered(request{peer, about.dst, about.seq()}, about.id(), m, verdict)
}

// answered tells what came back for a request, if that was sent from the address that the answer came to; a reply
// must bring back what was sent, too.
func (s *Stack) answered(key request, id uint16, m *message, v Verdict) bool {
	now := time.Now()
	s.mu.Lock()
	p := s.pings[id]
	s.mu.Unlock()
	if p == nil {
		return false
	}
	p.mu.Lock()
	was, ok := p.out[key]
	if ok = ok && was.source == m.dst && (v != Reply || bytes.Equal(m.data(), dataOf(was.secret, was.size))); ok {
		delete(p.out, key)
	}
	p.mu.Unlock()
	if !ok {
		return false
	}
	a := Answer{Peer: key.peer, Target: key.target, Seq: key.seq, Verdict: v, From: m.src, RTT: now.Sub(was.at), TTL: int(m.ttl)}
	if v == TooBig {
		a.MTU = m.mtu()
	}
	p.hear(a)
	return true
}
