package datapath

import (
	"twinbore/esp"
	"twinbore/routing/fib"
	"twinbore/tunnel/transport"
)

// A sender takes inner packets of one batch through the policy and ESP to the sockets. It belongs to one goroutine.
type sender struct {
	g      *Gateway
	policy *policy
	now    int64 // unix nanoseconds

	messages []transport.Message // sealed and not yet sent, all for sock
	sock     *socket
	spare    [][]byte // slots for fragments
	used     int      // of spare

	icmp    bucket
	answers [][]byte // ICMP errors for the device, each after deviceRoom octets
	unused  [][]byte // buffers for such
}

func newSender(g *Gateway) *sender {
	s := &sender{
		g: g, messages: make([]transport.Message, 0, batchSize), spare: newSlots(spareSlots),
		icmp: bucket{perSecond: 1000, burst: 50},
	}
	for range answerBatch {
		s.unused = append(s.unused, make([]byte, deviceRoom, deviceRoom+minIPv6MTU))
	}
	s.answers = make([][]byte, 0, answerBatch)
	return s
}

// begin starts a batch.
func (s *sender) begin(now int64) { s.now, s.policy = now, s.g.policy.Load() }

// end sends what is left of the batch.
func (s *sender) end() {
	s.flush()
	s.answer()
}

// flush sends the messages. The buffers of the packets they were made from are free afterwards.
func (s *sender) flush() {
	if len(s.messages) > 0 {
		sent, _ := s.sock.Write(s.messages) // a send error is loss, and counted as such
		s.g.drops[sendError].Add(uint64(len(s.messages) - sent))
	}
	s.messages, s.used = s.messages[:0], 0
}

// packet sends the inner packet of n octets at slot[headroom:]. The slot is in use until the next flush.
func (s *sender) packet(slot []byte, n int) {
	g, b := s.g, slot[headroom:headroom+n]
	p, ok := parse(b)
	if !ok {
		g.drops.add(malformed)
		return
	}
	if s.looped(b, &p) {
		g.drops.add(loop)
		return
	}
	e, ok := s.policy.table.Lookup(p.dst)
	if !ok { // R34
		g.drops.add(noRoute)
		return
	}
	c := s.policy.conns[e.Conn]
	r := c.rules.Load()
	if r == nil || e.Tunnel >= len(r.tunnels) { // the connection is going
		g.drops.add(noRoute)
		return
	}
	if !r.maySend(p.src) { // R45
		g.drops.add(forbidden)
		return
	}
	t := c.active.Load()
	if e.Tunnel != fib.Active {
		t = r.tunnels[e.Tunnel]
	}
	if t == nil {
		s.hold(c, b[:p.length])
		return
	}
	ch, any := t.outbound(b, &p)
	switch {
	case !any:
		s.hold(c, b[:p.length])
		return
	case ch == nil:
		t.drops.add(wrongTS)
		return
	}
	s.fit(ch, r, slot, &p)
}

// hold keeps a packet until there is a Child SA, and asks for one (R23). Nothing of it leaves in clear (TS-06).
func (s *sender) hold(c *conn, b []byte) {
	c.waiting.keep(b, s.now, &s.g.drops)
	s.g.chores.acquire(c, b, s.now)
	if c.canSend() { // since just now
		s.g.chores.flush(c)
	}
}

// looped reports whether the packet is one of our own outer packets, or a neighbour's: IKE or ESP to the outer address of
// a peer. The host routed it into the device because the network of a connection covers that address.
func (s *sender) looped(b []byte, p *packet) bool {
	switch {
	case p.proto == protoESP:
	case p.proto == protoUDP && !p.hidden && s.g.isOuterPort(p.sport, p.dport):
	case p.later && p.proto == protoUDP:
	default:
		return false
	}
	if !s.g.outer.Load().Contains(p.dst) {
		return false
	}
	if s.g.looped.CompareAndSwap(false, true) {
		s.g.cfg.Log.Warn("outer packets come back through the device; route the peer's address through the underlay", "remote", p.dst)
	}
	return true
}

// fit brings a packet to the size that the child's path takes, and seals it.
func (s *sender) fit(c *child, r *rules, slot []byte, p *packet) {
	l, b := c.lane.Load(), slot[headroom:]
	mtu := l.mtu
	if p.src.Is6() {
		mtu = max(mtu, minIPv6MTU) // RFC 2473 §7.1: on a smaller path it is the outer packet that is cut
	}
	if p.length <= mtu {
		if clampMSS(b, p, l.mtu, r.mss) {
			s.g.stats.clamped.Add(1)
		}
		s.seal(c, l, slot, p.length, p.src.Is6())
		return
	}
	if p.df || p.src.Is6() {
		c.tunnel.drops.add(tooBig)
		s.refuse(b, p, mtu)
		return
	}
	f, ok := newFragmenter(b, p, mtu)
	if !ok {
		c.tunnel.drops.add(tooBig)
		return
	}
	for {
		if s.used == len(s.spare) {
			s.flush()
		}
		piece := s.spare[s.used]
		whole, more := f.next(piece[:headroom])
		if !more {
			return
		}
		s.used++
		s.g.stats.fragments.Add(1)
		s.seal(c, l, piece, len(whole)-headroom, false)
	}
}

// seal seals the n octets at slot[headroom:] where they are, and queues the message.
func (s *sender) seal(c *child, l *lane, slot []byte, n int, is6 bool) {
	next := uint8(esp.NextIPv4)
	if is6 {
		next = esp.NextIPv6
	}
	if s.sock != l.sock || len(s.messages) == cap(s.messages) {
		used := s.used
		s.flush()
		s.used = used // the slot at hand may be one of them
		s.sock = l.sock
	}
	at := headroom - esp.Headroom(c.out.Algorithm())
	sealed, err := c.out.Seal(slot[at:at], slot[headroom:headroom+n], next)
	if c.out.Spent() {
		s.g.chores.expire(c)
	}
	if err != nil {
		c.tunnel.drops.add(reasonOf(err))
		return
	}
	s.messages = append(s.messages, transport.Message{Buf: sealed, N: len(sealed), Path: l.path})
	c.tunnel.tx.add(n, s.now)
	if c.lastOut.Load() != s.now {
		c.lastOut.Store(s.now)
	}
}

// refuse answers a packet that is too big, by the device, within the limit of such answers (ESP-06).
func (s *sender) refuse(b []byte, p *packet, mtu int) {
	if !p.mayAnswer() || !s.icmp.take(s.now) {
		return
	}
	if len(s.answers) == cap(s.answers) {
		s.answer()
	}
	s.answers = append(s.answers, tooBigAnswer(s.unused[len(s.answers)], b, p, mtu))
	s.g.stats.tooBigAnswers.Add(1)
}

func (s *sender) answer() {
	if len(s.answers) > 0 {
		s.g.dev.write(s.answers, &s.g.drops)
	}
	s.answers = s.answers[:0]
}
