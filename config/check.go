package config

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"twinbore/config/secret"
	"twinbore/ike/suite"
)

// A checker finds what is wrong with values that are each well written.
type checker struct {
	*Config
	r *reader
}

// called is the connection's name as messages have it.
func (c *Connection) called() string {
	if c.Name == "" {
		return "without a name"
	}
	return strconv.Quote(c.Name)
}

func item(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

// has reports whether the files say anything at path.
func (k *checker) has(path string) bool {
	_, ok := k.at[path]
	return ok
}

func (k *checker) refuse(path, text, hint string) { k.report(Error, path, text, hint) }
func (k *checker) warn(path, text, hint string)   { k.report(Warning, path, text, hint) }

func (k *checker) report(s Severity, path, text, hint string) {
	k.r.add(Problem{Pos: k.Pos(path), Severity: s, Path: path, Text: text, Hint: hint})
}

// check runs every check. None relies on another having passed: a value that could not be read is at its default or
// zero, and no check complains of a zero that a reader has complained of already.
func (k *checker) check() {
	k.notYet()
	k.gateway()
	k.names()
	k.leftAlone()
	k.ids()
	k.customerGateways()
	for i := range k.Connections {
		k.connection(item("connections", i), &k.Connections[i])
	}
	k.backups()
	k.overlaps()
	k.tables()
	k.pairs()
	k.sharedEnds()
	k.insides()
}

func (k *checker) gateway() {
	g := &k.Gateway
	if g.Outside.IKEPort == g.Outside.NATTPort {
		k.refuse("gateway.outside.natt_port", "ike_port and natt_port are the same", "")
	}
	if g.API.Listen != "" && g.API.TLS == (TLS{}) && g.API.TokenFile == "" {
		k.refuse("gateway.api.listen", "a TCP listener needs tls or token_file", "")
	}
	k.repeated("gateway.networks", g.Networks)
	k.repeatedAddress("gateway.outside.address", g.Outside.Addresses)
	if len(k.Connections) > g.Limits.MaxConnections { // R14
		k.refuse("connections", fmt.Sprintf("%d connections, more than gateway.limits.max_connections (%d)", len(k.Connections), g.Limits.MaxConnections), "")
	}
	if len(k.Connections) == 0 {
		k.warn("connections", "no connection is configured", "")
	}
}

// missing says that a key without a default is not there.
func (k *checker) missing(path, key, doc string) {
	k.report(Error, path, key+" is missing", doc)
}

// repeated reports networks that stand twice in one list (R35).
func (k *checker) repeated(path string, list []netip.Prefix) {
	first := map[netip.Prefix]int{}
	for i, p := range list {
		if j, ok := first[p]; ok && p.IsValid() {
			k.refuse(item(path, i), fmt.Sprintf("%v stands twice", p), fmt.Sprintf("it is already number %d of the list", j+1))
			continue
		}
		first[p] = i
	}
}

func (k *checker) repeatedAddress(path string, list []netip.Addr) {
	if len(list) == 2 && list[0] == list[1] {
		k.refuse(item(path, 1), fmt.Sprintf("%v stands twice", list[1]), "")
	}
}

func (k *checker) connection(path string, c *Connection) {
	k.references(path, c)
	k.routes(path, c)
	k.keepalive(path, c)
	k.weak(path, c)
	k.ppk(path+".ppk", c)
	k.filter(path, c)
	if c.Lifetimes.RekeyAt+c.Lifetimes.Jitter >= 1 {
		k.refuse(path+".lifetimes.jitter", "rekey_at and jitter together reach the end of the lifetime", "")
	}
	if c.DPD.Interval == 0 && len(c.Tunnels) > 1 {
		k.warn(path+".dpd.interval", "a dead tunnel is noticed only at its next rekey", "without dpd the other tunnel takes over late")
	}
	if c.IKEVersion == 1 {
		k.version1(path, c)
	}
	switch {
	case len(c.Tunnels) == 0 && k.has(path+".tunnels"):
		k.refuse(path+".tunnels", fmt.Sprintf("connection %s has no tunnel", c.called()), "")
	case len(c.Tunnels) == 1 && c.Enabled: // R20
		k.warn(path+".tunnels", fmt.Sprintf("connection %s is not redundant: it has one tunnel", c.called()), "")
	}
	k.redundancy(path, c)
	if c.Auth == AuthCertificate {
		k.certificate(path, c)
	}
	for i := range c.Tunnels {
		k.tunnel(item(path+".tunnels", i), c, &c.Tunnels[i])
	}
}

// references finds names of things that are not there (R10).
func (k *checker) references(path string, c *Connection) {
	if _, ok := k.Profiles[c.crypto.profile]; !ok && c.crypto.profile != "" {
		names := sortedKeys(k.Profiles)
		k.refuse(path+".crypto", fmt.Sprintf("there is no crypto profile %q; there are %s", c.crypto.profile, strings.Join(names, ", ")), didYouMean(c.crypto.profile, names))
	}
	if _, ok := k.Domain(c.Domain); !ok {
		var names []string
		for _, d := range k.Domains {
			names = append(names, d.Name)
		}
		k.refuse(path+".domain", fmt.Sprintf("there is no domain %q; there are %s", c.Domain, strings.Join(names, ", ")), didYouMean(c.Domain, names))
	}
	var tunnels []string
	for _, t := range c.Tunnels {
		tunnels = append(tunnels, t.Name)
	}
	exists := func(at, name string) {
		if len(tunnels) > 0 && !slices.Contains(tunnels, name) {
			k.refuse(at, fmt.Sprintf("connection %s has no tunnel %q; it has %s", c.called(), name, strings.Join(tunnels, ", ")), "")
		}
	}
	exists(path+".ha.prefer", c.HA.Prefer)
	if c.BGP != nil {
		for _, name := range sortedKeys(c.BGP.MED) {
			exists(path+".bgp.med."+strconv.Quote(name), name)
		}
		for _, name := range sortedKeys(c.BGP.Prepend) {
			exists(path+".bgp.prepend."+strconv.Quote(name), name)
		}
	}
}

// weak wants weak algorithms to be allowed, and says which there are.
func (k *checker) weak(path string, c *Connection) {
	var found []string
	for _, list := range [][]suite.Proposal{c.IKE, c.ESP} {
		for _, p := range list {
			for _, why := range p.Weak() {
				if !slices.Contains(found, why) {
					found = append(found, why)
				}
			}
		}
	}
	switch {
	case len(found) == 0:
	case c.AllowWeak:
		k.warn(path+".crypto", fmt.Sprintf("connection %s allows weak algorithms: %s", c.called(), strings.Join(found, "; ")), "")
	default:
		k.refuse(path+".crypto", fmt.Sprintf("connection %s has weak algorithms: %s", c.called(), strings.Join(found, "; ")), "set allow_weak: true if the peer cannot do better")
	}
}

// version1 is what IKEv1 cannot do (R51), and that it is old (R52).
func (k *checker) version1(path string, c *Connection) {
	k.warn(path+".ike", fmt.Sprintf("connection %s uses IKEv1, which is obsolete", c.called()), "use ike: 2 if the peer can")
	if c.Selectors == SelectorsNetworks && len(c.LocalNetworks)*len(c.RemoteNetworks) != 1 {
		k.refuse(path+".selectors", "IKEv1 negotiates one local and one remote network", "name one of each, or use selectors: any")
	}
}

func (k *checker) tunnel(path string, c *Connection, t *Tunnel) {
	if t.Remote == (Remote{}) && !k.has(path+".remote") && c.CustomerGateway == "" && t.CustomerGateway == "" {
		k.missing(path, "remote", remoteDoc)
	}
	if t.Remote.Any && (c.Role != RoleCloud || c.Auth != AuthCertificate) {
		k.refuse(path+".remote", "remote: any needs role: cloud and auth: certificate", "a pre-shared key is chosen by the peer's address")
	}
	if t.Local.IsValid() && t.Remote.Addr.IsValid() {
		switch {
		case t.Local.BitLen() != t.Remote.Addr.BitLen():
			k.refuse(path+".local", fmt.Sprintf("%v and the peer's %v are of different families", t.Local, t.Remote.Addr), "")
		case t.Local == t.Remote.Addr:
			k.refuse(path+".remote", fmt.Sprintf("%v is our own outside address", t.Local), "")
		}
	}
	k.insideAddresses(path, c, t)
	k.key(path, c, t)
}

// insideAddresses checks the arithmetic of the network inside a tunnel (R31).
func (k *checker) insideAddresses(path string, c *Connection, t *Tunnel) {
	given := k.has(path + ".peer_inside")
	switch {
	case !t.Inside.IsValid():
		if given && !k.has(path+".inside") {
			k.refuse(path+".peer_inside", "peer_inside without inside", "")
		}
		return
	case !t.PeerInside.IsValid():
		if !given {
			k.refuse(path+".inside", fmt.Sprintf("%v has room for more than two hosts: which one is the peer?", t.Inside), "set peer_inside")
		}
	case t.PeerInside == t.Inside.Addr():
		k.refuse(path+".peer_inside", fmt.Sprintf("%v is our own inside address", t.PeerInside), "")
	case !t.Inside.Contains(t.PeerInside) && !t.Inside.IsSingleIP():
		k.refuse(path+".peer_inside", fmt.Sprintf("%v is not in %v", t.PeerInside, t.Inside.Masked()), "")
	}
	if t.Inside.Contains(metadataService) {
		k.warn(path+".inside", fmt.Sprintf("%v holds %v, where clouds serve metadata", t.Inside.Masked(), metadataService), "")
	}
	if c.Routing == RoutingBGP && t.PeerASN == 0 && !k.has(path+".peer_asn") {
		k.refuse(path+".peer_asn", "peer_asn is missing", "routing: bgp needs it")
	}
	if c.Routing == RoutingBGP && t.PeerASN == k.Gateway.ASN { // R38
		k.refuse(path+".peer_asn", fmt.Sprintf("%d is gateway.asn as well", t.PeerASN), "the two ends need different AS numbers")
	}
}

// metadataService is where a virtual machine asks its cloud about itself.
var metadataService = netip.AddrFrom4([4]byte{169, 254, 169, 254})

// key checks what can be known of a pre-shared key without looking it up.
func (k *checker) key(path string, c *Connection, t *Tunnel) {
	if t.PSK.Current.IsZero() && c.Auth == AuthPSK && !k.has(path+".psk") {
		k.refuse(path, fmt.Sprintf("tunnel %s of connection %s has no psk", t.Name, c.called()), "psk: {file: "+c.Name+"-"+t.Name+".psk}")
	}
	if t.PSK.Previous.Kind == secret.Generate {
		k.refuse(path+".psk.previous", "a key that was used before cannot be generated", "")
	}
	k.inline(path+".psk", t.PSK.Current, secret.WantBits)
	k.inline(path+".psk", t.PSK.Previous, secret.WantBits)
}

// inline checks a secret that stands in the file itself, as far as it may stand there, and that should be worth so many bits.
func (k *checker) inline(path string, ref secret.Ref, bits int) {
	if ref.Kind != secret.Inline {
		return
	}
	if k.Gateway.StrictSecrets {
		k.refuse(path, "a secret stands in the configuration itself, and strict_secrets forbids that", "use {file: …}")
		return
	}
	found, err := secret.Store{}.Resolve(context.Background(), ref)
	if err != nil {
		k.refuse(path, err.Error(), "")
		return
	}
	k.warn(path, "a secret stands in the configuration itself", "use {file: …}, and chmod 600 this file until then")
	if weak := found.Weakness(bits); weak != "" {
		k.warn(path, weak, secret.StrongHint)
	}
}
