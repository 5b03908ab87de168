package datapath

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"twinbore/esp"
	"twinbore/routing/fib"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// Config says what a Gateway works with. Devices, queues and sockets belong to the Gateway from New on; Run closes them.
type Config struct {
	Device tun.Device // of the domain DefaultDomain
	// Queues are the others of the device's queues; none for a device with one. Each is read by a goroutine.
	Queues []tun.Device
	// Domains are the other domains, each with a device of its own; none where there is one table for all.
	Domains []Domain
	// Sockets of one address and port are a group, in the order of transport.ListenGroup: one for each worker.
	Sockets []Socket
	// NATTPort is the local port on which IKE has the non-ESP marker and ESP travels (RFC 3948). Every other
	// socket carries IKE alone.
	NATTPort uint16
	// Keepalive is how long a path may be silent before a NAT keepalive goes out (RFC 3948 §4); 0 means 20 s.
	Keepalive time.Duration
	// Guarded are ports of this host, TCP and UDP, that no packet from a tunnel may reach: the control API, the
	// status page. The sockets' own ports always are. Own addresses are told by SetOwn.
	Guarded []uint16
	// Acquire is told that packets wait for a tunnel of a connection, and the selectors of one of them; at most once a
	// second for each. Spent is told
	// once that a Child SA has come near its limit of use. Both are called from one goroutine of Run, never from
	// the packet path, and must return.
	Acquire func(conn string, local, remote esp.Selector)
	Spent   func(peer string, id esp.ChildID)
	// Seen is told, from the same goroutine, that the newest of all authentic packets of a Child SA came from another
	// address than its path's; at most ten times a second for each. The data path follows nobody by itself.
	Seen func(peer string, id esp.ChildID, path esp.Path)
	// Control is shown, from the same goroutine, each packet from a tunnel that is for the gateway itself (punt.go): of those
	// to our inside address of that tunnel ICMP echo, TCP with port 179 at either end, UDP to ports 3784 and 4784, and ICMP
	// errors about such; of those to an own address that is in no tunnel, echo replies and ICMP errors about echo requests. It
	// reports whether it takes the packet, which then is its own; others go to the device. nil: all do.
	Control func(peer string, packet []byte) bool
	// TrustChecksums leaves the checksums of inner TCP and UDP unread. Packets that are joined get new ones from the kernel;
	// what was damaged before it was sealed then looks whole. Alone a packet keeps its own either way.
	TrustChecksums bool
	// RouteMTU returns how many octets a packet may have on a path, 0 if that is not known; nil means never. It is asked when a
	// Child SA gets a path, and each minute. A path MTU is never larger than the connection's.
	RouteMTU func(esp.Path) int

	Rand io.Reader    // for SPIs; nil means crypto/rand
	Log  *slog.Logger // nil means none
}

// A Socket is one socket of the Gateway and the addresses that it sends from.
type Socket struct {
	transport.Socket
	// Addr is the local address that the socket is bound to. An unspecified one stands for every address of its
	// family. The first socket whose port and address fit a path is used for it.
	Addr netip.Addr
}

// A Gateway moves packets between a device and the sockets, through the Child SAs that IKE gave it. It is both
// the Dataplane and the Conn of the IKE engine. All methods are safe for concurrent use; Run is called once.
type Gateway struct {
	cfg     Config
	domains []domain
	queues  []*device // of all domains
	sockets []*socket
	guarded []uint16
	inbox   inbox
	sad     sad
	chores  chores
	punted  puntQueue
	ownBox  ownBox
	drops   drops // of packets that belong to no tunnel
	stats   stats
	policy  atomic.Pointer[policy]
	looped  atomic.Bool // that packets loop was logged
	began   [3]offload  // as New found them

	mu     sync.Mutex // guards the names, and all changes of policy, own, outer and the tunnels' lists of children
	conns  map[string]*conn
	peers  map[string]*tunnel // by "connection/tunnel"
	own    atomic.Pointer[fib.Hosts]
	outer  atomic.Pointer[fib.Hosts] // the peers' outer addresses
	staged []netip.Addr              // those of outer that SetConnections put there
}

// New makes a Gateway that has no connections and drops every packet until SetConnections.
func New(cfg Config) (*Gateway, error) {
	switch {
	case len(cfg.Sockets) == 0:
		return nil, errors.New("data path: no sockets")
	case cfg.Keepalive < 0:
		return nil, fmt.Errorf("data path: keepalive interval %v is below 0", cfg.Keepalive)
	}
	if cfg.Keepalive == 0 {
		cfg.Keepalive = 20 * time.Second
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Acquire == nil {
		cfg.Acquire = func(string, esp.Selector, esp.Selector) {}
	}
	if cfg.Spent == nil {
		cfg.Spent = func(string, esp.ChildID) {}
	}
	if cfg.Seen == nil {
		cfg.Seen = func(string, esp.ChildID, esp.Path) {}
	}
	if cfg.RouteMTU == nil {
		cfg.RouteMTU = func(esp.Path) int { return 0 }
	}
	g := &Gateway{cfg: cfg, conns: map[string]*conn{}, peers: map[string]*tunnel{}}
	for _, d := range append([]Domain{{DefaultDomain, cfg.Device, cfg.Queues}}, cfg.Domains...) {
		if err := g.addDomain(d); err != nil {
			return nil, err
		}
	}
	g.inbox.init()
	g.chores.init()
	g.ownBox.init(g)
	g.guarded = append(g.guarded, cfg.Guarded...)
	workers := 1
	for _, s := range cfg.Sockets {
		workers = max(workers, g.addSocket(s))
	}
	if err := g.sad.init(cfg.Rand, workers); err != nil {
		return nil, fmt.Errorf("data path: secret of the SPIs: %w", err)
	}
	g.own.Store(&fib.Hosts{})
	g.outer.Store(&fib.Hosts{})
	if err := g.SetConnections(nil); err != nil {
		return nil, err
	}
	g.began = g.offloads()
	return g, nil
}

// A socket is an address and a port, and the Sockets that are bound to it: one for each worker.
type socket struct {
	group []transport.Socket
	addr  netip.Addr
	port  uint16 // 0: none
	use   transport.Use
}

// of returns the Socket by which a worker sends.
func (s *socket) of(worker int) transport.Socket { return s.group[worker%len(s.group)] }

// addSocket adds a Socket to its group, and returns how many these are now.
func (g *Gateway) addSocket(from Socket) int {
	port := from.Port()
	for _, s := range g.sockets {
		if s.addr == from.Addr && s.port == port {
			s.group = append(s.group, from.Socket)
			return len(s.group)
		}
	}
	use := transport.ForIKE
	switch port {
	case 0:
		use = transport.ForESP
	case g.cfg.NATTPort:
		use = transport.ForNATT
	}
	g.sockets = append(g.sockets, &socket{group: []transport.Socket{from.Socket}, addr: from.Addr, port: port, use: use})
	if port != 0 {
		g.guarded = append(g.guarded, port)
	}
	return 1
}

// socketFor returns the socket that sends on a path, or nil.
func (g *Gateway) socketFor(path esp.Path) *socket {
	local, remote := path.Local.Addr().Unmap().WithZone(""), path.Remote.Addr().Unmap()
	for _, s := range g.sockets {
		bound := s.addr.Unmap().WithZone("")
		any := bound.IsUnspecified() || !local.IsValid() || local.IsUnspecified()
		if s.port == path.Local.Port() && bound.Is4() == remote.Is4() && (any || bound == local) {
			return s
		}
	}
	return nil
}

// isOuterPort reports whether UDP between these ports may be IKE or ESP: ours, or the well-known ones.
func (g *Gateway) isOuterPort(source, destination uint16) bool {
	for _, port := range [...]uint16{source, destination} {
		if port == 500 || port == 4500 {
			return true
		}
		for _, s := range g.sockets {
			if s.port == port && port != 0 {
				return true
			}
		}
	}
	return false
}

// isGuarded reports whether a packet to this host is for a port that is closed to tunnels.
func (g *Gateway) isGuarded(p *packet) bool {
	return !p.hidden && (p.proto == protoTCP || p.proto == protoUDP) && slices.Contains(g.guarded, p.dport)
}
