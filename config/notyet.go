package config

import (
	"slices"

	"twinbore/config/secret"
)

// What the format has and this build does not do is refused by the rules below, and never ignored. A value that is
// the default is always accepted. Building a feature means deleting its line.

// An unbuilt is one rule: key is where to point at, what is the feature's name, and asked says that it is asked for.
type unbuilt[T any] struct {
	key, what string
	asked     func(*T) bool
}

var gatewayNotYet = []unbuilt[Gateway]{
	{"datapath.mode", "the mode without a TUN (mode: netstack)", func(g *Gateway) bool { return g.Datapath.Mode == ModeNetstack }},
	{"datapath.netstack.socks5", "SOCKS proxy", func(g *Gateway) bool { return g.Datapath.Netstack.SOCKS5 != SOCKS5{} }},
	{"datapath.netstack.http_proxy", "HTTP proxy", func(g *Gateway) bool { return g.Datapath.Netstack.HTTPProxy != HTTPProxy{} }},
	{"datapath.netstack.direct", "direct: refuse", func(g *Gateway) bool { return g.Datapath.Netstack.Direct != DirectOutside }},
	{"datapath.netstack.dns", "name server in the VPN", func(g *Gateway) bool {
		return g.Datapath.Netstack.DNS.Server.IsValid() || len(g.Datapath.Netstack.DNS.Suffixes) > 0
	}},
	{"datapath.netstack.forwards", "forwarded ports", func(g *Gateway) bool { return len(g.Datapath.Netstack.Forwards) > 0 }},
	{"datapath.netstack.exposes", "exposed ports", func(g *Gateway) bool { return len(g.Datapath.Netstack.Exposes) > 0 }},
	{"datapath.tun.mss_clamp", "leaving TCP's segment size alone (mss_clamp: off)", func(g *Gateway) bool { return g.Datapath.TUN.MSSClamp == MSSOff }},
	{"api.listen", "the control interface over TCP", func(g *Gateway) bool { return g.API.Listen != "" }},
	{"api.tls", "the control interface over TCP", func(g *Gateway) bool { return g.API.TLS != TLS{} }},
	{"api.token_file", "the control interface over TCP", func(g *Gateway) bool { return g.API.TokenFile != "" }},
	{"http", "the HTTP listener", func(g *Gateway) bool { return g.HTTP != HTTP{} }},
	{"log.format", "logging to journald (format: journald)", func(g *Gateway) bool { return g.Log.Format == LogJournald }},
	{"log.format", "AWS's log format (format: aws-s2s)", func(g *Gateway) bool { return g.Log.Format == LogAWSS2S }},
	{"tracing.otlp", "traces", func(g *Gateway) bool { return g.Tracing.OTLP != "" }},
	{"secrets.aws", "secrets kept by AWS", func(g *Gateway) bool { return g.Secrets.AWS != AWSSecrets{} }},
	{"secrets.vault", "secrets kept in a Vault", func(g *Gateway) bool { return g.Secrets.Vault != VaultSecrets{} }},
	{"metrics.detail", "metrics by connection", func(g *Gateway) bool { return g.Metrics != freshGateway().Metrics }},
}

var domainNotYet = []unbuilt[Domain]{
	{"hub", "announcing routes between connections (hub: true)", func(d *Domain) bool { return d.Hub }},
}

var connectionNotYet = []unbuilt[Connection]{
	{"ike", "IKEv1 (ike: 1)", func(c *Connection) bool { return c.IKEVersion == 1 }},
	{"routing", "BGP (routing: bgp)", func(c *Connection) bool { return c.Routing == RoutingBGP }},
	{"bgp", "BGP", func(c *Connection) bool { return c.BGP != nil && c.Routing != RoutingBGP }},
	{"certificate.key", "secrets kept by a service", func(c *Connection) bool { return c.Certificate.Key.Remote() }},
	{"ppk.secret", "secrets kept by a service", func(c *Connection) bool { return c.PPK.Secret.Remote() }},
}

var tunnelNotYet = []unbuilt[Tunnel]{
	{"psk", "secrets kept by a service", func(t *Tunnel) bool {
		return slices.ContainsFunc([]secret.Ref{t.PSK.Current, t.PSK.Previous}, secret.Ref.Remote)
	}},
}

// notYet goes through the tables.
func (k *checker) notYet() {
	ask(k, "gateway", &k.Gateway, gatewayNotYet)
	for i := range k.Domains {
		ask(k, item("domains", i), &k.Domains[i], domainNotYet)
	}
	for i := range k.Connections {
		ask(k, item("connections", i), &k.Connections[i], connectionNotYet)
		for j := range k.Connections[i].Tunnels {
			ask(k, item(item("connections", i)+".tunnels", j), &k.Connections[i].Tunnels[j], tunnelNotYet)
		}
	}
}

func ask[T any](k *checker, path string, of *T, rules []unbuilt[T]) {
	for _, rule := range rules {
		if rule.asked(of) {
			k.refuse(path+"."+rule.key, "not supported yet: "+rule.what, "")
		}
	}
}
