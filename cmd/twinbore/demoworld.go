package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"twinbore/cmd/internal/daemon"
	"twinbore/config"
	"twinbore/ike/session"
	"twinbore/tunnel"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun/tuntest"
)

// The outer addresses: the whole of 127/8 is on every Linux host's loopback. The left gateway has one, the right one
// for each tunnel.
var (
	demoLeft  = netip.MustParseAddr("127.64.0.1")
	demoCloud = [2]netip.Addr{netip.MustParseAddr("127.64.1.1"), netip.MustParseAddr("127.64.1.2")}
)

// The gateways are configured as any other; %d are their ports, %q the folder of the keys, which both make and read.
const (
	demoLeftConfig = `
gateway:
  name: left
  outside: {address: 127.64.0.1, ike_port: %d, natt_port: %d}
  networks: [10.1.0.0/16]
  secrets: {dir: %q}
connections:
  - name: demo
    routing: static
    remote_networks: [10.2.0.0/16]
    dpd: {interval: 1s, retries: 2}
    ha: {preempt_after: 1s}
    tunnels:
      - {remote: 127.64.1.1, psk: {generate: true}}
      - {remote: 127.64.1.2, psk: {generate: true}}
`
	demoRightConfig = `
gateway:
  name: right
  outside: {address: [127.64.1.1, 127.64.1.2], ike_port: %d, natt_port: %d}
  networks: [10.2.0.0/16]
  secrets: {dir: %q}
connections:
  - name: demo
    role: cloud
    start: wait
    routing: static
    remote_networks: [10.1.0.0/16]
    dpd: {interval: 1s, retries: 2}
    ha: {preempt_after: 1s}
    tunnels:
      - {remote: 127.64.0.1, psk: {generate: true}}
      - {remote: 127.64.0.1, psk: {generate: true}}
`
)

// A demoWorld is two running gateways, the cable between them, and traffic in both directions.
type demoWorld struct {
	left    *daemon.Daemon
	port    uint16
	cable   *cable
	traffic *traffic
	stop    context.CancelFunc
	running sync.WaitGroup
	mu      sync.Mutex // guards failed
	failed  error
	dir     string
}

// openDemoWorld starts everything. With a socket the left gateway can be asked there.
func openDemoWorld(ctx context.Context, a *app, keep bool) (*demoWorld, error) {
	dir, err := os.MkdirTemp("", "twinbore-demo-")
	if err != nil {
		return nil, err
	}
	w := &demoWorld{cable: new(cable), dir: dir}
	log := slog.New(slog.DiscardHandler)
	if a.verbose {
		log = slog.New(slog.NewTextHandler(a.err, nil))
	}
	sites := []struct {
		config string
		host   *tuntest.Fake
		opts   daemon.Options
	}{
		{demoLeftConfig, tuntest.New(1400), daemon.Options{Log: log.With("gateway", "left"), NoAPI: !keep, Socket: w.socket()}},
		{demoRightConfig, tuntest.New(1400), daemon.Options{Log: log.With("gateway", "right"), NoAPI: true}},
	}
	var daemons []*daemon.Daemon
	for range 20 { // other programs may have the ports
		w.port = uint16(20000 + rand.N(40000))
		daemons = nil
		for _, site := range sites {
			var d *daemon.Daemon
			if d, err = w.build(ctx, site.config, site.host, site.opts); err != nil {
				break
			}
			daemons = append(daemons, d)
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
		for _, d := range daemons {
			d.Close()
		}
	}
	if err != nil {
		for _, d := range daemons {
			d.Close()
		}
		os.RemoveAll(dir)
		return nil, err
	}
	w.left, w.traffic = daemons[0], newTraffic(sites[0].host, sites[1].host)
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	w.stop = stop
	for _, d := range daemons {
		w.running.Go(func() { w.ended(d.Run(running)) })
	}
	w.running.Go(func() { w.traffic.run(running) })
	return w, nil
}

func (w *demoWorld) socket() string { return filepath.Join(w.dir, "twinbore.sock") }

// build makes one gateway on the world's ports and cable.
func (w *demoWorld) build(ctx context.Context, text string, host *tuntest.Fake, opts daemon.Options) (*daemon.Daemon, error) {
	file := filepath.Join(w.dir, "twinbore.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, text, w.port, w.port+1, w.dir), 0o600); err != nil {
		return nil, err
	}
	cfg, err := config.Load(hostFS{}, nil, file)
	if err != nil {
		return nil, err
	}
	opts.Version, opts.Device = version, host.Device()
	opts.Listen = w.cable.listen
	opts.PeerIKEPort, opts.PeerNATTPort = w.port, w.port+1
	// Loopback loses nothing and takes no time, so there is no sense in waiting as long as on the Internet.
	opts.Retry = tunnel.Retry{First: 200 * time.Millisecond, Max: 500 * time.Millisecond}
	opts.Retransmit = session.Backoff{First: 200 * time.Millisecond, Factor: 1.5, Max: 500 * time.Millisecond, Tries: 5}
	return daemon.Build(ctx, cfg, opts)
}

func (w *demoWorld) ended(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed = errors.Join(w.failed, err)
}

// close ends the gateways and waits for them. The error is why one of them ended before.
func (w *demoWorld) close() error {
	w.stop()
	w.running.Wait()
	os.RemoveAll(w.dir)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// A cable opens sockets that it can cut: what passes tunnel 1 is lost on the way then, in both directions, and
// nobody is told.
type cable struct {
	mu    sync.Mutex // guards isCut
	isCut bool
}

func (c *cable) cut(yes bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = yes
}

func (c *cable) listen(cfg transport.Config) (transport.Socket, error) {
	s, err := transport.Listen(cfg)
	if err != nil {
		return nil, err
	}
	return &cableEnd{Socket: s, cable: c}, nil
}

type cableEnd struct {
	transport.Socket
	cable *cable
}

// Write loses what goes to or from the right gateway's first address while the cable is cut.
func (e *cableEnd) Write(ms []transport.Message) (int, error) {
	e.cable.mu.Lock()
	isCut := e.cable.isCut
	e.cable.mu.Unlock()
	if !isCut {
		return e.Socket.Write(ms)
	}
	var rest []transport.Message
	lost := 0
	for _, m := range ms {
		if m.Path.Local.Addr() != demoCloud[0] && m.Path.Remote.Addr() != demoCloud[0] {
			rest = append(rest, m)
			continue
		}
		lost += m.Datagrams()
	}
	n, err := e.Socket.Write(rest)
	return n + lost, err // the network lost the others, not the socket
}
