package config

import (
	"fmt"
	"strings"
)

// A CustomerGateway is one customer's device: what is known of the other end before there is a connection to it, and what
// several connections may share (R3, R4).
type CustomerGateway struct {
	Name, ID, Description string
	Address               Remote // of the device: an address, a host name or any
	ASN                   uint32 // 0 without
	Device                Device
	RemoteID              string      // its IKE identity as ike/auth reads it; "" means its address
	Certificate           Authorities // who vouches for it, with auth: certificate
	Tags                  map[string]string
	Runtime               bool // made at run time, not in a file
}

// Authorities are files with the certificates that vouch for a peer, and with what they have revoked.
type Authorities struct{ CA, CRL []string }

var customerGatewayKind = object(
	must(at("name", plainName, func(g *CustomerGateway) *string { return &g.Name }, "name of the customer gateway")),
	at("id", label, func(g *CustomerGateway) *string { return &g.ID }, "free label, shown everywhere"),
	at("description", text(255), func(g *CustomerGateway) *string { return &g.Description }, "free text"),
	must(at("address", peerPlace, func(g *CustomerGateway) *Remote { return &g.Address }, "its outside address, host name, or any")),
	at("asn", asn, func(g *CustomerGateway) *uint32 { return &g.ASN }, "its AS number"),
	at("device", deviceKind, func(g *CustomerGateway) *Device { return &g.Device }, "what it is, remembered for export"),
	at("remote_id", identity, func(g *CustomerGateway) *string { return &g.RemoteID }, "its IKE identity; default: its address"),
	at("certificate", object(
		at("ca", list(filePath), func(a *Authorities) *[]string { return &a.CA }, "files with the authorities that we trust"),
		at("crl", list(filePath), func(a *Authorities) *[]string { return &a.CRL }, "files with revoked certificates"),
	), func(g *CustomerGateway) *Authorities { return &g.Certificate }, "with auth: certificate"),
	at("tags", mapping(label, text(255)), func(g *CustomerGateway) *map[string]string { return &g.Tags }, "free labels"),
)

// customerGatewayOf is what a tunnel names itself, or else its connection; nil when neither does or there is none of that name.
func (k *checker) customerGatewayOf(c *Connection, t *Tunnel) *CustomerGateway {
	name := c.CustomerGateway
	if t.CustomerGateway != "" {
		name = t.CustomerGateway
	}
	g, _ := k.CustomerGateway(name)
	return g
}

// fromCustomerGateway fills in what a tunnel does not say of its other end.
func (k *checker) fromCustomerGateway(path string, c *Connection, t *Tunnel) {
	g := k.customerGatewayOf(c, t)
	if g == nil {
		return
	}
	if !k.has(path + ".remote") {
		t.Remote = g.Address
	}
	if !k.has(path + ".remote_id") {
		t.RemoteID = g.RemoteID
	}
	if !k.has(path + ".peer_asn") {
		t.PeerASN = g.ASN
	}
}

// describeFromCustomerGateway fills in what a connection does not say of the device at its other end.
func (k *checker) describeFromCustomerGateway(path string, c *Connection) {
	g, ok := k.CustomerGateway(c.CustomerGateway)
	if !ok {
		return
	}
	if !k.has(path + ".device") {
		c.Device = g.Device
	}
	if c.Auth == AuthCertificate && !k.has(path+".certificate.ca") {
		c.Certificate.CA = g.Certificate.CA
	}
	if c.Auth == AuthCertificate && !k.has(path+".certificate.crl") {
		c.Certificate.CRL = g.Certificate.CRL
	}
}

// customerGateways finds two of one name, and names that nobody has (R2, R10, R14, R16).
func (k *checker) customerGateways() {
	if n, most := len(k.CustomerGateways), k.Gateway.Limits.MaxCustomerGateways; n > most {
		k.refuse("customer_gateways", fmt.Sprintf("%d customer gateways, more than gateway.limits.max_customer_gateways (%d)", n, most), "")
	}
	var names []string
	first := map[string]int{}
	for i, g := range k.CustomerGateways {
		path := item("customer_gateways", i)
		if j, ok := first[g.Name]; ok && g.Name != "" {
			k.refuse(path+".name", fmt.Sprintf("there are two customer gateways %q", g.Name), k.elsewhere(item("customer_gateways", j)))
			continue
		}
		first[g.Name] = i
		names = append(names, g.Name)
	}
	exists := func(path, name string) {
		if _, ok := first[name]; ok || name == "" {
			return
		}
		have, hint := "none is configured", didYouMean(name, names)
		if len(names) > 0 {
			have = "there are " + strings.Join(names, ", ")
		}
		k.refuse(path+".customer_gateway", fmt.Sprintf("there is no customer gateway %q; %s", name, have), hint)
	}
	for i := range k.Connections {
		path, c := item("connections", i), &k.Connections[i]
		exists(path, c.CustomerGateway)
		for j, t := range c.Tunnels {
			exists(item(path+".tunnels", j), t.CustomerGateway)
		}
		k.pairOfCustomerGateways(path, c)
	}
}

// pairOfCustomerGateways wants the customer gateways of a redundant pair to be at different addresses, be it in one connection or
// in one and its backup: two names of one device are no redundancy (R29).
func (k *checker) pairOfCustomerGateways(path string, c *Connection) {
	at := map[Remote]*CustomerGateway{}
	if i := k.find(c.HA.BackupOf); i >= 0 {
		other := &k.Connections[i]
		for j := range other.Tunnels {
			if g := k.customerGatewayOf(other, &other.Tunnels[j]); g != nil {
				at[g.Address] = g
			}
		}
	}
	for i := range c.Tunnels {
		g := k.customerGatewayOf(c, &c.Tunnels[i])
		if g == nil || g.Address.Any {
			continue
		}
		if other := at[g.Address]; other != nil && other.Name != g.Name {
			k.refuse(item(path+".tunnels", i)+".customer_gateway", fmt.Sprintf("customer gateways %q and %q of connection %s have the same address %v", other.Name, g.Name, c.called(), g.Address),
				"two devices of a redundant pair are at two addresses")
			continue
		}
		at[g.Address] = g
	}
}
