package domain

import (
	"net/netip"
	"slices"

	"twinbore/routing"
)

// A State says what has become of a route.
type State uint8

const (
	Down    State = iota // its connection cannot carry traffic
	Active               // its connection carries the prefix
	Standby              // its connection could; another route to the prefix is better
	Local                // the prefix is in a network here: never used
)

func (s State) String() string { return [...]string{"down", "active", "standby", "local"}[s] }

func (s Source) String() string { return [...]string{"static", "added", "bgp"}[s] }

// A Route is one of the table, with its state.
type Route struct {
	Prefix netip.Prefix
	Conn   string
	Source Source
	State  State
}

// decide returns which of the claims on a prefix, in their order, has it now, and whether that one is up. -1: none may.
func decide(list []claim) (owner int, up bool) {
	owner = -1
	for i, c := range list {
		switch {
		case c.state == Local:
		case c.conn.up:
			return i, true
		case owner < 0:
			owner = i
		}
	}
	return owner, false
}

// Routes returns every route, by prefix and then by preference.
func (t *Table) Routes() []Route {
	var out []Route
	for _, row := range t.rows {
		owner, up := decide(row.claims)
		for i, c := range row.claims {
			r := Route{Prefix: row.prefix, Conn: c.conn.name, Source: c.from, State: c.state}
			switch {
			case r.State == Local:
			case i == owner && up:
				r.State = Active
			case c.conn.up:
				r.State = Standby
			}
			out = append(out, r)
		}
	}
	return out
}

// Wanted returns what the host's table is to have: each prefix once, with the connection that has it now. Of a domain that
// does not propagate that is nothing.
func (t *Table) Wanted() []routing.Route {
	if !t.cfg.Propagate {
		return nil
	}
	out := make([]routing.Route, 0, len(t.rows))
	for _, row := range t.rows {
		if i, up := decide(row.claims); i >= 0 {
			c := row.claims[i]
			out = append(out, routing.Route{Prefix: row.prefix, Conn: c.conn.name, Domain: t.cfg.Name, Origin: c.from.Origin(), Up: up})
		}
	}
	return out
}

// A Forward is what the data path is to do for one connection.
type Forward struct {
	Conn     string
	Networks []netip.Prefix // packets to them go by this connection, and come from it
	Sources  []netip.Prefix // packets come from them too, though those to them go by another connection that is redundant with it
}

// Forward returns one for each connection, in the order they were given.
func (t *Table) Forward() []Forward {
	out := make([]Forward, len(t.conns))
	for i, c := range t.conns {
		out[i].Conn = c.name
	}
	for _, row := range t.rows {
		owner, _ := decide(row.claims)
		if owner < 0 {
			continue
		}
		had := []*connection{row.claims[owner].conn}
		to := &out[had[0].index]
		to.Networks = append(to.Networks, row.prefix)
		for _, c := range row.claims {
			if c.state != Local && !slices.Contains(had, c.conn) {
				had = append(had, c.conn)
				other := &out[c.conn.index]
				other.Sources = append(other.Sources, row.prefix)
			}
		}
	}
	return out
}
