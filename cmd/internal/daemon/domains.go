package daemon

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"twinbore/config"
	"twinbore/routing"
	"twinbore/routing/domain"
	"twinbore/tunnel/datapath"
)

// A domainTable is the routing table of a domain and the connections that are in it. The loop's goroutine owns it.
type domainTable struct {
	config  domain.Config
	inTable int // number of the host's table that its routes go into
	table   *domain.Table
	members []*connection // in the order of table
}

// domainsOf returns the domains of a configuration, without connections.
func domainsOf(cfg *config.Config) []*domainTable {
	var out []*domainTable
	for _, d := range cfg.Domains {
		out = append(out, &domainTable{inTable: d.Table, config: domainOf(cfg, d)})
	}
	return out
}

func domainOf(cfg *config.Config, d config.Domain) domain.Config {
	return domain.Config{Name: d.Name, Local: cfg.Local(d.Name), Propagate: d.Propagate, MaxStatic: cfg.Gateway.Limits.MaxStaticRoutes}
}

// reroute makes the tables anew of the connections that there are and what is known of them, and has them used. Whoever adds,
// removes or changes a connection calls it. When there is an error nothing changes.
func (l *loop) reroute() error {
	tables := make([]domainTable, len(l.domains))
	for i, d := range l.domains {
		var err error
		if tables[i], err = l.gather(d); err != nil {
			return err
		}
	}
	before := l.tables()
	l.setTables(tables)
	l.assign()
	if err := l.setForwarding(); err != nil {
		l.setTables(before)
		l.assign()
		return err
	}
	l.publish()
	return nil
}

// gather makes the table of one domain.
func (l *loop) gather(d *domainTable) (domainTable, error) {
	cfg := d.config
	out := domainTable{config: cfg, inTable: d.inTable}
	var conns []domain.Connection
	for _, c := range l.conns {
		if c.shown.Domain == cfg.Name {
			out.members = append(out.members, c)
			// What was added may have come into the configuration since.
			added := slices.DeleteFunc(slices.Clone(c.added), func(p netip.Prefix) bool { return slices.Contains(c.networks, p) })
			conns = append(conns, domain.Connection{Name: c.shown.Name, BackupOf: c.backupOf, Up: c.up, Configured: c.networks, Added: added})
		}
	}
	var err error
	if out.table, err = domain.New(cfg, conns); err != nil {
		return out, fmt.Errorf("routes of domain %q: %w", cfg.Name, err)
	}
	return out, nil
}

func (l *loop) tables() []domainTable {
	var out []domainTable
	for _, d := range l.domains {
		out = append(out, *d)
	}
	return out
}

func (l *loop) setTables(tables []domainTable) {
	for i := range tables {
		*l.domains[i] = tables[i]
	}
}

// assign enters what the tables say into what the data path is told of each connection, and reports whether that is news.
func (l *loop) assign() (changed bool) {
	for _, d := range l.domains {
		if d.table == nil {
			continue
		}
		for i, f := range d.table.Forward() {
			to := &d.members[i].forward
			if !slices.Equal(to.Networks, f.Networks) || !slices.Equal(to.Sources, f.Sources) {
				to.Networks, to.Sources = f.Networks, f.Sources
				changed = true
			}
		}
	}
	return changed
}

// setForwarding tells the data path of all connections, and the stack inside them.
func (l *loop) setForwarding() error {
	var all []datapath.Connection
	for _, c := range l.conns {
		all = append(all, c.forward)
	}
	if err := l.gateway.SetConnections(all); err != nil {
		return err
	}
	l.stack.SetTunnels(voices(all))
	return nil
}

// publish tells the routes what the host's table is to have: every network, up or not.
func (l *loop) publish() {
	var want []routing.Route
	for _, d := range l.domains {
		want = append(want, d.table.Wanted()...)
	}
	l.routes.publish(want)
}

// routed is told that a connection can carry traffic, or cannot any more.
func (l *loop) routed(now time.Time, c *connection, up bool) {
	c.up = up
	for _, d := range l.domains {
		d.table.SetUp(c.shown.Name, up)
	}
	if l.assign() { // another connection carries some of its networks now
		if err := l.setForwarding(); err != nil {
			panic("bug: the data path refuses what it had, in another order: " + err.Error())
		}
	}
	l.publish()
	l.timeline.routed(now, c)
}

// meeting returns the connection of another domain whose routes would meet those to p in one of the host's tables, where the
// longest prefix wins, whosever it is (R32, F11); "" when there is none.
func (l *loop) meeting(c *connection, p netip.Prefix) string {
	i := slices.IndexFunc(l.domains, func(d *domainTable) bool { return d.config.Name == c.shown.Domain })
	if i < 0 || !l.domains[i].config.Propagate {
		return ""
	}
	for j, d := range l.domains {
		if j == i || d.inTable != l.domains[i].inTable || !d.config.Propagate {
			continue
		}
		for _, r := range d.table.Routes() {
			if r.Prefix.Overlaps(p) {
				return r.Conn
			}
		}
	}
	return ""
}

// routesOf returns what the tables say of each connection.
func (l *loop) routesOf() map[*connection][]domain.Route {
	out := map[*connection][]domain.Route{}
	for _, d := range l.domains {
		byName := map[string]*connection{}
		for _, c := range d.members {
			byName[c.shown.Name] = c
		}
		for _, r := range d.table.Routes() {
			c := byName[r.Conn]
			out[c] = append(out[c], r)
		}
	}
	return out
}
