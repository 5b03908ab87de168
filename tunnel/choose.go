package tunnel

import (
	"slices"
	"time"
)

// A tunnel that was lost and came back is not trusted with traffic from another one before it has been UP for holdFirst, or
// PreemptAfter if it is the preferred one. With each further loss within steady of coming up both wait longer: twice, four times
// as long as holdFirst at least, up to holdMost (EV-32).
const (
	holdFirst = 10 * time.Second
	holdMost  = 5 * time.Minute
	steady    = 5 * time.Minute
)

// choose picks the tunnels that outbound traffic takes. A tunnel that is DOWN loses it at once (R21); the preferred one
// gets it as soon as it is UP for the first time, and after a loss only when it has been UP for PreemptAfter, so that a
// tunnel that comes and goes does not drag the traffic with it (EV-32).
func (c *Connection) choose(now time.Time, out *Output) {
	if next := c.pick(now); !slices.Equal(next, c.chosen) {
		out.Changes = append(out.Changes, Change{Kind: Switched, From: c.chosen, To: next})
		out.Choose = Choice{Changed: true, Tunnels: next}
		c.chosen = next
	}
	for i := range c.tunnels {
		switch t := &c.tunnels[i]; {
		case !t.draining || slices.Contains(c.chosen, i):
			t.drainFrom = time.Time{}
		case t.drainFrom.IsZero():
			t.drainFrom = now
		}
	}
}

// pick returns the choice, in order of index. A tunnel that is being drained is better than none.
func (c *Connection) pick(now time.Time) []int {
	var fit, draining []int
	for i := range c.tunnels {
		switch t := &c.tunnels[i]; {
		case t.up && t.draining:
			draining = append(draining, i)
		case t.up:
			fit = append(fit, i)
		}
	}
	if fit == nil {
		fit = draining
	}
	if fit == nil {
		return nil
	}
	settled := slices.DeleteFunc(slices.Clone(fit), func(i int) bool { return !c.settled(now, i) })
	switch {
	case c.cfg.ActiveActive && len(settled) > 0:
		return settled
	case c.cfg.ActiveActive:
		return fit
	}
	return []int{c.pickOne(fit, settled)}
}

// settled reports whether a tunnel may take traffic that another one carries.
func (c *Connection) settled(now time.Time, i int) bool {
	t := &c.tunnels[i]
	return slices.Contains(c.chosen, i) || t.sure && !now.Before(t.stable)
}

// returns reports whether a tunnel is to take traffic back when it is settled.
func (c *Connection) returns(i int) bool {
	t := &c.tunnels[i]
	return t.up && !t.draining && !slices.Contains(c.chosen, i) && (c.cfg.ActiveActive || i == c.cfg.Prefer && c.favour < 0)
}

// confirm asks a tunnel that has been UP for long enough whether it is still there before traffic returns to it: nobody
// has used it meanwhile, so its path may have gone again without a word.
func (c *Connection) confirm(now time.Time, i int) {
	if t := &c.tunnels[i]; c.returns(i) && !t.sure && !now.Before(t.stable) {
		c.suspect(now, t)
	}
}

// pickOne chooses among tunnels that are fit, of which those that are settled may take the traffic from another.
func (c *Connection) pickOne(fit, settled []int) int {
	current := -1
	if len(c.chosen) > 0 && slices.Contains(fit, c.chosen[0]) {
		current = c.chosen[0]
	}
	switch {
	case slices.Contains(fit, c.favour):
		return c.favour
	case slices.Contains(settled, c.cfg.Prefer), current < 0 && slices.Contains(fit, c.cfg.Prefer):
		return c.cfg.Prefer
	case current >= 0:
		return current
	case len(settled) > 0:
		return settled[0]
	}
	return fit[0]
}

// holdDown is how long a tunnel that has just come back stands by.
func (c *Connection) holdDown(i int) time.Duration {
	again := max(c.tunnels[i].flaps-1, 0)
	hold := min(holdFirst<<min(again, 5), holdMost)
	switch preferred := i == c.cfg.Prefer && !c.cfg.ActiveActive; {
	case preferred && again == 0:
		return c.cfg.PreemptAfter
	case preferred:
		return max(hold, c.cfg.PreemptAfter)
	}
	return hold
}

// lost counts that a tunnel was lost after so long. What was meant is no flap.
func (t *facts) lost(up time.Duration) {
	switch {
	case t.adminDown || t.drained || t.idle:
	case up < steady:
		t.flaps++
	default:
		t.flaps = 1
	}
}

// follow moves the traffic to the tunnel by which the peer's comes now: it has a reason that we may not see, as when our
// packets alone are lost on the way, and a firewall on the way wants both directions on one path (F1). Our preference rests until a
// tunnel comes or goes, for else two ends that prefer different tunnels would chase each other.
func (c *Connection) follow(now time.Time, to int) {
	t := &c.tunnels[to]
	if c.cfg.ActiveActive || !t.up || t.draining || len(c.chosen) != 1 || c.chosen[0] == to {
		return
	}
	c.suspect(now, &c.tunnels[c.chosen[0]])
	c.favour = to
}

// awaited is when a tunnel with a Child SA is to be looked at again; zero: not by itself.
func (c *Connection) awaited(i int) time.Time {
	t := &c.tunnels[i]
	h := &t.health
	switch {
	case t.draining && t.drainFrom.IsZero():
		return time.Time{}
	case t.draining:
		return t.drainEnds()
	case !c.returns(i) || h.phase != calm:
		return h.due
	}
	at := t.stable
	if h.trusted.After(at) {
		at = h.trusted
	}
	if !h.due.IsZero() && h.due.Before(at) {
		return h.due
	}
	return at
}
