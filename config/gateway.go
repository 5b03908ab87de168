package config

import (
	"net/netip"
	"time"
)

// A Gateway is what belongs to the whole daemon.
type Gateway struct {
	Name          string // "" means the host's name
	StateDir      string
	ASN           uint32
	RouterID      netip.Addr // zero means that it is chosen
	Outside       Outside
	Networks      []netip.Prefix // behind this gateway
	Datapath      Datapath
	API           API
	HTTP          HTTP
	Log           Log
	Tracing       Tracing
	Secrets       Secrets
	Limits        Limits
	Metrics       Metrics
	StrictSecrets bool // refuse secrets that stand in the configuration itself
	Watch         bool // reload when a file changes
}

// Outside is how the gateway meets its peers.
type Outside struct {
	Addresses []netip.Addr // ours; none means the address of the route towards each peer
	Identity  string       // IKE identity as ike/auth reads it; "" means the outside address
	Interface string       // bind to this interface; "" means any
	IKEPort   uint16
	NATTPort  uint16
}

// API is the control interface of the daemon.
type API struct {
	Socket    string
	Group     string // owns the socket, beside root
	Listen    string // TCP address and port; "" means none
	TLS       TLS
	TokenFile string
}

// TLS names the files that make a TCP listener safe.
type TLS struct{ Cert, Key, ClientCA string }

// HTTP is the listener for monitoring. The zero value is off.
type HTTP struct {
	Listen                     string
	Metrics, Health, UI, Pprof bool
}

// Log is what is logged and how.
type Log struct {
	Level  LogLevel
	Format LogFormat
}

// A LogLevel is the least severe message that is logged.
type LogLevel string

// A LogFormat is how a message is written.
type LogFormat string

// The formats. Auto is text on a terminal and JSON elsewhere.
const (
	LogAuto     LogFormat = "auto"
	LogText     LogFormat = "text"
	LogJSON     LogFormat = "json"
	LogJournald LogFormat = "journald"
	LogAWSS2S   LogFormat = "aws-s2s"
)

// Tracing says where traces go.
type Tracing struct{ OTLP string }

// Secrets says where references to secrets are looked up.
type Secrets struct {
	Dir     string // of relative file names and generated secrets
	Refresh time.Duration
	AWS     AWSSecrets
	Vault   VaultSecrets
}

// AWSSecrets is how the secret services of AWS are reached.
type AWSSecrets struct{ Region string }

// VaultSecrets is how a Vault is reached.
type VaultSecrets struct{ Address, TokenFile string }

// Limits bound what peers and the configuration can ask for.
type Limits struct {
	HalfOpen        int // IKE SAs that are not authenticated yet
	CookieThreshold int // half-open IKE SAs from which on cookies are asked for
	IKEPerSourceRPS int // IKE requests a second from one source
	MaxConnections  int
	MaxStaticRoutes int // of one connection (R14)

	MaxCustomerGateways int
}

// Metrics says how fine metrics are.
type Metrics struct{ Detail MetricsDetail }

// A MetricsDetail is tunnel or connection.
type MetricsDetail string

var gatewayKind = object(
	at("name", hostLabel, func(g *Gateway) *string { return &g.Name }, "name of this gateway; default: the host's name"),
	at("state_dir", absolutePath, func(g *Gateway) *string { return &g.StateDir }, "folder for what must survive a restart; never keys"),
	at("asn", asn, func(g *Gateway) *uint32 { return &g.ASN }, "our AS number, for connections with BGP"),
	at("router_id", orWord("auto", netip.Addr{}, address), func(g *Gateway) *netip.Addr { return &g.RouterID }, "BGP identifier, written as an IPv4 address"),
	at("outside", outsideKind, func(g *Gateway) *Outside { return &g.Outside }, "our end towards the peers"),
	at("networks", list(network), func(g *Gateway) *[]netip.Prefix { return &g.Networks }, "networks behind this gateway"),
	at("datapath", datapathKind, func(g *Gateway) *Datapath { return &g.Datapath }, "how packets are moved"),
	at("api", apiKind, func(g *Gateway) *API { return &g.API }, "the control interface"),
	at("http", httpKind, func(g *Gateway) *HTTP { return &g.HTTP }, "metrics, health and status page over HTTP"),
	at("log", logKind, func(g *Gateway) *Log { return &g.Log }, "what is logged and how"),
	at("tracing", object(
		at("otlp", text(255), func(t *Tracing) *string { return &t.OTLP }, "where OpenTelemetry traces are sent"),
	), func(g *Gateway) *Tracing { return &g.Tracing }, "traces"),
	at("secrets", secretsKind, func(g *Gateway) *Secrets { return &g.Secrets }, "where references to secrets are looked up"),
	at("limits", limitsKind, func(g *Gateway) *Limits { return &g.Limits }, "bounds on what peers can ask for"),
	at("metrics", object(
		at("detail", choice[MetricsDetail]("tunnel", "connection"), func(m *Metrics) *MetricsDetail { return &m.Detail }, "one series per tunnel or per connection"),
	), func(g *Gateway) *Metrics { return &g.Metrics }, "how fine metrics are"),
	at("strict_secrets", truth, func(g *Gateway) *bool { return &g.StrictSecrets }, "refuse secrets that stand in the configuration itself"),
	at("watch", truth, func(g *Gateway) *bool { return &g.Watch }, "reload when a configuration file changes"),
)

var outsideKind = object(
	at("address", orWord("auto", nil, oneOrTwo(hostAddress)), func(o *Outside) *[]netip.Addr { return &o.Addresses }, "our outside address, or two of them in the cloud role; auto: by the route towards each peer"),
	at("identity", identity, func(o *Outside) *string { return &o.Identity }, "our IKE identity when behind NAT; default: the outside address"),
	at("interface", deviceName, func(o *Outside) *string { return &o.Interface }, "bind to this interface"),
	at("ike_port", whole[uint16](1, 65535), func(o *Outside) *uint16 { return &o.IKEPort }, "our UDP port for IKE"),
	at("natt_port", whole[uint16](1, 65535), func(o *Outside) *uint16 { return &o.NATTPort }, "our UDP port for IKE and ESP through NAT"),
)

var apiKind = object(
	at("socket", absolutePath, func(a *API) *string { return &a.Socket }, "path of the control socket"),
	at("group", systemGroup, func(a *API) *string { return &a.Group }, "group that may use the control socket"),
	at("listen", listenAddress, func(a *API) *string { return &a.Listen }, "TCP address and port; needs tls or token_file"),
	at("tls", object(
		at("cert", filePath, func(t *TLS) *string { return &t.Cert }, "file with the certificate"),
		at("key", filePath, func(t *TLS) *string { return &t.Key }, "file with the private key"),
		at("client_ca", filePath, func(t *TLS) *string { return &t.ClientCA }, "file with the authorities of clients"),
	), func(a *API) *TLS { return &a.TLS }, "TLS of the TCP listener"),
	at("token_file", filePath, func(a *API) *string { return &a.TokenFile }, "file with the token that clients present"),
)

var httpKind = object(
	at("listen", listenAddress, func(h *HTTP) *string { return &h.Listen }, "address and port"),
	at("metrics", truth, func(h *HTTP) *bool { return &h.Metrics }, "serve /metrics"),
	at("health", truth, func(h *HTTP) *bool { return &h.Health }, "serve /livez, /healthz and /readyz"),
	at("ui", truth, func(h *HTTP) *bool { return &h.UI }, "serve the status page"),
	at("pprof", truth, func(h *HTTP) *bool { return &h.Pprof }, "serve profiles"),
)

var logKind = object(
	at("level", choice[LogLevel]("debug", "info", "warn", "error"), func(l *Log) *LogLevel { return &l.Level }, "least severe message that is logged"),
	at("format", choice(LogAuto, LogText, LogJSON, LogJournald, LogAWSS2S), func(l *Log) *LogFormat { return &l.Format }, "how a message is written"),
)

var secretsKind = object(
	at("dir", absolutePath, func(s *Secrets) *string { return &s.Dir }, "folder of relative file names and of generated secrets"),
	at("aws", object(
		at("region", label, func(a *AWSSecrets) *string { return &a.Region }, "region of the secret services"),
	), func(s *Secrets) *AWSSecrets { return &s.AWS }, "AWS Secrets Manager and Parameter Store"),
	at("vault", object(
		at("address", text(255), func(v *VaultSecrets) *string { return &v.Address }, "URL of the Vault"),
		at("token_file", filePath, func(v *VaultSecrets) *string { return &v.TokenFile }, "file with the token"),
	), func(s *Secrets) *VaultSecrets { return &s.Vault }, "a Vault"),
	at("refresh", duration(time.Second, 168*time.Hour), func(s *Secrets) *time.Duration { return &s.Refresh }, "how often secrets are looked up again; live tunnels are not touched"),
)

var limitsKind = object(
	at("half_open", whole[int](1, 1_000_000), func(l *Limits) *int { return &l.HalfOpen }, "IKE SAs that are not authenticated yet"),
	at("cookie_threshold", whole[int](0, 1_000_000), func(l *Limits) *int { return &l.CookieThreshold }, "half-open IKE SAs from which on cookies are asked for; 0: always"),
	at("ike_per_source_rps", whole[int](1, 1_000_000), func(l *Limits) *int { return &l.IKEPerSourceRPS }, "IKE requests a second from one source"),
	at("max_connections", whole[int](1, 1_000_000), func(l *Limits) *int { return &l.MaxConnections }, "connections in the configuration"),
	at("max_static_routes", whole[int](1, 1_000_000), func(l *Limits) *int { return &l.MaxStaticRoutes }, "remote_networks of one connection"),
	at("max_customer_gateways", whole[int](1, 1_000_000), func(l *Limits) *int { return &l.MaxCustomerGateways }, "customer gateways in the configuration"),
)

// oneOrTwo is a single value, or a list of one or two.
func oneOrTwo[T comparable](item kind[T]) kind[[]T] {
	several := list(item)
	return kind[[]T]{
		schema: schema{"anyOf": []schema{item.schema, {"type": "array", "items": item.schema, "minItems": 1, "maxItems": 2}}},
		read: func(r *reader, p place, into *[]T) {
			if shape(p.node) != "a list" {
				var one, none T
				if item.read(r, p, &one); one != none {
					*into = []T{one}
				}
				return
			}
			if n := len(p.node.Content); n < 1 || n > 2 {
				r.refuse(p, "found a list of another length", "one value, or a list of two", "")
				return
			}
			several.read(r, p, into)
		},
	}
}
