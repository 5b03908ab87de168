package datapath

import (
	"twinbore/esp"
	"twinbore/routing/fib"
	"twinbore/tunnel/tun"
)

// A sender takes inner packets and superpackets of one batch through the policy and ESP to the sockets. It belongs to one
// goroutine.
type sender struct {
	g      *Gateway
	domain int     // its number
	queue  *device // of the domain; it reads, and gets the ICMP errors
	policy *policy
	table  *fib.Table // of the domain
	now    int64      // unix nanoseconds
	since  int64      // when the packet came that is looked at again; 0: now
	outbox
	in     tun.Frame // for who reads the device
	cut    cutter
	spare  []byte // for a fragment
	flow   flowOut
	supers int // of the batch
	frames int

	icmp    bucket
	answers []tun.Frame // ICMP errors for the device
	unused  [][]byte    // buffers for such
}

// How much a batch takes before it goes out: larger ones leave the cache and keep the first waiting (dataplane §9.2).
const (
	batchSupers = 4
	batchFrames = 63 // one message, where they go together
)

// How many ICMP errors leave, from all queues together (ESP-06).
const (
	answersPerSecond = 1000
	answersAtOnce    = 50
)

// A flowOut is the way that the last packet of the batch went. The next one is most often of the same flow.
type flowOut struct {
	flowKey
	child *child // nil: there is none
	rules *rules
}

// newSender returns one for a worker's queue of the default domain, which sends by the worker's sockets.
func newSender(g *Gateway, worker int) *sender {
	a := newArena(slabSize + 2*slotStride)
	s := &sender{
		g: g, queue: g.queueOf(0, worker), outbox: newOutbox(g, worker, a.take(slabSize)), in: a.frame(), spare: a.slots(1)[0],
		icmp: bucket{perSecond: max(1, answersPerSecond/int64(len(g.queues))), burst: max(1, answersAtOnce/int64(len(g.queues)))},
	}
	for range answerBatch {
		s.unused = append(s.unused, make([]byte, tun.Room, tun.Room+minIPv6MTU))
	}
	s.answers = make([]tun.Frame, 0, answerBatch)
	return s
}

// enter makes the sender that of another domain. What it has taken before was sent.
func (s *sender) enter(domain int) { s.domain, s.queue = domain, s.g.queueOf(domain, s.worker) }

// begin starts a batch.
func (s *sender) begin(now int64) {
	s.now, s.policy, s.flow.child = now, s.g.policy.Load(), nil
	s.table = s.policy.tables[s.domain]
	s.supers, s.frames = 0, 0
}

// end sends what is left of the batch.
func (s *sender) end() {
	s.flush()
	s.answer()
}

// full reports whether the batch should end.
func (s *sender) full() bool { return s.supers >= batchSupers || s.frames >= batchFrames }

// frame sends a packet or superpacket from the device. Its buffer is free afterwards.
func (s *sender) frame(f *tun.Frame) {
	s.frames++
	g, b := s.g, f.Packet()
	p, ok := parse(b)
	if !ok || f.Kind == tun.Single && f.NeedsSum && !completeSum(f) {
		g.drops.add(malformed)
		return
	}
	if s.flow.child != nil && s.flow.has(&p) {
		s.fit(s.flow.child, s.flow.rules, f, &p)
		return
	}
	if s.looped(b, &p) {
		g.drops.add(loop)
		return
	}
	e, ok := s.table.Lookup(p.dst)
	if !ok { // R34
		g.drops.add(noRoute)
		return
	}
	c := s.policy.conns[e.Conn]
	r := c.rules.Load()
	if r == nil || r.domain != s.domain || e.Tunnel >= len(r.tunnels) { // the connection is going, or has gone elsewhere
		g.drops.add(noRoute)
		return
	}
	if !r.maySend(p.src) { // R45
		g.drops.add(forbidden)
		return
	}
	t, ch, any := s.way(c, r, e.Tunnel, b, &p)
	switch {
	case denies(r.filter.Out, &p):
		s.denied(t)
		return
	case t == nil:
		s.hold(c, c.canSend, f)
		return
	case !any:
		s.hold(c, t.canSend, f)
		return
	case ch == nil:
		t.drops.add(wrongTS)
		return
	}
	if s.flow.remember(&p) {
		s.flow.child, s.flow.rules = ch, r
	}
	s.fit(ch, r, f, &p)
}

// denied counts what a filter has held back, which waits for nothing and asks for no tunnel.
func (s *sender) denied(t *tunnel) {
	if t == nil {
		s.g.drops.add(filterOut)
		return
	}
	t.drops.add(filterOut)
}

// way returns the tunnel by which a packet leaves, nil for none, and what that says of it: the one that the table names, or
// the one by which its flow comes in where that was remembered, else the chosen one.
func (s *sender) way(c *conn, r *rules, named int, b []byte, p *packet) (t *tunnel, ch *child, any bool) {
	if named != fib.Active {
		t = r.tunnels[named]
		ch, any = t.outbound(b, p, s.worker)
		return t, ch, any
	}
	k := c.choice.Load()
	if r.followed.live(s.now) {
		if t = r.followed.tunnelOf(p, k, s.now); t != nil {
			if ch, any = t.outbound(b, p, s.worker); ch != nil {
				return t, ch, any
			}
		}
	}
	if t = k.pick(p); t != nil {
		ch, any = t.outbound(b, p, s.worker)
	}
	return t, ch, any
}

// hold keeps a packet until there is a Child SA, and asks for one (R23). Nothing of it leaves in clear (TS-06). sendable
// reports whether what the packet missed is there: only then is it looked at again, or it would go round for ever.
func (s *sender) hold(c *conn, sendable func() bool, f *tun.Frame) {
	since := s.now
	if s.since != 0 {
		since = s.since
	}
	c.waiting.keep(f, s.domain, since, &s.g.drops)
	s.g.chores.acquire(c, f.Packet(), s.now)
	if sendable() { // since just now
		s.g.chores.flush(c)
	}
}

// release sends what waits for a connection as a batch, by whatever way there is now. What still finds none waits on, no
// longer than it would have.
func (s *sender) release(c *conn, domain int, now int64) {
	s.enter(domain)
	s.begin(now)
	for _, h := range c.waiting.take(domain, now, &s.g.drops) {
		s.since = h.at
		s.frame(&h.frame)
	}
	s.since = 0
	s.end()
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
func (s *sender) fit(c *child, r *rules, f *tun.Frame, p *packet) {
	l := c.lane.Load()
	mtu := l.mtuFor(p)
	if f.Kind != tun.Single {
		s.fitSuper(c, l, r, f, p, mtu)
		return
	}
	b := f.Buf[f.At:]
	switch {
	case p.length <= mtu:
		if clampMSS(b, p, l.mtu, r.mss) {
			s.g.stats.clamped.Add(1)
		}
		s.sealOne(c, l, b[:p.length], s.now)
	case p.df || p.src.Is6():
		c.tunnel.drops.add(tooBig)
		s.refuse(b, p, mtu)
	default:
		s.fragment(c, l, b, p, mtu)
	}
}

// fitSuper is fit for a superpacket. What is decided once here would have been decided alike for each of its packets.
func (s *sender) fitSuper(c *child, l *lane, r *rules, f *tun.Frame, p *packet, mtu int) {
	s.supers++
	s.g.stats.superpackets.Add(1)
	if clampMSS(f.Packet(), p, l.mtu, r.mss) {
		s.g.stats.clamped.Add(1)
	}
	if !s.cut.start(f, p) {
		s.g.drops.add(malformed)
		return
	}
	n := s.cut.packets()
	each, last := s.cut.sizes()
	switch {
	case n == 1 && last <= mtu, each <= mtu:
		s.sealRun(c, l, &s.cut, s.now)
		return
	case p.df || p.src.Is6():
		c.tunnel.drops.addN(tooBig, n)
		first := s.cut.packet(0)
		if q, ok := parse(first); ok {
			s.refuse(first, &q, mtu)
		}
		return
	}
	for i := range n {
		pkt := s.cut.packet(i)
		if q, ok := parse(pkt); ok && len(pkt) > mtu {
			s.fragment(c, l, pkt, &q, mtu)
		} else if ok {
			s.sealOne(c, l, pkt, s.now)
		}
	}
}

// fragment cuts a packet without DF and seals the pieces.
func (s *sender) fragment(c *child, l *lane, b []byte, p *packet, mtu int) {
	f, ok := newFragmenter(b, p, mtu)
	if !ok {
		c.tunnel.drops.add(tooBig)
		return
	}
	for {
		piece, more := f.next(s.spare[:0])
		if !more {
			return
		}
		s.g.stats.fragments.Add(1)
		s.sealOne(c, l, piece, s.now)
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
	answer := tooBigAnswer(s.unused[len(s.answers)], b, p, mtu)
	s.answers = append(s.answers, tun.Frame{Buf: answer, At: tun.Room, N: len(answer) - tun.Room})
	s.g.stats.tooBigAnswers.Add(1)
}

func (s *sender) answer() {
	if len(s.answers) > 0 {
		s.queue.write(s.answers, &s.g.drops)
	}
	s.answers = s.answers[:0]
}

// nextOf returns the next header for an inner packet.
func nextOf(b []byte) uint8 {
	if b[0]>>4 == 6 {
		return esp.NextIPv6
	}
	return esp.NextIPv4
}
