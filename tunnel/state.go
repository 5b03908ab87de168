package tunnel

import "time"

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
	Active  int       // index of the tunnel that carries outbound traffic; -1: none
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
}

// Report says how things stand at now.
func (c *Connection) Report(now time.Time) Report {
	r := Report{Name: c.cfg.Name, State: c.state, Since: c.since, Active: c.active}
	for i := range c.tunnels {
		t := &c.tunnels[i]
		tr := TunnelReport{Name: c.cfg.Tunnels[i].Name, Up: t.up, Since: t.since, AdminDown: t.adminDown}
		if !t.up {
			tr.Reason, tr.Hint, tr.NextRetry = t.reason, t.hint, c.nextRetry(now, t)
		}
		r.Tunnels = append(r.Tunnels, tr)
	}
	return r
}

func (c *Connection) nextRetry(now time.Time, t *facts) time.Time {
	switch {
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
