package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/routing/domain"
)

// A RouteStore keeps what operators add to connections, so that the next start of the daemon knows of it.
type RouteStore interface {
	// Added returns the prefixes that were added to a connection.
	Added(connection string) []netip.Prefix
	// SetAdded makes prefixes those, and returns when they are safe. When there is an error nothing has changed.
	SetAdded(connection string, prefixes []netip.Prefix) error
}

// A routeOrder asks the loop for a change of the prefixes that were added to a connection: to say what would become of them,
// or to do it.
type routeOrder struct {
	connection string
	prefixes   []netip.Prefix
	remove, do bool
	reply      chan routeResult
}

type routeResult struct {
	added []netip.Prefix // all that the connection has then
	err   error
}

// routeQuestion asks the loop for the routes of a connection, or of all for "".
type routeQuestion struct {
	connection string
	reply      chan routesAnswer
}

type routesAnswer struct {
	routes api.Routes
	err    error
}

// Routes returns the routes of a connection, or of all for "". It is safe for concurrent use while Run runs, and waits for the
// loop; a refusal is an *api.Problem.
func (d *Daemon) Routes(ctx context.Context, connection string) (api.Routes, error) {
	reply := make(chan routesAnswer, 1)
	d.mail.post(routeQuestion{connection, reply})
	got, err := await(ctx, d, reply)
	return got.routes, errors.Join(err, got.err)
}

// ChangeRoutes adds prefixes to a connection, or takes away what was added: all of them or none (R35). No SA is touched. It is
// safe for concurrent use while Run runs; a refusal is an *api.Problem.
func (d *Daemon) ChangeRoutes(ctx context.Context, c api.RouteChange) (api.RoutesChanged, error) {
	done := api.RoutesChanged{Connection: c.Connection, Kept: d.kept != nil}
	order := routeOrder{connection: c.Connection, remove: c.Remove}
	for _, text := range c.Prefixes {
		p, err := config.ParseNetwork(text)
		switch {
		case err != nil:
			return done, api.Refuse(api.BadRequest, err.Error())
		case slices.Contains(order.prefixes, p):
			return done, api.Refuse(api.BadRequest, fmt.Sprintf("%v stands twice", p))
		}
		order.prefixes = append(order.prefixes, p)
		done.Prefixes = append(done.Prefixes, p.String())
	}
	d.routesChange.Lock()
	defer d.routesChange.Unlock()
	ask := func(do bool) (routeResult, error) {
		order.do, order.reply = do, make(chan routeResult, 1)
		d.mail.post(order)
		r, err := await(ctx, d, order.reply)
		return r, errors.Join(err, r.err)
	}
	next, err := ask(false)
	if err != nil {
		return done, err
	}
	if d.kept != nil { // the disk may take its time, which the loop has not
		before := d.kept.Added(c.Connection)
		if err := d.kept.SetAdded(c.Connection, next.added); err != nil {
			return done, api.Refuse(api.NotKept, fmt.Sprintf("routes of connection %q: %v", c.Connection, err))
		}
		if _, err = ask(true); err != nil { // something else has changed meanwhile
			return done, errors.Join(err, d.kept.SetAdded(c.Connection, before))
		}
		return done, nil
	}
	_, err = ask(true)
	return done, err
}

// await waits for an answer of the loop.
func await[T any](ctx context.Context, d *Daemon, reply <-chan T) (T, error) {
	var none T
	select {
	case r := <-reply:
		return r, nil
	case <-d.ended:
		return none, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

// changeRoutes does what a routeOrder asks for, or says what it would come to.
func (l *loop) changeRoutes(now time.Time, o routeOrder) routeResult {
	ends, _, err := l.pick(o.connection, "")
	if err != nil {
		return routeResult{err: err}
	}
	c := ends[0].conn
	next, err := c.changed(o)
	if err != nil {
		return routeResult{err: err}
	}
	for _, p := range o.prefixes {
		if other := l.meeting(c, p); other != "" && !o.remove {
			return routeResult{err: api.Refuse(api.Conflict, fmt.Sprintf("%v would meet a network of connection %q, which is in another domain, in one routing table; give one of the domains a table of its own",
				p, other))}
		}
	}
	before := c.added
	c.added = next
	if err := l.tryTables(); err != nil {
		c.added = before
		return routeResult{err: api.Refuse(api.Conflict, err.Error())}
	}
	if !o.do {
		c.added = before
		return routeResult{added: next}
	}
	if err := l.reroute(); err != nil {
		c.added = before
		return routeResult{err: api.Refuse(api.Conflict, err.Error())}
	}
	l.timeline.rerouted(now, c, o.prefixes, o.remove)
	return routeResult{added: next}
}

// changed returns the prefixes that the connection has besides the configured ones after a change, or why there is none.
func (c *connection) changed(o routeOrder) ([]netip.Prefix, error) {
	name := c.shown.Name
	switch {
	case c.shown.Routing != string(config.RoutingStatic):
		return nil, api.Refuse(api.Conflict, fmt.Sprintf("connection %q has routing: %s, and routes can be added to one with routing: static only", name, c.shown.Routing)) // R36
	case c.selective:
		return nil, api.Refuse(api.Conflict, fmt.Sprintf("connection %q negotiates its networks (selectors: networks): one that is added would not pass its SAs; change remote_networks instead", name))
	}
	next := slices.Clone(c.added)
	for _, p := range o.prefixes {
		i := slices.Index(next, p)
		switch configured := slices.Contains(c.networks, p); {
		case o.remove && i >= 0:
			next = slices.Delete(next, i, i+1)
		case o.remove && configured:
			return nil, api.Refuse(api.Conflict, fmt.Sprintf("%v stands in the configuration of connection %q: remove it there", p, name))
		case o.remove:
			return nil, api.Refuse(api.NotFound, fmt.Sprintf("connection %q has no route to %v; it was given %s", name, p, written(c.added)))
		case i >= 0 || configured:
			return nil, api.Refuse(api.Conflict, fmt.Sprintf("connection %q has %v already", name, p))
		default:
			next = append(next, p)
		}
	}
	return next, nil
}

func written(list []netip.Prefix) string {
	if len(list) == 0 {
		return "none"
	}
	var words []string
	for _, p := range list {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}

// tryTables reports what reroute would say, and changes nothing.
func (l *loop) tryTables() error {
	for _, d := range l.domains {
		if _, err := l.gather(d); err != nil {
			return err
		}
	}
	return nil
}

// showRoutes is the tables as operators see them.
func (l *loop) showRoutes(now time.Time, connection string) (api.Routes, error) {
	out := api.Routes{SchemaVersion: api.SchemaVersion, Routes: []api.RouteEntry{}}
	if connection != "" {
		if _, _, err := l.pick(connection, ""); err != nil {
			return out, err
		}
	}
	for _, d := range l.domains {
		active, verdicts := map[string]*string{}, map[string]string{}
		for _, c := range d.members {
			verdicts[c.shown.Name] = c.balance.verdict(now)
			if i := c.logic.Report(now).Active; i >= 0 {
				active[c.shown.Name] = &c.ends[i].name
			}
		}
		for _, r := range d.table.Routes() {
			if connection != "" && r.Conn != connection {
				continue
			}
			e := api.RouteEntry{Prefix: r.Prefix.String(), Connection: r.Conn, Domain: d.config.Name, Source: r.Source.String(), State: r.State.String()}
			if r.State == domain.Active {
				e.Tunnel = active[r.Conn]
				installed, why := l.installed(d.config, r.Prefix)
				e.Installed = installed
				e.Hint = strings.Join(slices.DeleteFunc([]string{why, verdicts[r.Conn]}, func(s string) bool { return s == "" }), "; ")
			}
			out.Routes = append(out.Routes, e)
		}
	}
	return out, nil
}

// installed reports whether the host's table has the route to a prefix that a connection carries, or why not.
func (l *loop) installed(d domain.Config, p netip.Prefix) (bool, string) {
	switch {
	case !d.Propagate:
		return false, fmt.Sprintf("domain %s has propagate: false", d.Name)
	case l.routes.host == nil:
		return false, "there is no TUN device to lead it into"
	}
	return l.routes.installed(hostRoute{d.Name, p})
}
