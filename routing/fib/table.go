package fib

import (
	"fmt"
	"net/netip"

	"github.com/gaissmai/bart"
)

// Active as an Entry's Tunnel means the tunnel that the connection uses now.
const Active = -1

// An Entry says that packets to Prefix belong to a connection, and that packets from it may only come out of that
// connection.
type Entry struct {
	Prefix netip.Prefix // masked
	Conn   int          // index of the connection, 0 or more
	Tunnel int          // index of the tunnel in the connection, or Active
}

// A Table maps addresses to entries by the longest prefix. It is immutable and safe for concurrent use.
type Table struct {
	t bart.Table[Entry]
}

// A ConflictError reports two entries with one prefix: a packet could leave by either of two connections (R33).
type ConflictError struct {
	Have, New Entry // in the order given to Build
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("prefix %v is claimed twice: by connection %d and by connection %d", e.New.Prefix, e.Have.Conn, e.New.Conn)
}

// Build makes a table of entries, which it does not keep. It returns a *ConflictError when two of them have the same
// prefix, and another error for a prefix that is not valid.
func Build(entries []Entry) (*Table, error) {
	t := new(Table)
	for _, e := range entries {
		if !e.Prefix.IsValid() || e.Prefix != e.Prefix.Masked() || e.Prefix.Addr().Is4In6() {
			return nil, fmt.Errorf("prefix %v is not a masked IPv4 or IPv6 prefix", e.Prefix)
		}
		if have, taken := t.t.Get(e.Prefix); taken {
			return nil, &ConflictError{Have: have, New: e}
		}
		t.t.Insert(e.Prefix, e)
	}
	return t, nil
}

// Lookup returns the entry with the longest prefix that contains addr. An IPv4 address must not be mapped into IPv6.
func (t *Table) Lookup(addr netip.Addr) (Entry, bool) { return t.t.Lookup(addr) }
