// Package routing holds the words that routes are spoken of with. What wins and where routes go is in its
// subpackages: domain decides who owns a prefix, fib forwards packets, kernel keeps the host's tables in step.
package routing

import (
	"context"
	"net/netip"
)

// A TunnelID names one tunnel of one connection.
type TunnelID struct{ Conn, Tunnel string }

func (t TunnelID) String() string { return t.Conn + "/" + t.Tunnel }

// An Origin says where a route comes from, best first (R43).
type Origin uint8

const (
	Static Origin = iota // entered by hand
	BGP                  // learned from the peer
)

func (o Origin) String() string {
	if o == BGP {
		return "bgp"
	}
	return "static"
}

// A Route says which connection owns a prefix.
type Route struct {
	Prefix netip.Prefix // masked
	Conn   string       // the connection that owns it
	Domain string       // whose table it belongs to
	Origin Origin
	Up     bool // the connection can carry traffic; false: the prefix is unreachable, never sent in clear
}

// A Source publishes its complete set of routes each time it changes. Run returns when ctx is done.
type Source interface {
	Name() string
	Run(ctx context.Context, publish func([]Route)) error
}

// A Sink is brought to the wanted state; calling it twice with the same routes changes nothing.
type Sink interface {
	Apply(ctx context.Context, want []Route) error
}
