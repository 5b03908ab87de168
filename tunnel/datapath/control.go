package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"twinbore/routing/fib"
)

// ErrNoChild is returned by Send for a tunnel that has no activated Child SA whose selectors let the packet out.
// Try again when the tunnel is up.
var ErrNoChild = errors.New("no child SA carries it")

// Send sends one whole inner packet of this gateway's own by the newest activated Child SA of the tunnel
// "connection/tunnel" whose selectors match, whether or not the tunnel is chosen. Its source must be our inside
// address of that tunnel or lie in our networks of the connection, its destination be the peer's inside address or
// belong to the connection (R33). What is larger than the tunnel takes is fragmented, or refused where it must not
// be. Send copies packet, never waits for a tunnel, and counts apart from what the device sends (Signs). An error means that
// the packet did not leave.
func (g *Gateway) Send(peer string, packet []byte) error { return g.sendOwn(peer, packet, false) }

// SendWhole is Send for a packet that measures the path: nobody on the way may fragment the outer packet. The error is
// syscall.EMSGSIZE where this host would have to.
func (g *Gateway) SendWhole(peer string, packet []byte) error { return g.sendOwn(peer, packet, true) }

func (g *Gateway) sendOwn(peer string, packet []byte, whole bool) error {
	pol := g.policy.Load()
	t := pol.peers[peer]
	if t == nil {
		return fmt.Errorf("the data path has no tunnel %q", peer)
	}
	p, ok := parse(packet)
	if !ok || p.length != len(packet) {
		return fmt.Errorf("no whole IP packet for tunnel %q", peer)
	}
	r := t.conn.rules.Load()
	switch {
	case r == nil:
		return fmt.Errorf("the data path has no tunnel %q", peer)
	case !r.ownSource(t, p.src):
		return fmt.Errorf("%v is not an address of ours on tunnel %q", p.src, peer)
	case p.dst != r.insidePeerOf(t) && !pol.leadsTo(t, r, p.dst):
		return fmt.Errorf("%v is not behind tunnel %q", p.dst, peer)
	}
	c, _ := t.outbound(packet, &p, 0)
	if c == nil {
		return fmt.Errorf("tunnel %q: %w", peer, ErrNoChild)
	}
	return g.ownBox.send(c, packet, &p, whole)
}

// ownSource reports whether packets of the gateway itself may leave by a tunnel with this source.
func (r *rules) ownSource(t *tunnel, src netip.Addr) bool {
	_, ours := r.ours(src)
	return ours || r.local == nil || src == r.insideOf(t)
}

// insideOf returns our address inside a tunnel, insidePeerOf the peer's; the zero Addr if there is none.
func (r *rules) insideOf(t *tunnel) netip.Addr     { return addrOf(r, t, r.inside) }
func (r *rules) insidePeerOf(t *tunnel) netip.Addr { return addrOf(r, t, r.insidePeers) }

func addrOf(r *rules, t *tunnel, addrs []netip.Addr) netip.Addr {
	if i := slices.Index(r.tunnels, t); i >= 0 {
		return addrs[i]
	}
	return netip.Addr{}
}

// leadsTo reports whether the longest prefix that contains addr is a network behind the tunnel.
func (p *policy) leadsTo(t *tunnel, r *rules, addr netip.Addr) bool {
	e, ok := p.tables[r.domain].Lookup(addr)
	return ok && p.conns[e.Conn] == t.conn && (e.Tunnel == fib.Active || e.Tunnel < len(r.tunnels) && r.tunnels[e.Tunnel] == t)
}

// An ownBox sends the gateway's own packets, each at once.
type ownBox struct {
	mu sync.Mutex // guards the rest
	outbox
	room  []byte // for the packet: sealing may use what is behind it
	spare []byte // for a fragment
}

func (o *ownBox) init(g *Gateway) {
	const room = headroom + maxPacket + tailroom
	o.outbox, o.room, o.spare = newOutbox(g, 0, make([]byte, room)), make([]byte, room), make([]byte, room)
	o.ours = true
}

func (o *ownBox) send(c *child, b []byte, p *packet, whole bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	l, now := c.lane.Load(), time.Now().UnixNano()
	mtu := l.mtuFor(p)
	b = append(o.room[:headroom], b...)[headroom:]
	o.err, o.whole = nil, whole
	switch {
	case p.length <= mtu:
		o.sealOne(c, l, b, now)
	case p.df || p.src.Is6():
		return fmt.Errorf("%d octets do not fit into tunnel %q, which takes %d", p.length, c.tunnel.peer, mtu)
	default:
		f, ok := newFragmenter(b, p, mtu)
		if !ok {
			return fmt.Errorf("%d octets cannot be fragmented for tunnel %q, which takes %d", p.length, c.tunnel.peer, mtu)
		}
		for piece, more := f.next(o.spare[:0]); more; piece, more = f.next(o.spare[:0]) {
			o.g.stats.fragments.Add(1)
			o.sealOne(c, l, piece, now)
		}
	}
	o.flush()
	if o.err != nil {
		return fmt.Errorf("packet for tunnel %q: %w", c.tunnel.peer, o.err)
	}
	return nil
}

// Signs are what a tunnel's packets say of whether its peer is there.
type Signs struct {
	LastTx, LastRx time.Time // when the last was counted, to the batch; zero: never
	Tx             uint64    // packets from the device that were sealed for this tunnel; Send's are none of them
	Rx             uint64    // authentic packets from the peer
}

// Signs returns those of the tunnel "connection/tunnel" since it was configured, zero for one that is not known. It
// takes no lock and allocates nothing.
func (g *Gateway) Signs(peer string) Signs {
	t := g.policy.Load().peers[peer]
	if t == nil {
		return Signs{}
	}
	var s Signs
	s.Tx, _, s.LastTx = t.tx.read()
	s.Rx, s.LastRx = t.heard.packets.Load(), timeOf(&t.heard.last)
	return s
}

// MTU returns the largest inner packet, in octets, that the tunnel "connection/tunnel" takes by the Child SA in use; 0 for none.
func (g *Gateway) MTU(peer string) int {
	if t := g.policy.Load().peers[peer]; t != nil {
		return t.mtu()
	}
	return 0
}

func (t *tunnel) mtu() int {
	if ready := *t.ready.Load(); len(ready) > 0 {
		return ready[0][0].lane.Load().mtu
	}
	return 0
}
