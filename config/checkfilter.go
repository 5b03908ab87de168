package config

import "fmt"

// filter finds rules that can do nothing (R47).
func (k *checker) filter(path string, c *Connection) {
	for _, way := range []struct {
		key   string
		rules []FilterRule
	}{{"in", c.Filter.In}, {"out", c.Filter.Out}} {
		all := -1 // the first rule that matches everything
		for i, r := range way.rules {
			at := item(path+".filter."+way.key, i)
			switch {
			case r.Ports != PortRange{} && (r.Proto == "icmp" || r.Proto == "icmpv6"):
				k.refuse(at+".port", fmt.Sprintf("%s has no ports", r.Proto), "leave port out, or set proto to tcp or udp")
			case all >= 0:
				k.warn(at, fmt.Sprintf("this rule is never reached: rule %d before it matches everything", all+1), "")
			case r.Ports == PortRange{} && (r.Proto == "" || r.Proto == "any"):
				all = i
			}
		}
	}
}
