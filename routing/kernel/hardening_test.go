package kernel

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// device makes one more TUN device in the test's namespace.
func device(t *testing.T, name string) *netlink.Tuntap {
	t.Helper()
	dev := &netlink.Tuntap{LinkAttrs: netlink.LinkAttrs{Name: name}, Mode: netlink.TUNTAP_MODE_TUN, Flags: netlink.TUNTAP_NO_PI, NonPersist: true, Queues: 1}
	must(t, netlink.LinkAdd(dev))
	t.Cleanup(func() {
		for _, f := range dev.Fds {
			f.Close()
		}
	})
	return dev
}

const (
	whole = `
		10.2.0.0/16 dev twinbore0 proto 157 metric 200
		2001:db8:2::/48 dev twinbore0 proto 157 metric 200
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		unreachable 2001:db8:2::/48 proto 157 metric 4000000000`
)

// mended waits until what others have done is undone, which a Watch has to start.
func mended(t *testing.T, k *Kernel, told <-chan struct{}, within time.Duration, ok func() bool) {
	t.Helper()
	begun := time.Now()
	for !ok() {
		select {
		case <-told:
			_ = k.Reconcile(t.Context()) // what it could not do is seen by ok
		case <-time.After(within):
		}
		if time.Since(begun) > within {
			t.Fatalf("not mended within %s: %v", within, tables(t, k))
		}
	}
}

// EV-18, EV-19: whatever another tool does to our device, addresses and routes is undone within a second, without a timer; and
// while it lasts nothing of ours goes out in clear.
func TestWhatOthersDoIsUndone(t *testing.T) {
	admins := netip.MustParsePrefix("10.77.0.1/24")
	for _, c := range []struct {
		name string
		do   func(t *testing.T, tun netlink.Link)
	}{
		{"routes flushed by device", func(t *testing.T, tun netlink.Link) {
			list, err := netlink.RouteList(tun, netlink.FAMILY_ALL)
			must(t, err)
			for _, r := range list {
				if r.Protocol == defaultProtocol {
					must(t, netlink.RouteDel(&r))
				}
			}
		}},
		{"device set down", func(t *testing.T, tun netlink.Link) { must(t, netlink.LinkSetDown(tun)) }},
		{"device renamed, which sets it down", func(t *testing.T, tun netlink.Link) {
			must(t, netlink.LinkSetDown(tun))
			must(t, netlink.LinkSetName(tun, "stolen0"))
		}},
		{"address removed", func(t *testing.T, tun netlink.Link) {
			must(t, netlink.AddrDel(tun, toAddr(netip.MustParsePrefix("169.254.1.2/30"))))
		}},
		{"all addresses flushed", func(t *testing.T, tun netlink.Link) {
			list, err := netlink.AddrList(tun, netlink.FAMILY_ALL)
			must(t, err)
			for _, a := range list {
				must(t, netlink.AddrDel(tun, &a))
			}
			must(t, netlink.AddrAdd(tun, toAddr(admins)))
		}},
		{"MTU changed", func(t *testing.T, tun netlink.Link) { must(t, netlink.LinkSetMTU(tun, 1280)) }},
		{"device deleted, and made again by who reads it", func(t *testing.T, tun netlink.Link) {
			must(t, netlink.LinkDel(tun))
			unreachable(t, "10.2.0.1")
			unreachable(t, "2001:db8:2::1")
			device(t, "twinbore0")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tun := namespace(t)
			k := started(t, Config{})
			must(t, k.Apply(t.Context(), wants(t, "up 10.2.0.0/16", "up 2001:db8:2::/48")))
			l := listen(t, func(*Watch) {})
			same(t, "before", tables(t, k), whole)
			c.do(t, tun)
			for _, dst := range []string{"10.2.0.1", "2001:db8:2::1"} {
				if got, _ := way(t, dst); got == "eth0" {
					t.Errorf("%s leaves in clear by %s", dst, got)
				}
			}
			mended(t, k, l.calls, time.Second, func() bool {
				dev, err := k.find(k.devices[0], "twinbore0")
				must(t, err)
				there, err := netlink.AddrList(dev, netlink.FAMILY_ALL)
				must(t, err)
				has := map[string]bool{}
				for _, a := range there {
					has[a.IPNet.String()] = true
				}
				at := dev.Attrs()
				return len(tables(t, k)) == 4 && at.Flags&net.FlagUp != 0 && at.MTU == 1438 && has["169.254.1.2/30"] && has["2001:db8:77::1/64"]
			})
			name := "twinbore0"
			if strings.Contains(c.name, "renamed") {
				name = "stolen0" // it is the same device
			}
			same(t, "after", tables(t, k), strings.ReplaceAll(whole, "twinbore0", name))
			wantWay(t, "10.2.0.1", name)
			wantWay(t, "2001:db8:2::1", name)
			must(t, k.Close())
		})
	}
}

// EV-18: a device that is set down again and again is set up less and less often, which is said.
func TestADeviceThatIsSetDownAgainAndAgain(t *testing.T) {
	tun := namespace(t)
	k := started(t, Config{})
	must(t, k.Apply(t.Context(), wants(t, "up 10.2.0.0/16")))
	must(t, netlink.LinkSetDown(tun))
	must(t, k.Reconcile(t.Context()))
	wantWay(t, "10.2.0.1", "twinbore0")
	must(t, netlink.LinkSetDown(tun))
	if err := k.Reconcile(t.Context()); err == nil || !strings.Contains(err.Error(), "sets it down again and again") {
		t.Errorf("Reconcile = %v", err)
	}
	unreachable(t, "10.2.0.1")
	k.devices[0].raise.last = time.Now().Add(-raiseAgain)
	must(t, k.Reconcile(t.Context()))
	wantWay(t, "10.2.0.1", "twinbore0")
	must(t, k.Close())
}

func TestRaiseWaitsLongerEachTime(t *testing.T) { // EV-18
	var r raise
	now := time.Now()
	if !r.due(now) {
		t.Fatal("a new device is not set up")
	}
	for i, want := range []time.Duration{0, 1, 2, 4, 8, 16, 30, 30} {
		r.now(now)
		want *= time.Second
		if r.pause != want || r.due(now) != (want == 0) || !r.due(now.Add(want)) {
			t.Errorf("after %d times it waits %s, want %s", i+1, r.pause, want)
		}
		now = now.Add(want)
	}
	now = now.Add(raiseStays + raiseSlowest)
	if r.now(now); r.pause != 0 {
		t.Errorf("it has stayed up, and waits %s", r.pause)
	}
}

// EV-19: what the kernel has no room for is an error, and the next Reconcile reads everything anew.
func TestAnInterruptedDumpIsReadAgain(t *testing.T) {
	for _, c := range []struct{ interrupted, want int }{{0, 1}, {2, 3}, {9, dumpTries}} {
		n := 0
		err := dump(func() error {
			if n++; n <= c.interrupted {
				return netlink.ErrDumpInterrupted
			}
			return nil
		})
		if n != c.want || (err != nil) != (c.interrupted >= dumpTries) {
			t.Errorf("interrupted %d times: read %d times, %v", c.interrupted, n, err)
		}
	}
	broken, n := errors.New("no buffer space"), 0
	if err := dump(func() error { n++; return broken }); err != broken || n != 1 {
		t.Errorf("got %v after %d times", err, n)
	}
}

// EV-03, TS-06: kill -9 leaves what survives the device: guards and pins. The next daemon keeps what it wants itself, without a
// moment in which it is not there, and sweeps the rest, also out of tables that it does not use any more.
func TestTheNextStartSweepsAndKeeps(t *testing.T) {
	tun := namespace(t)
	blue := device(t, "twinbore1")
	before, err := New(Config{Domains: []Domain{{Name: "default", Device: "twinbore0"}, {Name: "blue", Device: "twinbore1", Table: 100}}})
	must(t, err)
	must(t, before.SetLink("default", nil, 1400))
	must(t, before.SetLink("blue", nil, 1400))
	want := wants(t, "up 10.2.0.0/16", "up 10.3.0.0/16")
	for i := range want {
		want[i].Domain = "default"
	}
	other := wants(t, "up 10.2.0.0/16", "up 198.51.100.0/24")
	for i := range other {
		other[i].Domain = "blue"
	}
	must(t, before.PinPeers(t.Context(), addrs("198.51.100.1")))
	must(t, before.Apply(t.Context(), append(want, other...)))
	before.nl.Close() // as kill -9 does
	must(t, netlink.LinkDel(tun))
	must(t, netlink.LinkDel(blue))
	eth0, err := netlink.LinkByName("eth0")
	must(t, err)
	foreign := &netlink.Route{LinkIndex: eth0.Attrs().Index, Dst: toAddr(netip.MustParsePrefix("10.3.0.0/16")).IPNet, Priority: 7, Table: 100, Protocol: unix.RTPROT_STATIC}
	must(t, netlink.RouteAdd(foreign))

	device(t, "twinbore0")
	next, err := New(Config{Domains: []Domain{{Name: "default", Device: "twinbore0"}}})
	must(t, err)
	same(t, "left over", tables(t, next), `
		198.51.100.1 via 192.0.2.254 dev eth0 table 100 proto 157 metric 200
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		unreachable 10.2.0.0/16 table 100 proto 157 metric 4000000000
		unreachable 10.3.0.0/16 proto 157 metric 4000000000
		unreachable 198.51.100.0/24 table 100 proto 157 metric 4000000000`)
	changes := make(chan netlink.RouteUpdate, 100)
	done := make(chan struct{})
	defer close(done)
	must(t, netlink.RouteSubscribe(changes, done))
	down := wants(t, "down 10.2.0.0/16")
	down[0].Domain = "default"
	must(t, next.Apply(t.Context(), down))
	same(t, "swept", tables(t, next), `unreachable 10.2.0.0/16 proto 157 metric 4000000000`)
	for range 4 {
		if u := <-changes; u.Type != unix.RTM_DELROUTE || u.Table == mainTable && prefixOf(u.Dst, u.Family) == want[0].Prefix {
			t.Errorf("what is kept was touched: %v", u)
		}
	}
	left, err := netlink.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: 100}, netlink.RT_FILTER_TABLE)
	must(t, err)
	if len(left) != 1 || left[0].Priority != 7 {
		t.Errorf("table 100 has %v, want the administrator's alone", left)
	}
	must(t, next.Close())
}

// F11, R32: two domains with one network each have a device, a table and a way of their own, and a Kernel of both leaves the
// routes of neither to the other.
func TestDomainsHaveTablesOfTheirOwn(t *testing.T) {
	namespace(t)
	device(t, "twinbore1")
	cfg := Config{Domains: []Domain{{Name: "default", Device: "twinbore0"}, {Name: "blue", Device: "twinbore1", Table: 100}}}
	k := started(t, cfg)
	must(t, k.SetLink("blue", nil, 1300))
	if err := k.SetLink("green", nil, 1300); err == nil {
		t.Error("a domain that is not there has a device")
	}
	all := wants(t, "up 10.2.0.0/16", "down 10.2.0.0/16", "up 0.0.0.0/0")
	all[0].Domain, all[1].Domain, all[2].Domain = "default", "blue", "blue"
	must(t, k.PinPeers(t.Context(), addrs("198.51.100.1")))
	must(t, k.Apply(t.Context(), all))
	const both = `
		0.0.0.0/0 dev twinbore1 table 100 proto 157 metric 200
		10.2.0.0/16 dev twinbore0 proto 157 metric 200
		198.51.100.1 via 192.0.2.254 dev eth0 table 100 proto 157 metric 200
		unreachable 0.0.0.0/0 table 100 proto 157 metric 4000000000
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		unreachable 10.2.0.0/16 table 100 proto 157 metric 4000000000`
	same(t, "both", tables(t, k), both)
	must(t, k.Reconcile(t.Context()))
	same(t, "again", tables(t, k), both)
	wantWay(t, "10.2.0.1", "twinbore0")
	wantWay(t, "203.0.113.1", "eth0")

	// Who is led into table 100, as from a network of the domain, is in the other domain.
	rule := netlink.NewRule()
	rule.Src, rule.Table, rule.Priority = toAddr(netip.MustParsePrefix("192.0.2.0/24")).IPNet, 100, 500
	must(t, netlink.RuleAdd(rule))
	from := func(dst string) string {
		routes, err := netlink.RouteGetWithOptions(net.ParseIP(dst), &netlink.RouteGetOptions{SrcAddr: net.ParseIP("192.0.2.1")})
		if err != nil {
			return err.Error()
		}
		l, err := netlink.LinkByIndex(routes[0].LinkIndex)
		must(t, err)
		return l.Attrs().Name
	}
	for dst, want := range map[string]string{"203.0.113.1": "twinbore1", "10.2.0.1": unix.EHOSTUNREACH.Error(), "198.51.100.1": "eth0"} { // TS-10
		if got := from(dst); got != want {
			t.Errorf("%s goes by %q, want %q", dst, got, want)
		}
	}
	must(t, k.Apply(t.Context(), all[:1]))
	same(t, "one", tables(t, k), `
		10.2.0.0/16 dev twinbore0 proto 157 metric 200
		unreachable 10.2.0.0/16 proto 157 metric 4000000000`)
	must(t, k.Close())
	same(t, "closed", tables(t, reopened(t, cfg)), `unreachable 10.2.0.0/16 proto 157 metric 4000000000`)
}

func reopened(t *testing.T, cfg Config) *Kernel {
	t.Helper()
	k, err := New(cfg)
	must(t, err)
	t.Cleanup(k.nl.Close)
	return k
}

// An IPv6 route of ours always has a metric: the kernel makes 1024 of 0, and it would look like somebody else's.
func TestIPv6RoutesHaveTheirMetric(t *testing.T) {
	namespace(t)
	k := started(t, Config{Metric: 1})
	must(t, k.Apply(t.Context(), wants(t, "up 2001:db8:2::/48", "up ::/0")))
	for _, r := range tables(t, k) {
		if r.metric != 1 && r.metric != guardMetric {
			t.Errorf("%v", r)
		}
	}
	must(t, k.Reconcile(t.Context()))
	wantWay(t, "2001:db8:2::1", "twinbore0")
	must(t, k.Close())
}
