package config

import (
	"fmt"
	"slices"
	"strings"
)

// A Class says what a change costs while the gateway runs.
type Class string

// The classes, the least first.
const (
	InPlace        Class = "in place"        // no SA is touched
	Rekey          Class = "rekey"           // new keys for the SAs there are; no packet is lost
	TunnelRestart  Class = "tunnel restart"  // the tunnel's SAs are deleted at the peer and made anew
	GatewayRestart Class = "gateway restart" // only another process can do it: a reload refuses it
)

var classes = []Class{"", InPlace, Rekey, TunnelRestart, GatewayRestart}

// worse returns the class that costs more.
func worse(a, b Class) Class { return classes[max(slices.Index(classes, a), slices.Index(classes, b))] }

// An Op says what becomes of a connection or a tunnel.
type Op string

// What becomes of it.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
	Stays   Op = "stays"
)

// A Plan is what leads from one configuration to another. It holds no secret: of a reference to one it tells the place.
type Plan struct {
	Gateway     []KeyChange        `json:"gateway"`     // of what is not a connection's; Key is the whole path
	Connections []ConnectionChange `json:"connections"` // those that stay as they are left out; the new order, then what is removed
	Unchanged   int                `json:"unchanged"`   // connections
}

// A ConnectionChange is what becomes of one connection.
type ConnectionChange struct {
	Name    string         `json:"name"`
	Op      Op             `json:"op"`
	Keys    []KeyChange    `json:"keys"`    // of the connection itself, with Changed
	Tunnels []TunnelChange `json:"tunnels"` // every one, those that stay, too
}

// A TunnelChange is what becomes of one tunnel. Class counts the keys of its connection, too; empty: nothing.
type TunnelChange struct {
	Name  string      `json:"name"`
	Op    Op          `json:"op"`
	Keys  []KeyChange `json:"keys"`
	Class Class       `json:"class"`
}

// A KeyChange is one key with another value. Key is its path below what it belongs to, as the file has it. Values are for a person.
type KeyChange struct {
	Key   string `json:"key"`
	Old   string `json:"old"`
	New   string `json:"new"`
	Class Class  `json:"class"`
}

// Empty reports whether there is nothing to do.
func (p Plan) Empty() bool { return len(p.Gateway) == 0 && len(p.Connections) == 0 }

// Count returns how many connections have this Op.
func (p Plan) Count(op Op) int {
	n := 0
	for _, c := range p.Connections {
		if c.Op == op {
			n++
		}
	}
	return n
}

// Refused returns the paths of the keys that only a restart of the gateway can change.
func (p Plan) Refused() []string {
	var out []string
	add := func(under string, keys []KeyChange) {
		for _, k := range keys {
			if k.Class == GatewayRestart {
				out = append(out, under+k.Key)
			}
		}
	}
	add("", p.Gateway)
	for _, c := range p.Connections {
		add("connections."+c.Name+".", c.Keys)
		for _, t := range c.Tunnels {
			add("connections."+c.Name+".tunnels."+t.Name+".", t.Keys)
		}
	}
	return out
}

// Summary counts the connections in one line.
func (p Plan) Summary() string {
	return fmt.Sprintf("connections: %d added, %d removed, %d changed, %d unchanged", p.Count(Added), p.Count(Removed), p.Count(Changed), p.Unchanged)
}

// String is the plan for a person, one change a line, with a newline at the end of each; empty for an empty plan.
//
//	~ aws-prod/2 psk (file old.psk to file new.psk) → restart tunnel 2 (tunnel 1 stays)
func (p Plan) String() string {
	var b strings.Builder
	for _, k := range p.Gateway {
		effect := "in place"
		if k.Class == GatewayRestart {
			effect = "needs a restart of the gateway"
		}
		fmt.Fprintf(&b, "~ %v → %s\n", k, effect)
	}
	for _, c := range p.Connections {
		c.write(&b)
	}
	return b.String()
}

func (k KeyChange) String() string {
	if k.Old == k.New || k.Old == "" || k.New == "" { // two secrets at one place, or something of several parts
		return k.Key
	}
	return fmt.Sprintf("%s (%s to %s)", k.Key, k.Old, k.New)
}

func (c ConnectionChange) write(b *strings.Builder) {
	switch c.Op {
	case Added:
		fmt.Fprintf(b, "+ %s (%s)\n", c.Name, plural(len(c.Tunnels), "tunnel"))
		for _, t := range c.Tunnels {
			t.writeKeys(b, c)
		}
		return
	case Removed:
		fmt.Fprintf(b, "- %s (%s)\n", c.Name, plural(len(c.Tunnels), "tunnel"))
		return
	}
	var staying []string
	for _, t := range c.Tunnels {
		if t.Op == Changed || t.Op == Stays {
			staying = append(staying, t.Name)
		}
	}
	for _, k := range c.Keys {
		fmt.Fprintf(b, "~ %s %v → %s\n", c.Name, k, k.Class.on(staying))
	}
	for _, t := range c.Tunnels {
		switch t.Op {
		case Added:
			fmt.Fprintf(b, "+ %s/%s\n", c.Name, t.Name)
		case Removed:
			fmt.Fprintf(b, "- %s/%s\n", c.Name, t.Name)
		}
		t.writeKeys(b, c)
	}
}

// writeKeys tells what a tunnel's own keys cost, and which tunnels they leave alone.
func (t TunnelChange) writeKeys(b *strings.Builder, c ConnectionChange) {
	var others []string
	for _, o := range c.Tunnels {
		if o.Name != t.Name && o.Op != Removed && o.Class != TunnelRestart {
			others = append(others, o.Name)
		}
	}
	for _, k := range t.Keys {
		stay := ""
		if k.Class == TunnelRestart && len(others) == 1 {
			stay = " (tunnel " + others[0] + " stays)"
		} else if k.Class == TunnelRestart && len(others) > 1 {
			stay = " (tunnels " + strings.Join(others, ", ") + " stay)"
		}
		fmt.Fprintf(b, "~ %s/%s %v → %s%s\n", c.Name, t.Name, k, k.Class.on([]string{t.Name}), stay)
	}
}

// on says what a class means for these tunnels.
func (c Class) on(tunnels []string) string {
	switch {
	case c == GatewayRestart:
		return "needs a restart of the gateway"
	case c == InPlace || len(tunnels) == 0:
		return "in place"
	case c == Rekey && len(tunnels) == 1:
		return "rekey tunnel " + tunnels[0]
	case c == Rekey:
		return "rekey tunnels " + strings.Join(tunnels, ", ")
	}
	return "restart tunnel " + strings.Join(tunnels, ", then tunnel ")
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
