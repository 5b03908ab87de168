package kernel

import (
	"fmt"
	"slices"
)

// A step is one change of the kernel's tables.
type step struct {
	del bool // else replace
	route
}

// String writes the step as the arguments of "ip route".
func (s step) String() string {
	if s.del {
		return "del " + s.route.String()
	}
	return "replace " + s.route.String()
}

// plan returns the steps from what is there to what is wanted: replacements in the order of want, then deletions of what
// is ours and not wanted. Routes of another protocol are not touched; those in the way become problems.
func (c Config) plan(have, want []route) ([]step, []*Problem) {
	there := map[key]route{}
	for _, r := range have {
		if other, taken := there[r.key]; taken && other.protocol != c.Protocol {
			continue // whatever else has this key, the foreign one is in the way
		}
		there[r.key] = r
	}
	var steps []step
	var problems []*Problem
	keep := map[key]bool{}
	for _, w := range want {
		keep[w.key] = true
		switch r, taken := there[w.key]; {
		case taken && r.protocol != c.Protocol:
			problems = append(problems, &Problem{c.domainOf(w), w.prefix, w.String(), fmt.Sprintf(
				"there is already %q, which is not ours; remove it or configure another metric", r)})
		case !taken || r != w:
			steps = append(steps, step{route: w})
		}
	}
	// The other way round than they came.
	for _, r := range c.lastFirst(have) {
		if r.protocol == c.Protocol && !keep[r.key] {
			steps = append(steps, step{del: true, route: r})
		}
	}
	return steps, problems
}

// domainOf returns the domain into whose device a route leads; "" for guards and pins.
func (c Config) domainOf(r route) string {
	if i := slices.IndexFunc(c.Domains, func(d Domain) bool { return d.Device == r.dev }); i >= 0 {
		return c.Domains[i].Name
	}
	return ""
}

// lastFirst puts routes into the devices first, then guards, then routes to peers.
func (c Config) lastFirst(routes []route) []route {
	rank := func(r route) int {
		switch {
		case r.unreachable:
			return 1
		case c.owns(r.dev):
			return 0
		}
		return 2
	}
	routes = slices.Clone(routes)
	slices.SortStableFunc(routes, func(a, b route) int { return rank(a) - rank(b) })
	return routes
}
