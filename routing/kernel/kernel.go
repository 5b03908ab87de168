package kernel

import (
	"context"
	"errors"
	"fmt"
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

// Config says which device and which routes are ours.
type Config struct {
	Device   string // name of the interface
	Table    int    // 0 means main (254)
	Protocol int    // mark of our routes, 5 to 255; 0 means 157
	Metric   int    // of routes into the device and to peers, 1 to 3,999,999,999; 0 means 200
	// Sources are the addresses, at most one of each family, that this host's own packets into the device should
	// have as source. Without, the kernel takes one of the device, or of any other.
	Sources []netip.Addr
}

// A Kernel keeps the tables of the network namespace that it was made in. It is a routing.Sink. Its methods are safe for
// concurrent use.
type Kernel struct {
	cfg Config
	nl  *netlink.Handle

	mu    sync.Mutex // one change at a time; guards the following
	want  []routing.Route
	peers []netip.Addr
	link  *link          // nil: the device is left as it is
	added []netip.Prefix // addresses that we gave to the device
}

// New opens netlink in the network namespace of the calling thread. It changes nothing yet. The device must exist by the
// time of Apply and SetLink.
func New(cfg Config) (*Kernel, error) {
	if cfg.Table == 0 {
		cfg.Table = mainTable
	}
	if cfg.Protocol == 0 {
		cfg.Protocol = defaultProtocol
	}
	if cfg.Metric == 0 {
		cfg.Metric = defaultMetric
	}
	switch {
	case cfg.Device == "":
		return nil, errors.New("kernel routes: no device")
	case cfg.Protocol <= unix.RTPROT_STATIC || cfg.Protocol > 255: // 0 to 4 are the kernel's and the administrator's
		return nil, fmt.Errorf("kernel routes: protocol %d is not between 5 and 255", cfg.Protocol)
	case cfg.Metric < 0 || cfg.Metric >= guardMetric:
		return nil, fmt.Errorf("kernel routes: metric %d is not between 1 and %d", cfg.Metric, guardMetric-1)
	case cfg.Table < 0 || cfg.Table > 1<<32-1:
		return nil, fmt.Errorf("kernel routes: table %d is not between 1 and %d", cfg.Table, uint32(1<<32-1))
	}
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	return &Kernel{cfg: cfg, nl: nl}, nil
}

// Apply makes want the routes into the device. A prefix that several name is up if one of them is. Everything that can be
// brought about is; the error joins what could not, a *Problem for each route that something of others stands in the way
// of. It does not keep want.
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

// Close removes our routes and addresses and closes netlink.
func (k *Kernel) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.want, k.peers = nil, nil
	if k.link != nil {
		k.link.addrs = nil
	}
	err := k.reconcile(context.Background())
	k.nl.Close()
	return err
}

// reconcile does the difference between what is wanted and what is there. The caller holds mu.
func (k *Kernel) reconcile(ctx context.Context) error {
	errs := []error{k.bringLink()}
	ours, others, err := k.routes()
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	want, problems := k.cfg.wanted(k.want, k.peers, others)
	steps, inTheWay := k.cfg.plan(slices.Concat(ours, others), want)
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
