package datapath

import (
	"net/netip"

	"twinbore/esp"
)

// asking is a connection without a Child SA, and the selectors of a packet that waits for one.
type asking struct {
	conn          *conn
	local, remote esp.Selector
}

// newAsking reads the selectors of the inner packet that b starts with: one protocol and, where they can be seen, one
// pair of ports (RFC 7296 §2.9). It is a rare packet, so that reading its headers once more costs nothing.
func newAsking(c *conn, b []byte) asking {
	p, _ := parse(b)
	one := func(a netip.Addr, port uint16) esp.Selector {
		s := esp.SelectorFor(netip.PrefixFrom(a, a.BitLen()))
		if s.Proto = p.proto; !p.hidden {
			s.FromPort, s.ToPort = port, port
		}
		return s
	}
	return asking{conn: c, local: one(p.src, p.sport), remote: one(p.dst, p.dport)}
}
