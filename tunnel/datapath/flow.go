package datapath

import "net/netip"

// A flowKey names a flow of TCP or UDP: packets of one flow meet the same decisions.
type flowKey struct {
	src, dst     netip.Addr
	sport, dport uint16
	proto        uint8
}

func (k *flowKey) has(p *packet) bool {
	return k.sport == p.sport && k.dport == p.dport && k.proto == p.proto && k.dst == p.dst && k.src == p.src && !p.hidden
}

// remember makes k the flow of p, unless p shows no flow.
func (k *flowKey) remember(p *packet) bool {
	if p.hidden || p.proto != protoTCP && p.proto != protoUDP {
		return false
	}
	*k = flowKey{p.src, p.dst, p.sport, p.dport, p.proto}
	return true
}
