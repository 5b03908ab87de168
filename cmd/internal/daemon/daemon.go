package daemon

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/ike"
	"twinbore/ike/session"
	"twinbore/tunnel"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/netstack"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// Options is what a program that runs a daemon may want otherwise than the configuration says, which is how it is made
// to work without privileges and without a network. The zero value is a daemon on this host.
type Options struct {
	Version string
	Log     *slog.Logger // nil: none

	// Device is the inside. With one given, the host's routes and addresses are left alone and no device is made.
	Device tun.Device
	// Domains are the insides of the domains beside the default one, by name, where Device is given.
	Domains map[string]tun.Device
	// Listen opens the outside sockets; nil: transport.Listen.
	Listen func(transport.Config) (transport.Socket, error)
	// ListenESP opens the sockets for ESP without UDP; nil: transport.ListenESP, or none where Listen is given.
	ListenESP func(transport.Config) (transport.Socket, error)
	// PeerIKEPort and PeerNATTPort are the peers' UDP ports; 0 means 500 and 4500.
	PeerIKEPort, PeerNATTPort uint16
	// Socket, if not empty, is where the control socket is, for this user alone. NoAPI leaves it out altogether.
	Socket string
	NoAPI  bool
	// Retry is how long to wait after a failed attempt, Retransmit when IKE repeats a request; zero means the default.
	Retry      tunnel.Retry
	Retransmit session.Backoff
	// Rand is where everything random comes from; nil: crypto/rand. With one given, IKE runs on one goroutine, so that the
	// same octets give the same run.
	Rand io.Reader
	// Origin is where the configuration came from, so that more can be made while it runs; nil: nothing can.
	Origin *Origin
	// SetLogLevel is told the level of the log when another configuration was taken; nil: nobody is.
	SetLogLevel func(config.LogLevel)
	// Kept is where routes that operators add are kept; nil: they last until the daemon ends.
	Kept RouteStore
}

// A Daemon is one gateway. Make it with Build, and either run it once or close it.
type Daemon struct {
	log      *slog.Logger
	opts     Options
	cfg      atomic.Pointer[config.Config] // that runs
	changing chan struct{}                 // holds a token while somebody changes the configuration
	promise  atomic.Pointer[promise]       // nil: the configuration stays
	promises chan struct{}                 // holds a token when there is another promise
	taken    chan struct{}                 // holds a token when there is another configuration
	mail     *mailbox
	recorder *recorder
	timeline *timeline
	keeper   *keeper
	engine   *ike.Engine
	gateway  *datapath.Gateway
	ledger   *ledger
	stack    *netstack.Stack
	host     host // nil: the host is left alone
	bare     bool // there are sockets for ESP without UDP
	routes   *routes
	loop     *loop
	watch    func(ctx context.Context) // the host's network; nil: there is none to watch
	api      *api.Server               // nil: none
	control  net.Listener              // api's
	opened   cleanup
	running  sync.WaitGroup
	ended    chan struct{} // closed when nobody reads mail any more

	kept         RouteStore // nil: nothing is kept
	routesChange sync.Mutex // held while an operator's routes change: one change at a time
}

// Close ends a Daemon that was built and is not to be run.
func (d *Daemon) Close() { d.opened.close() }

// Status says how everything stands. It is safe for concurrent use while Run runs, and waits for the loop.
func (d *Daemon) Status(ctx context.Context) (api.Status, error) {
	reply := make(chan api.Status, 1)
	d.mail.post(question{reply})
	select {
	case st := <-reply:
		st.Gateway.ConfirmUntil = d.confirmUntil()
		return st, nil
	case <-d.ended:
		return api.Status{}, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
	case <-ctx.Done():
		return api.Status{}, ctx.Err()
	}
}

// Act does what an operator asks for. It is safe for concurrent use while Run runs, and waits for the loop; a refusal
// is an *api.Problem.
func (d *Daemon) Act(ctx context.Context, a api.Action) (api.Done, error) {
	reply := make(chan result, 1)
	d.mail.post(order{a, reply})
	select {
	case r := <-reply:
		return r.done, r.err
	case <-d.ended:
		return api.Done{}, api.Refuse(api.ShuttingDown, "the daemon is shutting down")
	case <-ctx.Done():
		return api.Done{}, ctx.Err()
	}
}

// Logs reads the flight recorder. It is safe for concurrent use and waits for nobody; a refusal is an *api.Problem.
func (d *Daemon) Logs(q api.LogQuery) (api.Logs, error) { return d.recorder.read(q) }

// Events returns what is kept of the events with ids after that one, and what is closed when there is a newer one. It is safe
// for concurrent use and waits for nobody.
func (d *Daemon) Events(after uint64) (list []api.Event, newer <-chan struct{}) {
	return d.timeline.read(after)
}

// observe is the engine's: it must not wait.
func (d *Daemon) observe(ev session.Event) {
	d.recorder.observe(ev)
	d.timeline.observe(ev)
	switch {
	case wanted(ev):
		d.mail.post(ev)
	case d.ledger.answers(ev):
		d.mail.post(vouched{ev.Peer})
	case repeated(ev) && d.ledger.doubts(ev.Peer, ev.Time):
		d.mail.post(doubted{ev.Peer})
	}
}
