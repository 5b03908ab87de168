package datapath

import (
	"twinbore/esp"
	"twinbore/esp/protect"
)

const udpHeaderLen = 8

// least returns the path MTU to reckon with, of the one configured and the one of the route. Less than every host takes is
// not believed: with IPv6 the route's may come from somebody else's ICMP error (DOS-17).
func (l *lane) least(path int) int {
	if l.route == 0 {
		return path
	}
	floor := minPathMTU
	if l.path.Remote.Addr().Unmap().Is6() {
		floor = minIPv6MTU
	}
	return min(path, max(l.route, floor))
}

// mtuFor returns how large a packet may be.
func (l *lane) mtuFor(p *packet) int {
	if p.src.Is6() {
		return max(l.mtu, minIPv6MTU) // RFC 2473 §7.1: on a smaller path it is the outer packet that is cut
	}
	return l.mtu
}

// reroute asks what the routes take that Child SAs use, and sizes packets by it. The kernel is asked with no lock held.
func (g *Gateway) reroute() {
	routes := map[esp.Path]int{}
	g.mu.Lock()
	for _, t := range g.peers {
		for _, c := range t.children {
			routes[c.lane.Load().path] = 0
		}
	}
	g.mu.Unlock()
	for path := range routes {
		routes[path] = g.cfg.RouteMTU(path)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, t := range g.peers {
		for _, c := range t.children {
			l := *c.lane.Load()
			if route, asked := routes[l.path]; asked && route != l.route {
				l.route = route
				c.take(l, t.conn.rules.Load())
			}
		}
	}
}

// InnerMTU returns the largest inner packet, in octets, whose ESP packet fits into path octets without being
// fragmented. outer6 says that the outer packet is IPv6, encap that ESP goes in UDP (RFC 3948). It is 0 for a path that is
// too small to carry anything.
func InnerMTU(path int, outer6, encap bool, alg *protect.Algorithm) int {
	if outer6 {
		path -= ipv6HeaderLen
	} else {
		path -= ipv4HeaderLen
	}
	if encap {
		path -= udpHeaderLen
	}
	return esp.MaxInner(alg, path)
}
