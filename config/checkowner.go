package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
)

// Standing returns the name of the enabled connection that c is the backup of: what ha.backup_of says, or what that one is the
// backup of while it is not enabled; "" for none.
func (c *Config) Standing(of Connection) string {
	for range c.Connections { // no further than there are connections, whatever they say
		i := c.find(of.HA.BackupOf)
		if i < 0 {
			return ""
		}
		if of = c.Connections[i]; of.Enabled {
			return of.Name
		}
	}
	return ""
}

// Local returns the networks here that a domain must not have behind a peer: those of the gateway that one of its connections
// calls its own.
func (c *Config) Local(domain string) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range c.Gateway.Networks {
		if slices.ContainsFunc(c.Connections, func(o Connection) bool {
			return o.Enabled && o.Domain == domain && slices.Contains(o.LocalNetworks, p)
		}) {
			out = append(out, p)
		}
	}
	return out
}

// find returns the index of the first connection of that name, or -1.
func (c *Config) find(name string) int {
	if name == "" {
		return -1
	}
	return slices.IndexFunc(c.Connections, func(o Connection) bool { return o.Name == name })
}

// primary returns the index of the connection at the end of the chain of backups that begins with connection i, which may be
// i; -1 when the chain is a circle.
func (c *Config) primary(i int) int {
	for range c.Connections {
		next := c.find(c.Connections[i].HA.BackupOf)
		if next < 0 {
			return i
		}
		i = next
	}
	return -1
}

// backups checks ha.backup_of (R28).
func (k *checker) backups() {
	for i := range k.Connections {
		c := &k.Connections[i]
		path, of := item("connections", i)+".ha.backup_of", c.HA.BackupOf
		if of == "" {
			continue
		}
		j := k.find(of)
		switch {
		case j < 0:
			var names []string
			for _, o := range k.Connections {
				if o.Name != c.Name {
					names = append(names, o.Name)
				}
			}
			k.refuse(path, fmt.Sprintf("there is no connection %q", of), didYouMean(of, names))
		case of == c.Name:
			k.refuse(path, fmt.Sprintf("connection %q cannot be its own backup", c.Name), "")
		case k.circular(i):
			k.refuse(path, fmt.Sprintf("connection %q is its own backup, by way of %q", c.Name, of), "one of them has to be without backup_of")
		case k.Connections[j].Domain != c.Domain:
			k.refuse(path, fmt.Sprintf("connection %q is in domain %q and %q in domain %q, which have nothing to do with each other", c.Name, c.Domain, of, k.Connections[j].Domain), "")
		case len(c.RemoteNetworks) > 0 && !slices.ContainsFunc(c.RemoteNetworks, func(p netip.Prefix) bool { return slices.Contains(k.Connections[j].RemoteNetworks, p) }):
			k.warn(path, fmt.Sprintf("connection %q is the backup of %q and has none of its remote_networks", c.Name, of), "it stands in for the networks that both have")
		}
	}
}

// circular reports whether following the backups from connection i leads back to it.
func (k *checker) circular(i int) bool {
	at := i
	for range k.Connections {
		if at = k.find(k.Connections[at].HA.BackupOf); at < 0 {
			return false
		}
		if at == i {
			return true
		}
	}
	return false
}

// overlaps finds networks that two connections of one domain claim, neither of which is the backup of the other (R33). A network
// inside another one is no conflict: the longest prefix wins.
func (k *checker) overlaps() {
	type claim struct {
		domain string
		prefix netip.Prefix
	}
	owner, local := map[claim]int{}, map[string][]netip.Prefix{}
	for i, c := range k.Connections {
		if !c.Enabled {
			continue
		}
		if _, known := local[c.Domain]; !known {
			local[c.Domain] = k.Local(c.Domain)
		}
		for j, p := range c.RemoteNetworks {
			if slices.Contains(local[c.Domain], p) && !slices.Contains(c.LocalNetworks, p) {
				k.refuse(item(item("connections", i)+".remote_networks", j), fmt.Sprintf("%v is a network here as well", p), "gateway.networks has it, and another connection says so to its peer")
			}
			mine := claim{c.Domain, p}
			first, ok := owner[mine]
			if ok && p.IsValid() && k.primary(first) != k.primary(i) {
				k.refuse(item(item("connections", i)+".remote_networks", j),
					fmt.Sprintf("connections %q and %q both have %v behind their peer", k.Connections[first].Name, c.Name, p), k.elsewhere(item("connections", first)+".remote_networks"))
			}
			if !ok {
				owner[mine] = i
			}
		}
	}
}

// tables finds domains that would meet in one of the host's tables: there the longest prefix wins, whosever it is (R32).
func (k *checker) tables() {
	type way struct {
		prefix       netip.Prefix
		conn, at     int
		domain, name string
	}
	byTable := map[int][]way{}
	for i, c := range k.Connections {
		d, ok := k.Domain(c.Domain)
		if !c.Enabled || !ok || !d.Propagate {
			continue
		}
		for j, p := range c.RemoteNetworks {
			if p.IsValid() {
				byTable[d.Table] = append(byTable[d.Table], way{p, i, j, d.Name, c.Name})
			}
		}
	}
	for table, all := range byTable {
		slices.SortStableFunc(all, func(a, b way) int { return a.prefix.Compare(b.prefix) })
		var open []way // each inside the one before it
		for _, w := range all {
			for len(open) > 0 && !open[len(open)-1].prefix.Overlaps(w.prefix) {
				open = open[:len(open)-1]
			}
			if i := slices.IndexFunc(open, func(o way) bool { return o.domain != w.domain }); i >= 0 {
				o := open[i]
				k.refuse(item(item("connections", w.conn)+".remote_networks", w.at),
					fmt.Sprintf("%v of domain %q and %v of domain %q (connection %q) are in one routing table, %s", w.prefix, w.domain, o.prefix, o.domain, o.name, tableName(table)),
					"give one of the domains a table of its own, as table: 100")
			}
			open = append(open, w)
		}
	}
}

// tableName is a table as the configuration writes it.
func tableName(table int) string {
	if table == mainTable {
		return "main"
	}
	return strconv.Itoa(table)
}

// leftAlone warns of what a domain without propagation does not do.
func (k *checker) leftAlone() {
	for i, d := range k.Domains {
		if !d.Propagate {
			k.warn(item("domains", i)+".propagate", fmt.Sprintf("domain %q leaves the host's routes alone: what leads into %s, and that its networks are unreachable while they are down, is up to you", d.Name, d.TUN), "")
		}
	}
}
