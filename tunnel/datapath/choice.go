package datapath

import (
	"fmt"
	"slices"
)

// A choice is the tunnels that carry what a connection sends. It never changes; Choose replaces it as a whole, which
// moves every flow at once.
type choice struct {
	tunnels []*tunnel
}

// pick returns the tunnel for the flow of p, or nil where none can be told. Of several tunnels that have a Child SA it is the
// one with the highest weight for this flow (rendezvous hashing): one that goes takes its own flows along and
// moves no other, and one that comes takes its share from each.
func (k *choice) pick(p *packet) *tunnel {
	if len(k.tunnels) == 1 {
		return k.tunnels[0]
	}
	flow := p.flowHash(0)
	var best *tunnel
	var most uint64
	for _, t := range k.tunnels {
		if w := t.weight(flow); (best == nil || w > most) && t.canSend() {
			best, most = t, w
		}
	}
	return best
}

// weight is how much a tunnel draws a flow. It follows from the tunnel's name, so that a flow keeps its tunnel when this
// gateway starts again.
func (t *tunnel) weight(flow uint64) uint64 { return mix(flow^t.seed, mixer2) }

// canSend reports whether the tunnel has an activated Child SA.
func (t *tunnel) canSend() bool { return len(*t.ready.Load()) > 0 }

// canSend reports whether a chosen tunnel has an activated Child SA.
func (c *conn) canSend() bool { return slices.ContainsFunc(c.choice.Load().tunnels, (*tunnel).canSend) }

// hasChild reports whether any of the connection's tunnels has an activated Child SA: packets to the inside address of a
// peer go by its tunnel, chosen or not.
func (r *rules) hasChild() bool { return slices.ContainsFunc(r.tunnels, (*tunnel).canSend) }

// Choose makes tunnels those that carry what the connection sends: one (active-standby), or several among which its flows are
// spread (active-active). What it receives is taken from any of its tunnels. With none, packets wait or are dropped, and Acquire
// is called.
func (g *Gateway) Choose(connection string, tunnels ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.conns[connection]
	if c == nil || c.rules.Load() == nil {
		return fmt.Errorf("connection %q is not known to the data path", connection)
	}
	next := new(choice)
	for _, name := range tunnels {
		t := g.peers[connection+"/"+name]
		if t == nil || t.gone {
			return fmt.Errorf("connection %q has no tunnel %q", connection, name)
		}
		if slices.Contains(next.tunnels, t) {
			return fmt.Errorf("connection %q: tunnel %q is chosen twice", connection, name)
		}
		next.tunnels = append(next.tunnels, t)
	}
	c.choice.Store(next)
	if len(tunnels) > 0 {
		g.chores.flush(c)
	}
	return nil
}

// unchoose takes a tunnel that is gone out of its connection's choice. The Gateway's mu is held.
func (t *tunnel) unchoose() {
	have := t.conn.choice.Load()
	if !slices.Contains(have.tunnels, t) {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(have.tunnels), func(other *tunnel) bool { return other == t })
	t.conn.choice.Store(&choice{tunnels: rest})
}
