package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
)

// names finds connections, tunnels and domains that are called the same (R16).
func (k *checker) names() {
	domains, devices := map[string]int{}, map[string]int{}
	for i, d := range k.Domains {
		if j, ok := domains[d.Name]; ok {
			k.refuse(item("domains", i)+".name", fmt.Sprintf("there are two domains %q", d.Name), k.elsewhere(item("domains", j)))
			continue
		}
		domains[d.Name] = i
		if j, ok := devices[d.TUN]; ok {
			at := i
			if !k.has(item("domains", i)) { // the default one, of which the files say nothing
				at = j
			}
			k.refuse(item("domains", at)+".tun", fmt.Sprintf("domains %q and %q both have the device %q", k.Domains[j].Name, d.Name, d.TUN), "give each domain a device of its own, as tun: twinbore1")
			continue
		}
		devices[d.TUN] = i
	}
	connections := map[string]int{}
	for i, c := range k.Connections {
		path := item("connections", i)
		if j, ok := connections[c.Name]; ok && c.Name != "" {
			k.refuse(path+".name", fmt.Sprintf("there are two connections %q", c.Name), k.elsewhere(item("connections", j)))
		} else {
			connections[c.Name] = i
		}
		tunnels := map[string]bool{}
		for j, t := range c.Tunnels {
			if tunnels[t.Name] {
				k.refuse(item(path+".tunnels", j)+".name", fmt.Sprintf("connection %q has two tunnels %q", c.Name, t.Name), "a tunnel without a name is called by its number")
			}
			tunnels[t.Name] = true
		}
	}
}

// ids finds an id of something that was made at run time, which names it for ever (R9), at something else as well. In files it
// is a free label.
func (k *checker) ids() {
	type owner struct {
		path    string
		runtime bool
	}
	first := map[string]owner{}
	one := func(path, id string, runtime bool) {
		if id == "" {
			return
		}
		if other, ok := first[id]; !ok {
			first[id] = owner{path + ".id", runtime}
		} else if runtime || other.runtime {
			k.refuse(path+".id", fmt.Sprintf("the id %q is taken", id), k.elsewhere(other.path))
		}
	}
	for i, c := range k.Connections {
		one(item("connections", i), c.ID, c.Runtime)
	}
	for i, g := range k.CustomerGateways {
		one(item("customer_gateways", i), g.ID, g.Runtime)
	}
}

// elsewhere points at the first of two things that collide.
func (k *checker) elsewhere(path string) string {
	return fmt.Sprintf("the other is at %v", k.Pos(path))
}

// routes checks what is behind the peer and what is here.
func (k *checker) routes(path string, c *Connection) {
	remotes := path + ".remote_networks"
	k.repeated(remotes, c.RemoteNetworks)
	k.repeated(path+".local_networks", c.locally.list)
	byHand := c.Routing == RoutingStatic || c.Routing == RoutingPolicy
	bad := k.has(remotes) && c.RemoteNetworks == nil  // not a list, which was reported
	if byHand && len(c.RemoteNetworks) == 0 && !bad { // R36
		k.refuse(remotes, fmt.Sprintf("routing: %s needs at least one network behind the peer", c.Routing), "remote_networks: [10.0.0.0/16]")
	}
	if byHand && len(c.RemoteNetworks) > k.Gateway.Limits.MaxStaticRoutes { // R14
		k.refuse(remotes, fmt.Sprintf("%d networks, more than gateway.limits.max_static_routes (%d)", len(c.RemoteNetworks), k.Gateway.Limits.MaxStaticRoutes), "")
	}
	if c.Selectors == SelectorsNetworks && len(c.LocalNetworks) == 0 {
		k.refuse(path+".local_networks", "selectors: networks needs at least one network here", "set gateway.networks or local_networks")
	}
	if c.BGP != nil && byHand {
		k.refuse(path+".bgp", fmt.Sprintf("a bgp section with routing: %s", c.Routing), "")
	}
	if c.BGP != nil && c.BGP.Hold <= c.BGP.Keepalive {
		k.refuse(path+".bgp.timers", "hold must be longer than keepalive", "three times as long is usual")
	}
	for i, p := range c.RemoteNetworks {
		switch {
		case p.Bits() == 0: // R13
			k.warn(item(remotes, i), fmt.Sprintf("%v sends everything that no other route takes into connection %q", p, c.Name), "")
		case p.IsValid() && slices.Contains(c.LocalNetworks, p):
			k.refuse(item(remotes, i), fmt.Sprintf("%v is a network here as well", p), "")
		}
	}
}

// pairs finds two tunnels between the same two outside addresses: their peers could not be told apart (R19, R29).
func (k *checker) pairs() {
	type pair struct {
		local  netip.Addr
		remote Remote
		id     string // of a peer that may be anywhere
	}
	first := map[pair]string{}
	for i, c := range k.Connections {
		if !c.Enabled {
			continue
		}
		for j, t := range c.Tunnels {
			path := item(item("connections", i)+".tunnels", j)
			if t.Remote == (Remote{}) {
				continue
			}
			this := pair{local: t.Local, remote: t.Remote}
			if t.Remote.Any {
				this.id = t.RemoteID
			}
			if other, ok := first[this]; ok {
				local := "the same outside address"
				if t.Local.IsValid() {
					local = t.Local.String()
				}
				k.refuse(path+".remote", fmt.Sprintf("another tunnel goes from %s to %v already", local, t.Remote), k.elsewhere(other))
				continue
			}
			first[this] = path
		}
	}
}

// insides finds inside networks that overlap (R31). Two connections may have one in common if our address in it is the
// same: what goes on inside a tunnel is told apart by the tunnel. Were it the peer's address in the other one, what comes from there
// would seem to come from ourselves.
func (k *checker) insides() {
	type used struct {
		prefix netip.Prefix
		ours   netip.Addr
		conn   int
		path   string
	}
	var all []used
	for i, c := range k.Connections {
		if !c.Enabled {
			continue
		}
		for j, t := range c.Tunnels {
			if t.Inside.IsValid() {
				all = append(all, used{t.Inside.Masked(), t.Inside.Addr(), i, item(item("connections", i)+".tunnels", j) + ".inside"})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b used) int { return a.prefix.Compare(b.prefix) })
	// Sorted by address and length, a network that overlaps any earlier one overlaps the widest open one.
	var widest used
	var same []used // as the widest, by connections that have it in common with it
	for _, u := range all {
		shared := u.prefix == widest.prefix && u.ours == widest.ours && !slices.ContainsFunc(same, func(o used) bool { return o.conn == u.conn })
		if shared {
			same = append(same, u)
			continue
		}
		if widest.path != "" && widest.prefix.Overlaps(u.prefix) {
			k.refuse(u.path, fmt.Sprintf("%v overlaps the inside network %v of another tunnel", u.prefix, widest.prefix), k.elsewhere(widest.path))
			continue
		}
		widest, same = u, []used{u}
	}
}

func sortedKeys[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func didYouMean(word string, candidates []string) string {
	if meant, ok := nearest(word, candidates); ok {
		return fmt.Sprintf("did you mean %q?", meant)
	}
	return ""
}
