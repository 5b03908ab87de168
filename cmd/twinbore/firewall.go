package main

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"twinbore/config"
)

func newFirewall(a *app) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "firewall [connection]",
		Short: "Print the rules that this host's firewall needs for a connection",
		Long: `Print the rules that this host's firewall needs for a connection, or for all of them: IKE and ESP between the outside
addresses, and packets between the networks of both ends by the TUN device. They come from the configuration, whether the daemon
runs or not; nothing is changed. What connections may carry besides is the filter's business (connections[].filter).

  twinbore firewall aws-prod | nft -f -                       into the chains input, output and forward of table inet filter
  twinbore firewall aws-prod --format iptables | sh

Each rule is put in front of those that are there. A peer without a fixed address may come from anywhere.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			write, ok := firewallFormats[format]
			if !ok {
				return usage("--format %s is not possible; there are iptables, nft and text", format)
			}
			c, err := a.load()
			if err != nil {
				return err
			}
			var chosen []config.Connection
			for _, conn := range c.Connections {
				if len(args) == 0 && conn.Enabled || len(args) == 1 && conn.Name == args[0] {
					chosen = append(chosen, conn)
				}
			}
			if len(args) == 1 && len(chosen) == 0 {
				var names []string
				for _, conn := range c.Connections {
					names = append(names, conn.Name)
				}
				return fmt.Errorf("no connection %q: the configuration has %s", args[0], strings.Join(names, ", "))
			}
			var rules []hostRule
			for _, conn := range chosen {
				rules = append(rules, hostRules(c, conn)...)
			}
			_, err = a.out.Write([]byte(write(rules)))
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "nft", "nft, iptables or text")
	return cmd
}

// A hostRule lets packets pass a chain of this host's firewall.
type hostRule struct {
	conn     string
	chain    string // input | output | forward
	ip6      bool
	from, to []netip.Prefix // nil: any
	device   string         // in of forward: packets that come by it go on
	toDevice string         // out of forward
	udp      []uint16       // our ports; nil and !esp: every protocol
	esp      bool
	why      string
}

// hostRules are the rules for one connection (R47, R48).
func hostRules(c *config.Config, conn config.Connection) []hostRule {
	var out []hostRule
	seen := map[string]bool{}
	for _, t := range conn.Tunnels {
		for _, r := range outerRules(c.Gateway.Outside, conn, t) {
			if key := fmt.Sprint(r.chain, r.ip6, r.from, r.to, r.esp); !seen[key] { // two tunnels to one address
				seen[key] = true
				out = append(out, r)
			}
		}
	}
	device := c.Gateway.Datapath.TUN.Name
	if d, ok := c.Domain(conn.Domain); ok {
		device = d.TUN
	}
	for _, ip6 := range []bool{false, true} {
		remote, local := family(conn.RemoteNetworks, ip6), family(conn.LocalNetworks, ip6)
		if len(remote) == 0 || len(conn.LocalNetworks) > 0 && len(local) == 0 {
			continue
		}
		out = append(out,
			hostRule{conn: conn.Name, chain: "forward", ip6: ip6, device: device, from: remote, to: local, why: "from the peer's networks to ours"},
			hostRule{conn: conn.Name, chain: "forward", ip6: ip6, toDevice: device, from: local, to: remote, why: "from our networks to the peer's"})
	}
	return out
}

// outerRules are those for IKE and ESP between the outside addresses of a tunnel.
func outerRules(g config.Outside, conn config.Connection, t config.Tunnel) []hostRule {
	var families []bool
	why := "IKE, and ESP in UDP, with " + t.Remote.String()
	switch {
	case t.Remote.Addr.IsValid():
		families = []bool{t.Remote.Addr.Is6()}
	case t.Local.IsValid():
		families = []bool{t.Local.Is6()}
	default:
		families = []bool{false, true}
	}
	if !t.Remote.Addr.IsValid() {
		why = "IKE, and ESP in UDP, with a peer that may be anywhere"
		if t.Remote.Host != "" {
			why = "IKE, and ESP in UDP, with " + t.Remote.Host + ", whose address may change"
		}
	}
	var out []hostRule
	for _, ip6 := range families {
		peer, ours := hostPrefix(t.Remote.Addr), hostPrefix(t.Local)
		udp := hostRule{conn: conn.Name, ip6: ip6, udp: []uint16{g.IKEPort, g.NATTPort}, why: why}
		esp := hostRule{conn: conn.Name, ip6: ip6, esp: true, why: strings.Replace(why, "IKE, and ESP in UDP,", "ESP", 1)}
		for _, r := range []hostRule{udp, esp} {
			if r.esp && conn.Encap == config.EncapAlways {
				continue
			}
			in, back := r, r
			in.chain, in.from, in.to = "input", peer, ours
			back.chain, back.from, back.to = "output", ours, peer
			out = append(out, in, back)
		}
	}
	return out
}

func hostPrefix(a netip.Addr) []netip.Prefix {
	if !a.IsValid() {
		return nil
	}
	return []netip.Prefix{netip.PrefixFrom(a, a.BitLen())}
}

// family picks the prefixes of one, in order.
func family(list []netip.Prefix, ip6 bool) []netip.Prefix {
	out := slices.DeleteFunc(slices.Clone(list), func(p netip.Prefix) bool { return p.Addr().Is6() != ip6 })
	slices.SortFunc(out, func(a, b netip.Prefix) int { return cmp.Or(a.Addr().Compare(b.Addr()), a.Bits()-b.Bits()) })
	return out
}
