package daemon

import (
	"context"
	"slices"
	"time"

	"twinbore/config"
	"twinbore/tunnel"
)

// restartTime is how long a tunnel of a connection has to come up again until the next one is restarted all the same.
const restartTime = 30 * time.Second

// A restarts is the tunnels of one connection that are still to be restarted, one after the other.
type restarts struct {
	conn  *connection
	queue []*end
	last  *end      // the one before them
	until time.Time // they do not wait for it any longer
}

// restart makes the tunnels of a changed connection anew where the plan says so: at once those that are down anyway, and of
// the others one after the other, unless they are to be restarted in parallel. It returns them in this order.
func (l *loop) restart(ctx context.Context, now time.Time, c *connection, change config.ConnectionChange, parallel bool) (list []string) {
	var later []*end
	report := c.logic.Report(now)
	for _, t := range change.Tunnels {
		e := l.ends[c.shown.Name+"/"+t.Name]
		switch {
		case t.Class != config.TunnelRestart || t.Op == config.Removed || e == nil || report.Tunnels[e.index].AdminDown || report.Tunnels[e.index].Drained:
			continue
		case report.Tunnels[e.index].Up && !parallel:
			later = append(later, e)
		default:
			l.anew(ctx, now, e)
			list = append(list, e.peer)
		}
	}
	for _, e := range later {
		list = append(list, e.peer)
	}
	i := slices.IndexFunc(l.restarts, func(r *restarts) bool { return r.conn == c })
	if i < 0 {
		i = len(l.restarts)
		l.restarts = append(l.restarts, &restarts{conn: c})
	}
	r := l.restarts[i]
	for _, e := range later {
		if !slices.Contains(r.queue, e) {
			r.queue = append(r.queue, e)
		}
	}
	l.restartNext(ctx, now)
	return list
}

// restartNext restarts the tunnels whose turn has come.
func (l *loop) restartNext(ctx context.Context, now time.Time) {
	if len(l.restarts) == 0 {
		return
	}
	var left []*restarts
	for _, r := range l.restarts {
		for len(r.queue) > 0 && r.free(now, l.ends) {
			e := r.queue[0]
			r.queue = r.queue[1:]
			if l.ends[e.peer] == e {
				r.last, r.until = e, now.Add(restartTime)
				l.anew(ctx, now, e)
			}
		}
		if len(r.queue) > 0 || !r.free(now, l.ends) { // the next reload waits for the last one, too
			left = append(left, r)
		}
	}
	l.restarts = left
}

// free reports whether the next one need not wait.
func (r *restarts) free(now time.Time, ends map[string]*end) bool {
	return r.last == nil || !now.Before(r.until) || ends[r.last.peer] != r.last || r.conn.logic.Report(now).Tunnels[r.last.index].Up
}

// anew closes a tunnel and lets it begin again, unless nothing is there to close and nobody begins. What the operator wants of it
// stays: down, or drained.
func (l *loop) anew(ctx context.Context, now time.Time, e *end) {
	report := e.conn.logic.Report(now).Tunnels[e.index]
	if report.AdminDown || report.Drained || !report.Up && (report.Reason == tunnel.WaitingForPeer || report.Reason == tunnel.WaitingForTraffic) {
		return
	}
	l.recorder.note(e, now, "configuration: restart", "", "")
	l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.AdminDown, Tunnel: e.index})
	l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.AdminUp, Tunnel: e.index})
	if report.Draining {
		l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.Drain, Tunnel: e.index})
	}
}
