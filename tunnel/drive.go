package tunnel

import (
	"slices"
	"time"
)

// decide turns the facts into what must happen now.
func (c *Connection) decide(now time.Time, out *Output) {
	for i := range c.tunnels {
		c.drained(now, i)
		c.live(now, i)
	}
	for i := range c.tunnels {
		c.confirm(now, i)
		c.check(now, i, out)
	}
	for i := range c.tunnels {
		c.refresh(now, i, out)
	}
	if c.state == Pending && c.anyUp() {
		c.enter(now, Available, out)
	}
	for i := range c.tunnels {
		c.drive(now, i, out)
		c.tell(i, out)
	}
	c.choose(now, out)
	if up := len(c.chosen) > 0 || c.lures(); up != c.routes {
		c.routes = up
		out.Routes = RouteChange{Changed: true, Up: up}
	}
	if c.state == Deleting && !c.anyLeft() {
		c.enter(now, Deleted, out)
	}
	out.Wake = c.wake(now)
}

// lures reports whether packets are to come to us though no tunnel is UP, because one of them starts it (R23).
func (c *Connection) lures() bool {
	for i := range c.tunnels {
		if t := &c.tunnels[i]; c.begun && c.allowed(t) && (c.cfg.Start == OnTraffic || c.cfg.Start == Always && (t.cleared || t.idle || t.called)) {
			return true
		}
	}
	return false
}

// live recomputes whether a tunnel has what it takes to carry packets, whether or not they arrive.
func (c *Connection) live(now time.Time, i int) {
	t := &c.tunnels[i]
	if c.state >= Deleting {
		t.blame(AdminIsDown, "the connection is being deleted")
	}
	alive := len(t.children) > 0 && c.allowed(t)
	if alive && !t.alive {
		t.failures, t.retryAt, t.cleared, t.idle, t.called = 0, time.Time{}, false, false, false
		t.attempt = false // whatever becomes of it, it is not waited for
		t.health.begin(now, c.pings(i))
	}
	t.alive = alive
}

// refresh recomputes whether a tunnel is UP.
func (c *Connection) refresh(now time.Time, i int, out *Output) {
	t := &c.tunnels[i]
	up, after := t.alive && c.passes(i), now.Sub(t.since)
	switch {
	case up && !t.up:
		t.stable, t.sure = now, !t.proven
		if t.proven {
			t.stable = now.Add(c.holdDown(i))
		}
		t.up, t.since, t.proven = true, now, true
		t.reason, t.hint, t.told = "", "", ""
		out.Changes = append(out.Changes, Change{Kind: TunnelUp, Tunnel: i, After: after})
		c.favour = -1
	case !up && t.up:
		if t.alive {
			t.blame(ProbeLost, t.health.why)
		}
		t.lost(after)
		t.up, t.since, t.told = false, now, t.reason
		out.Changes = append(out.Changes, Change{Kind: TunnelDown, Tunnel: i, Reason: t.reason, Hint: t.hint, After: after})
		c.favour = -1
	}
}

// allowed reports whether the tunnel may be UP at all.
func (c *Connection) allowed(t *facts) bool { return !t.adminDown && !t.drained && c.state < Deleting }

// wanted reports whether it is for us to bring the tunnel up.
func (c *Connection) wanted(now time.Time, t *facts) bool {
	if !c.begun || !c.allowed(t) || t.cleared || t.idle || t.alive {
		return false
	}
	switch c.cfg.Start {
	case Always:
		return true
	case OnTraffic:
		return c.anyAlive() || !c.traffic.IsZero() && now.Sub(c.traffic) < trafficMemory
	}
	return false
}

// drive starts and closes one tunnel's IKE SAs, and says whether the peer may begin one.
func (c *Connection) drive(now time.Time, i int, out *Output) {
	t := &c.tunnels[i]
	if barred := !c.allowed(t); barred != t.barred {
		t.barred = barred
		do := Admit
		if barred {
			do = Bar
		}
		out.IKE = append(out.IKE, IKECommand{Tunnel: i, Do: do})
	}
	if !c.allowed(t) && (t.ikes > 0 || t.attempt) {
		t.leave(now, i, Close, out)
	}
	if t.leaving > 0 && !now.Before(t.leaveUntil) && !t.alive {
		t.leave(now, i, Discard, out)
	}
	if t.ikes == 0 || t.alive {
		t.bareUntil, t.asked, t.refused = time.Time{}, false, false
	}
	switch {
	case t.leaving > 0 && !t.alive || !c.wanted(now, t):
	case t.attempt:
		if !now.Before(t.attemptUntil) {
			t.blame(NoResponse, "")
			c.retry(now, t)
			t.leave(now, i, Close, out)
		}
	case t.ikes > 0:
		c.driveBare(now, i, out)
	case !now.Before(t.retryAt):
		if t.reason == WaitingForTraffic {
			t.blame(NoResponse, "")
		}
		t.attempt, t.attemptUntil = true, now.Add(attemptBudget)
		out.IKE = append(out.IKE, IKECommand{Tunnel: i, Do: Initiate})
	}
}

// driveBare gets an IKE SA its Child SA, or closes it: the peer has a moment to make another one, then we ask for it, and
// when that is refused or takes too long everything starts over.
func (c *Connection) driveBare(now time.Time, i int, out *Output) {
	t := &c.tunnels[i]
	switch {
	case t.bareUntil.IsZero():
		t.bareUntil = now.Add(bareBudget)
	case now.Before(t.bareUntil):
	case !t.asked && !t.refused:
		t.asked, t.bareUntil = true, now.Add(attemptBudget)
		out.IKE = append(out.IKE, IKECommand{Tunnel: i, Do: Initiate})
	default:
		c.retry(now, t)
		t.leave(now, i, Close, out)
	}
}

// leave tells IKE to close, or to forget, everything that the tunnel has.
func (t *facts) leave(now time.Time, i int, do Do, out *Output) {
	out.IKE = append(out.IKE, IKECommand{Tunnel: i, Do: do, Reason: t.reason})
	t.leaving += t.ikes
	if t.attempt {
		t.leaving++
	}
	t.ikes, t.attempt, t.bareUntil = 0, false, time.Time{}
	t.leaveUntil = now.Add(leaveBudget)
	clear(t.children)
	if do == Discard {
		t.leaving = 0
	}
}

// tell reports a tunnel that is still DOWN for another reason than the one reported last.
func (c *Connection) tell(i int, out *Output) {
	if t := &c.tunnels[i]; !t.up && t.reason != t.told {
		t.told = t.reason
		out.Changes = append(out.Changes, Change{Kind: TunnelReason, Tunnel: i, Reason: t.reason, Hint: t.hint})
	}
}

func (c *Connection) anyUp() bool {
	return slices.ContainsFunc(c.tunnels, func(t facts) bool { return t.up })
}

func (c *Connection) anyAlive() bool {
	return slices.ContainsFunc(c.tunnels, func(t facts) bool { return t.alive })
}

// anyLeft reports whether an IKE SA is left that the peer has not been rid of.
func (c *Connection) anyLeft() bool {
	for i := range c.tunnels {
		if t := &c.tunnels[i]; t.ikes > 0 || t.attempt || t.leaving > 0 {
			return true
		}
	}
	return false
}

// wake returns the earliest deadline that counts as things stand.
func (c *Connection) wake(now time.Time) time.Time {
	var first time.Time
	at := func(d time.Time) {
		if !d.IsZero() && (first.IsZero() || d.Before(first)) {
			first = d
		}
	}
	for i := range c.tunnels {
		t := &c.tunnels[i]
		switch {
		case t.alive:
			at(c.awaited(i))
		case t.leaving > 0:
			at(t.leaveUntil)
		case !c.wanted(now, t):
		case t.attempt:
			at(t.attemptUntil)
		case t.ikes > 0:
			at(t.bareUntil)
		default:
			at(t.retryAt)
		}
	}
	return first
}
