package datapath

import (
	"fmt"
	"slices"
)

// A choice is the tunnels that carry what a connection sends, and those that may carry answers besides. It never changes; Choose
// and Follow replace it as a whole, which moves every flow at once.
type choice struct {
	tunnels []*tunnel
	also    []*tunnel
}

// fit reports whether an answer may leave by t, chosen or not.
func (k *choice) fit(t *tunnel) bool {
	return slices.Contains(k.tunnels, t) || slices.Contains(k.also, t)
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

// Choose makes tunnels those that carry what the connection sends: one (active-standby), or several among which its flows are
// spread (active-active). What it receives is taken from any of its tunnels. With none, packets wait or are dropped, and Acquire
// is called.
func (g *Gateway) Choose(connection string, tunnels ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, chosen, err := g.tunnelsOf(connection, tunnels)
	if err != nil {
		return err
	}
	c.decide(choice{chosen, c.choice.Load().also})
	if len(tunnels) > 0 {
		g.chores.flush(c)
	}
	return nil
}

// Follow names the tunnels of a connection that are up and not to be emptied. An answer leaves by the one by which its flow came
// in, if that is among them or among the chosen, and as Choose says otherwise (return_path: follow-peer). The flows of a tunnel
// that is in neither any more are forgotten: they take the chosen one at once, and do not go back by themselves.
func (g *Gateway) Follow(connection string, tunnels ...string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, fit, err := g.tunnelsOf(connection, tunnels)
	if err != nil {
		return err
	}
	c.decide(choice{c.choice.Load().tunnels, fit})
	return nil
}

// tunnelsOf returns a connection and tunnels of it by their names. The Gateway's mu is held.
func (g *Gateway) tunnelsOf(connection string, names []string) (*conn, []*tunnel, error) {
	c := g.conns[connection]
	if c == nil || c.rules.Load() == nil {
		return nil, nil, fmt.Errorf("connection %q is not known to the data path", connection)
	}
	var all []*tunnel
	for _, name := range names {
		t := g.peers[connection+"/"+name]
		if t == nil || t.gone {
			return nil, nil, fmt.Errorf("connection %q has no tunnel %q", connection, name)
		}
		if slices.Contains(all, t) {
			return nil, nil, fmt.Errorf("connection %q: tunnel %q is named twice", connection, name)
		}
		all = append(all, t)
	}
	return c, all, nil
}

// decide replaces the choice. The Gateway's mu is held.
func (c *conn) decide(next choice) {
	was := c.choice.Swap(&next)
	for _, t := range slices.Concat(was.tunnels, was.also) {
		if !next.fit(t) {
			t.term.Add(1)
		}
	}
}

// unchoose takes a tunnel that is gone out of its connection's choice. The Gateway's mu is held.
func (t *tunnel) unchoose() {
	have := t.conn.choice.Load()
	rest := func(tunnels []*tunnel) []*tunnel {
		return slices.DeleteFunc(slices.Clone(tunnels), func(other *tunnel) bool { return other == t })
	}
	t.conn.decide(choice{rest(have.tunnels), rest(have.also)})
}
