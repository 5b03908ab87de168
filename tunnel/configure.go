package tunnel

import (
	"slices"
	"time"
)

// Configure gives the connection another Config, and returns what follows from it now. What is known of a tunnel that stays,
// by its name, stays with it, whatever its index is from now on; a tunnel that is new begins as in a new connection. Of one that
// is gone nothing more may be told: the caller closes its IKE SAs. The name and the seed of the connection stay.
func (c *Connection) Configure(now time.Time, cfg Config) Output {
	cfg.Name, cfg.Seed = c.cfg.Name, c.cfg.Seed
	next := New(cfg, now)
	next.rnd, next.begun, next.state, next.since, next.traffic, next.routes = c.rnd, c.begun, c.state, c.since, c.traffic, c.routes
	for i, t := range next.cfg.Tunnels {
		was := slices.IndexFunc(c.cfg.Tunnels, func(o TunnelConfig) bool { return o.Name == t.Name })
		if was < 0 {
			continue
		}
		fresh := next.tunnels[i]
		next.tunnels[i] = c.tunnels[was]
		if slices.Contains(c.chosen, was) {
			next.chosen = append(next.chosen, i)
		}
		if c.favour == was {
			next.favour = i
		}
		if kept := &next.tunnels[i]; kept.reason == c.resting() && next.resting() != c.resting() { // it rests for another reason now
			kept.reason, kept.hint = fresh.reason, fresh.hint
		}
	}
	*c = *next
	for i := range c.tunnels {
		c.reconsider(now, i)
	}
	var out Output
	c.decide(now, &out)
	return out
}
