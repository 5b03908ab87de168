package domain

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"twinbore/routing"
)

// A Source is where a connection has a prefix from, best first.
type Source uint8

const (
	Configured Source = iota // static, in the configuration
	Added                    // static, at run time (R35)
	Learned                  // from the peer by BGP
)

// Origin returns the source in the words of package routing.
func (s Source) Origin() routing.Origin {
	if s == Learned {
		return routing.BGP
	}
	return routing.Static
}

// Config is what a domain is.
type Config struct {
	Name      string
	Local     []netip.Prefix // networks here: never behind a peer
	Propagate bool           // routes go into the host's table
	MaxStatic int            // static prefixes that a connection may have, 0: any number (R14)
}

// A Connection is one that is attached to the domain. Its prefixes are masked.
type Connection struct {
	Name     string
	BackupOf string // it may have the prefixes of this connection too; empty: of none
	Up       bool   // it can carry traffic

	Configured, Added, Learned []netip.Prefix
}

// of returns the prefixes from a source.
func (c *Connection) of(s Source) []netip.Prefix {
	return [...][]netip.Prefix{c.Configured, c.Added, c.Learned}[s]
}

// A Table is the routing table of one domain. One goroutine owns it.
type Table struct {
	cfg    Config
	conns  []*connection // as given
	byName map[string]*connection
	rows   []row // by prefix
}

// A row is a prefix and who has it, the best first.
type row struct {
	prefix netip.Prefix
	claims []claim
}

// A connection is what a Table knows of one.
type connection struct {
	name  string
	root  string // the primary of all that may have its prefixes
	depth int    // how many backups away from that
	index int
	up    bool
}

// A claim says that a connection has a prefix.
type claim struct {
	conn  *connection
	from  Source
	state State // Local, or not yet known
}

// A ConflictError says that two connections have one prefix and neither is the other's backup (R33).
type ConflictError struct {
	Prefix    netip.Prefix
	Have, New string // connections
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("%v is behind the peer of connection %q already and cannot be behind that of %q as well, unless ha.backup_of makes one the backup of the other",
		e.Prefix, e.Have, e.New)
}

// New makes a Table of the connections of a domain, which it does not keep. It returns a *ConflictError for a prefix that two
// have, and another error for a static prefix that stands twice or is a network here, for too many of them, and for a backup
// of nobody.
func New(cfg Config, conns []Connection) (*Table, error) {
	t := &Table{cfg: cfg, byName: map[string]*connection{}}
	for i := range conns {
		c := &connection{name: conns[i].Name, index: i, up: conns[i].Up}
		if t.byName[c.name] != nil {
			return nil, fmt.Errorf("connection %q is there twice", c.name)
		}
		t.conns, t.byName[c.name] = append(t.conns, c), c
	}
	if err := t.root(conns); err != nil {
		return nil, err
	}
	claims := map[netip.Prefix][]claim{}
	for i := range conns {
		if err := t.enter(claims, t.conns[i], &conns[i]); err != nil {
			return nil, err
		}
	}
	for p, list := range claims {
		slices.SortStableFunc(list, better)
		t.rows = append(t.rows, row{p, list})
	}
	slices.SortFunc(t.rows, func(a, b row) int { return a.prefix.Compare(b.prefix) })
	return t, nil
}

// root finds the primary of each connection.
func (t *Table) root(conns []Connection) error {
	for i, c := range t.conns {
		at := &conns[i]
		for at.BackupOf != "" {
			next := t.byName[at.BackupOf]
			if next == nil {
				return fmt.Errorf("connection %q is the backup of %q, which is not in domain %q", at.Name, at.BackupOf, t.cfg.Name)
			}
			if c.depth++; c.depth >= len(conns) {
				return fmt.Errorf("connection %q is its own backup, by way of %q", c.name, at.Name)
			}
			at = &conns[next.index]
		}
		c.root = at.Name
	}
	return nil
}

// enter adds the prefixes of a connection to claims.
func (t *Table) enter(claims map[netip.Prefix][]claim, c *connection, from *Connection) error {
	mine := map[netip.Prefix]bool{}
	for s := Configured; s <= Learned; s++ {
		for _, p := range from.of(s) {
			state := Down
			switch local, here := t.local(p, s); {
			case !here:
			case s == Learned:
				state = Local
			default:
				return fmt.Errorf("%v cannot be behind the peer of connection %q: %v is a network here", p, c.name, local)
			}
			if mine[p] && s != Learned {
				return fmt.Errorf("connection %q has %v already", c.name, p)
			}
			mine[p] = true
			for _, other := range claims[p] {
				if other.conn.root != c.root {
					return &ConflictError{Prefix: p, Have: other.conn.name, New: c.name}
				}
			}
			claims[p] = append(claims[p], claim{conn: c, from: s, state: state})
		}
	}
	if n := len(from.Configured) + len(from.Added); t.cfg.MaxStatic > 0 && n > t.cfg.MaxStatic {
		return fmt.Errorf("connection %q would have %d static routes, more than gateway.limits.max_static_routes (%d)", c.name, n, t.cfg.MaxStatic)
	}
	return nil
}

// local returns the network here that a prefix may not stand against: its equal, and for what a peer says any around it.
func (t *Table) local(p netip.Prefix, s Source) (netip.Prefix, bool) {
	for _, l := range t.cfg.Local {
		if l == p || s == Learned && l.Bits() <= p.Bits() && l.Contains(p.Addr()) {
			return l, true
		}
	}
	return netip.Prefix{}, false
}

// better orders the claims on one prefix, whoever is up.
func better(a, b claim) int {
	return cmp.Or(
		cmp.Compare(a.from.Origin(), b.from.Origin()),
		cmp.Compare(a.conn.depth, b.conn.depth),
		cmp.Compare(a.conn.index, b.conn.index),
		cmp.Compare(a.from, b.from),
	)
}

// SetUp says whether a connection can carry traffic, and reports whether that is news.
func (t *Table) SetUp(conn string, up bool) bool {
	c := t.byName[conn]
	if c == nil || c.up == up {
		return false
	}
	c.up = up
	return true
}

// String writes the table one route a line, for tests and logs.
func (t *Table) String() string {
	var b strings.Builder
	for _, r := range t.Routes() {
		fmt.Fprintf(&b, "%v %s %v %v\n", r.Prefix, r.Conn, r.Source, r.State)
	}
	return b.String()
}
