package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

func TestRelocatedOnlyWhenTheAddressInUseIsNotGoodAnyMore(t *testing.T) { // EV-12, EV-14
	first, second, third := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	for _, c := range []struct {
		name              string
		used, before, own netip.Addr
		ours              []netip.Addr
		want              bool
	}{
		{"the first look", first, netip.Addr{}, first, nil, false},
		{"the route's address changes", first, first, second, []netip.Addr{second}, true},
		{"the default route moves to another uplink, the address stays", first, first, second, []netip.Addr{first, second}, true},
		{"the peer came by another address, which stays", third, first, second, []netip.Addr{second, third}, false},
		{"the peer came by another address, which goes", third, first, second, []netip.Addr{second}, true},
		{"the first look, the peer came by another address", third, netip.Addr{}, first, []netip.Addr{first, third}, false},
	} {
		if got := relocated(c.used, c.before, c.own, c.ours); got != c.want {
			t.Errorf("%s: relocated %v, want %v", c.name, got, c.want)
		}
	}
}

// A gateway starts without a route: who it is follows from the path of each IKE SA.
func TestIdentityWaitsForThePath(t *testing.T) {
	id, err := localID(config.Tunnel{Remote: config.Remote{Addr: netip.MustParseAddr("198.51.100.1")}})
	if err != nil || id.Type != 0 || id.Data != "" {
		t.Errorf("localID gives %v, %v; want none yet", id, err)
	}
}

// What IKE is told follows the configuration.
func TestPeerFollowsTheConfiguration(t *testing.T) {
	cfg := load(t, "", "    child: per-pair\n    verify_pfs: true\n    dpd: {action: none}\n")
	c := cfg.Connections[0]
	p, err := peerOf(cfg.Gateway, c, c.Tunnels[0], Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !p.PerPair || !p.VerifyPFS || !p.MOBIKE || p.DPD.Interval != 0 {
		t.Errorf("per-pair %v, verify_pfs %v, MOBIKE %v, DPD %v", p.PerPair, p.VerifyPFS, p.MOBIKE, p.DPD)
	}
}

// An uplink is the host's network as a test has it: one address that its routes lead by, or none.
type uplink struct {
	mu   sync.Mutex
	addr netip.Addr
}

func (u *uplink) set(a netip.Addr) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.addr = a
}

func (u *uplink) route(netip.Addr) (netip.Addr, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.addr.IsValid() {
		return netip.Addr{}, syscall.ENETUNREACH
	}
	return u.addr, nil
}

func (u *uplink) carriers() ([]netip.Addr, error) {
	own, err := u.route(netip.Addr{})
	if err != nil {
		return nil, nil
	}
	return []netip.Addr{own}, nil
}

// roaming is both sites, of which the left one has no address of its own: its uplink says which.
func roaming(t *testing.T) (net *simnet.Net, up *uplink, left, right *site) {
	net = simnet.New(1)
	t.Cleanup(net.Close)
	net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	up = &uplink{addr: customer}
	right = open(t, net, rightConfig, nil)
	left, run := build(t, net, strings.Replace(leftConfig, "  outside: {address: 192.0.2.10}\n", "", 1), func(o *Options) {
		o.Listen = func(c transport.Config) (transport.Socket, error) {
			if c.Addr.Addr().Is6() {
				return nil, syscall.EAFNOSUPPORT
			}
			return net.Listen(netip.AddrPortFrom(customer, c.Addr.Port())), nil
		}
	})
	left.d.loop.finder.route, left.d.loop.carriers = up.route, up.carriers
	run()
	left.want("1: UP UP", 2*time.Second)
	right.want("1: UP UP", 2*time.Second)
	return net, up, left, right
}

// EV-12, EV-14: our packets leave with another address than before. The peers are told at once (RFC 4555), and both tunnels go
// on without a new IKE SA.
func TestOurAddressChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, up, left, right := roaming(t)
		before := left.connection()
		other := netip.MustParseAddr("192.0.2.99")
		net.Move(customer, other)
		up.set(other)
		left.d.stirred()
		time.Sleep(200 * time.Millisecond)
		for i, now := range left.connection().Tunnels {
			there := right.connection().Tunnels[i]
			if now.IKE == nil || now.IKE.SPIInitiator != before.Tunnels[i].IKE.SPIInitiator || now.Status != "UP" ||
				!strings.HasPrefix(*now.Local, "192.0.2.99:") || !strings.HasPrefix(*there.Remote, "192.0.2.99:") {
				t.Errorf("tunnel %s: %s here %s, there %s\n%s", now.Name, now.Status, *now.Local, *there.Remote, left.log)
			}
		}
		if !left.send(right, 1) || !right.send(left, 2) {
			t.Error("no traffic at the new address")
		}
	})
}

// EV-13: the uplink goes away for less than the DPD budget and comes back. No SA is lost, and the peer is asked at once.
func TestUplinkComesBackInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, up, left, right := roaming(t)
		before := left.connection()
		net.BlackholeBoth(customer, cloud1)
		net.BlackholeBoth(customer, cloud2)
		up.set(netip.Addr{})
		left.d.stirred()
		time.Sleep(1500 * time.Millisecond)
		net.Heal(customer, cloud1)
		net.Heal(customer, cloud2)
		up.set(customer)
		back := time.Now()
		left.d.stirred()
		time.Sleep(100 * time.Millisecond)
		for i, now := range left.connection().Tunnels {
			if now.Status != "UP" || !now.Since.Equal(before.Tunnels[i].Since) {
				t.Errorf("tunnel %s: %s since %s\n%s", now.Name, now.Status, now.Since, left.log)
			}
			logs, err := left.d.Logs(api.LogQuery{Connection: "hq", Tunnel: now.Name, Since: back})
			if err != nil {
				t.Fatal(err)
			}
			var asked, answered bool
			for _, e := range logs.Entries {
				if m := e.Message; m != nil && m.Exchange == "INFORMATIONAL" {
					asked, answered = asked || m.Sent && !m.Answer, answered || !m.Sent && m.Answer
				}
			}
			if !asked || !answered {
				t.Errorf("tunnel %s: the peer was asked %v and answered %v", now.Name, asked, answered)
			}
		}
		if !left.send(right, 1) || !right.send(left, 2) {
			t.Error("no traffic afterwards")
		}
	})
}

// EV-13: when the tunnels are lost by then, they are asked for as soon as there is a way, not when a retry is due.
func TestUplinkComesBackLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, up, left, _ := roaming(t)
		net.BlackholeBoth(customer, cloud1)
		net.BlackholeBoth(customer, cloud2)
		up.set(netip.Addr{})
		left.d.stirred()
		time.Sleep(10 * time.Minute)
		left.want("-: DOWN DOWN", time.Second)
		net.Heal(customer, cloud1)
		net.Heal(customer, cloud2)
		up.set(customer)
		left.d.stirred()
		left.want("1: UP UP", 300*time.Millisecond)
	})
}

// A host whose network changes without end is not looked at without end.
func TestLookingRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, up, left, _ := roaming(t)
		var looked atomic.Int32
		left.d.loop.carriers = func() ([]netip.Addr, error) {
			looked.Add(1)
			time.Sleep(10 * time.Millisecond) // what it costs
			return up.carriers()
		}
		for range 1000 {
			left.d.stirred()
			time.Sleep(time.Millisecond)
		}
		if n := looked.Load(); n < 5 || n > 11 {
			t.Errorf("looked %d times in a second, want one in 100 ms", n)
		}
	})
}

// A watch of the host's network says at once that there is something to look at, and ends with its context.
func TestWatchOfTheHostBegins(t *testing.T) {
	d := &Daemon{log: slog.New(slog.DiscardHandler), mail: newMailbox()}
	d.routes = newRoutes(d.log, nil, nil)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.watchHost(ctx, 157)
	}()
	<-d.mail.ready
	<-d.routes.stirs
	if all := d.mail.take(); len(all) != 1 || all[0] != (stirred{}) {
		t.Errorf("the mail is %v", all)
	}
	stop()
	<-ended
}
