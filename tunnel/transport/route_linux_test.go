package transport

import (
	"net/netip"
	"testing"

	"twinbore/esp"
)

func route(to string) esp.Path {
	return esp.Path{Remote: netip.AddrPortFrom(netip.MustParseAddr(to), 0)}
}

func TestRouteMTUIsTheInterfaces(t *testing.T) {
	privateNetwork(t)
	if _, err := RouteMTU(Config{}, route("198.51.100.1")); err == nil {
		t.Error("there is no route and no error")
	}
	for _, mtu := range []int{1492, 9000} {
		loopbackUp(t, uint32(mtu))
		for _, to := range []string{"127.0.0.1", "::1"} {
			p := route(to)
			p.Local = p.Remote
			for _, path := range []esp.Path{route(to), p} {
				if got, err := RouteMTU(Config{Interface: "lo"}, path); got != mtu || err != nil {
					t.Errorf("%v: %d, %v; want %d", path, got, err, mtu)
				}
			}
		}
	}
}
