package datapath

import (
	"sync/atomic"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
)

// The table that AWS publishes, for 1500 octets of path: without and with NAT traversal.
func TestInnerMTUIsTheTableOfAWS(t *testing.T) {
	for _, tt := range []struct {
		alg       *protect.Algorithm
		off, on   int
		off6, on6 int
	}{
		{protect.AES128GCM16, 1446, 1438, 1426, 1418},
		{protect.AES256GCM16, 1446, 1438, 1426, 1418},
		{protect.CBC(128, protect.InsecureHMACSHA1), 1438, 1422, 1422, 1406},
		{protect.CBC(256, protect.HMACSHA256), 1438, 1422, 1406, 1406},
		{protect.CBC(256, protect.HMACSHA384), 1422, 1422, 1406, 1390},
		{protect.CBC(256, protect.HMACSHA512), 1422, 1406, 1390, 1390},
	} {
		for _, c := range []struct {
			outer6, encap bool
			want          int
		}{{false, false, tt.off}, {false, true, tt.on}, {true, false, tt.off6}, {true, true, tt.on6}} {
			got := InnerMTU(1500, c.outer6, c.encap, tt.alg)
			if got != c.want {
				t.Errorf("%s, outer IPv6 %v, NAT-T %v: %d, want %d", tt.alg.Name, c.outer6, c.encap, got, c.want)
			}
			outer := ipv4HeaderLen + esp.SealedLen(tt.alg, got)
			if c.outer6 {
				outer += ipv6HeaderLen - ipv4HeaderLen
			}
			if c.encap {
				outer += udpHeaderLen
			}
			if over := outer - esp.SealedLen(tt.alg, got) + esp.SealedLen(tt.alg, got+1); outer > 1500 || over <= 1500 {
				t.Errorf("%s: %d inner octets make %d, one more makes %d", tt.alg.Name, got, outer, over)
			}
		}
	}
	if got := InnerMTU(40, false, true, protect.AES128GCM16); got != 0 {
		t.Errorf("a path of 40 octets carries %d", got)
	}
}

// A route that takes less than the connection's path MTU makes packets smaller, within bounds (DOS-17), and only as long as
// it does. More it never makes them. Nothing else of the tunnel changes.
func TestPathMTUFollowsTheRoute(t *testing.T) {
	inLab(t, func(l *lab) {
		var route atomic.Int32
		var asked atomic.Pointer[esp.Path]
		route.Store(1400)
		s := l.paris(func(c *Config) {
			c.RouteMTU = func(p esp.Path) int {
				asked.Store(&p)
				return int(route.Load())
			}
		})
		p := s.up()
		want := func(path int) {
			t.Helper()
			if got, want := s.Traffic("hq/1").MTU, InnerMTU(path, false, true, protect.AES256GCM16); got != want {
				t.Errorf("route of %d: inner MTU %d, want %d", route.Load(), got, want)
			}
		}
		want(1400)
		if got := asked.Load(); got.Remote != p.at || got.Local.Addr() != s.outer {
			t.Errorf("asked about %v", got)
		}
		for _, tt := range []struct{ route, path int }{{1280, 1280}, {68, 576}, {9000, 1500}, {0, 1500}, {1492, 1492}} {
			route.Store(int32(tt.route))
			time.Sleep(watchEvery)
			s.l.settle()
			want(tt.path)
		}
		if err := s.SetConnections(parisConnections()); err != nil {
			t.Fatal(err)
		}
		want(1492)
		s.Move(p.id, esp.Path{Local: port("192.0.2.1:4500"), Remote: port("198.51.100.9:4500")})
		want(1492)
		pkt := withDF(udp(paris, hq, 1, 2, 1440))
		s.host(pkt)
		if answer := s.inside(); len(answer) != 1 || be16(answer[0], 26) != uint16(s.Traffic("hq/1").MTU) {
			t.Errorf("answers %x, want that it is too big", answer)
		}
		s.dropped(map[string]uint64{"mtu": 1})
	})
}

func TestLeastOfRouteAndConfiguration(t *testing.T) { // DOS-17: 576 with IPv4, 1280 with IPv6
	for _, tt := range []struct {
		remote            string
		route, path, want int
	}{
		{"198.51.100.1:4500", 0, 1500, 1500}, {"198.51.100.1:4500", 68, 1500, 576}, {"198.51.100.1:4500", 9000, 1460, 1460},
		{"[2001:db8::1]:4500", 68, 1500, 1280}, {"[2001:db8::1]:4500", 1279, 1500, 1280}, {"[2001:db8::1]:4500", 1400, 1500, 1400},
		{"[2001:db8::1]:4500", 68, 600, 600}, {"[::ffff:198.51.100.1]:4500", 68, 1500, 576},
	} {
		l := lane{path: esp.Path{Remote: port(tt.remote)}, route: tt.route}
		if got := l.least(tt.path); got != tt.want {
			t.Errorf("%+v: %d", tt, got)
		}
	}
}
