package kernel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"twinbore/routing"
)

// The defaults of Config: RT_TABLE_MAIN, a protocol number that nobody has, and a metric worse than a connected route (0)
// and DHCP's (100), so that a learned default never beats the host's own.
const (
	mainTable       = 254
	defaultProtocol = 157
	defaultMetric   = 200
)

// Config says which devices and which routes are ours.
type Config struct {
	Domains  []Domain     // at least one, each with a device of its own
	Protocol int          // mark of our routes, 5 to 255; 0 means 157
	Metric   int          // of routes into a device and to peers, 1 to 3,999,999,999; 0 means 200
	Log      *slog.Logger // nil means none
}

// A Domain is a device and the table with the routes into it.
type Domain struct {
	Name   string // as routing.Route has it
	Device string // name of the interface; one that was renamed since it was first seen is followed
	Table  int    // 0 means main (254); domains may share one
	// Sources are the addresses, at most one of each family, that this host's own packets into the device should
	// have as source. Without, the kernel takes one of the device, or of any other.
	Sources []netip.Addr
}

// A Kernel keeps the tables of the network namespace that it was made in. It is a routing.Sink. Its methods are safe for
// concurrent use.
type Kernel struct {
	cfg Config
	nl  *netlink.Handle

	mu      sync.Mutex // one change at a time; guards the following
	want    []routing.Route
	peers   []netip.Addr
	devices []*link // one for each domain
}

// New opens netlink in the network namespace of the calling thread. It changes nothing yet. The devices must exist by the
// time of Apply and SetLink.
func New(cfg Config) (*Kernel, error) {
	if cfg.Protocol == 0 {
		cfg.Protocol = defaultProtocol
	}
	if cfg.Metric == 0 {
		cfg.Metric = defaultMetric
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case len(cfg.Domains) == 0:
		return nil, errors.New("kernel routes: no device")
	case cfg.Protocol <= unix.RTPROT_STATIC || cfg.Protocol > 255: // 0 to 4 are the kernel's and the administrator's
		return nil, fmt.Errorf("kernel routes: protocol %d is not between 5 and 255", cfg.Protocol)
	case cfg.Metric < 0 || cfg.Metric >= guardMetric:
		return nil, fmt.Errorf("kernel routes: metric %d is not between 1 and %d", cfg.Metric, guardMetric-1)
	}
	k := &Kernel{}
	cfg.Domains = slices.Clone(cfg.Domains)
	names, devices := map[string]bool{}, map[string]bool{}
	for i := range cfg.Domains {
		d := &cfg.Domains[i]
		if d.Table == 0 {
			d.Table = mainTable
		}
		switch {
		case d.Device == "":
			return nil, errors.New("kernel routes: no device")
		case names[d.Name] || devices[d.Device]:
			return nil, fmt.Errorf("kernel routes: domain %q with the device %s: one of both is there twice", d.Name, d.Device)
		case d.Table < 0 || d.Table > 1<<32-1:
			return nil, fmt.Errorf("kernel routes: table %d is not between 1 and %d", d.Table, uint32(1<<32-1))
		}
		names[d.Name], devices[d.Device] = true, true
		k.devices = append(k.devices, &link{})
	}
	k.cfg = cfg
	var err error
	if k.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return k, nil
}

// Apply makes want the routes into the devices of their domains. A prefix that several of a domain name is up if one of them
// is. Everything that can be brought about is; the error joins what could not, a *Problem for each route that something of
// others stands in the way of. It does not keep want.
func (k *Kernel) Apply(ctx context.Context, want []routing.Route) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want = slices.Clone(want)
	return k.reconcile(ctx)
}

// PinPeers makes peers the outer addresses that must be reached through the underlay, whatever routes there are into the
// device. Its error is as that of Apply.
func (k *Kernel) PinPeers(ctx context.Context, peers []netip.Addr) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.peers = nil
	for _, p := range peers {
		k.peers = append(k.peers, p.Unmap().WithZone(""))
	}
	return k.reconcile(ctx)
}

// Reconcile brings about again what was last wanted: what others have changed is mended.
func (k *Kernel) Reconcile(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.reconcile(ctx)
}

// Close removes our routes into the devices, those to peers and our addresses, and closes netlink. The guards stay, also those of a
// Kernel before this one that was never told what is wanted: networks behind a peer are unreachable until the next start,
// or until somebody takes the guards away (TS-06).
func (k *Kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.devices {
		l.addrs = nil
	}
	now, err := k.bringLinks()
	errs := []error{err}
	ours, _, err := k.routes()
	errs = append(errs, err)
	for _, r := range now.lastFirst(ours) {
		if r.unreachable && r.metric == guardMetric {
			continue
		}
		if err := k.do(step{del: true, route: r}); err != nil {
			errs = append(errs, fmt.Errorf("ip route del %v: %w", r, err))
		}
	}
	k.nl.Close()
	return errors.Join(errs...)
}

// reconcile does the difference between what is wanted and what is there. The caller holds mu.
func (k *Kernel) reconcile(ctx context.Context) error {
	now, err := k.bringLinks()
	errs := []error{err}
	ours, others, err := k.routes()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	want, problems := now.wanted(k.want, k.peers, others)
	steps, inTheWay := now.plan(slices.Concat(ours, others), want)
	for _, p := range append(problems, inTheWay...) {
		errs = append(errs, p)
	}
	for _, s := range steps {
		if ctx.Err() != nil {
			return errors.Join(append(errs, ctx.Err())...)
		}
		if err := k.do(s); err != nil {
			errs = append(errs, fmt.Errorf("ip route %v: %w", s, err))
		}
	}
	return errors.Join(errs...)
}

// bringLinks brings the devices to their wanted state, and returns the configuration with the names that they have now.
func (k *Kernel) bringLinks() (Config, error) {
	now := k.cfg
	now.Domains = slices.Clone(k.cfg.Domains)
	var errs []error
	for i := range now.Domains {
		d := &now.Domains[i]
		name, err := k.bringLink(k.devices[i], d.Device)
		d.Device = name
		errs = append(errs, err)
	}
	return now, errors.Join(errs...)
}
