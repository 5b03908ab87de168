package daemon

import (
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"

	"twinbore/config"
)

func TestRelocatedOnlyWhenTheAddressInUseIsNotGoodAnyMore(t *testing.T) { // R12, R14
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
		if got := relocated(c.used, c.before, c.own, func() []netip.Addr { return c.ours }); got != c.want {
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

// An end without an address of its own looks at its route; a route that is gone changes nothing.
func TestLookLeavesALonelyEndAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		l := &loop{ends: map[string]*end{"fixed": {local: netip.MustParseAddr("192.0.2.1")}, "down": {}}}
		l.finder.route = func(netip.Addr) (netip.Addr, error) { asked++; return netip.Addr{}, errors.New("no route") }
		if !l.roams() {
			t.Error("an end whose address the route tells does not roam")
		}
		if l.look(); asked != 0 {
			t.Errorf("asked %d routes for ends that are fixed or down", asked)
		}
	})
}
