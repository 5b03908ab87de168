package datapath

import (
	"context"
	"time"
)

// watchEvery is how often the world around is looked at. What a router said of a route the kernel forgets some minutes
// later (RFC 1191 §6.3, RFC 8201 §4).
const watchEvery = time.Minute

// watch looks at routes, and at what has become of offloads, until ctx is done.
func (g *Gateway) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	had := g.began
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.reroute()
		have := g.offloads()
		for i, o := range have {
			if had[i].on && !o.on {
				g.cfg.Log.Warn("offload given up: the kernel refuses what it said it would take", "offload", o.name, "reason", o.why,
					"hint", "nothing is lost, but packets move more slowly; datapath.offloads switches it off from the start")
			}
		}
		had = have
	}
}

// GivenUp names the offloads, in the words of the configuration, that were in use when the Gateway was made and are not any
// more: nothing is lost by that, but packets move more slowly.
func (g *Gateway) GivenUp() (names []string) {
	for i, o := range g.offloads() {
		if g.began[i].on && !o.on {
			names = append(names, o.name)
		}
	}
	return names
}

// An offload is one that may be given up while packets move.
type offload struct {
	name string // as in the configuration
	why  string
	on   bool // everywhere
}

func (g *Gateway) offloads() [3]offload {
	tso, uso, gso := true, true, true
	for _, q := range g.queues {
		tcp, udp := q.joins()
		tso, uso = tso && tcp, uso && udp
	}
	for _, s := range g.sockets {
		for _, member := range s.group {
			gso = gso && (member.Offloads().GSO || s.port == 0)
		}
	}
	return [3]offload{
		{"tun_tso", "superpackets of TCP to the device", tso},
		{"tun_uso", "superpackets of UDP to the device", uso},
		{"udp_gso", "runs of datagrams, for want of checksums in a device or because of IPsec policy", gso},
	}
}
