package kernel

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"twinbore/routing"
)

// guardMetric is that of the leak guard: worse than any route that anybody else makes.
const guardMetric = 4_000_000_000

// A key is what Linux knows a route by: two routes with one key cannot both be there.
type key struct {
	table  int
	prefix netip.Prefix
	metric int
}

// A route is one route as Linux has it, as far as we care. Routes are comparable.
type route struct {
	key
	unreachable bool
	dev         string     // empty when unreachable
	via         netip.Addr // next hop; the zero Addr: on the link itself
	src         netip.Addr // preferred source; the zero Addr: the kernel chooses
	protocol    int
}

// String writes the route as "ip route" does.
func (r route) String() string {
	var b strings.Builder
	if r.unreachable {
		b.WriteString("unreachable ")
	}
	if r.prefix.IsSingleIP() {
		b.WriteString(r.prefix.Addr().String())
	} else {
		b.WriteString(r.prefix.String())
	}
	if r.via.IsValid() {
		fmt.Fprintf(&b, " via %v", r.via)
	}
	if r.dev != "" {
		fmt.Fprintf(&b, " dev %s", r.dev)
	}
	if r.table != mainTable {
		fmt.Fprintf(&b, " table %d", r.table)
	}
	fmt.Fprintf(&b, " proto %d", r.protocol)
	if r.src.IsValid() {
		fmt.Fprintf(&b, " src %v", r.src)
	}
	if r.metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.metric)
	}
	return b.String()
}

// A Problem is why a part of the wanted state could not be brought about.
type Problem struct {
	Domain string       // whose route it is, and
	Prefix netip.Prefix // which; the zero Prefix for a route to a peer
	Route  string       // as "ip route" writes it
	Reason string       // what stands in the way and what to do
}

func (p *Problem) Error() string { return fmt.Sprintf("route %q: %s", p.Route, p.Reason) }

// looksInto reports whether routes of others in a table matter to us: in ours, and in main, by which the underlay is reached.
func (c Config) looksInto(table int) bool {
	return table == mainTable || slices.ContainsFunc(c.Domains, func(d Domain) bool { return d.Table == table })
}

// owns reports whether dev is one of our devices.
func (c Config) owns(dev string) bool {
	return slices.ContainsFunc(c.Domains, func(d Domain) bool { return d.Device == dev })
}

// wanted returns the routes that should be there, in the order in which to bring them about: first what keeps packets
// from going astray, then the routes into the devices. foreign are the routes of others through which peers
// might be reached.
func (c Config) wanted(want []routing.Route, peers []netip.Addr, foreign []route) ([]route, []*Problem) {
	var pins, guards, ways []route
	var problems []*Problem
	for _, d := range c.Domains {
		up := map[netip.Prefix]bool{} // one prefix may come from several sources
		var prefixes []netip.Prefix
		for _, w := range want {
			p := w.Prefix.Masked()
			if w.Domain != d.Name || !p.IsValid() {
				continue
			}
			if _, known := up[p]; !known {
				prefixes = append(prefixes, p)
			}
			up[p] = up[p] || w.Up
		}
		more, stranded := c.pins(d, prefixes, peers, foreign)
		for _, pin := range more {
			if !slices.Contains(pins, pin) { // of another domain in the same table
				pins = append(pins, pin)
			}
		}
		for _, p := range prefixes {
			guards = append(guards, route{key: key{d.Table, p, guardMetric}, unreachable: true, protocol: c.Protocol})
			if !up[p] {
				continue
			}
			way := route{key: key{d.Table, p, c.Metric}, dev: d.Device, protocol: c.Protocol, src: d.source(p)}
			if i := slices.IndexFunc(stranded, p.Contains); i >= 0 {
				problems = append(problems, &Problem{d.Name, p, way.String(), fmt.Sprintf(
					"it covers the peer's outer address %v, to which there is no other route; route that address through the underlay", stranded[i])})
				continue
			}
			ways = append(ways, way)
		}
	}
	return slices.Concat(pins, guards, ways), problems
}

// pins returns a host route for each peer that a wanted prefix covers, and the peers to which there is no way but ours. A
// connection that is down needs the pin too, or its own guard would keep it from coming up.
func (c Config) pins(d Domain, prefixes []netip.Prefix, peers []netip.Addr, foreign []route) (pins []route, stranded []netip.Addr) {
	done := map[netip.Addr]bool{}
	for _, peer := range peers {
		covers := func(p netip.Prefix) bool { return p.Contains(peer) }
		if done[peer] || !slices.ContainsFunc(prefixes, covers) {
			continue
		}
		done[peer] = true
		host := netip.PrefixFrom(peer, peer.BitLen())
		under, ok := c.underlay(foreign, d.Table, peer)
		if !ok && d.Table != mainTable {
			under, ok = c.underlay(foreign, mainTable, peer) // who is led into our table goes on as if he had not been
		}
		switch {
		case !ok:
			stranded = append(stranded, peer)
		case under.prefix != host || under.table != d.Table: // someone else's host route does the same
			pins = append(pins, route{key: key{d.Table, host, c.Metric}, dev: under.dev, via: under.via, protocol: c.Protocol})
		}
	}
	return pins, stranded
}

// underlay returns the route of others in a table by which addr would be reached without us: the longest prefix, then the
// lowest metric.
func (c Config) underlay(foreign []route, table int, addr netip.Addr) (route, bool) {
	fit := slices.DeleteFunc(slices.Clone(foreign), func(r route) bool {
		return r.table != table || r.unreachable || r.dev == "" || c.owns(r.dev) || !r.prefix.Contains(addr)
	})
	if len(fit) == 0 {
		return route{}, false
	}
	return slices.MinFunc(fit, func(a, b route) int {
		return cmp.Or(cmp.Compare(b.prefix.Bits(), a.prefix.Bits()), cmp.Compare(a.metric, b.metric))
	}), true
}

// source returns the configured source address of p's family, if any.
func (d Domain) source(p netip.Prefix) netip.Addr {
	for _, a := range d.Sources {
		if a.Is4() == p.Addr().Is4() {
			return a
		}
	}
	return netip.Addr{}
}
