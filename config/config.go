package config

import (
	"net/netip"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A Config is a whole configuration: read, completed with defaults and found valid. It is never changed; a reload
// makes a new one. Whoever gets one must not write into it.
type Config struct {
	Gateway          Gateway
	Domains          []Domain           // "default" is always there
	Profiles         map[string]Profile // the built-in ones, too
	CustomerGateways []CustomerGateway  // in the order of the files, then those made at run time
	Connections      []Connection       // in the order of the files, disabled ones included, then those made at run time
	Files            []string           // that it was read from
	Warnings         Problems           // what its author should know

	at        map[string]Pos
	texts     *Texts            // a pointer is printed as one: secrets may stand in a file itself (SEC-03)
	documents map[string][]byte // of the objects in files, as JSON, by their paths
}

// A Domain is a routing table of its own.
type Domain struct {
	Name      string
	TUN       string // name of the device
	Table     int    // number of the routing table
	Hub       bool   // what one connection announces is announced to the others
	Propagate bool   // routes of connections that are up go into the table
}

// Pos returns where the value at path stands, or the nearest thing around it that does:
// c.Pos("connections[0].tunnels[1].psk").
func (c *Config) Pos(path string) Pos { return position(c.at, path) }

func position(at map[string]Pos, path string) Pos {
	for path != "" {
		if pos, ok := at[path]; ok {
			return pos
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return Pos{}
}

// Connection returns the connection of this name.
func (c *Config) Connection(name string) (*Connection, bool) {
	i := slices.IndexFunc(c.Connections, func(c Connection) bool { return c.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.Connections[i], true
}

// CustomerGateway returns the customer gateway of this name.
func (c *Config) CustomerGateway(name string) (*CustomerGateway, bool) {
	i := slices.IndexFunc(c.CustomerGateways, func(g CustomerGateway) bool { return g.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.CustomerGateways[i], true
}

// Domain returns the domain of this name.
func (c *Config) Domain(name string) (*Domain, bool) {
	i := slices.IndexFunc(c.Domains, func(d Domain) bool { return d.Name == name })
	if i < 0 {
		return nil, false
	}
	return &c.Domains[i], true
}

// LocalTS returns what we offer as our side of the Child SA: our networks, or everything of the families that the
// connection routes.
func (c *Connection) LocalTS() []netip.Prefix {
	if c.Selectors == SelectorsNetworks {
		return slices.Clone(c.LocalNetworks)
	}
	return c.everything()
}

// RemoteTS returns what we offer as the peer's side of the Child SA.
func (c *Connection) RemoteTS() []netip.Prefix {
	if c.Selectors == SelectorsNetworks {
		return slices.Clone(c.RemoteNetworks)
	}
	return c.everything()
}

// everything is 0.0.0.0/0, and ::/0 where an IPv6 network is behind the peer. A peer that knows one family only may
// refuse an offer of both, so the second is not offered without need.
func (c *Connection) everything() []netip.Prefix {
	is6 := func(p netip.Prefix) bool { return p.Addr().Is6() }
	any4, any6 := netip.PrefixFrom(netip.IPv4Unspecified(), 0), netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	six := slices.ContainsFunc(c.RemoteNetworks, is6)
	four := slices.ContainsFunc(c.RemoteNetworks, func(p netip.Prefix) bool { return !is6(p) })
	switch {
	case six && four:
		return []netip.Prefix{any4, any6}
	case six:
		return []netip.Prefix{any6}
	}
	return []netip.Prefix{any4}
}

// documentKind is the whole format.
var documentKind = object(
	versionField(),
	at("gateway", gatewayKind, func(c *Config) *Gateway { return &c.Gateway }, "this gateway"),
	at("domains", growing(func(*yaml.Node) Domain { return freshDomain() }, domainKind), func(c *Config) *[]Domain { return &c.Domains }, "routing tables of their own; one named default is always there"),
	at("crypto_profiles", mapping(plainName, profileKind), func(c *Config) *map[string]Profile { return &c.Profiles }, "proposals by name"),
	at("customer_gateways", growing(func(*yaml.Node) CustomerGateway { return CustomerGateway{} }, customerGatewayKind), func(c *Config) *[]CustomerGateway { return &c.CustomerGateways }, "devices at the other end, by name"),
	at("connections", growing(freshConnection, connectionKind), func(c *Config) *[]Connection { return &c.Connections }, "VPN connections"),
)

var domainKind = object(
	must(at("name", plainName, func(d *Domain) *string { return &d.Name }, "name of the domain")),
	at("tun", interfaceName, func(d *Domain) *string { return &d.TUN }, "device of the domain"),
	at("table", routingTable, func(d *Domain) *int { return &d.Table }, "routing table"),
	at("hub", truth, func(d *Domain) *bool { return &d.Hub }, "what one connection announces is announced to the others"),
	at("propagate", truth, func(d *Domain) *bool { return &d.Propagate }, "routes of connections that are up go into the table"),
)

// versionField is the one key that every file may have for itself.
func versionField() field[Config] {
	type version string
	var read version
	f := at("apiVersion", choice(version(apiVersion)), func(*Config) *version { return &read }, "version of this format")
	f.merge = true
	return f
}
