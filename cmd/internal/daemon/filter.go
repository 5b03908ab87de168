package daemon

import (
	"twinbore/config"
	"twinbore/tunnel/datapath"
)

// protocols are the IP protocol numbers of the names that a filter rule may have.
var protocols = map[config.FilterProto]uint8{"": datapath.AnyProto, "any": datapath.AnyProto, "icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}

// filterOf translates a connection's filter (R47).
func filterOf(f config.Filter) datapath.Filter {
	rules := func(from []config.FilterRule) (to []datapath.FilterRule) {
		for _, r := range from {
			to = append(to, datapath.FilterRule{Deny: r.Action == "deny", Proto: protocols[r.Proto], FromPort: r.Ports.From, ToPort: r.Ports.To})
		}
		return to
	}
	return datapath.Filter{In: rules(f.In), Out: rules(f.Out)}
}
