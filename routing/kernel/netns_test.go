package kernel

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"twinbore/routing"
)

// namespace moves the test into a network namespace of its own, with a TUN device twinbore0 and an underlay eth0 that
// has a default route. The thread is thrown away with the test.
func namespace(t *testing.T) (tun netlink.Link) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("left out: routes in a network namespace need root")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Skipf("left out: no network namespace: %v", err)
	}
	// No address is tentative for a second: that would be news in the middle of a later test.
	if err := os.WriteFile("/proc/sys/net/ipv6/conf/default/accept_dad", []byte("0"), 0); err != nil {
		t.Skipf("left out: no IPv6: %v", err)
	}
	dev := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: "twinbore0"}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, NonPersist: true, Queues: 1}
	if err := netlink.LinkAdd(dev); err != nil {
		t.Skipf("left out: no TUN device: %v", err)
	}
	t.Cleanup(func() {
		for _, f := range dev.Fds {
			f.Close()
		}
	})
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}, PeerName: "eth0-far"}
	must(t, netlink.LinkAdd(veth))
	for _, name := range []string{"lo", "eth0", "eth0-far"} {
		l, err := netlink.LinkByName(name)
		must(t, err)
		must(t, netlink.LinkSetUp(l))
	}
	underlay, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.AddrAdd(underlay, toAddr(netip.MustParsePrefix("192.0.2.1/24"))))
	must(t, netlink.AddrAdd(underlay, toAddr(netip.MustParsePrefix("2001:db8:ff::1/64"))))
	for _, gw := range []string{"192.0.2.254", "2001:db8:ff::ffff"} {
		p := netip.MustParsePrefix("0.0.0.0/0")
		if strings.Contains(gw, ":") {
			p = netip.MustParsePrefix("::/0")
		}
		must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: underlay.Attrs().Index, Gw: net.ParseIP(gw), Priority: 100,
			Dst: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(0, p.Addr().BitLen())}}))
	}
	return dev
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func started(t *testing.T, cfg Config) *Kernel {
	t.Helper()
	if cfg.Domains == nil {
		cfg.Domains = []Domain{{Device: "twinbore0"}}
	}
	k, err := New(cfg)
	must(t, err)
	must(t, k.SetLink(cfg.Domains[0].Name, []netip.Prefix{netip.MustParsePrefix("169.254.1.2/30"), netip.MustParsePrefix("2001:db8:77::1/64")}, 1438))
	return k
}

// tables returns our routes as the kernel has them.
func tables(t *testing.T, k *Kernel) []route {
	t.Helper()
	ours, _, err := k.routes()
	must(t, err)
	slices.SortFunc(ours, func(a, b route) int { return strings.Compare(a.String(), b.String()) })
	return ours
}

// way returns the device by which a packet to dst leaves, or the error.
func way(t *testing.T, dst string) (string, error) {
	t.Helper()
	routes, err := netlink.RouteGet(net.ParseIP(dst))
	if err != nil {
		return "", err
	}
	l, err := netlink.LinkByIndex(routes[0].LinkIndex)
	must(t, err)
	return l.Attrs().Name, nil
}

func wantWay(t *testing.T, dst, dev string) {
	t.Helper()
	if got, err := way(t, dst); got != dev {
		t.Errorf("%s goes by %q (%v), want %q", dst, got, err, dev)
	}
}

func unreachable(t *testing.T, dst string) {
	t.Helper()
	if got, err := way(t, dst); !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.ENETUNREACH) {
		t.Errorf("%s goes by %q (%v), want it unreachable", dst, got, err)
	}
}

func TestKernelComesToTheWantedState(t *testing.T) { // TS-06
	namespace(t)
	k := started(t, Config{})
	ctx := context.Background()
	up, down := wants(t, "up 10.2.0.0/16", "up 2001:db8:2::/48"), wants(t, "down 10.2.0.0/16", "down 2001:db8:2::/48")
	guards := `
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		unreachable 2001:db8:2::/48 proto 157 metric 4000000000`
	all := `
		10.2.0.0/16 dev twinbore0 proto 157 metric 200
		2001:db8:2::/48 dev twinbore0 proto 157 metric 200` + guards

	must(t, k.Apply(ctx, down))
	same(t, "down", tables(t, k), guards)
	unreachable(t, "10.2.0.1")
	unreachable(t, "2001:db8:2::1")

	must(t, k.Apply(ctx, up))
	same(t, "up", tables(t, k), all)
	wantWay(t, "10.2.0.1", "twinbore0")
	wantWay(t, "2001:db8:2::1", "twinbore0")
	wantWay(t, "10.3.0.1", "eth0")

	must(t, k.Apply(ctx, down))
	same(t, "down again", tables(t, k), guards)
	must(t, k.Apply(ctx, up))
	must(t, k.Close())
	unreachable(t, "10.2.0.1")
	unreachable(t, "2001:db8:2::1")
	k2, err := New(Config{Domains: []Domain{{Device: "twinbore0"}}})
	must(t, err)
	same(t, "after Close", tables(t, k2), guards)
	must(t, k2.Close()) // a start that came to nothing
	unreachable(t, "10.2.0.1")
	dev, err := netlink.LinkByName("twinbore0")
	must(t, err)
	left, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
	must(t, err)
	if len(left) != 0 {
		t.Errorf("addresses are left: %v", left)
	}
}

func TestApplyingAgainChangesNothing(t *testing.T) {
	namespace(t)
	k := started(t, Config{Domains: []Domain{{Device: "twinbore0", Sources: addrs("169.254.1.2", "2001:db8:77::1")}}})
	ctx := context.Background()
	must(t, k.PinPeers(ctx, addrs("198.51.100.1", "2001:db8:99::1")))
	must(t, k.Apply(ctx, wants(t, "up 0.0.0.0/0", "up ::/0", "down 10.3.0.0/16", "up 10.9.9.9/32")))
	changes := make(chan netlink.RouteUpdate, 100)
	done := make(chan struct{})
	must(t, netlink.RouteSubscribe(changes, done))
	must(t, k.Apply(ctx, wants(t, "up 0.0.0.0/0", "up ::/0", "down 10.3.0.0/16", "up 10.9.9.9/32")))
	must(t, k.Reconcile(ctx))
	// A change of our own shows that the subscription works, and that nothing came before it.
	must(t, k.Apply(ctx, wants(t, "up 0.0.0.0/0", "up ::/0", "down 10.3.0.0/16", "up 10.9.9.9/32", "down 10.4.0.0/16")))
	first := <-changes
	for first.Protocol != defaultProtocol { // the kernel's own, when a link has come up
		first = <-changes
	}
	close(done)
	if got := prefixOf(first.Dst, first.Family); got != netip.MustParsePrefix("10.4.0.0/16") {
		t.Errorf("doing it again changed %v", first.Route)
	}
	must(t, k.Close())
}

func TestACrashLeaksNothing(t *testing.T) { // TS-06
	tun := namespace(t)
	k := started(t, Config{})
	ctx := context.Background()
	must(t, k.Apply(ctx, wants(t, "up 10.2.0.0/16", "up 2001:db8:2::/48")))
	k.nl.Close() // the daemon dies: its device goes with it
	must(t, netlink.LinkDel(tun))
	unreachable(t, "10.2.0.1")
	unreachable(t, "2001:db8:2::1")

	// The next one takes over what is left, and removes what nobody wants any more.
	next, err := New(Config{Domains: []Domain{{Device: "twinbore0"}}})
	must(t, err)
	must(t, next.Apply(ctx, wants(t, "down 10.2.0.0/16")))
	same(t, "after a restart", tables(t, next), `unreachable 10.2.0.0/16 proto 157 metric 4000000000`)
	must(t, next.Close())
}

func TestPeersStayOnTheUnderlay(t *testing.T) { // TS-10
	namespace(t)
	k := started(t, Config{Metric: 50}) // better than the host's own default
	ctx := context.Background()
	must(t, k.PinPeers(ctx, addrs("198.51.100.1", "::ffff:198.51.100.2", "192.0.2.77", "2001:db8:99::1")))
	same(t, "nothing covers the peers yet", tables(t, k), ``)
	must(t, k.Apply(ctx, wants(t, "up 0.0.0.0/0", "up ::/0")))
	wantWay(t, "203.0.113.1", "twinbore0")
	wantWay(t, "2001:db8:abcd::1", "twinbore0")
	for _, peer := range []string{"198.51.100.1", "198.51.100.2", "192.0.2.77", "2001:db8:99::1"} {
		wantWay(t, peer, "eth0")
	}
	// The underlay's router changes; what follows it is the pin.
	eth0, err := netlink.LinkByName("eth0")
	must(t, err)
	must(t, netlink.RouteReplace(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.ParseIP("192.0.2.253"), Priority: 100,
		Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}}))
	must(t, k.Reconcile(ctx))
	routes, err := netlink.RouteGet(net.ParseIP("198.51.100.1"))
	must(t, err)
	if got := routes[0].Gw.String(); got != "192.0.2.253" {
		t.Errorf("the peer is reached by %s", got)
	}
	must(t, k.PinPeers(ctx, addrs("198.51.100.1")))
	wantWay(t, "198.51.100.2", "twinbore0")
	must(t, k.Apply(ctx, nil))
	must(t, k.Close())
	wantWay(t, "203.0.113.1", "eth0")
}

func TestARouteOfTheAdministratorIsNotTakenOver(t *testing.T) {
	namespace(t)
	k := started(t, Config{})
	ctx := context.Background()
	eth0, err := netlink.LinkByName("eth0")
	must(t, err)
	admins := &netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.ParseIP("192.0.2.253"), Priority: 200, Protocol: unix.RTPROT_STATIC,
		Dst: &net.IPNet{IP: net.ParseIP("10.2.0.0").To4(), Mask: net.CIDRMask(16, 32)}}
	must(t, netlink.RouteAdd(admins))
	err = k.Apply(ctx, wants(t, "up 10.2.0.0/16", "up 10.3.0.0/16"))
	var problem *Problem
	if !errors.As(err, &problem) || !strings.Contains(problem.Reason, "192.0.2.253") {
		t.Errorf("Apply = %v, want the route that is in the way", err)
	}
	wantWay(t, "10.2.0.1", "eth0")
	wantWay(t, "10.3.0.1", "twinbore0") // the rest is done
	must(t, netlink.RouteDel(admins))
	must(t, k.Reconcile(ctx))
	wantWay(t, "10.2.0.1", "twinbore0")
	must(t, netlink.RouteAdd(&netlink.Route{LinkIndex: eth0.Attrs().Index, Gw: net.ParseIP("192.0.2.253"), Priority: 7, Protocol: unix.RTPROT_STATIC, Dst: admins.Dst}))
	must(t, k.Close())
	wantWay(t, "10.2.0.1", "eth0") // the administrator's is still there
}

func TestSourcesAreWhatTheHostUses(t *testing.T) {
	namespace(t)
	k := started(t, Config{Domains: []Domain{{Device: "twinbore0", Sources: addrs("192.0.2.1")}}})
	must(t, k.Apply(context.Background(), []routing.Route{{Prefix: netip.MustParsePrefix("10.2.0.0/16"), Up: true}}))
	routes, err := netlink.RouteGet(net.ParseIP("10.2.0.1"))
	must(t, err)
	if got := routes[0].Src.String(); got != "192.0.2.1" {
		t.Errorf("source %s, want 192.0.2.1", got)
	}
	must(t, k.Close())
}

func TestSetLinkChangesOnlyWhatIsOurs(t *testing.T) {
	tun := namespace(t)
	k := started(t, Config{})
	admins := netip.MustParsePrefix("10.77.0.1/24")
	must(t, netlink.AddrAdd(tun, toAddr(admins)))
	must(t, k.SetLink("", []netip.Prefix{netip.MustParsePrefix("169.254.9.2/30")}, 1300))
	dev, err := netlink.LinkByName("twinbore0")
	must(t, err)
	if dev.Attrs().MTU != 1300 || dev.Attrs().Flags&net.FlagUp == 0 {
		t.Errorf("MTU %d, flags %v", dev.Attrs().MTU, dev.Attrs().Flags)
	}
	list, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
	must(t, err)
	var got []string
	for _, a := range list {
		got = append(got, a.IPNet.String())
	}
	slices.Sort(got)
	if want := []string{"10.77.0.1/24", "169.254.9.2/30"}; !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	must(t, k.Close())
}

func TestEnableForwardingSetsThreeThings(t *testing.T) {
	namespace(t)
	must(t, os.WriteFile("/proc/sys/net/ipv4/conf/twinbore0/rp_filter", []byte("1"), 0))
	must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
	if got := CheckForwarding("twinbore0"); len(got) < 2 {
		t.Errorf("warnings %q", got)
	}
	must(t, EnableForwarding("twinbore0"))
	if got := CheckForwarding("twinbore0"); got != nil {
		t.Errorf("warnings %q", got)
	}
}

func TestNewRefusesNumbersThatAreTaken(t *testing.T) {
	x := []Domain{{Device: "x"}}
	for name, cfg := range map[string]Config{
		"no domain": {}, "no device": {Domains: []Domain{{}}}, "the kernel's protocol": {Domains: x, Protocol: 2}, "the administrator's": {Domains: x, Protocol: 4},
		"protocol 256": {Domains: x, Protocol: 256}, "the guard's metric": {Domains: x, Metric: guardMetric},
		"a negative metric": {Domains: x, Metric: -1}, "a negative table": {Domains: []Domain{{Device: "x", Table: -1}}},
		"a device twice": {Domains: []Domain{{Device: "x"}, {Name: "blue", Device: "x"}}}, "a name twice": {Domains: []Domain{{Device: "x"}, {Device: "y"}}},
	} {
		if k, err := New(cfg); err == nil {
			k.nl.Close()
			t.Errorf("%s: taken", name)
		}
	}
}
