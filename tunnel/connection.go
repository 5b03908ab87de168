package tunnel

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// A Start says who begins.
type Start uint8

const (
	Always    Start = iota // we do, at once, and keep the tunnels up
	Wait                   // the peer does; we never begin
	OnTraffic              // we do when a packet waits, and keep the tunnels up while one of them is up (R23)
)

// A DeadPeer says what follows when a peer has stopped answering.
type DeadPeer uint8

const (
	Restart DeadPeer = iota // ask it again, as after any other failure
	Clear                   // rest until the operator, the peer or traffic brings the tunnel back
)

// Config is what a Connection needs to know. While the Connection lives it changes by Configure alone.
type Config struct {
	Name         string
	Start        Start
	Tunnels      []TunnelConfig // one or more; two is the product
	Prefer       int            // index of the tunnel to use while it is up
	PreemptAfter time.Duration  // how long the preferred tunnel, once lost, must be up before traffic returns to it
	ActiveActive bool           // all tunnels that are up carry traffic; Prefer says nothing then
	DeadPeer     DeadPeer
	Keepalive    Keepalive
	IdleTimeout  time.Duration // for whoever tells of Idle; 0: nobody is to
	Retry        Retry
	Seed         uint64 // of the jitter in retries
}

// TunnelConfig is what a Connection needs to know of one tunnel.
type TunnelConfig struct {
	Name string
	Ping netip.Addr // what can be pinged through the tunnel; the zero Addr: nothing
}

// Keepalive asks for pings through each tunnel that can be pinged, which keep it in use and say whether it is UP.
type Keepalive struct {
	Interval time.Duration // between pings; 0: a tunnel is pinged when it comes up and on suspicion only
	LossDown int           // lost pings in a row until the tunnel is DOWN; 0 means 3
	Lenient  bool          // an address that has never answered says nothing about its tunnel
}

// A Connection decides for one VPN connection. It belongs to one goroutine.
type Connection struct {
	cfg     Config
	rnd     *rand.Rand
	tunnels []facts
	begun   bool
	state   State
	since   time.Time
	traffic time.Time // when a packet last waited
	chosen  []int     // in order of index
	favour  int       // the tunnel that the peer has moved to: it is kept to, whatever is preferred; -1: none
	routes  bool
}

// New returns a Connection that does nothing before a Begin event.
func New(cfg Config, now time.Time) *Connection {
	if cfg.Prefer < 0 || cfg.Prefer >= len(cfg.Tunnels) {
		cfg.Prefer = 0
	}
	if cfg.Keepalive.LossDown <= 0 {
		cfg.Keepalive.LossDown = 3
	}
	c := &Connection{cfg: cfg, rnd: rand.New(rand.NewPCG(cfg.Seed, 0)), since: now, favour: -1,
		tunnels: make([]facts, len(cfg.Tunnels))}
	for i := range c.tunnels {
		t := &c.tunnels[i]
		t.since = now
		t.blame(c.resting(), "")
		t.told = t.reason
	}
	return c
}

// resting is why a tunnel of which nothing else is known is DOWN.
func (c *Connection) resting() Reason {
	switch c.cfg.Start {
	case Wait:
		return WaitingForPeer
	case OnTraffic:
		return WaitingForTraffic
	}
	return NoResponse
}

// Handle takes one event and returns what must happen now. Times must not go backwards. A fact about a tunnel that the
// connection does not have changes nothing.
func (c *Connection) Handle(now time.Time, ev Event) Output {
	var out Output
	switch ev.Kind {
	case Begin:
		c.begun = true
	case Traffic:
		c.traffic = now
		for i := range c.tunnels {
			t := &c.tunnels[i]
			t.called = t.called || t.cleared || t.idle
			t.cleared, t.idle = false, false
		}
	case Idle:
		c.rest(now, &out)
	case Delete:
		if c.state < Deleting {
			c.enter(now, Deleting, &out)
		}
	case AdminUp, AdminDown:
		for i := range c.tunnels {
			if ev.Tunnel == i || ev.Tunnel == All {
				c.admin(now, &c.tunnels[i], ev.Kind == AdminDown)
			}
		}
	case Drain, Undrain:
		for i := range c.tunnels {
			if ev.Tunnel == i || ev.Tunnel == All {
				c.drain(now, &c.tunnels[i], ev.Kind == Drain)
			}
		}
	default:
		if ev.Tunnel >= 0 && ev.Tunnel < len(c.tunnels) {
			c.note(now, ev, &out)
		}
	}
	c.decide(now, &out)
	return out
}

func (c *Connection) enter(now time.Time, s State, out *Output) {
	c.state, c.since = s, now
	out.Changes = append(out.Changes, Change{Kind: StateChanged, State: s})
}

func (c *Connection) admin(now time.Time, t *facts, down bool) {
	if down {
		t.adminDown = true
		t.blame(AdminIsDown, "")
		return
	}
	c.recall(now, t)
}

// recall gives a tunnel back what it was held back from, and tries at once.
func (c *Connection) recall(now time.Time, t *facts) {
	if t.adminDown || t.drained {
		t.blame(c.resting(), "")
	}
	t.adminDown, t.draining, t.drained, t.cleared, t.idle = false, false, false, false, false
	t.retryAt, t.failures = now, 0
	c.favour = -1
	c.traffic = now // with OnTraffic the operator stands for the packet
}

// rest closes every tunnel, as none is used; traffic, the peer or the operator brings them back.
func (c *Connection) rest(now time.Time, out *Output) {
	for i := range c.tunnels {
		if t := &c.tunnels[i]; t.alive {
			t.blame(Idled, "")
			t.idle, t.proven = true, false
			t.leave(now, i, Close, out)
		}
	}
	c.traffic = time.Time{}
}
