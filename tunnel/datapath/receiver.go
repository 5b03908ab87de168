package datapath

import (
	"encoding/binary"
	"slices"

	"twinbore/esp"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

const (
	joinedAtOnce = 8       // superpackets that grow at one time
	bulk         = 1 << 15 // octets opened after which the device gets them, while they are in the cache
)

// A receiver takes datagrams of one batch from one socket through ESP and the policy to the device. It belongs to one
// goroutine.
type receiver struct {
	g      *Gateway
	sock   *socket
	worker int
	domain int     // whose packets are being collected
	queue  *device // of the domain
	policy *policy
	now    int64 // unix nanoseconds

	messages []transport.Message   // for who reads the socket
	tcp, udp bool                  // whether packets may be joined
	joining  [joinedAtOnce]*joined // those whose count is not 0 have their place among frames
	last     *joined               // grew last; nil: none
	frames   []tun.Frame           // for the device, in order
	octets   int                   // in frames

	passed   flowKey // of the last packet that the policy let through
	passedBy *child  // nil: there was none
	order    []int   // of the datagrams of a run
	tally    struct {
		packets, octets int
		authentic       int    // packets
		number          uint32 // the low half of the last authentic one
	}
}

// newReceiver returns a worker's for a socket of its own.
func newReceiver(g *Gateway, sock *socket, worker int) *receiver {
	a := newArena(joinedAtOnce*joinBuffer + batchSize*slotStride)
	w := &receiver{g: g, sock: sock, worker: worker, queue: g.queueOf(0, worker), messages: make([]transport.Message, batchSize), frames: make([]tun.Frame, 0, 4*batchSize), order: make([]int, 0, 2*batchSize)}
	for i := range w.joining {
		w.joining[i] = &joined{buf: a.take(joinBuffer), trust: g.cfg.TrustChecksums}
	}
	for i, slot := range a.slots(batchSize) {
		w.messages[i].Buf = slot
	}
	return w
}

func (w *receiver) begin(now int64) {
	w.now, w.policy, w.passedBy = now, w.g.policy.Load(), nil
	w.tcp, w.udp = w.queue.joins()
}

// enter goes over to another domain, whose device gets what follows. Nothing that is remembered of the one before counts
// there.
func (w *receiver) enter(domain int) {
	w.end()
	w.domain, w.queue, w.passedBy = domain, w.g.queueOf(domain, w.worker), nil
	w.tcp, w.udp = w.queue.joins()
}

// end gives the device what was opened. The messages' buffers are free afterwards.
func (w *receiver) end() {
	for _, j := range w.joining {
		if j.count == 0 {
			continue
		}
		if j.count > 1 {
			w.g.stats.joined.Add(1)
		}
		w.frames[j.at] = j.frame()
		j.count = 0
	}
	if len(w.frames) > 0 {
		w.queue.write(w.frames, &w.g.drops)
	}
	w.frames, w.octets, w.last = w.frames[:0], 0, nil
}

// message takes a datagram or a run of them. What the kernel put together may be of different kinds; ESP is taken by
// stretches of one SPI.
func (w *receiver) message(m *transport.Message) {
	n := m.Datagrams()
	for i := 0; i < n; {
		b := m.Datagram(i)
		kind, payload := transport.Classify(w.sock.use, b)
		if kind != transport.ESP {
			w.other(kind, payload, m.Path)
			i++
			continue
		}
		from, spi := i, binary.BigEndian.Uint32(b)
		for i++; i < n && startsWith(m.Datagram(i), spi); i++ {
		}
		w.stretch(spi, m, from, i)
	}
	if w.octets >= bulk {
		w.end()
	}
}

func startsWith(b []byte, spi uint32) bool { return len(b) >= 8 && binary.BigEndian.Uint32(b) == spi }

// other takes a datagram that is not ESP. IKE is put aside at once, so that it never waits behind ESP (DOS-15).
func (w *receiver) other(kind transport.Kind, payload []byte, on esp.Path) {
	switch kind {
	case transport.IKE:
		if !w.g.inbox.put(payload, on) {
			w.g.drops.add(inboxFull)
		}
	case transport.Keepalive: // no sign of life, and nothing to answer: RFC 3948 §4
		w.g.stats.keepalivesIn.Add(1)
	default:
		w.g.drops.add(malformed)
	}
}

// stretch takes the datagrams of m before to, from from on, which bear one SPI. The SPI and the integrity check say whose
// they are (ESP-04); where they came from is told to IKE once the newest of all is among them (RPL-09).
func (w *receiver) stretch(spi uint32, m *transport.Message, from, to int) {
	c := w.g.sad.lookup(spi)
	if c == nil {
		w.g.drops.addN(unknownSPI, to-from)
		return
	}
	w.tally.packets, w.tally.octets, w.tally.authentic = 0, 0, 0
	w.arrange(m, from, to)
	c.in.Begin()
	for _, i := range w.order {
		w.open(c, m.Datagram(i), m.TOS)
	}
	c.in.End()
	if c.in.Spent() {
		w.g.chores.expire(c)
	}
	if w.tally.authentic > 0 {
		c.heard(w.tally.authentic, w.now)
		if !c.lane.Load().has(m.Path) {
			w.elsewhere(c, w.tally.number, m.Path)
		}
	}
	if w.tally.packets > 0 {
		c.tunnel.rx.add(w.tally.packets, w.tally.octets, w.now)
	}
}

// arrange puts datagrams into the order of their sequence numbers. It is that order already unless the way has changed
// it; the few that it moves at a time are not far from their places.
func (w *receiver) arrange(m *transport.Message, from, to int) {
	w.order = w.order[:0]
	for i := from; i < to; i++ {
		at, seq := len(w.order), binary.BigEndian.Uint32(m.Datagram(i)[4:])
		for at > 0 && at > len(w.order)-batchSize && int32(seq-binary.BigEndian.Uint32(m.Datagram(w.order[at-1])[4:])) < 0 {
			at--
		}
		w.order = slices.Insert(w.order, at, i)
	}
}

// open takes one ESP packet, between Begin and End of its SA.
func (w *receiver) open(c *child, b []byte, tos uint8) {
	start := esp.Headroom(c.in.Algorithm())
	if len(b) < start {
		c.tunnel.drops.add(malformed)
		return
	}
	if j := w.last; j != nil && !j.closed && j.child == c && j.room(len(b)) {
		inner, ok := w.unseal(c, j.cover(), b, tos)
		switch {
		case !ok:
			j.uncover()
		case j.follows(inner): // of the flow that was looked at when j began
			w.count(len(inner))
			j.take(inner)
		default: // back to where it came from
			inner = b[start : start+copy(b[start:], inner)]
			j.uncover()
			w.packet(c, inner, b)
		}
		return
	}
	if inner, ok := w.unseal(c, b[start:start], b, tos); ok {
		w.packet(c, inner, b)
	}
}

// unseal opens b, appends the inner packet to dst, and returns it. It reports false for a packet that was dropped.
func (w *receiver) unseal(c *child, dst, b []byte, tos uint8) ([]byte, bool) {
	number := binary.BigEndian.Uint32(b[4:])
	plain, next, err := c.in.OpenNext(dst, b)
	if err == nil || err == esp.ErrDummy {
		w.tally.authentic++
		w.tally.number = number
	}
	if err != nil {
		c.tunnel.drops.add(reasonOf(err))
		return nil, false
	}
	inner, err := esp.Inner(next, plain)
	if err != nil {
		c.tunnel.drops.add(reasonOf(err))
		return nil, false
	}
	if tos&ecnMask != notECT && !decapsulate(inner, tos) { // ESP-07
		c.tunnel.drops.add(congested)
		return nil, false
	}
	return inner, true
}

// packet takes an inner packet that lies in the datagram b, where it was opened, through the policy.
func (w *receiver) packet(c *child, inner, b []byte) {
	t := c.tunnel
	p, ok := parse(inner)
	if !ok {
		t.drops.add(badInner)
		return
	}
	to := toDevice
	if w.passedBy != c || !w.passed.has(&p) {
		if !p.allows(inner, c.remote, c.local) {
			t.drops.add(wrongTS)
			return
		}
		r := t.conn.rules.Load()
		if r == nil {
			t.drops.add(noRoute)
			return
		}
		var why reason
		if why, to = w.admits(c, r, inner, &p); to == nowhere {
			t.drops.add(why)
			return
		}
		if to == toDevice && denies(r.filter.In, &p) {
			t.drops.add(filterIn)
			return
		}
		if r.domain != w.domain {
			w.enter(r.domain)
		}
		if to == toDevice {
			r.followed.note(&p, t, t.conn.choice.Load(), w.now)
			if w.passed.remember(&p) {
				w.passedBy = c
			}
		}
	}
	if clampMSS(inner, &p, c.lane.Load().mtu, t.conn.mss()) {
		w.g.stats.clamped.Add(1)
	}
	w.count(len(inner))
	if to == toUs {
		w.g.punt(t, inner[:p.length])
		return
	}
	if w.tcp || w.udp {
		if w.join(c, inner, &p) {
			return
		}
	}
	w.frames = append(w.frames, tun.Frame{Buf: b, At: esp.Headroom(c.in.Algorithm()), N: len(inner)})
}

func (w *receiver) count(n int) {
	w.tally.packets++
	w.tally.octets += n
	w.octets += n
}

// join adds a packet to a superpacket of its flow, or begins one with it. It reports false for a packet that goes
// alone; a superpacket of its flow that it does not follow then grows no more, so that they stay in order.
func (w *receiver) join(c *child, inner []byte, p *packet) bool {
	var free *joined
	for _, j := range w.joining {
		switch {
		case j.count == 0:
			free = j
		case j.closed || !j.flowOf(inner, p):
		case j.child == c && j.room(len(inner)) && j.follows(inner):
			j.add(inner)
			w.last = j
			return true
		default:
			j.closed = true
		}
	}
	if free == nil || !free.start(inner, p, c, w.tcp, w.udp) {
		return false
	}
	free.at = len(w.frames)
	w.frames = append(w.frames, tun.Frame{})
	w.last = free
	return true
}

// Where a packet that came out of a Child SA goes on.
type fate uint8

const (
	nowhere  fate = iota
	toDevice      // to the inside
	toUs          // to Config.Control first
)

// admits says where a packet that came out of a Child SA goes, or why nowhere.
func (w *receiver) admits(c *child, r *rules, b []byte, p *packet) (reason, fate) {
	switch {
	case !slices.Contains(r.insidePeers, p.src) && !w.ownedBy(c.tunnel.conn, r, p): // TS-05, TS-07
		return spoofed, nowhere
	case !slices.Contains(r.inside, p.dst) && !w.g.own.Load().Contains(p.dst):
		if !w.reachable(r, p) {
			return noRoute, nowhere
		}
	case w.g.isGuarded(p): // ESP-08
		return forbidden, nowhere
	case w.g.punts(r, c.tunnel, b, p):
		return 0, toUs
	}
	return 0, toDevice
}

// ownedBy reports whether the source is the peer's to use: the longest prefix that contains it is a network of this
// connection, or of one that is redundant with it, and none of ours is as long.
func (w *receiver) ownedBy(c *conn, r *rules, p *packet) bool {
	if martian(p.src) || w.g.own.Load().Contains(p.src) {
		return false
	}
	e, ok := w.policy.tables[r.domain].Lookup(p.src)
	if !ok || w.policy.conns[e.Conn] != c && !slices.Contains(r.sources, e.Prefix) {
		return false
	}
	bits, ours := r.ours(p.src)
	return !ours || bits < e.Prefix.Bits()
}

// reachable reports whether the destination is on our side: in one of our networks where the connection names them, and
// not behind a peer, this one or another (R13).
func (w *receiver) reachable(r *rules, p *packet) bool {
	if martian(p.dst) {
		return false
	}
	bits, ours := r.ours(p.dst)
	if r.local != nil && !ours {
		return false
	}
	e, ok := w.policy.tables[r.domain].Lookup(p.dst)
	behind := ok && e.Prefix.Bits() > 0 // that everything else is behind a peer says nothing about this host's side
	return !behind || ours && bits >= e.Prefix.Bits()
}
