package datapath

// AnyProto in a FilterRule matches every protocol.
const AnyProto = 0

// A Filter says which packets of a connection go on (R47): the first rule that matches decides, and what none matches
// passes. It keeps no state: the answers to what it lets through need a rule of their own where a rule denies them.
//
// Only the packet in hand is looked at. A later fragment has no ports, so that no rule with ports matches it, neither one that
// allows nor one that denies; rules without ports do. It is safe to let one pass whose first fragment was
// denied, for nothing can be put together without that one.
//
// What the two ends of a tunnel say to each other and Config.Control takes is not filtered, nor is what Send sends: a filter is
// about the networks, and must not take its own tunnel down.
type Filter struct {
	In  []FilterRule // from the peer
	Out []FilterRule // to the peer
}

// A FilterRule matches by protocol and port.
type FilterRule struct {
	Deny  bool
	Proto uint8 // IP protocol number, in IPv6 that of the upper layer; AnyProto: every one
	// FromPort to ToPort is the range of destination ports, TCP's or UDP's; a ToPort of 0 is no condition.
	FromPort, ToPort uint16
}

func (r *FilterRule) matches(p *packet) bool {
	switch {
	case r.Proto != AnyProto && r.Proto != p.proto:
		return false
	case r.ToPort == 0:
		return true
	}
	return !p.hidden && (p.proto == protoTCP || p.proto == protoUDP) && r.FromPort <= p.dport && p.dport <= r.ToPort
}

// denies reports whether rules hold a packet back. Most connections have none, and are asked nothing.
func denies(rules []FilterRule, p *packet) bool {
	for i := range rules {
		if rules[i].matches(p) {
			return rules[i].Deny
		}
	}
	return false
}
