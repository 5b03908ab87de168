package datapath

import (
	"twinbore/esp"
	"twinbore/esp/protect"
)

const (
	udpHeaderLen = 8
	espHeaderLen = 8 // RFC 4303 §2
)

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

// A Fit says how the largest inner packet of a tunnel fits into the path, and what is around it. All are octets but the names.
type Fit struct {
	Path, Inner        int  // the outer packet, and the inner one
	IP, UDP            int  // headers; UDP is 0 without it
	ESP, IV, ICV, Rest int  // SPI and sequence number; what the algorithm adds; trailer, and padding that this size needs
	IPv6               bool // the outer packet is
	Algorithm          *protect.Algorithm
}

// Outer returns how large the outer packet of an inner one is.
func (f Fit) Outer(inner int) int { return f.IP + f.UDP + esp.SealedLen(f.Algorithm, inner) }

// Fit returns that of the tunnel "connection/tunnel" by the Child SA in use, and false for a tunnel that has none.
func (g *Gateway) Fit(peer string) (Fit, bool) {
	t := g.policy.Load().peers[peer]
	if t == nil {
		return Fit{}, false
	}
	r, ready := t.conn.rules.Load(), *t.ready.Load()
	if r == nil || len(ready) == 0 {
		return Fit{}, false
	}
	newest := ready[0][0]
	l, alg := newest.lane.Load(), newest.out.Algorithm()
	f := Fit{Path: l.least(r.pathMTU), Inner: l.mtu, IP: ipv4HeaderLen, ESP: espHeaderLen, IV: alg.IVLen, ICV: alg.TagLen,
		IPv6: l.path.Remote.Addr().Unmap().Is6(), Algorithm: alg}
	if f.IPv6 {
		f.IP = ipv6HeaderLen
	}
	if !l.bare() {
		f.UDP = udpHeaderLen
	}
	f.Rest = f.Path - f.Inner - f.IP - f.UDP - f.ESP - f.IV - f.ICV
	return f, true
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
