package datapath

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"twinbore/routing/fib"
)

const (
	defaultPathMTU = 1500
	minPathMTU     = 576 // DOS-17
)

// A Connection says which networks lie behind a peer, and what may pass between them and ours.
type Connection struct {
	Name     string
	Networks []netip.Prefix // behind the peer: where packets to them go, and what packets from it may have as source
	Sources  []netip.Prefix // packets from it may have these as source, too: networks of another connection to the same site
	Local    []netip.Prefix // ours: the sources that may use the connection and the destinations it may reach; nil: any
	Tunnels  []Tunnel
	PathMTU  int // of the outer path, octets, 576 to 65535; 0 means 1500
	MSS      int // upper bound of TCP's segment size; 0: what the MTU leaves
	// Domain is the name of one of the Gateway's domains; "" is DefaultDomain.
	Domain string
	Filter Filter
}

// A Tunnel is one of a connection's tunnels; its peer's name is "connection/tunnel".
type Tunnel struct {
	Name       string
	Inside     netip.Addr // our end's address inside the tunnel, if any: a destination the peer may always use
	InsidePeer netip.Addr // the peer's, if any: packets to it go by this tunnel, whichever is active
	Outer      netip.Addr // the peer's outer address, if known: IKE and ESP to it are never taken from the device
}

// A policy is the forwarding table of each domain and the connections that their entries name. It never changes.
type policy struct {
	tables []*fib.Table // by number of the domain
	conns  []*conn
	peers  map[string]*tunnel // by "connection/tunnel"
}

// A conn is what lasts of a connection while the policy changes.
type conn struct {
	name        string
	rules       atomic.Pointer[rules]  // nil: the connection is gone
	choice      atomic.Pointer[choice] // never nil
	waiting     waiting
	nextAcquire atomic.Int64 // not before this time, unix nanoseconds
	tunnels     int          // how many there are; guarded by the Gateway's mu
}

// rules are a connection's part of the policy. They never change.
type rules struct {
	domain       int // its number
	local        []netip.Prefix
	sources      []netip.Prefix
	tunnels      []*tunnel
	followed     *followed
	inside       []netip.Addr // of each tunnel; the zero Addr for none
	insidePeers  []netip.Addr
	pathMTU, mss int
	filter       Filter
}

// ours returns the length of the longest of our networks that contains addr, and whether one does.
func (r *rules) ours(addr netip.Addr) (bits int, ok bool) {
	for _, p := range r.local {
		if p.Contains(addr) && (!ok || p.Bits() > bits) {
			bits, ok = p.Bits(), true
		}
	}
	return bits, ok
}

// maySend reports whether a packet from src may use the connection (R45).
func (r *rules) maySend(src netip.Addr) bool {
	_, ours := r.ours(src)
	return ours || r.local == nil || slices.Contains(r.inside, src)
}

// mss returns the connection's bound on TCP's segment size, 0 for none.
func (c *conn) mss() int {
	if r := c.rules.Load(); r != nil {
		return r.mss
	}
	return 0
}

// SetConnections makes conns the connections of the Gateway, in place of those it had. Child SAs, counters and
// the chosen tunnel of a connection that stays, by name, are kept. When there is an error nothing changes.
func (g *Gateway) SetConnections(conns []Connection) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err := g.check(conns); err != nil {
		return err
	}
	tables, err := g.tablesOf(conns)
	if err != nil {
		return err
	}
	next := &policy{tables: tables, peers: map[string]*tunnel{}}
	keep, stay := map[*conn]bool{}, map[*tunnel]bool{}
	outer := *g.outer.Load()
	for _, a := range g.staged {
		outer = outer.Without(a)
	}
	g.staged = nil
	for _, want := range conns {
		c := g.connOf(want.Name)
		keep[c] = true
		r := &rules{domain: g.domainOf(want.Domain), local: slices.Clone(want.Local), sources: slices.Clone(want.Sources), pathMTU: want.PathMTU, mss: want.MSS,
			filter: Filter{slices.Clone(want.Filter.In), slices.Clone(want.Filter.Out)}}
		if r.pathMTU == 0 {
			r.pathMTU = defaultPathMTU
		}
		for _, w := range want.Tunnels {
			t := g.peers[want.Name+"/"+w.Name]
			if t == nil {
				t = &tunnel{peer: want.Name + "/" + w.Name, conn: c, seed: seedOf(want.Name + "/" + w.Name)}
				t.ready.Store(new([]lot))
				g.peers[t.peer] = t
				c.tunnels++
			}
			t.gone = false
			stay[t] = true
			r.tunnels = append(r.tunnels, t)
			r.inside = append(r.inside, w.Inside)
			r.insidePeers = append(r.insidePeers, w.InsidePeer)
			next.peers[t.peer] = t
			if w.Outer.IsValid() {
				g.staged = append(g.staged, w.Outer)
				outer = outer.With(w.Outer)
			}
		}
		if was := c.rules.Load(); was != nil && slices.Equal(was.tunnels, r.tunnels) {
			r.followed = was.followed
		} else {
			r.followed = newFollowed(r.tunnels)
		}
		c.rules.Store(r)
		next.conns = append(next.conns, c)
	}
	g.forget(keep, stay)
	g.outer.Store(&outer)
	g.policy.Store(next)
	for _, c := range next.conns {
		if c.waiting.any() { // another may carry it now
			g.chores.flush(c)
		}
	}
	for _, t := range g.peers {
		for _, ch := range t.children {
			ch.take(*ch.lane.Load(), t.conn.rules.Load())
		}
	}
	return nil
}

// connOf returns the connection of this name, a new one if there was none. The caller holds mu.
func (g *Gateway) connOf(name string) *conn {
	c := g.conns[name]
	if c == nil {
		c = &conn{name: name}
		c.choice.Store(new(choice))
		g.conns[name] = c
	}
	return c
}

// forget takes connections and tunnels that are not to be kept out of use. What still has Child SAs stays
// until IKE has removed them, and carries nothing. The caller holds mu.
func (g *Gateway) forget(keep map[*conn]bool, stay map[*tunnel]bool) {
	for _, c := range g.conns {
		if !keep[c] {
			c.rules.Store(nil)
			c.decide(choice{})
			c.waiting.clear(&g.drops)
		}
	}
	for _, t := range g.peers {
		if !stay[t] {
			t.gone = true
			t.unchoose()
			g.retire(t)
		}
	}
	for name, c := range g.conns {
		if !keep[c] && c.tunnels == 0 {
			delete(g.conns, name)
		}
	}
}

// retire ends a tunnel that is gone and has no Child SA left; its drops stay in the sum. The caller holds mu.
func (g *Gateway) retire(t *tunnel) {
	if !t.gone || len(t.children) > 0 {
		return
	}
	delete(g.peers, t.peer)
	for r := range t.drops {
		g.drops[r].Add(t.drops[r].Load())
	}
	t.conn.tunnels--
	if t.conn.tunnels == 0 && t.conn.rules.Load() == nil {
		delete(g.conns, t.conn.name)
	}
}

// SetOwn tells the addresses of this host: no packet from a tunnel may have one as source, and to one of them not every
// port is open.
func (g *Gateway) SetOwn(addrs []netip.Addr) {
	var own fib.Hosts
	for _, a := range addrs {
		own = own.With(a)
	}
	g.own.Store(&own)
}
