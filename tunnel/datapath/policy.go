package datapath

import (
	"errors"
	"fmt"
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
}

// A Tunnel is one of a connection's tunnels; its peer's name is "connection/tunnel".
type Tunnel struct {
	Name       string
	Inside     netip.Addr // our end's address inside the tunnel, if any: a destination the peer may always use
	InsidePeer netip.Addr // the peer's, if any: packets to it go by this tunnel, whichever is active
	Outer      netip.Addr // the peer's outer address, if known: IKE and ESP to it are never taken from the device
}

// A policy is the forwarding table and the connections that its entries name. It never changes.
type policy struct {
	table *fib.Table
	conns []*conn
	peers map[string]*tunnel // by "connection/tunnel"
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
	local        []netip.Prefix
	sources      []netip.Prefix
	tunnels      []*tunnel
	inside       []netip.Addr // of each tunnel; the zero Addr for none
	insidePeers  []netip.Addr
	pathMTU, mss int
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
	entries, err := entriesOf(conns)
	if err != nil {
		return err
	}
	table, err := fib.Build(entries)
	var conflict *fib.ConflictError
	switch {
	case errors.As(err, &conflict):
		return fmt.Errorf("network %v belongs to two connections, %q and %q; each network needs one owner",
			conflict.New.Prefix, conns[conflict.Have.Conn].Name, conns[conflict.New.Conn].Name)
	case err != nil:
		return err
	}
	next := &policy{table: table, peers: map[string]*tunnel{}}
	keep, stay := map[*conn]bool{}, map[*tunnel]bool{}
	outer := *g.outer.Load()
	for _, a := range g.staged {
		outer = outer.Without(a)
	}
	g.staged = nil
	for _, want := range conns {
		c := g.conns[want.Name]
		if c == nil {
			c = &conn{name: want.Name}
			c.choice.Store(new(choice))
			g.conns[c.name] = c
		}
		keep[c] = true
		r := &rules{local: slices.Clone(want.Local), sources: slices.Clone(want.Sources), pathMTU: want.PathMTU, mss: want.MSS}
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
		c.rules.Store(r)
		next.conns = append(next.conns, c)
	}
	g.forget(keep, stay)
	g.outer.Store(&outer)
	g.policy.Store(next)
	for _, t := range g.peers {
		for _, ch := range t.children {
			ch.take(*ch.lane.Load(), t.conn.rules.Load())
		}
	}
	return nil
}

// forget takes connections and tunnels that are not to be kept out of use. What still has Child SAs stays
// until IKE has removed them, and carries nothing. The caller holds mu.
func (g *Gateway) forget(keep map[*conn]bool, stay map[*tunnel]bool) {
	for _, c := range g.conns {
		if !keep[c] {
			c.rules.Store(nil)
			c.choice.Store(new(choice))
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

// entriesOf checks conns and returns the entries of their table.
func entriesOf(conns []Connection) ([]fib.Entry, error) {
	var entries []fib.Entry
	names := map[string]bool{}
	taken := map[netip.Prefix]bool{}
	insidePeers := map[netip.Addr]int{}
	for i, c := range conns {
		if names[c.Name] {
			return nil, fmt.Errorf("connection %q is there twice", c.Name)
		}
		names[c.Name] = true
		if c.PathMTU != 0 && (c.PathMTU < minPathMTU || c.PathMTU > 65535) {
			return nil, fmt.Errorf("connection %q: path MTU %d is not between %d and 65535", c.Name, c.PathMTU, minPathMTU)
		}
		for _, p := range c.Networks {
			taken[p] = true
			entries = append(entries, fib.Entry{Prefix: p, Conn: i, Tunnel: fib.Active})
		}
		for _, t := range c.Tunnels {
			if names[c.Name+"/"+t.Name] {
				return nil, fmt.Errorf("tunnel %q is there twice", c.Name+"/"+t.Name)
			}
			names[c.Name+"/"+t.Name] = true
			if t.InsidePeer.IsValid() {
				insidePeers[t.InsidePeer]++
			}
		}
	}
	// Two connections may use one /30 inside: then the address alone does not say whose it is and no packet from the
	// device goes there. The same address as a network by itself wins.
	for i, c := range conns {
		for k, t := range c.Tunnels {
			p := netip.PrefixFrom(t.InsidePeer, t.InsidePeer.BitLen())
			if insidePeers[t.InsidePeer] == 1 && !taken[p] {
				entries = append(entries, fib.Entry{Prefix: p, Conn: i, Tunnel: k})
			}
		}
	}
	return entries, nil
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
