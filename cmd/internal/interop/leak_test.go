//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"strings"
)

// watchLeaks lets r count what comes in by some of its devices from or to the inner networks, before any rule of a script sees
// it. The capture looks for the same between a and r, but tcpdump may miss packets, and it is not on the other cables.
func (l *lab) watchLeaks(devs ...string) {
	l.t.Helper()
	var rules strings.Builder
	for _, dev := range devs {
		fmt.Fprintf(&rules, "counter %s { }; chain %s { type filter hook ingress device %q priority -500;", dev, dev+"-in", dev)
		for _, inner := range []string{"ip saddr " + inner4, "ip daddr " + inner4, "ip6 saddr " + inner6, "ip6 daddr " + inner6} {
			fmt.Fprintf(&rules, " %s counter name %s accept;", inner, dev) // each packet once
		}
		rules.WriteString(" }; ")
	}
	l.must(l.on("r", "nft", "table netdev clear { "+rules.String()+"}")...)
}

// leaked returns how many packets of the inner networks came in by one of these devices: in clear, that is.
func (l *lab) leaked(dev string) (int, error) {
	out, err := run(limitTool, l.on("r", "nft", "-j", "list", "counter", "netdev", "clear", dev)...)
	if err != nil {
		return 0, err
	}
	var list struct {
		NFTables []struct{ Counter *struct{ Packets int } }
	}
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return 0, fmt.Errorf("nft says %q: %w", out, err)
	}
	for _, o := range list.NFTables {
		if o.Counter != nil {
			return o.Counter.Packets, nil
		}
	}
	return 0, fmt.Errorf("nft has no counter %s: %s", dev, out)
}
