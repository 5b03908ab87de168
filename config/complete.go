package config

import (
	"maps"
	"net/netip"
	"strconv"

	"twinbore/config/secret"
)

// complete fills in what depends on more than one key, once every file is read: names by number, what "gateway" and
// "auto" stand for, and the proposals of profiles.
func (k *checker) complete() {
	if _, ok := k.Domain(defaultDomain); !ok {
		k.Domains = append(k.Domains, freshDomain())
	}
	for i := range k.Domains {
		d := &k.Domains[i]
		if d.TUN == "" {
			d.TUN = k.Gateway.Datapath.TUN.Name
		}
		if d.Table == 0 {
			d.Table = k.Gateway.Datapath.TUN.Routes.Table
		}
	}
	profiles := map[string]Profile{}
	for name, text := range builtinProfiles {
		profiles[name] = text.mustParse()
	}
	maps.Copy(profiles, k.Profiles)
	k.Profiles = profiles
	for i := range k.Connections {
		k.completeConnection(item("connections", i), &k.Connections[i])
	}
}

func (k *checker) completeConnection(path string, c *Connection) {
	profile := k.Profiles[c.crypto.profile]
	c.Profile, c.IKE, c.ESP = c.crypto.profile, c.crypto.own.IKE, c.crypto.own.ESP
	if c.IKE == nil {
		c.IKE = profile.IKE
	}
	if c.ESP == nil {
		c.ESP = profile.ESP
	}
	if c.Selectors == "" {
		c.Selectors = SelectorsAny
		if c.Routing == RoutingPolicy {
			c.Selectors = SelectorsNetworks
		}
	}
	c.LocalNetworks = c.locally.list
	if c.locally.gateway {
		c.LocalNetworks = k.Gateway.Networks
	}
	k.describeFromCustomerGateway(path, c)
	for i := range c.Tunnels {
		k.completeTunnel(item(path+".tunnels", i), c, i)
	}
	if c.HA.Prefer == "" && len(c.Tunnels) > 0 {
		c.HA.Prefer = c.Tunnels[0].Name
	}
}

func (k *checker) completeTunnel(path string, c *Connection, i int) {
	t := &c.Tunnels[i]
	if t.Name == "" {
		t.Name = strconv.Itoa(i + 1)
	}
	k.fromCustomerGateway(path, c, t)
	if !t.Local.IsValid() {
		t.Local = outsideAddress(k.Gateway.Outside.Addresses, t.Remote.Addr, i)
	}
	if t.LocalID == "" {
		t.LocalID = k.Gateway.Outside.Identity
	}
	if !t.PeerInside.IsValid() {
		t.PeerInside = otherHost(t.Inside)
	}
	if t.PSK.Current.IsZero() && c.Role == RoleCloud && c.Auth == AuthPSK && !k.has(path+".psk") {
		t.PSK.Current = secret.Ref{Kind: secret.Generate} // R62
	}
	if t.PSK.Current.Kind == secret.Generate {
		t.PSK.Current.Name = c.Name + "." + t.Name + ".psk"
	}
}

// outsideAddress is the ith of our addresses (R19: the cloud's two tunnels end at two), counting only those of the
// peer's family where that is known. Zero means that the route decides.
func outsideAddress(ours []netip.Addr, peer netip.Addr, i int) netip.Addr {
	var fit []netip.Addr
	for _, a := range ours {
		if !peer.IsValid() || a.BitLen() == peer.BitLen() {
			fit = append(fit, a)
		}
	}
	if len(fit) == 0 {
		return netip.Addr{}
	}
	return fit[i%len(fit)]
}

// otherHost is the peer's address in a network of two hosts (R31): /30 and /31, /126 and /127. Zero where the
// network does not say.
func otherHost(p netip.Prefix) netip.Addr {
	if !p.IsValid() || p.Bits() < p.Addr().BitLen()-2 || p.IsSingleIP() {
		return netip.Addr{}
	}
	b := p.Addr().AsSlice()
	b[len(b)-1] ^= byte(1)<<(len(b)*8-p.Bits()) - 1 // .1 and .2 of a /30, .0 and .1 of a /31
	a, _ := netip.AddrFromSlice(b)
	return a
}
