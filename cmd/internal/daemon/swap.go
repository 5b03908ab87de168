package daemon

import (
	"context"
	"errors"
	"slices"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/ike"
	"twinbore/ike/session"
	"twinbore/routing/domain"
	"twinbore/tunnel"
)

// A swap brings the loop from one configuration to another. Everything that takes time or may fail, but for what the data path
// and the routes say, was done before.
type swap struct {
	plan     config.Plan
	order    []string               // names of the connections
	made     map[string]*connection // every one, as it would be if it were new
	here     map[string]*connection // those before, once the loop has it
	domains  map[string]domain.Config
	set      []ike.Peer // new ones, and those whose sessions live on
	replaced []ike.Peer // whose sessions do not
	parallel bool
	reply    chan swapped
}

// swapped is how it went.
type swapped struct {
	err      error
	restarts []string // tunnels, in order
}

// errParting says that something of a name is still being deleted.
var errParting = errors.New("is still being deleted")

// partingTime is how long the peer of a tunnel that is not configured any more has to answer the Delete, until nobody waits
// for it. The session itself may take longer.
const partingTime = 6 * time.Second

// swap does it, or leaves everything as it was.
func (l *loop) swap(ctx context.Context, now time.Time, s *swap) {
	switch {
	case l.stopping:
		s.reply <- swapped{err: api.Refuse(api.ShuttingDown, "the daemon is shutting down")}
	case l.inTheWay(now, s):
		s.reply <- swapped{err: errParting}
	default:
		undo := l.rearrange(s)
		if err := l.reroute(); err != nil {
			undo()
			s.reply <- swapped{err: err}
			return
		}
		s.reply <- swapped{restarts: l.settle(ctx, now, s)}
	}
}

// inTheWay reports whether something that is to be made has the name of something that is not gone yet: what IKE says of the one
// would be taken for the other's.
func (l *loop) inTheWay(now time.Time, s *swap) bool {
	l.partWith(now)
	for _, c := range s.plan.Connections {
		if c.Op == config.Added && slices.ContainsFunc(l.leaving, func(o *connection) bool { return o.shown.Name == c.Name }) {
			return true
		}
		for _, t := range c.Tunnels {
			if t.Op == config.Added && l.parting[c.Name+"/"+t.Name] != nil {
				return true
			}
		}
	}
	return false
}

// rearrange puts the connections and what the data path and the routes are told of them into place, and returns how to undo it.
// Tunnels and their SAs are not touched.
func (l *loop) rearrange(s *swap) (undo func()) {
	conns, domains := l.conns, make([]domain.Config, len(l.domains))
	saved := make([]connection, len(conns))
	s.here = make(map[string]*connection, len(conns))
	for i, c := range conns {
		saved[i], s.here[c.shown.Name] = *c, c
	}
	for i, d := range l.domains {
		domains[i] = d.config
		d.config = s.domains[d.config.Name]
	}
	l.conns = nil
	for _, name := range s.order {
		made := s.made[name]
		if c := s.here[name]; c != nil {
			c.shown, c.networks, c.encap, c.onTraffic = made.shown, made.networks, made.encap, made.onTraffic
			c.backupOf, c.forward, c.selective = made.backupOf, made.forward, made.selective
			made = c
		}
		l.conns = append(l.conns, made)
	}
	return func() {
		l.conns = conns
		for i, c := range conns {
			*c = saved[i]
		}
		for i, d := range l.domains {
			d.config = domains[i]
		}
	}
}

// settle does the rest, which cannot fail, and returns the tunnels that are restarted.
func (l *loop) settle(ctx context.Context, now time.Time, s *swap) (restarted []string) {
	l.engine.SetPeers(s.set...)
	l.engine.ReplacePeers(s.replaced...)
	for _, change := range s.plan.Connections {
		c := s.here[change.Name]
		switch change.Op {
		case config.Added:
			c = s.made[change.Name]
			for _, e := range c.ends {
				l.enlist(e)
			}
			l.begin(ctx, now, c)
		case config.Removed:
			l.remove(ctx, now, c)
		case config.Changed:
			l.reshape(ctx, now, c, s.made[change.Name])
			l.renew(now, c, change)
			restarted = append(restarted, l.restart(ctx, now, c, change, s.parallel)...)
		}
	}
	return restarted
}

// remove begins the end of a connection.
func (l *loop) remove(ctx context.Context, now time.Time, c *connection) {
	c.gone = true
	l.restarts = slices.DeleteFunc(l.restarts, func(r *restarts) bool { return r.conn == c })
	l.leaving = append(l.leaving, c)
	var names []string
	for _, e := range c.ends {
		e.search++
		names = append(names, e.peer)
	}
	l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Delete})
	l.engine.RemovePeers(names...)
	l.checkDeleted(now)
}

// reshape gives a connection the tunnels and the settings that it would have if it were new. What is known of a tunnel that
// stays, stays.
func (l *loop) reshape(ctx context.Context, now time.Time, c, made *connection) {
	gone := map[string]*end{}
	for _, e := range c.ends {
		gone[e.name] = e
	}
	c.ends = nil
	for i, fresh := range made.ends {
		e := gone[fresh.name]
		if e == nil {
			e = fresh
			e.conn = c
			l.enlist(e)
		}
		delete(gone, fresh.name)
		e.index, e.local, e.remote, e.inside = i, fresh.local, fresh.remote, fresh.inside
		c.ends = append(c.ends, e)
	}
	var names []string
	for _, e := range gone {
		e.search++
		e.partBy = now.Add(partingTime)
		delete(l.ends, e.peer)
		l.parting[e.peer] = e
		names = append(names, e.peer)
	}
	l.engine.RemovePeers(names...)
	c.config = made.config
	l.obey(ctx, now, c, c.logic.Configure(now, c.config))
	l.follow(now, c)
	l.partWith(now)
}

// partWith forgets connections that are deleted and tunnels whose SAs are.
func (l *loop) partWith(now time.Time) {
	var left []*connection
	for _, c := range l.leaving {
		if c.logic.Report(now).State != tunnel.Deleted {
			left = append(left, c)
			continue
		}
		for _, e := range c.ends {
			delete(l.ends, e.peer)
			l.forget(e)
		}
	}
	l.leaving = left
	for peer, e := range l.parting {
		if len(e.ikes) == 0 || !now.Before(e.partBy) {
			delete(l.parting, peer)
			l.forget(e)
		}
	}
}

// forget lets go of what others keep of a tunnel, and of who waits for its name.
func (l *loop) forget(e *end) {
	l.recorder.forget(e.peer)
	l.timeline.forget(e.peer)
	l.routes.unpin(e.peer)
	token(l.parted)
}

// renew replaces keys that would otherwise live on under settings that are not configured any more.
func (l *loop) renew(now time.Time, c *connection, change config.ConnectionChange) {
	var ike, child bool
	for _, k := range change.Keys {
		if k.Class == config.Rekey {
			ike = ike || k.Key == "lifetimes.ike" || k.Key == "lifetimes.rekey_at" || k.Key == "lifetimes.jitter"
			child = child || k.Key != "lifetimes.ike"
		}
	}
	for _, t := range change.Tunnels {
		e := l.ends[c.shown.Name+"/"+t.Name]
		if t.Class != config.Rekey || e == nil || !c.logic.Report(now).Tunnels[e.index].Up {
			continue
		}
		l.recorder.note(e, now, "configuration: rekey", "", "")
		if child {
			l.engine.Do(e.peer, session.Rekey{})
		}
		if ike {
			l.engine.Do(e.peer, session.Rekey{IKE: true})
		}
	}
}
