package datapath

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// A tunnel is what lasts of a tunnel while its Child SAs come and go: its counters, and which SAs it has.
type tunnel struct {
	peer string // "connection/tunnel"
	conn *conn
	seed uint64        // of its weights
	term atomic.Uint32 // ends when the tunnel is fit for nothing: what was remembered of it counts no more

	children []*child              // installed, oldest first; guarded by the Gateway's mu
	gone     bool                  // not in the policy any more; guarded by the Gateway's mu
	late     late                  // of the children that were removed; guarded by the Gateway's mu
	ready    atomic.Pointer[[]lot] // activated; never nil

	drops drops
	rx    flow
	heard heard // what came, before the policy
	tx    flow
	ours  flow // what Send sent, and is not in tx
}

// A flow counts inner packets in one direction. The padding keeps what the reader of the device writes off the cache
// line of what the readers of the sockets write.
type flow struct {
	packets, bytes atomic.Uint64
	last           atomic.Int64 // unix nanoseconds, of the batch
	_              [40]byte
}

// A heard counts authentic packets, whatever is inside.
type heard struct {
	packets atomic.Uint64
	last    atomic.Int64 // unix nanoseconds, of the batch
	_       [48]byte
}

func (f *flow) add(packets, octets int, now int64) {
	f.packets.Add(uint64(packets))
	f.bytes.Add(uint64(octets))
	if f.last.Load() != now {
		f.last.Store(now)
	}
}

// A child is a Child SA as the packet path uses it.
type child struct {
	id            esp.ChildID
	tunnel        *tunnel
	group         uint64
	before        []esp.ChildID // those whose traffic it takes when it is activated
	in            *esp.Inbound
	out           *esp.Outbound
	local, remote []esp.Selector
	turn          turn
	lane          atomic.Pointer[lane]
	lastIn        atomic.Int64 // of the last authentic packet, unix nanoseconds; 0: none yet
	lastOut       atomic.Int64 // of the last packet or keepalive
	nextSeen      atomic.Int64 // not before this time is another path told, unix nanoseconds
}

// heard counts authentic packets.
func (c *child) heard(packets int, now int64) {
	h := &c.tunnel.heard
	h.packets.Add(uint64(packets))
	if h.last.Load() != now {
		h.last.Store(now)
	}
	if c.lastIn.Load() != now {
		c.lastIn.Store(now)
	}
}

// A lane is the outer way of a child, replaced as a whole when the path moves.
type lane struct {
	path  esp.Path // port 0 on both ends: without UDP
	sock  *socket
	route int // octets that the route takes; 0: not known
	mtu   int // of inner packets, octets
}

// outbound returns the activated child by which a worker sends a packet: of the lot whose selectors match, in which a
// child was activated last, the worker's own. It reports false for none at all, and nil for none that matches.
func (t *tunnel) outbound(b []byte, p *packet, worker int) (c *child, any bool) {
	ready := *t.ready.Load()
	for _, l := range ready {
		if p.allows(b, l[0].local, l[0].remote) {
			return l[worker%len(l)], true
		}
	}
	return nil, len(ready) > 0
}

// take makes l the way of the child, with the MTU that follows from the rules of its connection; r is nil for one that
// is gone. The Gateway's mu is held. l is not changed: the packet path never sees half of a change.
func (c *child) take(l lane, r *rules) {
	path := defaultPathMTU
	if r != nil {
		path = r.pathMTU
	}
	l.mtu = InnerMTU(l.least(path), l.path.Remote.Addr().Unmap().Is6(), !l.bare(), c.out.Algorithm())
	c.lane.Store(&l)
}

// bare reports whether ESP goes this way without UDP.
func (l *lane) bare() bool { return l.sock.use == transport.ForESP }

// has reports whether the peer is where a packet came from, as far as this way knows. ESP comes in UDP and without at any
// time (RFC 7296 §2.23, ESP-05), so ports count only where both have them.
func (l *lane) has(from esp.Path) bool {
	if l.bare() || from.Local.Port() == 0 {
		return from.Remote.Addr() == l.path.Remote.Addr()
	}
	return from.Remote == l.path.Remote
}

// Install makes a Child SA whose SPI AllocSPI gave: what arrives is taken at once; nothing leaves by it before
// Activate. SAs that the tunnel already has go on until they are removed. It keeps nothing of ch.
func (g *Gateway) Install(ch esp.Child) error {
	c := &child{id: ch.ID, group: ch.Group, local: slices.Clone(ch.Local), remote: slices.Clone(ch.Remote)}
	c.turn.init()
	if err := g.install(c, ch); err != nil {
		return fmt.Errorf("child %v of %q: %w", ch.ID, ch.Peer, err)
	}
	return nil
}

func (g *Gateway) install(c *child, ch esp.Child) (err error) {
	if esp.ChildID(ch.In.SPI) != ch.ID {
		return fmt.Errorf("its inbound SPI is %v", ch.In.SPI)
	}
	ch.In.Grow = true
	if c.in, err = esp.NewInbound(ch.In, ch.Limits); err != nil {
		return fmt.Errorf("inbound: %w", err)
	}
	if c.out, err = esp.NewOutbound(ch.Out, ch.Limits, nil); err != nil {
		return fmt.Errorf("outbound: %w", err)
	}
	way, err := g.laneFor(ch.Path)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.peers[ch.Peer]
	if t == nil || t.gone {
		return fmt.Errorf("the data path has no such tunnel")
	}
	c.tunnel = t
	if ch.Replaces != 0 {
		c.before = []esp.ChildID{ch.Replaces}
		if old := g.sad.lookup(uint32(ch.Replaces)); old != nil {
			c.before = append(c.before, old.before...)
		}
	}
	c.take(way, t.conn.rules.Load())
	c.lastOut.Store(time.Now().UnixNano())
	if !g.sad.put(c) {
		return fmt.Errorf("its SPI was not reserved, or is in use")
	}
	t.children = append(t.children, c)
	g.addOuter(ch.Path)
	return nil
}

// laneFor finds the socket for a path. The MTU is not in it yet.
func (g *Gateway) laneFor(path esp.Path) (lane, error) {
	sock := g.socketFor(path)
	switch {
	case sock != nil && sock.use != transport.ForIKE:
		return lane{path: path, sock: sock, route: g.cfg.RouteMTU(path)}, nil
	case path.Local.Port() == 0:
		return lane{}, fmt.Errorf("no socket for ESP without UDP (IP protocol 50) on path %v", path)
	}
	return lane{}, fmt.Errorf("no socket for ESP in UDP on path %v; it leaves by port %d", path, g.cfg.NATTPort)
}

// Activate makes a Child SA one by which packets leave, as far as its selectors go; others that were activated before
// carry what it does not. Those of its group with the same selectors, but for the one that it replaces,
// share the traffic with it: each worker sends by one (RFC 9611).
func (g *Gateway) Activate(id esp.ChildID) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.sad.lookup(uint32(id))
	if c == nil {
		return fmt.Errorf("child %v is not installed", id)
	}
	ready := without(*c.tunnel.ready.Load(), func(other *child) bool {
		return other == c || slices.Contains(c.before, other.id) && other.covers(c)
	})
	ready = with(ready, c)
	c.tunnel.ready.Store(&ready)
	g.chores.flush(c.tunnel.conn)
	return nil
}

// Remove ends a Child SA in both directions, or gives back an SPI that AllocSPI reserved. An unknown id changes
// nothing.
func (g *Gateway) Remove(id esp.ChildID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.sad.take(uint32(id))
	if c == nil {
		return
	}
	t := c.tunnel
	t.late.add(c.in)
	same := func(other *child) bool { return other == c }
	ready := without(*t.ready.Load(), same)
	t.ready.Store(&ready)
	if len(ready) == 0 {
		t.term.Add(1)
	}
	t.children = slices.DeleteFunc(t.children, same)
	g.dropOuter(c.lane.Load().path)
	g.retire(t)
}

// Move changes the outer path of a Child SA: IKE has verified that the peer is there now. ESP goes into UDP or out of it if
// the ports of the path say so. Packets on the old path are
// still taken, whatever path they come by. The data path itself never moves a child. An unknown id
// changes nothing, nor does a path that no socket can send on.
func (g *Gateway) Move(id esp.ChildID, path esp.Path) {
	way, err := g.laneFor(path)
	if err != nil {
		g.cfg.Log.Warn("child cannot move to a new path", "child", id, "err", err)
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.sad.lookup(uint32(id))
	if c == nil {
		return
	}
	g.dropOuter(c.lane.Load().path)
	g.addOuter(path)
	c.take(way, c.tunnel.conn.rules.Load())
}

// LastInbound returns when the Child SA last received an authentic packet, to the batch; the zero time if never. Traffic
// counts as a sign of life (RFC 7296 §2.4).
func (g *Gateway) LastInbound(id esp.ChildID) time.Time {
	c := g.sad.lookup(uint32(id))
	if c == nil || c.lastIn.Load() == 0 {
		return time.Time{}
	}
	return time.Unix(0, c.lastIn.Load())
}

// addOuter and dropOuter keep the set of the peers' outer addresses. The caller holds mu.
func (g *Gateway) addOuter(path esp.Path) {
	next := g.outer.Load().With(path.Remote.Addr())
	g.outer.Store(&next)
}

func (g *Gateway) dropOuter(path esp.Path) {
	next := g.outer.Load().Without(path.Remote.Addr())
	g.outer.Store(&next)
}
