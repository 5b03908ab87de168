package config

import (
	"reflect"

	"twinbore/ike/suite"
)

// A key is one key of the language and what its change costs. Every key stands in one of the tables below, by itself or with the
// mapping that it belongs to; a test sees to that.
type key[T any] struct {
	name  string
	class Class
	of    func(*T) any                // its value; nil: a change of it shows elsewhere
	raise func(old, new *T) (c Class) // what it costs where that depends on the values; nil: class
}

var configKeys = []key[Config]{
	{name: "apiVersion"},
	{"domains", GatewayRestart, func(c *Config) any { return c.Domains }, nil},
	{name: "crypto_profiles"}, // at the connections that use them
	{"customer_gateways", InPlace, func(c *Config) any { return c.CustomerGateways }, nil}, // and at the connections that end at them
}

var gatewayKeys = []key[Gateway]{
	{"name", GatewayRestart, func(g *Gateway) any { return g.Name }, nil},
	{"state_dir", GatewayRestart, func(g *Gateway) any { return g.StateDir }, nil},
	{"asn", GatewayRestart, func(g *Gateway) any { return g.ASN }, nil},
	{"router_id", GatewayRestart, func(g *Gateway) any { return g.RouterID }, nil},
	{"outside.address", GatewayRestart, func(g *Gateway) any { return g.Outside.Addresses }, nil},
	{name: "outside.identity"}, // at the tunnels, as local_id
	{"outside.interface", GatewayRestart, func(g *Gateway) any { return g.Outside.Interface }, nil},
	{"outside.ike_port", GatewayRestart, func(g *Gateway) any { return g.Outside.IKEPort }, nil},
	{"outside.natt_port", GatewayRestart, func(g *Gateway) any { return g.Outside.NATTPort }, nil},
	{"networks", InPlace, func(g *Gateway) any { return g.Networks }, nil}, // and at the connections, as local_networks
	{"datapath.mode", GatewayRestart, func(g *Gateway) any { return g.Datapath.Mode }, nil},
	{"datapath.tun.name", GatewayRestart, func(g *Gateway) any { return g.Datapath.TUN.Name }, nil},
	{"datapath.tun.mtu", GatewayRestart, func(g *Gateway) any { return g.Datapath.TUN.MTU }, nil},
	{"datapath.tun.mss_clamp", InPlace, func(g *Gateway) any { return g.Datapath.TUN.MSSClamp }, nil},
	{"datapath.tun.routes", GatewayRestart, func(g *Gateway) any { return g.Datapath.TUN.Routes }, nil},
	{"datapath.tun.forwarding", GatewayRestart, func(g *Gateway) any { return g.Datapath.TUN.Forwarding }, nil},
	{"datapath.tun.queues", GatewayRestart, func(g *Gateway) any { return g.Datapath.TUN.Queues }, nil},
	{"datapath.workers", GatewayRestart, func(g *Gateway) any { return g.Datapath.Workers }, nil},
	{"datapath.offloads", GatewayRestart, func(g *Gateway) any { return g.Datapath.Offloads }, nil},
	{"datapath.verify_checksums", GatewayRestart, func(g *Gateway) any { return g.Datapath.VerifyChecksums }, nil},
	{"datapath.netstack", GatewayRestart, func(g *Gateway) any { return g.Datapath.Netstack }, nil},
	{"api", GatewayRestart, func(g *Gateway) any { return g.API }, nil},
	{"http", GatewayRestart, func(g *Gateway) any { return g.HTTP }, nil},
	{"log.level", InPlace, func(g *Gateway) any { return g.Log.Level }, nil},
	{"log.format", GatewayRestart, func(g *Gateway) any { return g.Log.Format }, nil},
	{"tracing", GatewayRestart, func(g *Gateway) any { return g.Tracing }, nil},
	{"secrets", GatewayRestart, func(g *Gateway) any { return g.Secrets }, nil},
	{"limits.half_open", GatewayRestart, func(g *Gateway) any { return g.Limits.HalfOpen }, nil},
	{"limits.cookie_threshold", GatewayRestart, func(g *Gateway) any { return g.Limits.CookieThreshold }, nil},
	{"limits.ike_per_source_rps", GatewayRestart, func(g *Gateway) any { return g.Limits.IKEPerSourceRPS }, nil},
	{"limits.max_connections", InPlace, func(g *Gateway) any { return g.Limits.MaxConnections }, nil},
	{"limits.max_customer_gateways", InPlace, func(g *Gateway) any { return g.Limits.MaxCustomerGateways }, nil},
	{"limits.max_static_routes", InPlace, func(g *Gateway) any { return g.Limits.MaxStaticRoutes }, nil},
	{"metrics", GatewayRestart, func(g *Gateway) any { return g.Metrics }, nil},
	{"strict_secrets", InPlace, func(g *Gateway) any { return g.StrictSecrets }, nil},
	{"watch", InPlace, func(g *Gateway) any { return g.Watch }, nil},
}

var connectionKeys = []key[Connection]{
	{name: "name"}, // another name is another connection
	{"id", InPlace, func(c *Connection) any { return c.ID }, nil},
	{"description", InPlace, func(c *Connection) any { return c.Description }, nil},
	{name: "enabled"}, // one that is not is not there
	{"provider", InPlace, func(c *Connection) any { return c.Provider }, nil},
	{"role", InPlace, func(c *Connection) any { return c.Role }, nil},
	{"ike", TunnelRestart, func(c *Connection) any { return c.IKEVersion }, nil},
	{"crypto.ike", TunnelRestart, func(c *Connection) any { return proposals(c.IKE) }, nil},
	{"crypto.esp", Rekey, func(c *Connection) any { return proposals(c.ESP) }, nil},
	{"lifetimes.ike", Rekey, func(c *Connection) any { return c.Lifetimes.IKE }, nil},
	{"lifetimes.esp", Rekey, func(c *Connection) any { return c.Lifetimes.ESP }, nil},
	{"lifetimes.rekey_at", Rekey, func(c *Connection) any { return c.Lifetimes.RekeyAt }, nil},
	{"lifetimes.jitter", Rekey, func(c *Connection) any { return c.Lifetimes.Jitter }, nil},
	{"dpd.interval", InPlace, func(c *Connection) any { return c.DPD.Interval }, nil},
	{"dpd.retries", InPlace, func(c *Connection) any { return c.DPD.Retries }, nil},
	{"dpd.action", InPlace, func(c *Connection) any { return c.DPD.Action }, nil},
	{"start", InPlace, func(c *Connection) any { return c.Start }, nil},
	{"keepalive.mode", InPlace, func(c *Connection) any { return c.Keepalive.Mode }, nil},
	{"keepalive.target", InPlace, func(c *Connection) any { return c.Keepalive.Target }, nil},
	{"keepalive.interval", InPlace, func(c *Connection) any { return c.Keepalive.Interval }, nil},
	{"keepalive.loss_down", InPlace, func(c *Connection) any { return c.Keepalive.LossDown }, nil},
	{"encap", TunnelRestart, func(c *Connection) any { return c.Encap }, nil},
	{"replay_window", Rekey, func(c *Connection) any { return c.ReplayWindow }, nil},
	{"verify_pfs", InPlace, func(c *Connection) any { return c.VerifyPFS }, nil},
	{"ha.mode", InPlace, func(c *Connection) any { return c.HA.Mode }, nil},
	{"ha.prefer", InPlace, func(c *Connection) any { return c.HA.Prefer }, nil},
	{"ha.preempt_after", InPlace, func(c *Connection) any { return c.HA.PreemptAfter }, nil},
	{"ha.return_path", InPlace, func(c *Connection) any { return c.HA.ReturnPath }, nil},
	{"ha.backup_of", InPlace, func(c *Connection) any { return c.HA.BackupOf }, nil},
	{"routing", InPlace, func(c *Connection) any { return c.Routing }, reselected},
	{"domain", TunnelRestart, func(c *Connection) any { return c.Domain }, nil},
	{"tags", InPlace, func(c *Connection) any { return c.Tags }, nil},
	{"auth", TunnelRestart, func(c *Connection) any { return c.Auth }, nil},
	{"certificate.cert", TunnelRestart, func(c *Connection) any { return c.Certificate.Cert }, nil},
	{"certificate.key", TunnelRestart, func(c *Connection) any { return c.Certificate.Key }, nil},
	{"certificate.ca", TunnelRestart, func(c *Connection) any { return c.Certificate.CA }, nil},
	{"certificate.crl", TunnelRestart, func(c *Connection) any { return c.Certificate.CRL }, nil},
	{"ppk.id", TunnelRestart, func(c *Connection) any { return c.PPK.ID }, nil},
	{"ppk.secret", TunnelRestart, func(c *Connection) any { return c.PPK.Secret }, nil},
	{"ppk.required", TunnelRestart, func(c *Connection) any { return c.PPK.Required }, nil},
	{"filter.in", InPlace, func(c *Connection) any { return c.Filter.In }, nil},
	{"filter.out", InPlace, func(c *Connection) any { return c.Filter.Out }, nil},
	{"remote_networks", InPlace, func(c *Connection) any { return c.RemoteNetworks }, reselected},
	{"local_networks", InPlace, func(c *Connection) any { return c.LocalNetworks }, reselected},
	{"selectors", InPlace, func(c *Connection) any { return c.Selectors }, reselected},
	{"child", TunnelRestart, func(c *Connection) any { return c.Child }, nil},
	{"narrow", InPlace, func(c *Connection) any { return c.Narrow }, nil},
	{"idle_timeout", InPlace, func(c *Connection) any { return c.IdleTimeout }, nil},
	{"allow_weak", InPlace, func(c *Connection) any { return c.AllowWeak }, nil},
	{"bgp", InPlace, func(c *Connection) any { return c.BGP }, nil},
	{"device", InPlace, func(c *Connection) any { return c.Device }, nil},
	{"customer_gateway", InPlace, func(c *Connection) any { return c.CustomerGateway }, nil}, // and at the keys that it fills in
	{name: "tunnels"},
}

var tunnelKeys = []key[Tunnel]{
	{name: "name"}, // another name is another tunnel
	{"local", TunnelRestart, func(t *Tunnel) any { return t.Local }, nil},
	{"remote", TunnelRestart, func(t *Tunnel) any { return t.Remote.String() }, nil},
	{"remote_id", TunnelRestart, func(t *Tunnel) any { return t.RemoteID }, nil},
	{"local_id", TunnelRestart, func(t *Tunnel) any { return t.LocalID }, nil},
	{"inside", InPlace, func(t *Tunnel) any { return t.Inside }, nil},
	{"peer_inside", InPlace, func(t *Tunnel) any { return t.PeerInside }, nil},
	{"peer_asn", InPlace, func(t *Tunnel) any { return t.PeerASN }, nil},
	{"psk", TunnelRestart, func(t *Tunnel) any { return t.PSK.Current }, rotated},
	{"customer_gateway", InPlace, func(t *Tunnel) any { return t.CustomerGateway }, nil},
	{"psk.previous", InPlace, func(t *Tunnel) any { return t.PSK.Previous }, nil},
	{"psk.previous_until", InPlace, func(t *Tunnel) any { return t.PSK.PreviousUntil }, nil},
}

// proposals are compared as they are written: parsing the text again gives the same proposal.
func proposals(list []suite.Proposal) []string {
	out := []string{}
	for _, p := range list {
		out = append(out, p.String())
	}
	return out
}

// reselected is what networks cost: nothing but where they are negotiated with the peer.
func reselected(old, new *Connection) Class {
	if reflect.DeepEqual(old.LocalTS(), new.LocalTS()) && reflect.DeepEqual(old.RemoteTS(), new.RemoteTS()) {
		return InPlace
	}
	return TunnelRestart
}

// rotated is what another key costs: nothing while the one that was in use is still accepted (R58).
func rotated(old, new *Tunnel) Class {
	if reflect.DeepEqual(old.PSK.Current, new.PSK.Previous) {
		return InPlace
	}
	return TunnelRestart
}
