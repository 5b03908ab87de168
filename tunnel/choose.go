package tunnel

import "time"

// choose picks the tunnel that outbound traffic takes. A tunnel that is DOWN loses it at once (R21); the preferred one
// gets it as soon as it is UP for the first time, and after a loss only when it has been UP for PreemptAfter, so that a
// tunnel that comes and goes does not drag the traffic with it (R32).
func (c *Connection) choose(now time.Time, out *Output) {
	next := c.pick(now)
	if next == c.active {
		return
	}
	out.Changes = append(out.Changes, Change{Kind: Switched, From: c.active, To: next})
	out.Choose = Choice{Changed: true, Tunnel: next}
	c.active = next
}

func (c *Connection) pick(now time.Time) int {
	if len(c.tunnels) == 0 {
		return -1
	}
	activeUp := c.active >= 0 && c.tunnels[c.active].up
	if p := &c.tunnels[c.cfg.Prefer]; p.up && (!activeUp || !now.Before(p.stable)) {
		return c.cfg.Prefer
	}
	if activeUp {
		return c.active
	}
	for i := range c.tunnels {
		if c.tunnels[i].up {
			return i
		}
	}
	return -1
}
