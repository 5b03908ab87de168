package daemon

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"sync"
	"time"

	"twinbore/routing"
	"twinbore/routing/kernel"
	"twinbore/tunnel/datapath"
)

const (
	reconcileEvery = 30 * time.Second // the host's tables are looked at without a reason: others change them too (EV-19)
	tryAgain       = time.Second      // after something could not be brought about
)

// A host is what routes need of the host; *kernel.Kernel is one.
type host interface {
	routing.Sink
	// PinPeers keeps packets to these outer addresses, and to no others, on the host's own routes.
	PinPeers(ctx context.Context, peers []netip.Addr) error
	// SetLink gives the device of a domain these inside addresses and this MTU in octets.
	SetLink(domain string, addrs []netip.Prefix, mtu int) error
	// Close removes everything of ours but what keeps packets from leaving in clear.
	Close() error
}

// routes brings the host's tables to the wanted state, away from the loop, which must not wait for the kernel. It
// always works with the newest whole state; what was wanted in between is skipped.
type routes struct {
	log     *slog.Logger
	host    host // nil: there is nothing to bring anywhere
	gateway *datapath.Gateway
	ready   chan struct{} // holds one token while there may be work
	stirs   chan struct{} // holds one token while others may have changed the host's tables

	mu    sync.Mutex // guards the rest
	want  []routing.Route
	peers map[string]netip.Addr // outer addresses by tunnel
	ok    bool                  // what is wanted was brought to the host, but for held
	held  map[hostRoute]string  // what the host has something else for, and what
}

// A hostRoute is a route of the host's into a domain's device.
type hostRoute struct {
	domain string
	prefix netip.Prefix
}

func newRoutes(log *slog.Logger, h host, g *datapath.Gateway) *routes {
	return &routes{log: log, host: h, gateway: g, ready: make(chan struct{}, 1), stirs: make(chan struct{}, 1), peers: map[string]netip.Addr{}}
}

// publish says what is wanted from now on; the caller must not change want afterwards.
func (r *routes) publish(want []routing.Route) {
	r.mu.Lock()
	r.want, r.ok = want, false
	r.mu.Unlock()
	r.nudge()
}

// pin says where a tunnel's peer is: its packets must never be routed into the tunnel.
func (r *routes) pin(tunnel string, peer netip.Addr) {
	r.mu.Lock()
	changed := r.peers[tunnel] != peer
	r.peers[tunnel] = peer
	r.mu.Unlock()
	if changed {
		r.nudge()
	}
}

// unpin forgets where a tunnel's peer is.
func (r *routes) unpin(tunnel string) {
	r.mu.Lock()
	_, known := r.peers[tunnel]
	delete(r.peers, tunnel)
	r.mu.Unlock()
	if known {
		r.nudge()
	}
}

// installed reports whether the host has what was published last of a route, or why it cannot have it.
func (r *routes) installed(which hostRoute) (bool, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	why, held := r.held[which]
	return r.ok && !held, why
}

func (r *routes) nudge() { token(r.ready) }

// stir says that others may have changed the host's tables, which is looked at as soon as there is time for it (EV-19).
func (r *routes) stir() { token(r.stirs) }

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// run works until ctx is done.
func (r *routes) run(ctx context.Context) {
	if r.host == nil {
		<-ctx.Done()
		return
	}
	tick := time.NewTicker(reconcileEvery)
	defer tick.Stop()
	last := ""
	for {
		begun := time.Now()
		r.gateway.SetOwn(ownAddresses())
		err := r.apply(ctx)
		pause := time.NewTimer(rest * time.Since(begun))
		next := reconcileEvery
		if err != nil {
			next = tryAgain
		}
		tick.Reset(next)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && err.Error() != last:
			last = err.Error()
			r.log.Error("routes are not as they should be", "err", err)
		case err == nil && last != "":
			last = ""
			r.log.Info("routes are as they should be")
		}
		select {
		case <-ctx.Done():
			return
		case <-r.ready:
		case <-tick.C:
		case <-r.stirs:
			select {
			case <-ctx.Done():
			case <-r.ready:
			case <-pause.C:
			}
		}
		pause.Stop()
	}
}

// apply brings the host to the state wanted now. Peers come first: a route that covers one must find it pinned. The host
// does what it can of each, whatever is wrong with the other.
func (r *routes) apply(ctx context.Context) error {
	r.mu.Lock()
	want := r.want
	var peers []netip.Addr
	for p := range maps.Values(r.peers) {
		peers = append(peers, p)
	}
	r.mu.Unlock()
	err := errors.Join(r.host.PinPeers(ctx, peers), r.host.Apply(ctx, want))
	held, only := inTheWay(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(want) == len(r.want) && (len(want) == 0 || &want[0] == &r.want[0]) {
		r.ok, r.held = only, held
	}
	return err
}

// inTheWay returns the routes that the host has something else for, and whether that is all that is wrong.
func inTheWay(err error) (held map[hostRoute]string, only bool) {
	held, only = map[hostRoute]string{}, true
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) {
		case nil:
		case interface{ Unwrap() []error }:
			for _, one := range e.Unwrap() {
				walk(one)
			}
		case *kernel.Problem:
			held[hostRoute{e.Domain, e.Prefix}] = e.Reason
		default:
			only = false
		}
	}
	walk(err)
	return held, only
}

// ownAddresses returns the addresses of this host. None where the system does not say.
func ownAddresses() []netip.Addr {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			own = append(own, p.Addr())
		}
	}
	return own
}
