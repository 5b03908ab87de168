package datapath

import "slices"

// A lot is activated Child SAs of a tunnel that share the same traffic, one for each worker (RFC 9611); a Child SA without a
// group is one by itself. It never changes and is never empty. A tunnel's stand in the order in which one of their children
// was last activated, that one first.
type lot []*child

// shares reports whether the child and those of l are for the same traffic.
func (l lot) shares(c *child) bool {
	return c.group != 0 && l[0].group == c.group && l[0].covers(c)
}

// covers reports whether two children have the same selectors.
func (c *child) covers(other *child) bool {
	return slices.Equal(c.local, other.local) && slices.Equal(c.remote, other.remote)
}

// with returns ready with c, last in its lot or in one of its own.
func with(ready []lot, c *child) []lot {
	own, out := lot{c}, []lot{nil}
	for _, l := range ready {
		if l.shares(c) {
			own = append(slices.Clone(l), c)
			continue
		}
		out = append(out, l)
	}
	out[0] = own
	return out
}

// without returns ready without the children that go.
func without(ready []lot, goes func(*child) bool) []lot {
	out := make([]lot, 0, len(ready)+1)
	for _, l := range ready {
		if l = slices.DeleteFunc(slices.Clone(l), goes); len(l) > 0 {
			out = append(out, l)
		}
	}
	return out
}
