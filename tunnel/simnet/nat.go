package simnet

import (
	"fmt"
	"net/netip"
	"time"
)

// A NAT hides the addresses of a prefix behind one, as a home router does. A socket inside keeps one port outside
// for all its peers, and only those it has sent to may answer (RFC 4787 §4.1 endpoint-independent mapping, §5
// address and port-dependent filtering). The addresses inside cannot be reached directly from outside.
type NAT struct {
	net      *Net
	inside   netip.Prefix
	outside  netip.Addr
	idle     time.Duration
	mappings map[netip.AddrPort]*mapping // by address inside
	ports    map[uint16]*mapping
	made     map[netip.AddrPort]int // how many mappings an address has had
}

type mapping struct {
	inside netip.AddrPort
	port   uint16
	fixed  bool // made by Forward
	peers  map[netip.AddrPort]bool
	used   time.Time
}

// firstPort is the lowest port that is given out, and portRange how many there are.
const (
	firstPort = 10000
	portRange = 39 * maxSockets
)

// NAT puts the hosts of inside behind the address outside. It panics if the families differ.
func (n *Net) NAT(inside netip.Prefix, outside netip.Addr) *NAT {
	if inside.Addr().Is4() != outside.Is4() {
		panic(fmt.Sprintf("bug: simnet: NAT from %s to %s", inside, outside))
	}
	t := &NAT{net: n, inside: inside, outside: outside, made: make(map[netip.AddrPort]int)}
	t.forget()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.nats = append(n.nats, t)
	return t
}

// SetIdle makes the NAT forget a mapping that has carried nothing in either direction for d. 0 keeps it for ever.
func (t *NAT) SetIdle(d time.Duration) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.idle = d
}

// Rebind forgets every mapping, as a restart does: what comes from outside is lost until the host inside
// sends again, and then it has another port. Forwarded ports stay.
func (t *NAT) Rebind() {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.forget()
}

// Move gives the NAT another address outside and forgets every mapping but forwarded ports.
func (t *NAT) Move(outside netip.Addr) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.outside = outside
	t.forget()
}

// Forward makes a port outside lead to one inside, for everyone and for ever, as an operator does for a responder.
// What that socket sends comes from this port.
func (t *NAT) Forward(port uint16, to netip.AddrPort) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	t.keep(&mapping{inside: to, port: port, fixed: true})
}

// Mapping returns the address that a socket inside has outside, and false if it has none now.
func (t *NAT) Mapping(inside netip.AddrPort) (netip.AddrPort, bool) {
	t.net.mu.Lock()
	defer t.net.mu.Unlock()
	m := t.mappings[inside]
	if m == nil || t.expired(m, time.Now()) {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(t.outside, m.port), true
}

func (t *NAT) forget() {
	old := t.mappings
	t.mappings, t.ports = make(map[netip.AddrPort]*mapping), make(map[uint16]*mapping)
	for _, m := range old {
		if m.fixed {
			t.keep(m)
		}
	}
}

func (t *NAT) keep(m *mapping) { t.mappings[m.inside], t.ports[m.port] = m, m }

func (t *NAT) expired(m *mapping, now time.Time) bool {
	return !m.fixed && t.idle > 0 && now.Sub(m.used) > t.idle
}

// leave returns the address that a datagram from s has outside. The port follows from the socket's number, not from
// the order in which sockets ask, so that it is the same in each run.
func (t *NAT) leave(s *socket, to netip.AddrPort, now time.Time) netip.AddrPort {
	m := t.mappings[s.addr]
	if m != nil && t.expired(m, now) {
		delete(t.mappings, m.inside)
		delete(t.ports, m.port)
		m = nil
	}
	if m == nil {
		m = &mapping{inside: s.addr, peers: make(map[netip.AddrPort]bool)}
		for m.port == 0 || t.ports[m.port] != nil {
			m.port = firstPort + uint16((t.made[s.addr]*maxSockets+s.number)%portRange)
			t.made[s.addr]++
		}
		t.keep(m)
	}
	m.used = now
	if !m.fixed {
		m.peers[to] = true
	}
	return netip.AddrPortFrom(t.outside, m.port)
}

// enter returns where a datagram for a port outside goes, and false if it goes nowhere.
func (t *NAT) enter(port uint16, from netip.AddrPort, now time.Time) (netip.AddrPort, bool) {
	m := t.ports[port]
	if m == nil || t.expired(m, now) || !m.fixed && !m.peers[from] {
		return netip.AddrPort{}, false
	}
	m.used = now
	return m.inside, true
}

// translate passes a datagram from s to an address through every NAT on its way. It returns the sender as the
// receiver sees it, and the address of the receiver itself.
func (n *Net) translate(s *socket, to netip.AddrPort, now time.Time) (seen, inside netip.AddrPort, ok bool) {
	seen, inside = s.addr, to
	for _, t := range n.nats {
		if t.inside.Contains(s.addr.Addr()) && !t.inside.Contains(to.Addr()) {
			if s.bare { // it has no ports that the NAT could tell it by
				return seen, inside, false
			}
			seen = t.leave(s, to, now)
		}
	}
	for _, t := range n.nats {
		switch {
		case to.Addr() == t.outside:
			if inside, ok = t.enter(to.Port(), seen, now); !ok {
				return seen, inside, false
			}
		case t.inside.Contains(to.Addr()) && !t.inside.Contains(s.addr.Addr()):
			return seen, inside, false
		}
	}
	return seen, inside, true
}
