package datapath

import (
	"net/netip"
	"slices"
)

// An oracle says of each packet where it may go, the plainest way: it walks through lists, and remembers nothing of the
// packet before. It knows the configuration, the host's addresses, and which Child SAs there are.
type oracle struct {
	conns []Connection
	own   []netip.Addr
}

// domainName gives the default domain its name.
func domainName(name string) string {
	if name == "" {
		return DefaultDomain
	}
	return name
}

// owner returns the connection that owns an address in a domain, by the longest prefix: its networks, and the inside
// addresses of its peers where they are no other's (R33).
func (o *oracle) owner(domain string, a netip.Addr) (c *Connection, tunnel int, prefix netip.Prefix) {
	peers := map[netip.Addr]int{}
	for i := range o.conns {
		if domainName(o.conns[i].Domain) == domain {
			for _, t := range o.conns[i].Tunnels {
				peers[t.InsidePeer]++
			}
		}
	}
	tunnel = -1
	for i := range o.conns {
		one := &o.conns[i]
		if domainName(one.Domain) != domain {
			continue
		}
		for _, p := range one.Networks {
			if p.Contains(a) && (c == nil || p.Bits() > prefix.Bits() || p.Bits() == prefix.Bits() && tunnel >= 0) {
				c, tunnel, prefix = one, -1, p
			}
		}
		for k, t := range one.Tunnels {
			if t.InsidePeer == a && peers[a] == 1 && (c == nil || a.BitLen() > prefix.Bits()) {
				c, tunnel, prefix = one, k, netip.PrefixFrom(a, a.BitLen())
			}
		}
	}
	return c, tunnel, prefix
}

// longest returns the length of the longest of networks that holds an address, -1 for none.
func longest(networks []netip.Prefix, a netip.Addr) int {
	most := -1
	for _, p := range networks {
		if p.Contains(a) {
			most = max(most, p.Bits())
		}
	}
	return most
}

// nowhereAddr reports whether an address is one that nobody may have across a tunnel.
func nowhereAddr(a netip.Addr) bool {
	bad := []string{"0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/127", "fe80::/10", "ff00::/8", "::ffff:0:0/96"}
	return slices.ContainsFunc(bad, func(s string) bool { return prefix(s).Contains(a) })
}

// passes goes through a filter (R47).
func passes(rules []FilterRule, p *packet) bool {
	for _, r := range rules {
		ports := r.ToPort == 0 || !p.later && (p.proto == protoTCP || p.proto == protoUDP) && p.dport >= r.FromPort && p.dport <= r.ToPort
		if (r.Proto == 0 || r.Proto == p.proto) && ports {
			return !r.Deny
		}
	}
	return true
}

// out says by which connection a packet from a domain's device may leave, and by which of its tunnels (-1: any that is
// chosen, or that its flow came in by); nil: by none.
func (o *oracle) out(domain string, p *packet) (*Connection, int) {
	c, tunnel, _ := o.owner(domain, p.dst)
	if c == nil || !passes(c.Filter.Out, p) {
		return nil, 0
	}
	inside := slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.Inside == p.src })
	if c.Local != nil && longest(c.Local, p.src) < 0 && !inside { // R45
		return nil, 0
	}
	return c, tunnel
}

// in says whether a packet that came out of a Child SA of c may go on to the device of c's domain.
func (o *oracle) in(c *Connection, p *packet) bool {
	fromPeer := slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.InsidePeer == p.src })
	if !fromPeer {
		owner, _, prefix := o.owner(domainName(c.Domain), p.src)
		switch {
		case nowhereAddr(p.src), slices.Contains(o.own, p.src), owner == nil: // TS-05
			return false
		case owner.Name != c.Name && !slices.Contains(c.Sources, prefix): // TS-07
			return false
		case longest(c.Local, p.src) >= prefix.Bits():
			return false
		}
	}
	toUs := slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.Inside == p.dst }) || slices.Contains(o.own, p.dst)
	if toUs {
		guarded := !p.later && (p.proto == protoTCP || p.proto == protoUDP) && (p.dport == 500 || p.dport == 4500)
		return !guarded && passes(c.Filter.In, p)
	}
	behind, _, prefix := o.owner(domainName(c.Domain), p.dst)
	ours := longest(c.Local, p.dst)
	switch {
	case nowhereAddr(p.dst), c.Local != nil && ours < 0: // R13
		return false
	case behind != nil && prefix.Bits() > 0 && ours < prefix.Bits():
		return false
	}
	return passes(c.Filter.In, p)
}
