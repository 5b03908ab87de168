package datapath

import (
	"twinbore/esp"
	"twinbore/esp/protect"
)

const udpHeaderLen = 8

// InnerMTU returns the largest inner packet, in octets, whose ESP packet fits into path octets without being
// fragmented. outer6 says that the outer packet is IPv6, encap that ESP goes in UDP (RFC 3948). It is 0 for a path that is
// too small to carry anything.
func InnerMTU(path int, outer6, encap bool, alg *protect.Algorithm) int {
	if outer6 {
		path -= ipv6HeaderLen
	} else {
		path -= ipv4HeaderLen
	}
	if encap {
		path -= udpHeaderLen
	}
	return esp.MaxInner(alg, path)
}
