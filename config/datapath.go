package config

import (
	"net/netip"
	"strconv"
)

// Datapath is how packets are moved.
type Datapath struct {
	Mode     Mode
	TUN      TUN
	Workers  int // 0 means that it is chosen
	Offloads Offloads
	// VerifyChecksums off trusts the checksums of TCP and UDP packets out of tunnels that are given to the host as one.
	VerifyChecksums Switch
	Netstack        Netstack
}

// A Mode is what stands on the inside.
type Mode string

// The modes. Auto is TUN where the system allows one, else Netstack.
const (
	ModeAuto     Mode = "auto"
	ModeTUN      Mode = "tun"
	ModeNetstack Mode = "netstack"
)

// A TUN is the device that plain packets come from and go to.
type TUN struct {
	Name       string
	MTU        int // octets; 0 means that it is computed from the negotiated suites
	MSSClamp   int // octets; MSSAuto means that it is computed, MSSOff that SYNs are left alone
	Routes     KernelRoutes
	Forwarding Forwarding
	Queues     int // 0 means that it is chosen
}

// What TUN.MSSClamp means besides a number of octets.
const (
	MSSAuto = 0
	MSSOff  = -1
)

// KernelRoutes is how our routes stand in the host's tables.
type KernelRoutes struct {
	Table    int // number of the routing table
	Protocol int // RTPROT that marks a route as ours
	Metric   uint32
}

// Forwarding says what is done about ip_forward and rp_filter.
type Forwarding string

// The ways: report what is wrong, put it right, or leave it.
const (
	ForwardingCheck  Forwarding = "check"
	ForwardingEnable Forwarding = "enable"
	ForwardingIgnore Forwarding = "ignore"
)

// Offloads says which work is left to the kernel. The zero value of Mode is no valid one.
type Offloads struct {
	Mode                                      OffloadMode
	TUNTSO, TUNUSO, UDPGSO, UDPGRO, AESKernel Switch // with OffloadsChosen
}

// Allowed reports whether an offload may be used, where it is there; s is its Switch in o.
func (o Offloads) Allowed(s Switch) bool {
	switch o.Mode {
	case OffloadsNone:
		return false
	case OffloadsChosen:
		return s == On
	}
	return true
}

// An OffloadMode is auto, none or a choice of single offloads.
type OffloadMode string

// The modes of offloads; OffloadsChosen is written as a mapping.
const (
	OffloadsAuto   OffloadMode = "auto"
	OffloadsNone   OffloadMode = "none"
	OffloadsChosen OffloadMode = "chosen"
)

// A Switch is on or off.
type Switch string

// The two positions.
const (
	On  Switch = "on"
	Off Switch = "off"
)

// Netstack is a TCP/IP stack in the process instead of a TUN.
type Netstack struct {
	SOCKS5    SOCKS5
	HTTPProxy HTTPProxy
	Direct    Direct
	DNS       DNS
	Forwards  []Forward
	Exposes   []Expose
}

// SOCKS5 is a SOCKS proxy into the VPN; Listen "" means none.
type SOCKS5 struct {
	Listen   string
	UserFile string // names and passwords; "" means without authentication
}

// HTTPProxy is an HTTP proxy into the VPN; Listen "" means none.
type HTTPProxy struct{ Listen string }

// Direct says what proxies do with destinations that no route leads to.
type Direct string

// The ways: over the host's network, or not at all.
const (
	DirectOutside Direct = "outside-routes"
	DirectRefuse  Direct = "refuse"
)

// DNS is a name server in the VPN for some domains.
type DNS struct {
	Server   netip.Addr
	Suffixes []string
}

// An Endpoint is a TCP or UDP address and port.
type Endpoint struct {
	UDP  bool
	Addr netip.AddrPort
}

// A Forward leads from a local port into the VPN, an Expose from the VPN to a local service.
type (
	Forward struct{ Listen, To Endpoint }
	Expose  struct{ Inside, To Endpoint }
)

var datapathKind = object(
	at("mode", choice(ModeAuto, ModeTUN, ModeNetstack), func(d *Datapath) *Mode { return &d.Mode }, "what stands on the inside"),
	at("tun", tunKind, func(d *Datapath) *TUN { return &d.TUN }, "the device that plain packets come from and go to"),
	at("workers", orWord("auto", 0, whole[int](1, 256)), func(d *Datapath) *int { return &d.Workers }, "threads that move packets"),
	at("offloads", offloadsKind, func(d *Datapath) *Offloads { return &d.Offloads }, "work that is left to the kernel"),
	at("verify_checksums", choice(On, Off), func(d *Datapath) *Switch { return &d.VerifyChecksums }, "whether inner checksums are looked at before packets are joined"),
	at("netstack", netstackKind, func(d *Datapath) *Netstack { return &d.Netstack }, "the inside without a TUN"),
)

var tunKind = object(
	at("name", interfaceName, func(t *TUN) *string { return &t.Name }, "name of the device"),
	at("mtu", orWord("auto", 0, whole[int](576, 9216)), func(t *TUN) *int { return &t.MTU }, "MTU of the device in octets"),
	at("mss_clamp", orWord("auto", MSSAuto, orWord("off", MSSOff, whole[int](536, 9176))), func(t *TUN) *int { return &t.MSSClamp }, "largest TCP segment announced through the tunnel, octets"),
	at("routes", object(
		at("table", routingTable, func(k *KernelRoutes) *int { return &k.Table }, "routing table"),
		at("protocol", whole[int](5, 255), func(k *KernelRoutes) *int { return &k.Protocol }, "number that marks routes as ours"),
		at("metric", whole[uint32](1, 3_999_999_999), func(k *KernelRoutes) *uint32 { return &k.Metric }, "metric of our routes"),
	), func(t *TUN) *KernelRoutes { return &t.Routes }, "our routes in the host's tables"),
	at("forwarding", choice(ForwardingCheck, ForwardingEnable, ForwardingIgnore), func(t *TUN) *Forwarding { return &t.Forwarding }, "what is done about ip_forward and rp_filter"),
	at("queues", orWord("auto", 0, whole[int](1, 256)), func(t *TUN) *int { return &t.Queues }, "queues of the device"),
)

// routingTable is main or a table's number. The table local belongs to the kernel.
var routingTable = scalar("main, or the number of a routing table from 1 to 4294967295 but for 255",
	schema{"anyOf": []schema{{"const": "main"}, {"type": "integer", "minimum": 1, "maximum": 4294967295}}},
	func(s string) (int, error) {
		if s == "main" {
			return mainTable, nil
		}
		n, err := decimal(s)
		switch {
		case err != nil || n < 1 || n > 4294967295:
			meant, _ := nearest(s, []string{"main"})
			return 0, &misfit{meant: meant}
		case n == 255:
			return 0, &misfit{reason: "is the kernel's own table", meant: strconv.Itoa(mainTable)}
		}
		return int(n), nil
	})

// offloadsKind is a word for all, or a mapping for each.
var offloadsKind = func() kind[Offloads] {
	onOff := choice(On, Off)
	each := object(
		at("tun_tso", onOff, func(o *Offloads) *Switch { return &o.TUNTSO }, "large TCP segments on the TUN"),
		at("tun_uso", onOff, func(o *Offloads) *Switch { return &o.TUNUSO }, "large UDP segments on the TUN"),
		at("udp_gso", onOff, func(o *Offloads) *Switch { return &o.UDPGSO }, "one call for many packets to a peer"),
		at("udp_gro", onOff, func(o *Offloads) *Switch { return &o.UDPGRO }, "one call for many packets from a peer"),
		at("aes_kernel", onOff, func(o *Offloads) *Switch { return &o.AESKernel }, "our own AES code"),
	)
	words := choice(OffloadsAuto, OffloadsNone)
	return kind[Offloads]{
		schema: schema{"anyOf": []schema{words.schema, each.schema}},
		read: func(r *reader, p place, into *Offloads) {
			if shape(p.node) == "a mapping" {
				chosen := Offloads{OffloadsChosen, On, On, On, On, On}
				each.read(r, p, &chosen)
				*into = chosen
				return
			}
			words.read(r, p, &into.Mode)
		},
	}
}()

var netstackKind = object(
	at("socks5", object(
		at("listen", listenAddress, func(s *SOCKS5) *string { return &s.Listen }, "address and port"),
		at("auth", orWord("none", "", object(
			at("user_file", filePath, func(file *string) *string { return file }, "file with names and passwords"),
		)), func(s *SOCKS5) *string { return &s.UserFile }, "who may use the proxy"),
	), func(n *Netstack) *SOCKS5 { return &n.SOCKS5 }, "SOCKS proxy into the VPN"),
	at("http_proxy", object(
		at("listen", listenAddress, func(h *HTTPProxy) *string { return &h.Listen }, "address and port"),
	), func(n *Netstack) *HTTPProxy { return &n.HTTPProxy }, "HTTP proxy into the VPN"),
	at("direct", choice(DirectOutside, DirectRefuse), func(n *Netstack) *Direct { return &n.Direct }, "destinations that no route leads to"),
	at("dns", object(
		at("server", hostAddress, func(d *DNS) *netip.Addr { return &d.Server }, "name server in the VPN"),
		at("suffixes", list(hostLabel), func(d *DNS) *[]string { return &d.Suffixes }, "domains it is asked for"),
	), func(n *Netstack) *DNS { return &n.DNS }, "names in the VPN"),
	at("forwards", list(object(
		must(at("listen", endpoint, func(f *Forward) *Endpoint { return &f.Listen }, "local address and port")),
		must(at("to", endpoint, func(f *Forward) *Endpoint { return &f.To }, "address and port in the VPN")),
	)), func(n *Netstack) *[]Forward { return &n.Forwards }, "local ports that lead into the VPN"),
	at("exposes", list(object(
		must(at("inside", endpoint, func(e *Expose) *Endpoint { return &e.Inside }, "address and port in the VPN")),
		must(at("to", endpoint, func(e *Expose) *Endpoint { return &e.To }, "local address and port")),
	)), func(n *Netstack) *[]Expose { return &n.Exposes }, "VPN ports that lead to local services"),
)
