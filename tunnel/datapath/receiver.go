package datapath

import (
	"encoding/binary"
	"slices"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// A receiver takes datagrams of one batch from one socket through ESP and the policy to the device. It belongs to one
// goroutine.
type receiver struct {
	g      *Gateway
	sock   *socket
	policy *policy
	now    int64    // unix nanoseconds
	opened [][]byte // inner packets for the device, each after deviceRoom octets
}

func newReceiver(g *Gateway, sock *socket) *receiver {
	return &receiver{g: g, sock: sock, opened: make([][]byte, 0, batchSize)}
}

func (w *receiver) begin(now int64) { w.now, w.policy = now, w.g.policy.Load() }

// end gives the device what was opened. The messages' buffers are free afterwards.
func (w *receiver) end() {
	if len(w.opened) > 0 {
		w.g.dev.write(w.opened, &w.g.drops)
	}
	w.opened = w.opened[:0]
}

// message takes a datagram, or each datagram of a run: what the kernel put together may be of different kinds.
func (w *receiver) message(m *transport.Message) {
	for i := range m.Datagrams() {
		if len(w.opened) == cap(w.opened) {
			w.end()
		}
		w.datagram(m.Datagram(i), m.Path)
	}
}

// datagram takes one datagram. IKE is put aside at once, so that it never waits behind ESP (DOS-15).
func (w *receiver) datagram(b []byte, on esp.Path) {
	switch kind, payload := transport.Classify(w.sock.natt, b); kind {
	case transport.ESP:
		w.open(b)
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

// open takes one ESP packet. Where it came from is not looked at: the SPI and the integrity check say whose it is, and
// nothing is learned from its source (RPL-09, ESP-04).
func (w *receiver) open(b []byte) {
	c := w.g.sad.lookup(binary.BigEndian.Uint32(b))
	if c == nil {
		w.g.drops.add(unknownSPI)
		return
	}
	t := c.tunnel
	plain, next, err := c.in.Open(b)
	if c.in.Spent() {
		w.g.chores.expire(c)
	}
	if (err == nil || err == esp.ErrDummy) && c.lastIn.Load() != w.now {
		c.lastIn.Store(w.now)
	}
	if err != nil {
		t.drops.add(reasonOf(err))
		return
	}
	inner, err := esp.Inner(next, plain)
	if err != nil {
		t.drops.add(reasonOf(err))
		return
	}
	p, ok := parse(inner)
	if !ok {
		t.drops.add(badInner)
		return
	}
	if !p.allows(inner, c.remote, c.local) {
		t.drops.add(wrongTS)
		return
	}
	if why, ok := w.admits(c, &p); !ok {
		t.drops.add(why)
		return
	}
	if clampMSS(inner, &p, c.lane.Load().mtu, t.conn.mss()) {
		w.g.stats.clamped.Add(1)
	}
	t.rx.add(len(inner), w.now)
	start := esp.Headroom(c.in.Algorithm())
	w.opened = append(w.opened, b[start-deviceRoom:start+len(inner)])
}

// admits reports whether a packet that came out of a Child SA may go on, or why not.
func (w *receiver) admits(c *child, p *packet) (reason, bool) {
	conn := c.tunnel.conn
	r := conn.rules.Load()
	if r == nil {
		return noRoute, false
	}
	if !slices.Contains(r.insidePeers, p.src) && !w.ownedBy(conn, r, p) { // TS-05, TS-07
		return spoofed, false
	}
	if slices.Contains(r.inside, p.dst) || w.g.own.Load().Contains(p.dst) { // ESP-08
		return forbidden, !w.g.isGuarded(p)
	}
	return noRoute, w.reachable(r, p)
}

// ownedBy reports whether the source is the peer's to use: the longest prefix that contains it is a network of this
// connection, and none of ours is as long.
func (w *receiver) ownedBy(c *conn, r *rules, p *packet) bool {
	if martian(p.src) || w.g.own.Load().Contains(p.src) {
		return false
	}
	e, ok := w.policy.table.Lookup(p.src)
	if !ok || w.policy.conns[e.Conn] != c {
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
	e, ok := w.policy.table.Lookup(p.dst)
	behind := ok && e.Prefix.Bits() > 0 // that everything else is behind a peer says nothing about this host's side
	return !behind || ours && bits >= e.Prefix.Bits()
}
