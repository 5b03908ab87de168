package kernel

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	"twinbore/routing"
)

var config = Config{Domains: []Domain{{Device: "twinbore0", Table: mainTable}}, Protocol: defaultProtocol, Metric: defaultMetric}

// wants reads "up 10.2.0.0/16" and "down 10.3.0.0/16".
func wants(t *testing.T, lines ...string) (out []routing.Route) {
	t.Helper()
	for _, line := range lines {
		state, p, _ := strings.Cut(line, " ")
		out = append(out, routing.Route{Prefix: netip.MustParsePrefix(p), Conn: "hq", Up: state == "up"})
	}
	return out
}

// parse reads a route as String writes it.
func parse(t *testing.T, line string) route {
	t.Helper()
	words := strings.Fields(line)
	r := route{key: key{table: mainTable}}
	if words[0] == "unreachable" {
		r.unreachable, words = true, words[1:]
	}
	dst := words[0]
	if !strings.Contains(dst, "/") {
		dst += "/" + strconv.Itoa(netip.MustParseAddr(dst).BitLen())
	}
	r.prefix = netip.MustParsePrefix(dst)
	for pair := range slices.Chunk(words[1:], 2) {
		number := func() int {
			n, err := strconv.Atoi(pair[1])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		switch pair[0] {
		case "via":
			r.via = netip.MustParseAddr(pair[1])
		case "dev":
			r.dev = pair[1]
		case "src":
			r.src = netip.MustParseAddr(pair[1])
		case "proto":
			r.protocol = number()
		case "metric":
			r.metric = number()
		case "table":
			r.table = number()
		default:
			t.Fatalf("what is %q?", pair[0])
		}
	}
	if r.String() != line {
		t.Fatalf("%q is written %q", line, r)
	}
	return r
}

func parseAll(t *testing.T, text string) (out []route) {
	t.Helper()
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, parse(t, line))
		}
	}
	return out
}

// same compares lines with an indented text.
func same[T interface{ String() string }](t *testing.T, what string, got []T, want string) {
	t.Helper()
	var lines []string
	for _, g := range got {
		lines = append(lines, g.String())
	}
	var wanted []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			wanted = append(wanted, line)
		}
	}
	if !slices.Equal(lines, wanted) {
		t.Errorf("%s:\n  %s\nwant:\n  %s", what, strings.Join(lines, "\n  "), strings.Join(wanted, "\n  "))
	}
}

func addrs(s ...string) (out []netip.Addr) {
	for _, a := range s {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func TestWantedReadsLikeIPRoute(t *testing.T) { // TS-06: the guard is always there
	c := config
	c.Domains = []Domain{{Device: "twinbore0", Table: mainTable, Sources: addrs("10.1.0.1")}}
	got, problems := c.wanted(wants(t, "up 10.2.0.0/16", "down 10.3.0.0/16", "up 2001:db8:2::/48", "down 10.2.0.0/16", "up 10.9.9.9/32"), nil, nil)
	same(t, "wanted", got, `
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		unreachable 10.3.0.0/16 proto 157 metric 4000000000
		unreachable 2001:db8:2::/48 proto 157 metric 4000000000
		unreachable 10.9.9.9 proto 157 metric 4000000000
		10.2.0.0/16 dev twinbore0 proto 157 src 10.1.0.1 metric 200
		2001:db8:2::/48 dev twinbore0 proto 157 metric 200
		10.9.9.9 dev twinbore0 proto 157 src 10.1.0.1 metric 200`)
	if problems != nil {
		t.Errorf("problems %v", problems)
	}
}

func TestAnotherTableSaysSo(t *testing.T) {
	c := config
	c.Domains = []Domain{{Device: "twinbore0", Table: 52}}
	got, _ := c.wanted(wants(t, "up 10.2.0.0/16"), nil, nil)
	same(t, "wanted", got, `
		unreachable 10.2.0.0/16 table 52 proto 157 metric 4000000000
		10.2.0.0/16 dev twinbore0 table 52 proto 157 metric 200`)
}

func TestPeersAreReachedThroughTheUnderlay(t *testing.T) { // TS-10
	foreign := parseAll(t, `
		0.0.0.0/0 via 192.0.2.254 dev eth0 proto 16 metric 100
		0.0.0.0/0 via 192.0.2.253 dev eth0 proto 16 metric 300
		198.51.100.0/25 dev eth1 proto 2
		203.0.113.9 via 192.0.2.251 dev eth0 proto 4
		198.51.100.2 dev twinbore0 proto 4
		unreachable 198.51.100.3 proto 4
		::/0 via fe80::1 dev eth0 proto 9 metric 1024`)
	peers := addrs("198.51.100.1", "203.0.113.1", "203.0.113.9", "198.51.100.2", "198.51.100.3", "2001:db8:ff::1", "203.0.113.1")
	got, problems := config.wanted(wants(t, "up 0.0.0.0/0", "down 2001:db8::/32"), peers, foreign)
	same(t, "wanted", got, `
		198.51.100.1 dev eth1 proto 157 metric 200
		203.0.113.1 via 192.0.2.254 dev eth0 proto 157 metric 200
		198.51.100.2 dev eth1 proto 157 metric 200
		198.51.100.3 dev eth1 proto 157 metric 200
		2001:db8:ff::1 via fe80::1 dev eth0 proto 157 metric 200
		unreachable 0.0.0.0/0 proto 157 metric 4000000000
		unreachable 2001:db8::/32 proto 157 metric 4000000000
		0.0.0.0/0 dev twinbore0 proto 157 metric 200`)
	if problems != nil {
		t.Errorf("problems %v", problems)
	}

	got, _ = config.wanted(wants(t, "up 10.2.0.0/16"), peers, foreign)
	same(t, "no wanted route covers a peer", got, `
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		10.2.0.0/16 dev twinbore0 proto 157 metric 200`)
}

func TestARouteThatWouldSwallowItsPeerIsHeldBack(t *testing.T) { // TS-10
	got, problems := config.wanted(wants(t, "up 0.0.0.0/0", "up 10.2.0.0/16"), addrs("198.51.100.1"), nil)
	same(t, "wanted", got, `
		unreachable 0.0.0.0/0 proto 157 metric 4000000000
		unreachable 10.2.0.0/16 proto 157 metric 4000000000
		10.2.0.0/16 dev twinbore0 proto 157 metric 200`)
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "198.51.100.1") || problems[0].Route != "0.0.0.0/0 dev twinbore0 proto 157 metric 200" {
		t.Errorf("problems %v", problems)
	}
}

func TestPlanIsTheDifference(t *testing.T) {
	for _, tt := range []struct {
		name, have, want, steps string
	}{
		{"from nothing", ``, `
			unreachable 10.2.0.0/16 proto 157 metric 4000000000
			10.2.0.0/16 dev twinbore0 proto 157 metric 200`, `
			replace unreachable 10.2.0.0/16 proto 157 metric 4000000000
			replace 10.2.0.0/16 dev twinbore0 proto 157 metric 200`},
		{"nothing to do", `
			10.2.0.0/16 dev twinbore0 proto 157 metric 200
			10.0.0.0/8 dev eth0 proto 2
			unreachable 10.2.0.0/16 proto 157 metric 4000000000`, `
			unreachable 10.2.0.0/16 proto 157 metric 4000000000
			10.2.0.0/16 dev twinbore0 proto 157 metric 200`, ``},
		{"going down leaves the guard", `
			unreachable 10.2.0.0/16 proto 157 metric 4000000000
			10.2.0.0/16 dev twinbore0 proto 157 metric 200`, `
			unreachable 10.2.0.0/16 proto 157 metric 4000000000`, `
			del 10.2.0.0/16 dev twinbore0 proto 157 metric 200`},
		{"a changed route is replaced, never deleted and added", `
			10.2.0.0/16 dev old0 proto 157 metric 200`, `
			10.2.0.0/16 dev twinbore0 proto 157 src 10.1.0.1 metric 200`, `
			replace 10.2.0.0/16 dev twinbore0 proto 157 src 10.1.0.1 metric 200`},
		{"everything goes, the guard after what it guards, the way to the peer last", `
			198.51.100.1 via 192.0.2.254 dev eth0 proto 157 metric 200
			unreachable 10.2.0.9 proto 157 metric 4000000000
			10.2.0.9 dev twinbore0 proto 157 metric 200
			10.7.0.0/16 dev twinbore0 table 52 proto 157 metric 200
			10.8.0.0/16 dev eth0 proto 4`, ``, `
			del 10.2.0.9 dev twinbore0 proto 157 metric 200
			del 10.7.0.0/16 dev twinbore0 table 52 proto 157 metric 200
			del unreachable 10.2.0.9 proto 157 metric 4000000000
			del 198.51.100.1 via 192.0.2.254 dev eth0 proto 157 metric 200`},
	} {
		steps, problems := config.plan(parseAll(t, tt.have), parseAll(t, tt.want))
		same(t, tt.name, steps, tt.steps)
		if problems != nil {
			t.Errorf("%s: problems %v", tt.name, problems)
		}
	}
}

func TestForeignRoutesAreLeftAlone(t *testing.T) {
	have := parseAll(t, `
		10.2.0.0/16 dev twinbore0 proto 157 metric 200
		10.2.0.0/16 via 192.0.2.254 dev eth0 proto 4 metric 200`)
	want := parseAll(t, `
		10.2.0.0/16 dev twinbore0 proto 157 src 10.1.0.1 metric 200
		10.3.0.0/16 dev twinbore0 proto 157 metric 200`)
	for _, have := range [][]route{have, {have[1], have[0]}} {
		steps, problems := config.plan(have, want)
		same(t, "steps", steps, `replace 10.3.0.0/16 dev twinbore0 proto 157 metric 200`)
		if len(problems) != 1 || !strings.Contains(problems[0].Reason, "10.2.0.0/16 via 192.0.2.254 dev eth0 proto 4 metric 200") {
			t.Errorf("problems %v", problems)
		}
	}
}
