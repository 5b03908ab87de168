package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"

	"twinbore/config/secret"
)

// Diff returns what leads from one configuration to another. A connection that is not enabled is as if it were not there.
func Diff(old, new *Config) Plan {
	plan := Plan{Gateway: differ("", configKeys, old, new), Connections: []ConnectionChange{}}
	plan.Gateway = append(plan.Gateway, differ("gateway.", gatewayKeys, &old.Gateway, &new.Gateway)...)
	before, after := enabled(old), enabled(new)
	bound := boundAddresses(old)
	for i := range new.Connections {
		c := &new.Connections[i]
		if !c.Enabled {
			continue
		}
		change := ConnectionChange{Name: c.Name, Op: Added, Keys: []KeyChange{}}
		if was := before[c.Name]; was == nil {
			for i := range c.Tunnels {
				change.Tunnels = append(change.Tunnels, TunnelChange{Name: c.Tunnels[i].Name, Op: Added, Keys: []KeyChange{}})
			}
		} else {
			change = compare(was, c)
		}
		change.unbound(c, bound)
		if change.Op == Stays {
			plan.Unchanged++
		} else {
			plan.Connections = append(plan.Connections, change)
		}
	}
	for i := range old.Connections {
		if c := &old.Connections[i]; c.Enabled && after[c.Name] == nil {
			change := ConnectionChange{Name: c.Name, Op: Removed, Keys: []KeyChange{}}
			for _, t := range c.Tunnels {
				change.Tunnels = append(change.Tunnels, TunnelChange{Name: t.Name, Op: Removed, Keys: []KeyChange{}})
			}
			plan.Connections = append(plan.Connections, change)
		}
	}
	return plan
}

func enabled(c *Config) map[string]*Connection {
	out := make(map[string]*Connection, len(c.Connections))
	for i := range c.Connections {
		if c.Connections[i].Enabled {
			out[c.Connections[i].Name] = &c.Connections[i]
		}
	}
	return out
}

// compare finds what is different in a connection that stays.
func compare(old, new *Connection) ConnectionChange {
	out := ConnectionChange{Name: new.Name, Op: Stays, Keys: []KeyChange{}}
	if !reflect.DeepEqual(old, new) {
		out.Keys = differ("", connectionKeys, old, new)
	}
	var all Class
	for _, k := range out.Keys {
		out.Op, all = Changed, worse(all, k.Class)
	}
	for i := range new.Tunnels {
		t := &new.Tunnels[i]
		change := TunnelChange{Name: t.Name, Op: Added, Keys: []KeyChange{}}
		if was := slices.IndexFunc(old.Tunnels, func(o Tunnel) bool { return o.Name == t.Name }); was >= 0 {
			change.Op, change.Class = Stays, all
			for _, k := range differ("", tunnelKeys, &old.Tunnels[was], t) {
				change.Op, change.Class = Changed, worse(change.Class, k.Class)
				change.Keys = append(change.Keys, k)
			}
		}
		if change.Op != Stays {
			out.Op = Changed
		}
		out.Tunnels = append(out.Tunnels, change)
	}
	for _, t := range old.Tunnels {
		if !slices.ContainsFunc(new.Tunnels, func(n Tunnel) bool { return n.Name == t.Name }) {
			out.Op = Changed
			out.Tunnels = append(out.Tunnels, TunnelChange{Name: t.Name, Op: Removed, Keys: []KeyChange{}})
		}
	}
	return out
}

// differ compares by a table. Paths begin with prefix.
func differ[T any](prefix string, keys []key[T], old, new *T) []KeyChange {
	out := []KeyChange{}
	for _, k := range keys {
		if k.of == nil {
			continue
		}
		was, is := k.of(old), k.of(new)
		if reflect.DeepEqual(was, is) {
			continue
		}
		class := k.class
		if k.raise != nil {
			class = k.raise(old, new)
		}
		out = append(out, KeyChange{Key: prefix + k.name, Old: written(was), New: written(is), Class: class})
	}
	return out
}

// boundAddresses are our outside addresses that the gateway has sockets for; nil: every address that it has.
func boundAddresses(c *Config) []netip.Addr {
	if len(c.Gateway.Outside.Addresses) == 0 {
		return nil
	}
	out := slices.Clone(c.Gateway.Outside.Addresses)
	for _, conn := range c.Connections {
		for _, t := range conn.Tunnels {
			if conn.Enabled && t.Local.IsValid() {
				out = append(out, t.Local)
			}
		}
	}
	return out
}

// unbound finds the tunnels that would begin at an address that the gateway has no socket for.
func (c *ConnectionChange) unbound(to *Connection, bound []netip.Addr) {
	if bound == nil {
		return
	}
	for i := range to.Tunnels {
		local, change := to.Tunnels[i].Local, &c.Tunnels[i]
		if !local.IsValid() || slices.Contains(bound, local) {
			continue
		}
		change.Class = GatewayRestart
		if j := slices.IndexFunc(change.Keys, func(k KeyChange) bool { return k.Key == "local" }); j >= 0 {
			change.Keys[j].Class = GatewayRestart
			continue
		}
		change.Keys = append(change.Keys, KeyChange{Key: "local", Old: written(netip.Addr{}), New: local.String(), Class: GatewayRestart})
	}
}

// written is a value for a person, about as a file has it; empty for one of several parts. A reference to a secret is its place.
func written(v any) string {
	switch v := v.(type) {
	case secret.Ref:
		return v.String()
	case time.Duration:
		return span(v)
	case time.Time:
		return some(!v.IsZero(), v.Format(time.RFC3339))
	case netip.Addr:
		return some(v.IsValid(), v.String())
	case netip.Prefix:
		return some(v.IsValid(), v.String())
	case float64:
		return fmt.Sprintf("%g%%", v*100)
	}
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return ""
	case reflect.String:
		return some(r.String() != "", r.String())
	case reflect.Slice:
		var items []string
		for i := range r.Len() {
			items = append(items, written(r.Index(i).Interface()))
		}
		if slices.Contains(items, "") {
			return ""
		}
		return "[" + strings.Join(items, ", ") + "]"
	}
	return fmt.Sprint(v)
}

// some is a text, or that there is none.
func some(is bool, text string) string {
	if !is {
		return "none"
	}
	return text
}
