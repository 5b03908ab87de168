package arch

import (
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is the plan of the house: which packages of this module a package may import. "…/..." is a folder and all
// below it. Rows of packages that are not there yet say where they will stand.
var mayImport = map[string][]string{
	"esp/protect":     {"esp/protect/gcm"},
	"esp/protect/gcm": {},
	"esp":             {"esp/protect"},

	"ike/wire":        {},
	"ike/wire/isakmp": {"ike/wire"},
	"ike/suite":       {"esp/protect", "ike/wire"},
	"ike/auth":        {"ike/wire", "ike/suite"},
	"ike/session":     {"esp"},
	"ike/ikev2":       {"esp", "esp/protect", "ike/wire", "ike/suite", "ike/auth", "ike/session"},
	"ike/ikev1":       {"esp", "esp/protect", "ike/wire", "ike/wire/isakmp", "ike/suite", "ike/auth", "ike/session"},
	"ike":             {"ike/...", "esp"},

	"tunnel/tun":       {},
	"tunnel/transport": {"esp"},
	"tunnel/simnet":    {"esp", "tunnel/tun", "tunnel/transport"},
	"tunnel/datapath":  {"esp", "esp/protect", "routing", "routing/fib", "tunnel/tun", "tunnel/transport"},
	"tunnel/netstack":  {"tunnel/tun"},
	"tunnel":           {"esp", "routing"},

	"routing":               {},
	"routing/domain":        {"routing", "routing/policy"},
	"routing/policy":        {"routing"},
	"routing/bgp":           {"routing", "routing/bgp/wire", "routing/bgp/transport"},
	"routing/bgp/wire":      {"routing"},
	"routing/bgp/transport": {"routing"},
	"routing/bfd":           {"routing"},
	"routing/fib":           {"routing"},
	"routing/kernel":        {"routing"},

	"config":          {"ike/suite", "config/secret"},
	"config/secret":   {},
	"config/export":   {"config", "config/secret", "ike/suite"},
	"config/importer": {"config", "config/secret", "ike/suite"},
	"config/store":    {"config", "config/secret", "ike/suite"},

	"cmd/...": {"..."},
}

// forTests are packages that only tests, and the demonstration below cmd, may import.
var forTests = map[string][]string{
	"esp/protect/memory":  {},
	"esp/protect/vectors": {},
	"tunnel/tun/tuntest":  {"tunnel/tun"},
}

// outside says who may import a module that is not ours: what the standard library lacks has one home.
var outside = map[string][]string{
	"filippo.io/bigmod":               {"ike/suite"},
	"github.com/gaissmai/bart":        {"routing/fib"},
	"github.com/spf13/cobra":          {"cmd/..."},
	"github.com/spf13/pflag":          {"cmd/..."},
	"github.com/vishvananda/netlink":  {"routing/kernel", "tunnel/tun"},
	"github.com/vishvananda/netns":    {},
	"github.com/rogpeppe/go-internal": {},
	"go.etcd.io/bbolt":                {"config/store"},
	"go.uber.org/goleak":              {},
	"gvisor.dev/gvisor":               {"tunnel/netstack"},
	"golang.org/x/crypto":             {"esp/protect", "ike/suite", "ike/auth"},
	"golang.org/x/net":                {"tunnel/transport"},
	"golang.org/x/sync":               {"cmd/...", "tunnel/datapath"},
	"golang.org/x/sys":                {"cmd/...", "esp/protect/gcm", "tunnel/tun", "tunnel/transport", "routing/kernel"},
	"gopkg.in/yaml.v3":                {"config", "cmd/..."},
}

func TestImports(t *testing.T) {
	for _, s := range tree(t) {
		may, known := rowOf(s.dir)
		if !known {
			t.Errorf("%s: package %s is not in the table of imports: add its row, and its reason to be", s.path, s.dir)
			continue
		}
		for _, spec := range s.file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			ours, isOurs := strings.CutPrefix(name, module+"/")
			switch {
			case !isOurs && strings.Contains(strings.SplitN(name, "/", 2)[0], "."):
				checkOutside(t, s, name)
			case !isOurs || s.test: // tests may build whatever they need around the package
			case !under(ours, may...) && !slices.Contains(may, "..."):
				t.Errorf("%s: %s may not import %s", s.at(spec.Pos()), s.dir, ours)
			case forTests[ours] != nil && !under(s.dir, "cmd/..."):
				t.Errorf("%s: %s is for tests", s.at(spec.Pos()), ours)
			}
		}
	}
}

// rowOf returns what a package may import.
func rowOf(dir string) (may []string, known bool) {
	if may, known = mayImport[dir]; known {
		return may, true
	}
	if may, known = forTests[dir]; known {
		return may, true
	}
	return mayImport["cmd/..."], under(dir, "cmd/...")
}

func checkOutside(t *testing.T, s source, name string) {
	for mod, homes := range outside {
		if name == mod || strings.HasPrefix(name, mod+"/") {
			if !s.test && !under(s.dir, homes...) {
				t.Errorf("%s: %s has no business with %s; its home is %v", s.path, s.dir, mod, homes)
			}
			return
		}
	}
	t.Errorf("%s: module %s is not known here: say in the commit what it saves, and here where it may be used", s.path, name)
}

// The two halves that meet in the daemon alone, and the two versions of IKE, must not see each other by any way round.
func TestThePartsDoNotMeet(t *testing.T) {
	reach := func(from string) map[string]bool {
		seen := map[string]bool{}
		var visit func(string)
		visit = func(dir string) {
			for _, s := range code(t) {
				if s.dir != dir {
					continue
				}
				for _, spec := range s.file.Imports {
					if ours, ok := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module+"/"); ok && !seen[ours] {
						seen[ours] = true
						visit(ours)
					}
				}
			}
		}
		visit(from)
		return seen
	}
	for _, pair := range [][2]string{{"ike", "tunnel"}, {"tunnel", "ike"}, {"ike", "tunnel/datapath"}, {"tunnel/datapath", "ike"},
		{"ike/ikev2", "ike/ikev1"}, {"ike/ikev1", "ike/ikev2"}, {"ike/ikev2", "ike/wire/isakmp"}, {"ike/session", "ike/wire"}} {
		if reach(pair[0])[pair[1]] {
			t.Errorf("%s reaches %s", pair[0], pair[1])
		}
	}
	if !reach("ike")["esp/protect"] {
		t.Error("ike does not reach esp/protect: this test finds nothing")
	}
}
