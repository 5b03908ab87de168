package config

import (
	"fmt"
	"net/netip"
	"slices"
)

// KeepsAlive reports whether the connection's tunnels are pinged all the time. With lenient that is for the sake of a provider's idle
// timeout alone: an address that never answers takes no tunnel down.
func (c *Connection) KeepsAlive() (on, lenient bool) {
	switch c.Keepalive.Mode {
	case KeepOn, KeepICMP:
		return true, false
	case KeepAuto:
		return presets[c.Provider].keepalive, true
	}
	return false, false
}

// PingTarget returns what is pinged through a tunnel, from our inside address: keepalive.target, or the peer's inside address.
// The zero Addr means that nothing can be: there is no such pair of addresses, or the selectors leave it out.
func (c *Connection) PingTarget(t Tunnel) netip.Addr {
	target := c.Keepalive.Target
	if !target.IsValid() {
		target = t.PeerInside
	}
	if from := t.Inside.Addr(); from.IsValid() && target.IsValid() && from.BitLen() == target.BitLen() && c.selects(from, target) {
		return target
	}
	return netip.Addr{}
}

// selects reports whether packets between two addresses fit the traffic selectors that we ask for.
func (c *Connection) selects(local, remote netip.Addr) bool {
	in := func(addr netip.Addr, networks []netip.Prefix) bool {
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(addr) })
	}
	return c.Selectors != SelectorsNetworks || in(local, c.LocalNetworks) && in(remote, c.RemoteNetworks)
}

// keepalive checks that what is to decide whether a tunnel is up can be asked.
func (k *checker) keepalive(path string, c *Connection) {
	target := c.Keepalive.Target
	if byHand := c.Routing == RoutingStatic || c.Routing == RoutingPolicy; target.IsValid() && byHand && !k.behind(c, target) {
		k.refuse(path+".keepalive.target", fmt.Sprintf("%v is not behind the peer", target), "take an address of remote_networks, or peer-inside")
		return
	}
	if on, lenient := c.KeepsAlive(); !on || lenient {
		return
	}
	for i, t := range c.Tunnels {
		at := item(path+".tunnels", i) + ".inside"
		to := target
		if !to.IsValid() {
			to = t.PeerInside
		}
		switch {
		case k.has(at) && !(t.Inside.IsValid() && to.IsValid()): // that was reported
		case !t.Inside.IsValid():
			k.refuse(path+".keepalive.mode", fmt.Sprintf("tunnel %q has no inside address to ping from", t.Name), "give it one, as inside: 169.254.61.2/30")
		case t.Inside.Addr().BitLen() != to.BitLen():
			k.refuse(path+".keepalive.target", fmt.Sprintf("%v cannot be pinged from %v of tunnel %q", to, t.Inside.Addr(), t.Name), "")
		case !c.selects(t.Inside.Addr(), to):
			k.refuse(path+".keepalive.mode", fmt.Sprintf("selectors: networks leaves out pings from %v to %v through tunnel %q", t.Inside.Addr(), to, t.Name),
				"use selectors: any, or inside addresses that are in the networks")
		}
	}
}

// behind reports whether an address is one of a tunnel's peer or in a network behind it.
func (k *checker) behind(c *Connection, addr netip.Addr) bool {
	return slices.ContainsFunc(c.RemoteNetworks, func(p netip.Prefix) bool { return p.Contains(addr) }) ||
		slices.ContainsFunc(c.Tunnels, func(t Tunnel) bool { return t.PeerInside == addr })
}
