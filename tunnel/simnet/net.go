package simnet

import (
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"twinbore/tunnel/transport"
)

// maxSockets is how many sockets may be open at once. The square of it is the number of pairs, each of which has one
// nanosecond out of so many; more would make time coarse.
const maxSockets = 256

// A Net joins sockets. Make it with New; its methods are safe for concurrent use.
type Net struct {
	seed  uint64
	hooks sync.Mutex // held while a Tap or Judge runs, so that these need no lock of their own

	mu      sync.Mutex // guards what follows
	closed  bool
	sockets map[netip.AddrPort]*socket
	numbers [maxSockets]bool // in use
	normal  Link
	links   map[direction]Link
	holes   map[direction]bool
	nats    []*NAT
	flows   map[[2]int]*flow
	drops   map[string]uint64
	tap     func(time.Time, transport.Message)
}

// A direction is one way between two hosts, by their own addresses.
type direction struct{ from, to netip.Addr }

// New returns an empty network that delivers everything at once. Everything random in it follows from seed.
func New(seed uint64) *Net {
	return &Net{
		seed:    seed,
		sockets: make(map[netip.AddrPort]*socket),
		links:   make(map[direction]Link),
		holes:   make(map[direction]bool),
		flows:   make(map[[2]int]*flow),
		drops:   make(map[string]uint64),
	}
}

// Listen opens a socket on an address of the network. Port 0 takes one from 49152. It panics if the address is
// unspecified or taken, or if 256 sockets are open: those are bugs of the test.
func (n *Net) Listen(addr netip.AddrPort) transport.Socket { return n.listen(addr, false) }

// ListenESP opens a socket of IP protocol 50, which has no ports, on an address of the network. It panics as Listen
// does. No NAT passes what it sends.
func (n *Net) ListenESP(addr netip.Addr) transport.Socket {
	return n.listen(netip.AddrPortFrom(addr, 0), true)
}

func (n *Net) listen(addr netip.AddrPort, bare bool) transport.Socket {
	n.mu.Lock()
	defer n.mu.Unlock()
	number := 0
	for number < maxSockets && n.numbers[number] {
		number++
	}
	if addr.Port() == 0 && !bare {
		addr = netip.AddrPortFrom(addr.Addr(), 49152+uint16(number))
	}
	switch {
	case n.closed:
		panic("bug: simnet: Listen after Close")
	case number == maxSockets:
		panic(fmt.Sprintf("bug: simnet: more than %d sockets", maxSockets))
	case !addr.Addr().IsValid() || addr.Addr().IsUnspecified():
		panic(fmt.Sprintf("bug: simnet: listen on %s: a socket needs an address of its own", addr))
	case n.sockets[addr] != nil:
		panic(fmt.Sprintf("bug: simnet: listen on %s: address in use", addr))
	}
	s := newSocket(n, number, addr)
	n.numbers[number] = true
	n.sockets[addr] = s
	return s
}

// SetLinks sets what every direction does that SetLink was not called for.
func (n *Net) SetLinks(l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.normal = l
}

// SetLink sets what happens to datagrams that the host from sends to the host to: their own addresses, also behind a
// NAT. What is already under way is not touched.
func (n *Net) SetLink(from, to netip.Addr, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[direction{from, to}] = l
}

// Blackhole loses all that from sends to to, until Heal.
func (n *Net) Blackhole(from, to netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.holes[direction{from, to}] = true
}

// BlackholeBoth loses all that passes between a and b, until Heal.
func (n *Net) BlackholeBoth(a, b netip.Addr) {
	n.Blackhole(a, b)
	n.Blackhole(b, a)
}

// Heal ends every blackhole between a and b.
func (n *Net) Heal(a, b netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.holes, direction{a, b})
	delete(n.holes, direction{b, a})
}

// Move gives the host at old a new address, as roaming does: its sockets stay open. What is under way to the old
// address is lost. It panics if a socket of the new address stands in the way.
func (n *Net) Move(old, new netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for addr, s := range maps.Clone(n.sockets) {
		if addr.Addr() != old {
			continue
		}
		next := netip.AddrPortFrom(new, addr.Port())
		if n.sockets[next] != nil {
			panic(fmt.Sprintf("bug: simnet: move to %s: address in use", next))
		}
		delete(n.sockets, addr)
		n.sockets[next], s.addr = s, next
	}
}

// Tap has f called for each datagram that reaches its host, at the instant it does, before it can be read: the
// paths are as the receiver sees them. f may keep the message and must not change it. nil ends it.
func (n *Net) Tap(f func(now time.Time, m transport.Message)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tap = f
}

// Drops returns how many datagrams the network lost, by reason: "loss" and "judge" (Link), "mtu", "blackhole", "nat"
// (no mapping), "no_socket", and "overflow" (the receiver's queue was full).
func (n *Net) Drops() map[string]uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.drops)
}

// Close closes every socket and loses what is under way. No goroutine of the Net is left. Closing twice does
// nothing.
func (n *Net) Close() {
	n.mu.Lock()
	n.closed = true
	for _, f := range n.flows {
		for _, a := range f.pending {
			a.timer.Stop()
		}
		clear(f.pending)
	}
	open := maps.Clone(n.sockets)
	n.mu.Unlock()
	for _, s := range open {
		s.Close()
	}
}
