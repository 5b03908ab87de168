package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// A shelf keeps routes as long as the test.
type shelf struct {
	mu    sync.Mutex // guards the rest
	kept  map[string][]netip.Prefix
	fails error
}

func (s *shelf) Added(connection string) []netip.Prefix {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.kept[connection])
}

func (s *shelf) SetAdded(connection string, prefixes []netip.Prefix) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		return s.fails
	}
	s.kept[connection] = slices.Clone(prefixes)
	return nil
}

// another is a second connection of the left site, to a peer that is not there.
const another = `  - name: lab
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.7.0.0/16]
    tunnels: [{remote: 203.0.113.7, psk: {inline: "the key of the laboratory"}}]
  - name: exact
    routing: policy
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.8.0.0/16]
    tunnels: [{remote: 203.0.113.8, psk: {inline: "the key of the policy based"}}]
`

// spis are those of all Child SAs of a site.
func (s *site) spis() (out []string) {
	for _, c := range s.status().Connections {
		for _, t := range c.Tunnels {
			for _, ch := range t.Children {
				out = append(out, ch.SPIIn, ch.SPIOut)
			}
		}
	}
	return out
}

// table is what the site's routes are, one a line.
func (s *site) table() string {
	s.t.Helper()
	got, err := s.d.Routes(s.t.Context(), "")
	if err != nil {
		s.t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range got.Routes {
		tunnel := "-"
		if r.Tunnel != nil {
			tunnel = *r.Tunnel
		}
		fmt.Fprintf(&b, "%s %s %s %s %s %v\n", r.Prefix, r.Connection, tunnel, r.Source, r.State, r.Installed)
	}
	return b.String()
}

// R35, R36, R14: routes come and go while the tunnels stay as they are, and what cannot be is refused with both names.
func TestRoutesAreAddedAndRemovedWhileTheTunnelsStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, strings.Replace(rightConfig, "[10.2.0.0/16]", "[10.2.0.0/16, 10.9.0.0/16]", 1), nil)
		paper := new(paperHost)
		left := open(t, net, strings.Replace(leftConfig, "  networks: [10.1.0.0/16]", "  networks: [10.1.0.0/16]\n  limits: {max_static_routes: 4}", 1)+another, withHost(paper))
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		before := left.spis()
		change := func(remove bool, conn string, prefixes ...string) error {
			done, err := left.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: conn, Prefixes: prefixes, Remove: remove})
			if err == nil && done.Kept {
				t.Error("it is said to be kept")
			}
			return err
		}
		// A network at the other end that ours does not know of yet.
		far, near := netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.1.0.5")
		passes := func(number uint32) bool {
			left.host.Out <- packet(near, far, number)
			select {
			case <-right.host.In:
				return true
			case <-time.After(time.Second):
				return false
			}
		}
		if passes(1) {
			t.Fatal("a packet to nowhere has passed")
		}
		if err := change(false, "hq", "10.9.0.1", "10.10.0.0/16"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		const with = "10.2.0.0/16 hq 1 static active true\n10.7.0.0/16 lab - static down false\n10.8.0.0/16 exact - static down false\n" +
			"10.9.0.1/32 hq 1 added active true\n10.10.0.0/16 hq 1 added active true\n"
		if got := left.table(); got != with {
			t.Errorf("got\n%swant\n%s", got, with)
		}
		if !strings.Contains(paper.page(), "10.9.0.1/32 up") {
			t.Errorf("the host has\n%s", paper.page())
		}
		if !passes(2) {
			t.Error("no packet to what was added")
		}
		for want, err := range map[string]error{
			`"10.11.0.1/16" has host bits set; want a network as 10.20.0.0/16 or 2001:db8::/32; did you mean "10.11.0.0/16"?`: change(false, "hq", "10.11.0.1/16"),
			`"hq" does not fit; want a network`:                    change(false, "hq", "hq"),
			`10.11.0.0/16 stands twice`:                            change(false, "hq", "10.11.0.0/16", "10.11.0.0/16"),
			`connection "hq" has 10.9.0.1/32 already`:              change(false, "hq", "10.9.0.1"),
			`connection "hq" has 10.2.0.0/16 already`:              change(false, "hq", "10.2.0.0/16"),
			`10.7.0.0/16 is behind the peer of connection "hq" al`: change(false, "hq", "10.7.0.0/16"),
			`10.1.0.0/16 cannot be behind the peer of connectio`:   change(false, "hq", "10.1.0.0/16"),
			`connection "hq" would have 5 static routes, more t`:   change(false, "hq", "10.12.0.0/16", "10.13.0.0/16"),
			`no connection "nowhere": have hq, lab, exact`:         change(false, "nowhere", "10.12.0.0/16"),
			`connection "exact" has routing: policy, and routes`:   change(false, "exact", "10.12.0.0/16"),
			`10.2.0.0/16 stands in the configuration of connect`:   change(true, "hq", "10.2.0.0/16"),
			`connection "hq" has no route to 10.12.0.0/16; it w`:   change(true, "hq", "10.10.0.0/16", "10.12.0.0/16"),
		} {
			var p *api.Problem
			if !errors.As(err, &p) || !strings.Contains(p.Detail, want) {
				t.Errorf("got %v, want %s", err, want)
			}
		}
		if got := left.table(); got != with {
			t.Errorf("what was refused has changed\n%s", got)
		}
		if err := change(true, "hq", "10.9.0.1/32"); err != nil {
			t.Fatal(err)
		}
		if passes(3) {
			t.Error("a packet to what was removed has passed")
		}
		if after := left.spis(); !slices.Equal(before, after) || len(before) != 4 {
			t.Errorf("the SAs were %v and are %v", before, after)
		}
		if one, err := left.d.Routes(t.Context(), "lab"); err != nil || len(one.Routes) != 1 || one.Routes[0].Prefix != "10.7.0.0/16" {
			t.Errorf("of one connection: %+v, %v", one, err)
		}
		if _, err := left.d.Routes(t.Context(), "nowhere"); err == nil {
			t.Error("routes of a connection that is not there")
		}
	})
}

// R35: what was added is there after a restart where it is kept, and is not there at all where it could not be.
func TestAddedRoutesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		keep := &shelf{kept: map[string][]netip.Prefix{}}
		with := func(o *Options) { o.Kept = keep }
		left := openWith(t, net, leftConfig, with)
		add := api.RouteChange{Connection: "hq", Prefixes: []string{"10.9.0.0/16"}}
		if done, err := left.d.ChangeRoutes(t.Context(), add); err != nil || !done.Kept || !slices.Equal(done.Prefixes, add.Prefixes) {
			t.Fatalf("got %+v, %v", done, err)
		}
		keep.mu.Lock()
		keep.fails = errors.New("no space left on device")
		keep.mu.Unlock()
		var p *api.Problem
		if _, err := left.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: "hq", Prefixes: []string{"10.10.0.0/16"}}); !errors.As(err, &p) || p.Reason != api.NotKept {
			t.Errorf("got %v", err)
		}
		const want = "10.2.0.0/16 hq - static down false\n10.9.0.0/16 hq - added down false\n"
		if got := left.table(); got != want {
			t.Errorf("got\n%swant\n%s", got, want)
		}
		left.stop()
		if _, err := left.d.ChangeRoutes(t.Context(), add); err == nil {
			t.Error("a gateway that has ended takes routes")
		}
		if _, err := left.d.Routes(context.Background(), ""); err == nil {
			t.Error("a gateway that has ended tells its routes")
		}
		again := openWith(t, net, leftConfig, with)
		if got := again.table(); got != want {
			t.Errorf("after a restart\n%swant\n%s", got, want)
		}
		// What has come into the configuration since is there once.
		net2 := simnet.New(2)
		t.Cleanup(net2.Close)
		third := openWith(t, net2, strings.Replace(leftConfig, "[10.2.0.0/16]", "[10.2.0.0/16, 10.9.0.0/16]", 1), with)
		if got := third.table(); strings.Count(got, "10.9.0.0/16") != 1 {
			t.Errorf("after it was written into the configuration\n%s", got)
		}
		if got := slices.Sorted(maps.Keys(keep.kept)); len(got) != 1 {
			t.Errorf("kept for %v", got)
		}
	})
}
