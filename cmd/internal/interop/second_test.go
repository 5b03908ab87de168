//go:build interop

package interop

// second gives a lab another gateway on the peer's side, as clouds have them: each ends one of our two tunnels, and both stand
// before the same network.
//
//	                    ┌──198.51.100.0/24── b ──10.2.0.0/24──┐
//	la ── a ── r ───────┤                                      ├── lb
//	                    └──203.0.113.0/24─── c ──10.2.3.0/24──┘
//
// What lb sends goes by the gateway that last brought a packet of the same flow, as a cloud's own router would do: each of the
// two knows one tunnel only, so nobody but lb can choose.
func (l *lab) second() {
	l.t.Helper()
	l.host("c")
	l.connect(link{"r", "c0", "c", "wan", []string{"203.0.113.254/24"}, []string{"203.0.113.1/24"}})
	// charon wants an address of its own in what it protects
	l.connect(link{"c", "lan", "lb", "e1", []string{"10.2.3.1/24", "10.2.0.3/32"}, []string{"10.2.3.2/24"}})
	l.must("ip", "-n", l.ns("c"), "route", "add", "default", "via", "203.0.113.254")
	l.must("ip", "-n", l.ns("c"), "route", "add", "10.2.0.0/24", "via", "10.2.3.2")
	l.must("ip", "-n", l.ns("lb"), "route", "add", "default", "via", "10.2.3.1", "table", "2")
	l.must("ip", "-n", l.ns("lb"), "rule", "add", "fwmark", "2", "table", "2")
	l.must(l.on("lb", "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.e0.rp_filter=0", "net.ipv4.conf.e1.rp_filter=0")...)
	l.must(l.on("lb", "nft", `table ip follow {
		chain in { type filter hook input priority filter; iifname "e0" ct mark set 1; iifname "e1" ct mark set 2; };
		chain out { type route hook output priority mangle; meta mark set ct mark; }; }`)...)
}
