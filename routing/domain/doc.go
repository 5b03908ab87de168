// Package domain is the routing table of one domain: which connection owns a prefix, which one carries it now, and
// what of that the host's table and the data path are to have.
//
//	files ─────── Configured ─┐
//	operator ──── Added ──────┼─► Table ──┬─► Wanted   routes for the host's table (routing/kernel)
//	BGP ───────── Learned ────┘     ▲     ├─► Forward  who carries what, and whose sources are good (tunnel/datapath)
//	tunnels ───── SetUp ────────────┘     └─► Routes   everything, with its state, for people
//
// A prefix has one owner, and a second connection that has it too is refused by both names, unless the one is declared the
// backup of the other, or of the same third (R33, R28). Prefixes inside one another are no conflict: the longest wins,
// and that is the lookup's business. Among those that have one prefix the order is
//
//	a network here ─ of connections that are up: static ─ BGP ─ the primary ─ its backup ─ the order of the configuration
//
// where a network here (gateway.networks) is never behind a peer, and a BGP route not inside one either (routing.md §5.2).
// While none of them is up the first of the order owns the prefix and nobody carries it: its route for the host is down, which
// routing/kernel makes "unreachable" (R39). A domain that does not propagate has no routes for the host at all (R40).
//
// A connection that has a prefix and does not carry it may still send from it: the far ends choose for themselves, and
// differently for a while. Those are the Sources of Forward; no other connection's packets are ever good there (F11).
//
// Who owns what: a Table has one owner and no lock. Its prefixes never change; who changes them makes a new Table, which is
// refused whole or good whole. What changes in it is who is up. Nothing here knows of another domain: their Tables never meet.
//
// Not done here: preference among BGP routes (AS path, MED), announcing routes between connections (hub).
//
// Start reading at table.go, then decide.go.
package domain
