package datapath

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"twinbore/routing/fib"
)

// check refuses connections that cannot be.
func (g *Gateway) check(conns []Connection) error {
	names := map[string]bool{}
	for _, c := range conns {
		if names[c.Name] {
			return fmt.Errorf("connection %q is there twice", c.Name)
		}
		names[c.Name] = true
		if g.domainOf(c.Domain) < 0 {
			return fmt.Errorf("connection %q: the data path has no domain %q; domains are made when it starts", c.Name, c.Domain)
		}
		if c.PathMTU != 0 && (c.PathMTU < minPathMTU || c.PathMTU > 65535) {
			return fmt.Errorf("connection %q: path MTU %d is not between %d and 65535", c.Name, c.PathMTU, minPathMTU)
		}
		for _, r := range slices.Concat(c.Filter.In, c.Filter.Out) {
			if r.FromPort > r.ToPort {
				return fmt.Errorf("connection %q: a filter rule has ports from %d to %d", c.Name, r.FromPort, r.ToPort)
			}
		}
		for _, t := range c.Tunnels {
			if names[c.Name+"/"+t.Name] {
				return fmt.Errorf("tunnel %q is there twice", c.Name+"/"+t.Name)
			}
			names[c.Name+"/"+t.Name] = true
		}
	}
	return nil
}

// tablesOf makes the forwarding table of each domain of connections that were checked.
func (g *Gateway) tablesOf(conns []Connection) (tables []*fib.Table, err error) {
	for domain := range g.domains {
		var entries []fib.Entry
		taken := map[netip.Prefix]bool{}
		for i, c := range conns {
			if g.domainOf(c.Domain) != domain {
				continue
			}
			for _, p := range c.Networks {
				taken[p] = true
				entries = append(entries, fib.Entry{Prefix: p, Conn: i, Tunnel: fib.Active})
			}
		}
		for _, e := range g.insidePeers(conns, domain) {
			if !taken[e.Prefix] { // the same address as a network by itself wins
				entries = append(entries, e)
			}
		}
		table, err := fib.Build(entries)
		var conflict *fib.ConflictError
		if errors.As(err, &conflict) {
			return nil, fmt.Errorf("network %v belongs to two connections, %q and %q; each network needs one owner",
				conflict.New.Prefix, conns[conflict.Have.Conn].Name, conns[conflict.New.Conn].Name)
		}
		if err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, nil
}

// insidePeers returns entries for the peers' inside addresses in a domain. Two connections may use one /30 inside: then the
// address alone does not say whose it is, and no packet from the device goes there.
func (g *Gateway) insidePeers(conns []Connection, domain int) (entries []fib.Entry) {
	count := map[netip.Addr]int{}
	for i, c := range conns {
		if g.domainOf(c.Domain) != domain {
			continue
		}
		for k, t := range c.Tunnels {
			if t.InsidePeer.IsValid() {
				count[t.InsidePeer]++
				entries = append(entries, fib.Entry{Prefix: netip.PrefixFrom(t.InsidePeer, t.InsidePeer.BitLen()), Conn: i, Tunnel: k})
			}
		}
	}
	return slices.DeleteFunc(entries, func(e fib.Entry) bool { return count[e.Prefix.Addr()] > 1 })
}
