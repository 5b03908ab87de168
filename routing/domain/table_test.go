package domain

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"twinbore/routing"
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, p := range list {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}

var blue = Config{Name: "blue", Propagate: true, Local: prefixes("10.1.0.0/16")}

func table(t *testing.T, cfg Config, conns ...Connection) *Table {
	t.Helper()
	table, err := New(cfg, conns)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// says compares lines with an indented text.
func says(t *testing.T, what, got, want string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if got = strings.TrimSpace(got); got != strings.Join(lines, "\n") {
		t.Errorf("%s:\n%s\nwant\n%s", what, got, strings.Join(lines, "\n"))
	}
}

func wanted(t *Table) string {
	var b strings.Builder
	for _, r := range t.Wanted() {
		fmt.Fprintf(&b, "%v %s %s %v up=%v\n", r.Prefix, r.Conn, r.Domain, r.Origin, r.Up)
	}
	return b.String()
}

func forward(t *Table) string {
	var b strings.Builder
	for _, f := range t.Forward() {
		fmt.Fprintf(&b, "%s %v %v\n", f.Conn, f.Networks, f.Sources)
	}
	return b.String()
}

func TestRoutesFollowTheirConnection(t *testing.T) { // R39, TS-06
	table := table(t, blue, Connection{Name: "hq", Configured: prefixes("10.2.0.0/16", "2001:db8:2::/48"), Added: prefixes("10.3.0.1/32")})
	says(t, "down", wanted(table), `
		10.2.0.0/16 hq blue static up=false
		10.3.0.1/32 hq blue static up=false
		2001:db8:2::/48 hq blue static up=false`)
	says(t, "down", table.String(), `
		10.2.0.0/16 hq static down
		10.3.0.1/32 hq added down
		2001:db8:2::/48 hq static down`)
	if !table.SetUp("hq", true) || table.SetUp("hq", true) || table.SetUp("nowhere", true) {
		t.Error("what is news is not told")
	}
	says(t, "up", wanted(table), `
		10.2.0.0/16 hq blue static up=true
		10.3.0.1/32 hq blue static up=true
		2001:db8:2::/48 hq blue static up=true`)
	// Packets are for the connection, up or not: it may begin by them, and nobody else gets them.
	says(t, "forwarding", forward(table), `hq [10.2.0.0/16 10.3.0.1/32 2001:db8:2::/48] []`)
}

func TestADomainThatDoesNotPropagateLeavesTheHostAlone(t *testing.T) { // R40
	cfg := blue
	cfg.Propagate = false
	table := table(t, cfg, Connection{Name: "hq", Up: true, Configured: prefixes("10.2.0.0/16")})
	if got := table.Wanted(); got != nil {
		t.Errorf("wants %v", got)
	}
	says(t, "routes", table.String(), `10.2.0.0/16 hq static active`)
	says(t, "forwarding", forward(table), `hq [10.2.0.0/16] []`)
}

func TestTheSamePrefixTwiceIsRefusedWithBothNames(t *testing.T) { // R33, TS-08
	_, err := New(blue, []Connection{
		{Name: "hq", Configured: prefixes("10.2.0.0/16")},
		{Name: "lab", Configured: prefixes("10.2.3.0/24")}, // inside: the longest wins
		{Name: "branch", Added: prefixes("10.4.0.0/16", "10.2.0.0/16")},
	})
	var conflict *ConflictError
	if !errors.As(err, &conflict) || conflict.Have != "hq" || conflict.New != "branch" || conflict.Prefix != prefixes("10.2.0.0/16")[0] {
		t.Fatalf("New = %v", err)
	}
	for _, word := range []string{`"hq"`, `"branch"`, "10.2.0.0/16", "ha.backup_of"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not say %s", err, word)
		}
	}
}

func TestStaticIsBeforeBGP(t *testing.T) { // R43, R40
	table := table(t, blue,
		Connection{Name: "hq", Learned: prefixes("10.2.0.0/16", "10.3.0.0/16")},
		Connection{Name: "second", BackupOf: "hq", Up: true, Configured: prefixes("10.2.0.0/16")},
		Connection{Name: "third", BackupOf: "hq", Up: true, Learned: prefixes("10.2.0.0/16", "10.3.0.0/16")})
	table.SetUp("hq", true)
	says(t, "a static route of the backup", table.String(), `
		10.2.0.0/16 second static active
		10.2.0.0/16 hq bgp standby
		10.2.0.0/16 third bgp standby
		10.3.0.0/16 hq bgp active
		10.3.0.0/16 third bgp standby`)
	table.SetUp("hq", false)
	table.SetUp("second", false)
	says(t, "only the third is up", table.String(), `
		10.2.0.0/16 second static down
		10.2.0.0/16 hq bgp down
		10.2.0.0/16 third bgp active
		10.3.0.0/16 hq bgp down
		10.3.0.0/16 third bgp active`)
}

func TestTheBackupCarriesWhileThePrimaryIsDown(t *testing.T) { // R28, R42
	table := table(t, blue,
		Connection{Name: "spare", BackupOf: "second", Configured: prefixes("10.2.0.0/16"), Up: true},
		Connection{Name: "second", BackupOf: "hq", Configured: prefixes("10.2.0.0/16"), Up: true},
		Connection{Name: "hq", Configured: prefixes("10.2.0.0/16", "10.3.0.0/16"), Up: true})
	steps := []struct{ down, carries string }{{"", "hq"}, {"hq", "second"}, {"second", "spare"}}
	for _, s := range steps {
		table.SetUp(s.down, false)
		w := table.Wanted()[0]
		if w.Conn != s.carries || !w.Up {
			t.Errorf("without %q: %+v, want it carried by %s", s.down, w, s.carries)
		}
	}
	table.SetUp("spare", false)
	says(t, "all down", wanted(table), `
		10.2.0.0/16 hq blue static up=false
		10.3.0.0/16 hq blue static up=false`)
	table.SetUp("second", true)
	// The far ends may choose otherwise: what comes from the prefix is good by each of the three, and 10.3 by hq alone (F11).
	says(t, "sources", forward(table), `
		spare [] [10.2.0.0/16]
		second [10.2.0.0/16] []
		hq [10.3.0.0/16] [10.2.0.0/16]`)
}

func TestANetworkHereIsNeverBehindAPeer(t *testing.T) { // routing.md 5.2, protect_local
	if _, err := New(blue, []Connection{{Name: "hq", Added: prefixes("10.1.0.0/16")}}); err == nil || !strings.Contains(err.Error(), "10.1.0.0/16 is a network here") {
		t.Errorf("static: New = %v", err)
	}
	table := table(t, blue, Connection{Name: "hq", Up: true, Configured: prefixes("10.1.7.0/24"), Learned: prefixes("10.1.0.0/16", "10.1.8.0/24", "10.0.0.0/8")})
	says(t, "learned", table.String(), `
		10.0.0.0/8 hq bgp active
		10.1.0.0/16 hq bgp local
		10.1.7.0/24 hq static active
		10.1.8.0/24 hq bgp local`)
	says(t, "for the host", wanted(table), `
		10.0.0.0/8 hq blue bgp up=true
		10.1.7.0/24 hq blue static up=true`)
	says(t, "forwarding", forward(table), `hq [10.0.0.0/8 10.1.7.0/24] []`)
}

func TestWhatNobodyCanMeanIsRefused(t *testing.T) { // R14, R35
	limited := blue
	limited.MaxStatic = 2
	for want, conns := range map[string][]Connection{
		`connection "hq" has 10.2.0.0/16 already`:                       {{Name: "hq", Configured: prefixes("10.2.0.0/16"), Added: prefixes("10.2.0.0/16")}},
		`connection "hq" would have 3 static routes, more than gateway`: {{Name: "hq", Configured: prefixes("10.2.0.0/16", "10.3.0.0/16"), Added: prefixes("10.4.0.0/16")}},
		`connection "hq" is the backup of "nobody", which is not in`:    {{Name: "hq", BackupOf: "nobody"}},
		`connection "hq" is its own backup`:                             {{Name: "hq", BackupOf: "hq"}},
		`connection "a" is its own backup, by way of "b"`:               {{Name: "a", BackupOf: "b"}, {Name: "b", BackupOf: "a"}},
		`connection "hq" is there twice`:                                {{Name: "hq"}, {Name: "hq"}},
	} {
		if _, err := New(limited, conns); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("New = %v, want %q", err, want)
		}
	}
	// What a peer says is not counted against what the operator may enter.
	table(t, limited, Connection{Name: "hq", Configured: prefixes("10.2.0.0/16", "10.3.0.0/16"), Learned: prefixes("10.2.0.0/16", "10.4.0.0/16")})
}

// Whatever there is: each prefix is carried by at most one connection, one that is up and has it; nobody sends from what
// neither it nor one redundant with it has; and the host's table has exactly what the data path would send.
func TestEveryPrefixHasOneOwner(t *testing.T) { // R33, F11
	rng := rand.New(rand.NewPCG(1, 2))
	tables := 0
	for range 2000 {
		var conns []Connection
		root := map[string]string{}
		for i := range 1 + rng.IntN(4) {
			c := Connection{Name: string(rune('a' + i)), Up: rng.IntN(2) == 0}
			root[c.Name] = c.Name
			if i > 0 && rng.IntN(2) == 0 {
				c.BackupOf = conns[rng.IntN(i)].Name
				root[c.Name] = root[c.BackupOf]
			}
			for _, list := range []*[]netip.Prefix{&c.Configured, &c.Added, &c.Learned} {
				for range rng.IntN(3) {
					*list = append(*list, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(rng.IntN(4)), 0, 0}), 16))
				}
			}
			conns = append(conns, c)
		}
		table, err := New(blue, conns)
		if err != nil {
			continue
		}
		tables++
		owner := map[netip.Prefix]string{}
		for _, f := range table.Forward() {
			for _, p := range f.Networks {
				if owner[p] != "" {
					t.Fatalf("%v is carried by %s and %s", p, owner[p], f.Conn)
				}
				owner[p] = f.Conn
			}
		}
		for _, f := range table.Forward() {
			for _, p := range f.Sources {
				if root[owner[p]] != root[f.Conn] || owner[p] == f.Conn {
					t.Fatalf("%s may send from %v of %s\n%s", f.Conn, p, owner[p], table)
				}
			}
		}
		up := map[string]bool{}
		for _, c := range conns {
			up[c.Name] = c.Up
		}
		want := table.Wanted()
		for _, r := range want {
			has := slices.ContainsFunc(conns, func(c Connection) bool {
				return c.Name == r.Conn && slices.Contains(slices.Concat(c.Configured, c.Added, c.Learned), r.Prefix)
			})
			if owner[r.Prefix] != r.Conn || r.Up != up[r.Conn] || !has || slices.Contains(blue.Local, r.Prefix) || r.Domain != "blue" {
				t.Fatalf("the host gets %+v, the data path %s\n%s", r, owner[r.Prefix], table)
			}
		}
		if len(want) != len(owner) {
			t.Fatalf("%d prefixes for the host, %d for the data path", len(want), len(owner))
		}
	}
	if tables < 100 {
		t.Errorf("only %d tables were looked at", tables)
	}
}

// Ten thousand prefixes are decided in some milliseconds, since each tunnel that comes or goes asks for it.
func BenchmarkDecide(b *testing.B) {
	var conns []Connection
	for i := range 1000 {
		c := Connection{Name: fmt.Sprint("c", i), Up: i%2 == 0}
		for j := range 10 {
			c.Configured = append(c.Configured, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 2), byte(i<<6 + j), 0}), 24))
		}
		conns = append(conns, c)
	}
	table, err := New(blue, conns)
	if err != nil {
		b.Fatal(err)
	}
	var out []routing.Route
	for b.Loop() {
		out = table.Wanted()
	}
	if len(out) != 10000 {
		b.Fatal(len(out))
	}
}
