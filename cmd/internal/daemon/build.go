package daemon

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/esp"
	"twinbore/ike"
	"twinbore/ike/session"
	"twinbore/routing/kernel"
	"twinbore/tunnel"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
)

// Build makes a Daemon of a checked configuration: it opens the sockets, the device and the control socket, and nothing
// runs before Run. What Build opened is closed when it fails, by Run, and by Close.
func Build(ctx context.Context, cfg *config.Config, opts Options) (_ *Daemon, err error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	d := &Daemon{log: opts.Log, opts: opts, mail: newMailbox(), recorder: newRecorder(), changing: make(chan struct{}, 1), promises: make(chan struct{}, 1), taken: make(chan struct{}, 1), ended: make(chan struct{})}
	d.cfg.Store(cfg)
	defer func() {
		if err != nil {
			d.opened.close()
		}
	}()
	conns := enabled(cfg)

	in, err := openInside(cfg, opts, &d.opened)
	if err != nil {
		return nil, err
	}
	if err := forward(cfg.Gateway.Datapath.TUN.Forwarding, in.names, d.log); err != nil {
		return nil, err
	}
	sockets, err := openOutside(cfg.Gateway, conns, opts, &d.opened)
	if err != nil {
		return nil, err
	}
	bare, why, err := openBare(cfg.Gateway, conns, opts, &d.opened)
	if err != nil {
		return nil, err
	}
	if why != nil {
		d.log.Warn("no ESP without UDP: connections with encap auto use UDP, as with always", "err", why)
	}
	d.bare = len(bare) > 0
	if err := chooseKernel(cfg.Gateway.Datapath.Offloads); err != nil {
		return nil, err
	}
	n, _ := workers(cfg.Gateway.Datapath, opts)
	d.log.Info("packets move with offloads", "offloads", offloadsOf(in.device, sockets), "workers", n, "queues", 1+len(in.queues))
	if n > 1 && !steered(sockets) {
		d.log.Warn("kernel does not bring the packets of a tunnel to one worker", "hint", "datapath.workers: 1 may be faster")
	}
	d.ledger = newLedger()
	d.stack = netstack.New(netstack.Config{Send: d.say, Whole: d.sayWhole, MTU: d.room})
	d.gateway, err = datapath.New(datapath.Config{
		Device:         in.device,
		Queues:         in.queues,
		Domains:        in.others,
		TrustChecksums: cfg.Gateway.Datapath.VerifyChecksums == config.Off,
		RouteMTU:       routeMTU(cfg.Gateway.Outside, opts),
		Sockets:        append(sockets, bare...),
		NATTPort:       cfg.Gateway.Outside.NATTPort,
		Rand:           opts.Rand,
		Log:            d.log,
		Acquire:        func(conn string, local, remote esp.Selector) { d.mail.post(acquire{conn, local, remote}) },
		Spent:          d.spent,
		Seen:           d.seen,
		Control:        d.hear,
	})
	if err != nil {
		return nil, err
	}
	head := showGateway(cfg.Gateway, in.mode, opts.Version)
	d.timeline = newTimeline(head.Name, time.Now())
	d.keeper = newKeeper(d.log, d.timeline)
	peers, err := d.peers(ctx, cfg, opts)
	if err != nil {
		return nil, err
	}
	d.engine = ike.New(ike.Config{
		Conn:      d.gateway,
		Dataplane: d.gateway,
		Peers:     peers,
		Log:       d.log,
		Observe:   d.observe,
		Rand:      opts.Rand,
		Shards:    shards(opts),
		Limits:    limitsOf(cfg.Gateway.Limits),
	})
	d.keeper.give = d.engine.SetSecrets
	d.keeper.tell = func(peer string) { d.mail.post(secured{peer}) }
	d.announce(time.Now())
	d.clearLeftovers()
	d.host, d.kept = in.host, opts.Kept
	d.routes = newRoutes(d.log, in.host, d.gateway)
	d.loop = &loop{
		log: d.log, mail: d.mail, recorder: d.recorder, timeline: d.timeline, engine: d.engine, gateway: d.gateway, stack: d.stack, pings: d.stack.Pings(d.answered), ledger: d.ledger, routes: d.routes, keeper: d.keeper,
		finder:  finder{lookup: newResolver(systemLookup).lookup, route: routeTo, localPort: cfg.Gateway.Outside.IKEPort, peerPort: cmp.Or(opts.PeerIKEPort, 500), running: &d.running},
		head:    head,
		started: time.Now(), ends: map[string]*end{}, parting: map[string]*end{}, parted: make(chan struct{}, 1), deleted: make(chan struct{}),
	}
	if opts.Listen == nil { // the outside is this host's own network
		d.loop.carriers = kernel.Carriers
		d.watch = func(ctx context.Context) { d.watchHost(ctx, cfg.Gateway.Datapath.TUN.Routes.Protocol) }
	}
	for _, c := range conns {
		made, err := newConnection(cfg, c, opts, d.loop.started)
		if err != nil {
			return nil, err
		}
		d.loop.take(made)
	}
	d.loop.domains = domainsOf(cfg)
	if err := d.loop.reroute(); err != nil {
		return nil, err
	}
	if !opts.NoAPI {
		if err := d.openAPI(cfg.Gateway.API, opts.Socket); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// spent is the data path's: a Child SA has come near its limit of use.
func (d *Daemon) spent(peer string, id esp.ChildID) { d.engine.Do(peer, session.Spent{Child: id}) }

// seen is the data path's: a peer's packets come from another address.
func (d *Daemon) seen(peer string, id esp.ChildID, path esp.Path) {
	d.engine.Do(peer, session.PathSeen{Child: id, Path: path})
}

// openAPI makes the control socket. A group that does not exist is no reason not to start: root alone may talk then.
func (d *Daemon) openAPI(cfg config.API, own string) error {
	if own != "" {
		cfg = config.API{Socket: own}
	}
	l, err := api.Listen(cfg.Socket, cfg.Group)
	if errors.Is(err, api.ErrNoGroup) {
		d.log.Warn("control socket is for root only", "err", err)
		l, err = api.Listen(cfg.Socket, "")
	}
	if err != nil {
		return err
	}
	d.opened.add(l.Close)
	d.control = l
	d.api = api.New(api.Config{
		Status: d.Status, Act: d.keptAct, Logs: d.Logs, Ping: d.Ping, MTU: d.MTU, Events: d.Events,
		Rotate: d.keeper.rotate,
		Routes: d.Routes, ChangeRoutes: d.ChangeRoutes,
		Objects: d.Objects, Object: d.Object, ChangeObject: d.ChangeObject,
		Config: d.Configure,
		Log:    d.log,
	})
	return nil
}

// newConnection makes what the loop has of a connection.
func newConnection(cfg *config.Config, c config.Connection, opts Options, now time.Time) (*connection, error) {
	logic := tunnel.Config{Name: c.Name, PreemptAfter: c.HA.PreemptAfter, Retry: opts.Retry}
	switch c.Start {
	case config.StartWait:
		logic.Start = tunnel.Wait
	case config.StartOnTraffic:
		logic.Start = tunnel.OnTraffic
	}
	if c.DPD.Action == config.DPDClear {
		logic.DeadPeer = tunnel.Clear
	}
	var seed [8]byte
	if _, err := io.ReadFull(cmp.Or(opts.Rand, rand.Reader), seed[:]); err != nil {
		return nil, fmt.Errorf("connection %q: seed: %w", c.Name, err)
	}
	logic.Seed = binary.BigEndian.Uint64(seed[:])

	conn := &connection{networks: c.RemoteNetworks, encap: c.Encap, onTraffic: c.Start == config.StartOnTraffic,
		selective: c.Selectors == config.SelectorsNetworks, shown: api.Connection{Name: c.Name, ID: api.Ptr(c.ID), Role: string(c.Role),
			Routing: string(c.Routing), Domain: c.Domain, Source: sourceOf(c.Runtime), Tags: tagsOf(c)}}
	conn.forward, conn.backupOf = forwarding(c, cfg.Gateway.Datapath.TUN), cfg.Standing(c)
	if opts.Kept != nil {
		conn.added = opts.Kept.Added(c.Name)
	}
	for i, t := range c.Tunnels {
		logic.Tunnels = append(logic.Tunnels, tunnel.TunnelConfig{Name: t.Name})
		if t.Name == c.HA.Prefer {
			logic.Prefer = i
		}
		down := opts.Origin != nil && opts.Origin.Store.State().Down[c.Name+"/"+t.Name]
		e := &end{conn: conn, index: i, heldDown: down, name: t.Name, peer: c.Name + "/" + t.Name, local: t.Local, remote: t.Remote.String()}
		if t.Inside.IsValid() {
			e.inside = api.Ptr(t.Inside.String())
		}
		if t.Remote.Any {
			e.remote = ""
		}
		conn.ends = append(conn.ends, e)
	}
	healthOf(c, &logic)
	conn.config = logic
	conn.logic = tunnel.New(logic, now)
	return conn, nil
}

// take puts a connection into the loop.
func (l *loop) take(c *connection) {
	for _, e := range c.ends {
		l.enlist(e)
	}
	l.conns = append(l.conns, c)
}

// enlist makes a tunnel known.
func (l *loop) enlist(e *end) {
	l.ends[e.peer] = e
	l.recorder.add(e.conn.shown.Name, e.name)
}

// limitsOf translates what strangers may cost. A threshold of 0 half-open IKE SAs is reached by nobody at all; the engine
// would take its zero for the default.
func limitsOf(l config.Limits) ike.Limits {
	out := ike.Limits{HalfOpen: l.HalfOpen, CookieThreshold: l.CookieThreshold, IKEPerSourceRPS: l.IKEPerSourceRPS}
	if out.CookieThreshold == 0 {
		out.CookieThreshold = -1
	}
	return out
}

// shards is one goroutine per core, or one that can be repeated.
func shards(opts Options) int {
	if opts.Rand != nil {
		return 1
	}
	return 0
}

func showGateway(g config.Gateway, mode, version string) api.Gateway {
	out := api.Gateway{Name: g.Name, Version: version, Mode: mode, ASN: api.Ptr(g.ASN)}
	if out.Name == "" {
		out.Name, _ = os.Hostname() // a gateway without a name is shown without one
	}
	return out
}

// forwarding says to the data path what it must know of a connection but for its networks, which its domain tells.
func forwarding(c config.Connection, tun config.TUN) datapath.Connection {
	f := datapath.Connection{Name: c.Name, Domain: c.Domain, Filter: filterOf(c.Filter), PathMTU: pathMTU(c, tun), MSS: c.MaxMSS}
	if len(c.LocalNetworks) > 0 {
		f.Local = c.LocalNetworks
	}
	if tun.MSSClamp > 0 {
		f.MSS = tun.MSSClamp
	}
	for _, t := range c.Tunnels {
		f.Tunnels = append(f.Tunnels, datapath.Tunnel{Name: t.Name, Inside: t.Inside.Addr(), InsidePeer: t.PeerInside, Outer: t.Remote.Addr})
	}
	return f
}

// cleanup closes what was opened, last first.
type cleanup []func() error

func (c *cleanup) add(f func() error) { *c = append(*c, f) }

func (c cleanup) close() {
	for _, f := range slices.Backward(c) {
		f() // what failed before is the error that counts
	}
}

// outerAddrs returns an address as the engine wants it: none for one that is not set.
func outerAddrs(a netip.Addr) []netip.Addr {
	if !a.IsValid() {
		return nil
	}
	return []netip.Addr{a}
}
