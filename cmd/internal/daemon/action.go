package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/ike/session"
	"twinbore/tunnel"
)

// act does what an operator asks for.
func (l *loop) act(ctx context.Context, now time.Time, a api.Action) (api.Done, error) {
	ends, which, err := l.pick(a.Connection, a.Tunnel)
	if err != nil {
		return api.Done{}, err
	}
	c := ends[0].conn
	if a.Verb == api.Drain {
		if err := c.drainable(now, a.Tunnel); err != nil {
			return api.Done{}, err
		}
	}
	for _, e := range ends {
		l.recorder.note(e, now, "operator: "+string(a.Verb), "", "")
	}
	switch a.Verb {
	case api.Up:
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.AdminUp, Tunnel: which})
	case api.Down:
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.AdminDown, Tunnel: which})
	case api.Restart:
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.AdminDown, Tunnel: which})
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.AdminUp, Tunnel: which})
	case api.Drain:
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Drain, Tunnel: which})
	case api.Undrain:
		l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Undrain, Tunnel: which})
	case api.Rekey:
		if ends, err = l.rekey(now, ends, a.SA); err != nil {
			return api.Done{}, err
		}
	}
	done := api.Done{Connection: a.Connection}
	for _, e := range ends {
		done.Tunnels = append(done.Tunnels, e.name)
	}
	return done, nil
}

// drainable refuses to drain a tunnel whose traffic no other one can ever take. One that is down may come up: the drain
// waits for it.
func (c *connection) drainable(now time.Time, name string) error {
	if name == "" {
		return api.Refuse(api.BadRequest, "drain is for one tunnel: its traffic needs another one")
	}
	for _, t := range c.logic.Report(now).Tunnels {
		if t.Name != name && !t.AdminDown && !t.Draining && !t.Drained {
			return nil
		}
	}
	return api.Refuse(api.NotUp, fmt.Sprintf("connection %q has no other tunnel for the traffic of %q: `twinbore down` takes a tunnel down regardless", c.shown.Name, name))
}

// pick finds a connection's tunnel, or all of them for an empty name.
func (l *loop) pick(conn, name string) (ends []*end, which int, err error) {
	var names []string
	for _, c := range l.conns {
		names = append(names, c.shown.Name)
		if c.shown.Name != conn {
			continue
		}
		if name == "" {
			return c.ends, tunnel.All, nil
		}
		var tunnels []string
		for i, e := range c.ends {
			if e.name == name {
				return []*end{e}, i, nil
			}
			tunnels = append(tunnels, e.name)
		}
		return nil, 0, api.Refuse(api.NotFound, fmt.Sprintf("connection %q has no tunnel %q: it has %s", conn, name, strings.Join(tunnels, ", ")))
	}
	if len(names) == 0 {
		return nil, 0, api.Refuse(api.NotFound, fmt.Sprintf("no connection %q: none is configured", conn))
	}
	return nil, 0, api.Refuse(api.NotFound, fmt.Sprintf("no connection %q: have %s", conn, strings.Join(names, ", ")))
}

// rekey asks for new keys on those tunnels that are up, and returns them.
func (l *loop) rekey(now time.Time, ends []*end, sa string) ([]*end, error) {
	var up []*end
	report := ends[0].conn.logic.Report(now)
	for _, e := range ends {
		if !report.Tunnels[e.index].Up {
			continue
		}
		up = append(up, e)
		if sa != "ike" {
			l.engine.Do(e.peer, session.Rekey{})
		}
		if sa != "child" {
			l.engine.Do(e.peer, session.Rekey{IKE: true})
		}
	}
	if len(up) == 0 {
		return nil, api.Refuse(api.NotUp, fmt.Sprintf("no tunnel of %q is up: there are no keys to replace", ends[0].conn.shown.Name))
	}
	return up, nil
}
