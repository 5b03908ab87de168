package netstack

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// Config says how packets get into the tunnels.
type Config struct {
	// Send lets a whole inner packet out by the tunnel "connection/tunnel" (datapath.Gateway.Send). It copies the packet and may be
	// called by several goroutines. An error means that it did not leave.
	Send func(peer string, packet []byte) error
	// Whole is Send for a packet whose outer packet must not be fragmented on its way (datapath.Gateway.SendWhole).
	Whole func(peer string, packet []byte) error
	// MTU returns how many octets a packet for a tunnel may have, 0 while that is not known (datapath.Gateway.MTU). It takes no
	// lock that Send or Control could wait for.
	MTU func(peer string) int
}

// A Tunnel is one that the gateway speaks in.
type Tunnel struct {
	Peer   string     // "connection/tunnel"
	Inside netip.Addr // our address in it; the zero Addr if there is none
}

// A Stack speaks for the gateway inside its tunnels. All methods are safe for concurrent use.
type Stack struct {
	cfg Config

	mu      sync.Mutex // guards the rest
	tunnels map[string]*place
	pings   map[uint16]*Pings // by identifier
	gvs     []*stack.Stack    // gVisor's; none until somebody speaks TCP
	nics    map[string]*nic   // in them
	lastNIC tcpip.NICID
	closed  bool
}

// A place is what the Stack keeps of a tunnel.
type place struct {
	inside netip.Addr
	echoes bucket
	drops  [reasons]uint64
}

// New makes a Stack that is in no tunnel.
func New(cfg Config) *Stack {
	return &Stack{cfg: cfg, tunnels: map[string]*place{}, pings: map[uint16]*Pings{}, nics: map[string]*nic{}}
}

// SetTunnels makes tunnels those that the Stack is in, in place of those before.
func (s *Stack) SetTunnels(tunnels []Tunnel) {
	s.mu.Lock()
	gone := maps.Clone(s.nics)
	stay := map[string]bool{}
	for _, t := range tunnels {
		stay[t.Peer] = true
		if n := gone[t.Peer]; n != nil && n.inside == t.Inside {
			delete(gone, t.Peer)
		}
		if s.tunnels[t.Peer] == nil {
			s.tunnels[t.Peer] = &place{}
		}
		s.tunnels[t.Peer].inside = t.Inside
	}
	maps.DeleteFunc(s.tunnels, func(peer string, _ *place) bool { return !stay[peer] })
	for peer := range gone {
		delete(s.nics, peer)
	}
	s.mu.Unlock()
	for _, n := range gone {
		n.leave()
	}
}

// Control takes a packet that came by a tunnel and is for the gateway itself, and answers it where that is to be done. It reports
// whether the packet was for the Stack, which then keeps it; others are the host's (datapath.Config.Control).
func (s *Stack) Control(peer string, packet []byte) bool {
	p, ok := parseIP(packet)
	if !ok {
		return false
	}
	if t, ok := p.tcp(); ok {
		return s.deliver(peer, packet, t.dst, t.src)
	}
	m, ok := parse(packet)
	if !ok {
		return false
	}
	switch m.kind() {
	case echoRequest:
		return s.echo(peer, packet, &m)
	case echoReply:
		return s.replied(peer, &m)
	case unreachable, tooBig, expired:
		return s.refused(peer, packet, &m)
	}
	return false
}

// IsEchoRequest reports whether packet is an ICMP echo request: that somebody asks whether we are there.
func IsEchoRequest(packet []byte) bool {
	m, ok := parse(packet)
	return ok && m.kind() == echoRequest
}

// A reason says why a packet for the Stack went no further.
type reason uint8

const (
	echoRate reason = iota // more echo requests than are answered
	notSent                // the answer did not leave
	reasons
)

func (r reason) String() string { return [reasons]string{"echo_rate", "echo_unsent"}[r] }

// Drops returns how many packets that the Stack took from a tunnel were dropped, by reason, since it is in that.
func (s *Stack) Drops(peer string) map[string]uint64 {
	out := map[string]uint64{}
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tunnels[peer]; t != nil {
		for r, n := range t.drops {
			if n != 0 {
				out[reason(r).String()] = n
			}
		}
	}
	return out
}

// drop counts a packet.
func (s *Stack) drop(peer string, why reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tunnels[peer]; t != nil {
		t.drops[why]++
	}
}

// insideOf returns our address in a tunnel.
func (s *Stack) insideOf(peer string) (netip.Addr, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch t := s.tunnels[peer]; {
	case t == nil:
		return netip.Addr{}, fmt.Errorf("there is no tunnel %q", peer)
	case !t.inside.IsValid():
		return netip.Addr{}, fmt.Errorf("tunnel %q has no inside address", peer)
	default:
		return t.inside, nil
	}
}
