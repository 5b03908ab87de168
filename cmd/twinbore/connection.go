package main

import (
	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
	"twinbore/config"
)

func newConnection(a *app) *cobra.Command {
	o := &objectCommand{app: a, kind: api.Connections, config: config.ConnectionObject, use: "connection", plural: "connections", flags: connectionFlags}
	return o.command("Make, list, change and delete connections while the daemon runs")
}

// connectionFlags are the common keys of a connection. Each --remote and each --inside is a tunnel's, in order; --tunnels says
// how many there are where the addresses are those of the customer gateway.
func connectionFlags(cmd *cobra.Command) func(*draft) {
	f := cmd.Flags()
	words := []struct{ flag, key, doc string }{
		{"customer-gateway", "customer_gateway", "name of the customer gateway at the other end"},
		{"provider", "provider", "what is at the other end: aws, azure, gcp, outscale, virtuozzo, openstack or generic"},
		{"role", "role", "customer initiates, cloud waits; default: cloud with --customer-gateway, else customer"},
		{"routing", "routing", "where routes come from: static, bgp or policy"},
		{"description", "description", "free text"},
	}
	values := map[string]*string{}
	for _, w := range words {
		values[w.flag] = f.String(w.flag, "", w.doc)
	}
	networks := f.StringArray("network", nil, "network behind the peer; repeatable")
	tags := f.StringArray("tag", nil, "NAME=TEXT; repeatable")
	var tunnels func(*draft)
	if cmd.Name() == "create" {
		tunnels = tunnelFlags(cmd)
	}
	return func(d *draft) {
		creating := tunnels != nil
		if creating && f.Changed("customer-gateway") && !f.Changed("role") && !f.Changed("file") {
			d.set("role", string(config.RoleCloud))
		}
		for _, w := range words {
			if f.Changed(w.flag) {
				d.set(w.key, *values[w.flag])
			}
		}
		if f.Changed("network") {
			d.set("remote_networks", *networks)
		}
		if creating {
			tunnels(d)
		}
		d.tags(*tags)
	}
}

// tunnelFlags describe the tunnels of a new connection.
func tunnelFlags(cmd *cobra.Command) func(*draft) {
	f := cmd.Flags()
	remotes := f.StringArray("remote", nil, "the peer's outside address of a tunnel, in order; repeatable")
	insides := f.StringArray("inside", nil, "our address inside a tunnel with its length, in order; repeatable")
	keys := f.StringArray("psk-file", nil, "file in gateway.secrets.dir with the key of a tunnel, in order; repeatable")
	count := f.Int("tunnels", 2, "how many tunnels there are")
	return func(d *draft) {
		n := max(len(*remotes), len(*insides), len(*keys))
		if f.Changed("file") && n == 0 && !f.Changed("tunnels") {
			return // they stand in the file
		}
		if n == 0 || f.Changed("tunnels") {
			n = *count
		}
		if n < 1 || n > 16 || n < max(len(*remotes), len(*insides), len(*keys)) {
			d.err = usage("--tunnels %d: it is from 1 to 16, and not less than there are --remote, --inside and --psk-file", n)
			return
		}
		list := make([]map[string]any, n)
		for i := range list {
			list[i] = map[string]any{}
			if i < len(*remotes) {
				list[i]["remote"] = (*remotes)[i]
			}
			if i < len(*insides) {
				list[i]["inside"] = (*insides)[i]
			}
			if i < len(*keys) {
				list[i]["psk"] = map[string]string{"file": (*keys)[i]}
			} else {
				list[i]["psk"] = map[string]bool{"generate": true} // R62
			}
		}
		d.set("tunnels", list)
	}
}

func newCustomerGateway(a *app) *cobra.Command {
	o := &objectCommand{app: a, kind: api.CustomerGateways, config: config.CustomerGatewayObject, use: "customer-gateway", plural: "customer gateways", flags: customerGatewayFlags}
	return o.command("Make, list, change and delete customer gateways while the daemon runs")
}

// customerGatewayFlags are the common keys of a customer gateway.
func customerGatewayFlags(cmd *cobra.Command) func(*draft) {
	f := cmd.Flags()
	words := []struct{ flag, key, doc string }{
		{"address", "address", "its outside address, host name, or any"},
		{"remote-id", "remote_id", "its IKE identity; default: its address"},
		{"vendor", "device.vendor", "vendor of the device"},
		{"platform", "device.platform", "platform of the device"},
		{"software", "device.software", "software version of the device"},
		{"description", "description", "free text"},
	}
	values := map[string]*string{}
	for _, w := range words {
		values[w.flag] = f.String(w.flag, "", w.doc)
	}
	asn := f.Uint32("asn", 0, "its AS number")
	tags := f.StringArray("tag", nil, "NAME=TEXT; repeatable")
	return func(d *draft) {
		for _, w := range words {
			if f.Changed(w.flag) {
				d.set(w.key, *values[w.flag])
			}
		}
		if f.Changed("asn") {
			d.set("asn", *asn)
		}
		d.tags(*tags)
	}
}
