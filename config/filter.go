package config

import "strings"

// Filter is a stateless packet filter; In is what comes from the peer, Out what goes there. What no rule matches
// passes.
type Filter struct{ In, Out []FilterRule }

// A FilterRule matches by protocol and port; the first that matches decides.
type FilterRule struct {
	Action FilterAction
	Proto  FilterProto
	Ports  PortRange
}

// A FilterAction is allow or deny, a FilterProto the name of a protocol or any.
type (
	FilterAction string
	FilterProto  string
)

// A PortRange is the ports from From to To; the zero value means any.
type PortRange struct{ From, To uint16 }

var filterKind = object(
	at("in", list(filterRuleKind), func(f *Filter) *[]FilterRule { return &f.In }, "rules for what comes from the peer"),
	at("out", list(filterRuleKind), func(f *Filter) *[]FilterRule { return &f.Out }, "rules for what goes to the peer"),
)

var filterRuleKind = object(
	must(at("action", choice[FilterAction]("allow", "deny"), func(f *FilterRule) *FilterAction { return &f.Action }, "what happens to a packet that matches")),
	at("proto", choice[FilterProto]("any", "tcp", "udp", "icmp", "icmpv6"), func(f *FilterRule) *FilterProto { return &f.Proto }, "protocol"),
	at("port", portRange, func(f *FilterRule) *PortRange { return &f.Ports }, "destination port, or a range of them"),
)

var portRange = scalar("a port as 22, or ports as 8000-8100",
	schema{"anyOf": []schema{{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}}},
	func(s string) (PortRange, error) {
		from, to, isRange := strings.Cut(s, "-")
		if !isRange {
			to = from
		}
		low, err := decimal(from)
		high, err2 := decimal(to)
		if err != nil || err2 != nil || low < 1 || low > high || high > 65535 {
			return PortRange{}, &misfit{}
		}
		return PortRange{uint16(low), uint16(high)}, nil
	})
