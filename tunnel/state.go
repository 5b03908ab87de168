package tunnel

import (
	"slices"
	"time"
)

// A State is where a connection is in its life (R6 to R9). Whether its tunnels are up is a separate fact.
type State uint8

const (
	Pending   State = iota // no tunnel was ever up
	Available              // a tunnel has been up; stays so while tunnels come and go
	Deleting               // SAs are being deleted at the peer
	Deleted                // final
)

func (s State) String() string {
	return [...]string{"pending", "available", "deleting", "deleted"}[s]
}

// A Report is a connection as the status shows it.
type Report struct {
	Name    string
	State   State
	Since   time.Time // of State
	Active  int       // index of the tunnel that carries outbound traffic, the first of several; -1: none
	Note    string    // what an operator should know and need not act on; may be empty
	Tunnels []TunnelReport
}

// A TunnelReport is one tunnel as the status shows it.
type TunnelReport struct {
	Name      string
	Up        bool
	Since     time.Time // of the last change of Up
	Reason    Reason    // never empty while DOWN, always empty while UP
	Hint      string    // as Reason
	NextRetry time.Time // when the peer is asked again at the latest; not after now while it is being asked; zero: not by us
	AdminDown bool      // the operator took it down
	Active    bool      // it carries outbound traffic
	Draining  bool      // the operator drains it: nothing is sent by it, or soon will not be
	Drained   bool      // and nothing comes by it any more
	Probe     ProbeReport
}

// A ProbeReport is what pings through a tunnel say.
type ProbeReport struct {
	Asked   bool          // there were any since the tunnel has Child SAs
	Suspect bool          // packets leave and nothing comes back
	RTT     time.Duration // smoothed; 0: not known
	Loss    float64       // of the last 32 pings those without an answer, 0 to 100
}

// Report says how things stand at now.
func (c *Connection) Report(now time.Time) Report {
	r := Report{Name: c.cfg.Name, State: c.state, Since: c.since, Active: -1, Note: c.remark()}
	if len(c.chosen) > 0 {
		r.Active = c.chosen[0]
	}
	for i := range c.tunnels {
		t := &c.tunnels[i]
		tr := TunnelReport{Name: c.cfg.Tunnels[i].Name, Up: t.up, Since: t.since, AdminDown: t.adminDown,
			Active: slices.Contains(c.chosen, i), Draining: t.draining, Drained: t.drained}
		if h := &t.health; t.alive {
			tr.Probe = ProbeReport{Asked: h.pings.asks > 0, Suspect: h.phase != calm, RTT: h.rtt, Loss: h.pings.loss(h.number, h.open)}
		}
		if !t.up {
			tr.Reason, tr.Hint, tr.NextRetry = t.reason, t.hint, c.nextRetry(now, t)
		}
		r.Tunnels = append(r.Tunnels, tr)
	}
	return r
}

// remark says whether there is a second tunnel for the first one's traffic (R20, F23).
func (c *Connection) remark() string {
	if len(c.tunnels) == 1 {
		return "not redundant: the connection has one tunnel"
	}
	var up []string
	for i := range c.tunnels {
		if t := &c.tunnels[i]; t.up && t.sound() {
			up = append(up, c.cfg.Tunnels[i].Name)
		}
	}
	if len(up) == 1 {
		return "not redundant now: only tunnel " + up[0] + " is fit for use"
	}
	return ""
}

// A Watch says what there is to watch of a tunnel's packets.
type Watch struct {
	Alive    bool          // it has Child SAs that it may use; the rest is zero without
	Active   bool          // the connection's packets leave by it
	Draining bool          // it matters whether anything comes by it
	RTT      time.Duration // smoothed; 0: not known
}

// Watch returns that of tunnel i.
func (c *Connection) Watch(i int) Watch {
	t := &c.tunnels[i]
	if !t.alive {
		return Watch{}
	}
	return Watch{Alive: true, Active: slices.Contains(c.chosen, i), Draining: t.draining, RTT: t.health.rtt}
}

// IdleTimeout returns Config.IdleTimeout.
func (c *Connection) IdleTimeout() time.Duration { return c.cfg.IdleTimeout }

func (c *Connection) nextRetry(now time.Time, t *facts) time.Time {
	switch {
	case t.alive:
		return t.health.due
	case !c.wanted(now, t):
		return time.Time{}
	case t.attempt:
		return now
	case t.leaving > 0:
		return t.leaveUntil
	case t.ikes > 0:
		return t.bareUntil
	}
	return t.retryAt
}
