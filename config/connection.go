package config

import (
	"net/netip"
	"time"

	"twinbore/ike/suite"
)

// A Connection joins this gateway and one remote site.
type Connection struct {
	Name, ID, Description string
	Enabled               bool
	Provider              Provider
	Role                  Role
	IKEVersion            int              // 1 or 2
	Profile               string           // name of the crypto profile; "" when the connection or its preset has its own
	IKE, ESP              []suite.Proposal // best first, never empty
	Lifetimes             Lifetimes
	DPD                   DPD
	Start                 Start
	Keepalive             Keepalive
	Encap                 Encap
	ReplayWindow          int // packets; a power of two
	VerifyPFS             bool
	HA                    HA
	Routing               Routing
	Domain                string
	Tags                  map[string]string
	Auth                  Auth
	Certificate           Certificate
	PPK                   PPK
	Filter                Filter
	RemoteNetworks        []netip.Prefix // behind the peer
	LocalNetworks         []netip.Prefix // here; what "gateway" stands for is filled in
	Selectors             Selectors
	Child                 Child
	Narrow                Narrow
	IdleTimeout           time.Duration // 0 means never
	AllowWeak             bool
	BGP                   *BGP // nil without a bgp section
	Device                Device
	CustomerGateway       string // name of the customer gateway at the other end; "" without
	Tunnels               []Tunnel
	Runtime               bool // made at run time, not in a file
	MaxMSS                int  // octets; the most that TUN.MSSClamp auto may choose, by provider; 0 means no bound
	PathMTU               int  // octets of the path to this provider; 0 means that of Ethernet

	crypto  crypto
	locally networks
}

// networks is a list of networks, or a word for the gateway's own or for the default route.
type networks struct {
	gateway, all bool
	list         []netip.Prefix
}

// Words of a connection. Each type is the value of the key of its name.
type (
	Provider  string
	Role      string
	Start     string
	Encap     string
	Routing   string
	Auth      string
	Selectors string
	Child     string
	Narrow    string
	DPDAction string
	HAMode    string
	KeepMode  string
)

// The words. What each means is in the comments of the sample that `twinbore init` prints.
const (
	AWS, Azure, GCP, Outscale, Virtuozzo, OpenStack, Generic Provider = "aws", "azure", "gcp", "outscale", "virtuozzo", "openstack", "generic"

	RoleCustomer, RoleCloud                  Role      = "customer", "cloud"
	StartAlways, StartOnTraffic, StartWait   Start     = "always", "on-traffic", "wait"
	EncapAuto, EncapAlways, EncapNever       Encap     = "auto", "always", "never"
	RoutingStatic, RoutingBGP, RoutingPolicy Routing   = "static", "bgp", "policy"
	AuthPSK, AuthCertificate                 Auth      = "psk", "certificate"
	SelectorsAny, SelectorsNetworks          Selectors = "any", "networks"
	ChildCombined, ChildPerPair              Child     = "combined", "per-pair"
	NarrowAccept, NarrowRefuse               Narrow    = "accept", "refuse"
	DPDRestart, DPDClear, DPDNone            DPDAction = "restart", "clear", "none"
	ActiveStandby, ActiveActive              HAMode    = "active-standby", "active-active"
	KeepAuto, KeepOn, KeepOff, KeepICMP      KeepMode  = "auto", "on", "off", "icmp"
)

// Lifetimes is how long keys live.
type Lifetimes struct {
	IKE, ESP        time.Duration
	RekeyAt, Jitter float64 // shares of the lifetime, 0 to 1: when keys are renewed, and how much that moves about
}

// DPD is how a dead peer is noticed. A zero Interval turns it off.
type DPD struct {
	Interval time.Duration
	Retries  int
	Action   DPDAction
}

// Keepalive is a ping through the tunnel. A zero Target is the peer's inside address.
type Keepalive struct {
	Mode     KeepMode
	Target   netip.Addr
	Interval time.Duration
	LossDown int
}

// HA is how the tunnels share the work.
type HA struct {
	Mode         HAMode
	Prefer       string // name of the tunnel that carries traffic when it can
	PreemptAfter time.Duration
	ReturnPath   ReturnPath
	BackupOf     string // name of the connection whose networks this one may have too, and carries while that has no tunnel up
}

// A ReturnPath says on which tunnel answers leave.
type ReturnPath string

// FollowPeer answers on the tunnel that the flow came in by.
const FollowPeer ReturnPath = "follow-peer"

// Device is what stands at the other end, remembered for export.
type Device struct{ Vendor, Platform, Software string }

// connectionKind reads over what freshConnection gives.
var connectionKind = object(
	must(at("name", plainName, func(c *Connection) *string { return &c.Name }, "name of the connection")),
	at("id", label, func(c *Connection) *string { return &c.ID }, "free label, shown everywhere"),
	at("description", text(255), func(c *Connection) *string { return &c.Description }, "free text"),
	at("enabled", truth, func(c *Connection) *bool { return &c.Enabled }, "false: as if it were not here"),
	at("provider", providerKind, func(c *Connection) *Provider { return &c.Provider }, "what is at the other end; sets what suits it, and every value can be overridden"),
	at("role", roleKind, func(c *Connection) *Role { return &c.Role }, "customer initiates, cloud waits"),
	at("ike", whole[int](1, 2), func(c *Connection) *int { return &c.IKEVersion }, "version of IKE"),
	at("crypto", cryptoKind, func(c *Connection) *crypto { return &c.crypto }, "name of a crypto profile, or proposals"),
	at("lifetimes", object(
		at("ike", duration(time.Second, 168*time.Hour), func(l *Lifetimes) *time.Duration { return &l.IKE }, "of an IKE SA"),
		at("esp", duration(time.Second, 168*time.Hour), func(l *Lifetimes) *time.Duration { return &l.ESP }, "of an ESP SA"),
		at("rekey_at", percent(10, 95), func(l *Lifetimes) *float64 { return &l.RekeyAt }, "share of a lifetime after which keys are renewed"),
		at("jitter", percent(0, 20), func(l *Lifetimes) *float64 { return &l.Jitter }, "how much rekey_at moves about"),
	), func(c *Connection) *Lifetimes { return &c.Lifetimes }, "how long keys live"),
	at("dpd", object(
		at("interval", duration(0, time.Hour), func(d *DPD) *time.Duration { return &d.Interval }, "silence after which the peer is asked; 0s: never"),
		at("retries", whole[int](1, 30), func(d *DPD) *int { return &d.Retries }, "questions without an answer until the peer is dead"),
		at("action", choice(DPDRestart, DPDClear, DPDNone), func(d *DPD) *DPDAction { return &d.Action }, "what then"),
	), func(c *Connection) *DPD { return &c.DPD }, "how a dead peer is noticed"),
	at("start", choice(StartAlways, StartOnTraffic, StartWait), func(c *Connection) *Start { return &c.Start }, "when tunnels are brought up"),
	at("keepalive", object(
		at("mode", choice(KeepAuto, KeepOn, KeepOff, KeepICMP), func(k *Keepalive) *KeepMode { return &k.Mode }, "auto: on for providers with an idle timeout"),
		at("target", orWord("peer-inside", netip.Addr{}, hostAddress), func(k *Keepalive) *netip.Addr { return &k.Target }, "who is pinged"),
		at("interval", duration(time.Second, time.Hour), func(k *Keepalive) *time.Duration { return &k.Interval }, "time between pings"),
		at("loss_down", whole[int](1, 100), func(k *Keepalive) *int { return &k.LossDown }, "lost pings in a row until the tunnel is down"),
	), func(c *Connection) *Keepalive { return &c.Keepalive }, "ping through the tunnel"),
	at("encap", choice(EncapAuto, EncapAlways, EncapNever), func(c *Connection) *Encap { return &c.Encap }, "when ESP goes in UDP"),
	at("replay_window", powerOfTwo(64, 65536), func(c *Connection) *int { return &c.ReplayWindow }, "packets that may arrive late"),
	at("verify_pfs", truth, func(c *Connection) *bool { return &c.VerifyPFS }, "make a rekey at once to see whether the peer does PFS as agreed"),
	at("ha", object(
		at("mode", choice(ActiveStandby, ActiveActive), func(h *HA) *HAMode { return &h.Mode }, "one tunnel at a time, or both by flow"),
		at("prefer", tunnelName, func(h *HA) *string { return &h.Prefer }, "name of the tunnel that carries traffic when it can"),
		at("preempt_after", duration(0, 24*time.Hour), func(h *HA) *time.Duration { return &h.PreemptAfter }, "how long the preferred tunnel must be up until traffic returns"),
		at("return_path", choice(FollowPeer), func(h *HA) *ReturnPath { return &h.ReturnPath }, "the tunnel on which answers leave"),
		at("backup_of", plainName, func(h *HA) *string { return &h.BackupOf }, "name of the connection that this one stands in for while it has no tunnel up; the two may have the same remote_networks"),
	), func(c *Connection) *HA { return &c.HA }, "how the tunnels share the work"),
	must(at("routing", choice(RoutingStatic, RoutingBGP, RoutingPolicy), func(c *Connection) *Routing { return &c.Routing }, "where routes come from: static, bgp or policy")),
	at("domain", plainName, func(c *Connection) *string { return &c.Domain }, "routing table of its own"),
	at("tags", mapping(label, text(255)), func(c *Connection) *map[string]string { return &c.Tags }, "free labels"),
	at("auth", choice(AuthPSK, AuthCertificate), func(c *Connection) *Auth { return &c.Auth }, "how the ends prove who they are"),
	at("certificate", certificateKind, func(c *Connection) *Certificate { return &c.Certificate }, "with auth: certificate"),
	at("ppk", ppkKind, func(c *Connection) *PPK { return &c.PPK }, "post-quantum pre-shared key (RFC 8784)"),
	at("filter", filterKind, func(c *Connection) *Filter { return &c.Filter }, "stateless packet filter"),
	at("remote_networks", list(network), func(c *Connection) *[]netip.Prefix { return &c.RemoteNetworks }, "networks behind the peer"),
	at("local_networks", networksKind("gateway"), func(c *Connection) *networks { return &c.locally }, "networks here; gateway: gateway.networks"),
	at("selectors", choice(SelectorsAny, SelectorsNetworks), func(c *Connection) *Selectors { return &c.Selectors }, "what is negotiated: everything, or the networks"),
	at("child", choice(ChildCombined, ChildPerPair), func(c *Connection) *Child { return &c.Child }, "one Child SA for all networks, or one per pair"),
	at("narrow", choice(NarrowAccept, NarrowRefuse), func(c *Connection) *Narrow { return &c.Narrow }, "what to do with an answer that is narrower than asked"),
	at("idle_timeout", duration(0, 168*time.Hour), func(c *Connection) *time.Duration { return &c.IdleTimeout }, "time without traffic until the tunnel goes down; 0s: never"),
	at("allow_weak", truth, func(c *Connection) *bool { return &c.AllowWeak }, "allow weak algorithms in the proposals, and SHA-1 in signatures of RSA peers without RFC 7427"),
	at("bgp", bgpPointerKind, func(c *Connection) **BGP { return &c.BGP }, "with routing: bgp"),
	at("device", deviceKind, func(c *Connection) *Device { return &c.Device }, "what stands at the other end, remembered for export"),
	at("customer_gateway", plainName, func(c *Connection) *string { return &c.CustomerGateway }, "name of the customer gateway at the other end; fills in what the connection and its tunnels do not say of it"),
	must(at("tunnels", list(tunnelKind), func(c *Connection) *[]Tunnel { return &c.Tunnels }, "the tunnels, usually two")),
)

var deviceKind = object(
	at("vendor", label, func(d *Device) *string { return &d.Vendor }, "vendor"),
	at("platform", label, func(d *Device) *string { return &d.Platform }, "platform"),
	at("software", label, func(d *Device) *string { return &d.Software }, "software version"),
)

var (
	providerKind = choice(AWS, Azure, GCP, Outscale, Virtuozzo, OpenStack, Generic)
	roleKind     = choice(RoleCustomer, RoleCloud)
)

// networksKind is a list of networks or one of these words: gateway, default.
func networksKind(words ...string) kind[networks] {
	several := list(network)
	k := kind[networks]{schema: several.schema, read: func(r *reader, p place, into *networks) {
		several.read(r, p, &into.list)
		into.gateway, into.all = false, false
	}}
	for _, w := range words {
		k = orWord(w, networks{gateway: w == "gateway", all: w == "default"}, k)
	}
	return k
}
