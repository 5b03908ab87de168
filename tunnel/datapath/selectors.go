package datapath

import (
	"net/netip"

	"twinbore/esp"
)

// allows reports whether a packet that leaves may do so between the selectors local and remote (RFC 4301 §4.4.1).
// For a packet that arrives, the caller exchanges the two. An ICMP error passes if its addresses are inside,
// whatever protocol and ports the selectors name, and if the packet that it quotes might have come the other way
// (RFC 4301 §6.2): else a peer could tear down a connection that it never carried.
func (p *packet) allows(b []byte, local, remote []esp.Selector) bool {
	quote, isError := p.isICMPError()
	if !isError {
		return p.srcIn(local) && p.dstIn(remote)
	}
	if !addrIn(local, p.src) || !addrIn(remote, p.dst) || quote > p.length {
		return false
	}
	quoted, ok := parseHeaders(b[quote:p.length])
	return ok && quoted.srcIn(remote) && quoted.dstIn(local)
}

func (p *packet) srcIn(selectors []esp.Selector) bool {
	for i := range selectors {
		if p.hidden && selectors[i].ContainsOpaque(p.src, p.proto) || !p.hidden && selectors[i].Contains(p.src, p.proto, p.sport) {
			return true
		}
	}
	return false
}

func (p *packet) dstIn(selectors []esp.Selector) bool {
	for i := range selectors {
		if p.hidden && selectors[i].ContainsOpaque(p.dst, p.proto) || !p.hidden && selectors[i].Contains(p.dst, p.proto, p.dport) {
			return true
		}
	}
	return false
}

func addrIn(selectors []esp.Selector, addr netip.Addr) bool {
	for i := range selectors {
		s := &selectors[i]
		if s.From.BitLen() == addr.BitLen() && s.From.Compare(addr) <= 0 && addr.Compare(s.To) <= 0 {
			return true
		}
	}
	return false
}
