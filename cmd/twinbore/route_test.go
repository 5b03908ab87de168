package main

import (
	"strings"
	"testing"

	"twinbore/cmd/internal/api"
)

func TestRouteTable(t *testing.T) {
	routes := api.Routes{Routes: []api.RouteEntry{
		{Prefix: "10.2.0.0/16", Connection: "hq", Domain: "default", Tunnel: api.Ptr("1"), Source: "static", State: "active", Installed: true},
		{Prefix: "10.2.0.0/16", Connection: "hq-b", Domain: "default", Source: "static", State: "standby"},
		{Prefix: "10.9.0.1/32", Connection: "hq", Domain: "default", Tunnel: api.Ptr("1"), Source: "added", State: "active", Hint: "there is already one of yours"},
		{Prefix: "2001:db8:5::/48", Connection: "lab", Domain: "default", Source: "bgp", State: "down"},
	}}
	const want = `
PREFIX           CONNECTION  TUNNEL  SOURCE  STATE    INSTALLED
10.2.0.0/16      hq          1       static  active   yes
10.2.0.0/16      hq-b        –       static  standby  no
10.9.0.1/32      hq          1       added   active   no: there is already one of yours
2001:db8:5::/48  lab         –       bgp     down     no
`
	if got := routeTable(routes); got != want[1:] {
		t.Errorf("got\n%s\nwant%s", got, want)
	}
	routes.Routes[3].Domain = "blue"
	if got := routeTable(routes); !strings.HasPrefix(got, "DOMAIN   PREFIX ") || !strings.Contains(got, "\nblue     2001:db8:5::/48") {
		t.Errorf("with two domains:\n%s", got)
	}
	if got := routeTable(api.Routes{}); strings.Count(got, "\n") != 1 {
		t.Errorf("without routes:\n%s", got)
	}
}
