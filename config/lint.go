package config

import (
	"fmt"
	"net/netip"
	"time"
)

// noticed is how long a dead tunnel may go on being used before that is worth a warning.
const noticed = 30 * time.Second

// redundancy warns of what looks like two ways and is one, and of a second way that is taken late (F23). What cannot be known
// from a configuration, such as whether two addresses share a cable, is not guessed at.
func (k *checker) redundancy(path string, c *Connection) {
	if !c.Enabled || len(c.Tunnels) < 2 {
		return
	}
	if addr, ok := commonEnd(c.Tunnels); ok && c.Role == RoleCustomer { // a customer's one address is what a cloud usually sees
		k.warn(path+".tunnels", fmt.Sprintf("all tunnels of connection %s end at %v: when that is gone, so are all of them", c.called(), addr),
			"ask the peer for a second address, as its provider has one for each tunnel")
	}
	on, lenient := c.KeepsAlive()
	asked := on && !lenient
	if budget := c.DPD.Interval * time.Duration(c.DPD.Retries); budget > noticed && c.DPD.Action != DPDNone && c.Routing == RoutingStatic && !asked {
		k.warn(path+".dpd", fmt.Sprintf("a dead peer is noticed after %s at the earliest when the tunnel is idle, and the other tunnel takes over no sooner", span(budget)),
			"dpd: {interval: 10s, retries: 3}, or keepalive: {mode: on}")
	}
	if c.DPD.Action == DPDNone && !asked {
		k.warn(path+".dpd.action", "a dead peer is not noticed by dpd, and the other tunnel takes over late", "action: restart, or keepalive: {mode: on}")
	}
	if c.Keepalive.Mode == KeepOff && c.Routing == RoutingStatic && k.has(path+".keepalive.mode") { // R26
		k.warn(path+".keepalive.mode", fmt.Sprintf("nothing pings through the tunnels of connection %s: IKE that is up does not mean that packets pass", c.called()),
			"keepalive: {mode: on} moves traffic when they do not")
	}
	if c.Lifetimes.Jitter == 0 && k.has(path+".lifetimes.jitter") {
		k.warn(path+".lifetimes.jitter", "both tunnels, and both ends, replace their keys at the same moments", "jitter: 4% spreads them")
	}
	if c.HA.PreemptAfter == 0 && k.has(path+".ha.preempt_after") {
		k.warn(path+".ha.preempt_after", "traffic returns to the preferred tunnel as soon as that is up, and moves each time when it comes and goes", "preempt_after: 30s waits until it has stayed up")
	}
}

// commonEnd returns the one address that all tunnels lead to. Two that come from one address of ours as well are refused
// anyway.
func commonEnd(tunnels []Tunnel) (netip.Addr, bool) {
	from := map[netip.Addr]bool{}
	for _, t := range tunnels {
		if from[t.Local] || !t.Remote.Addr.IsValid() || t.Remote != tunnels[0].Remote {
			return netip.Addr{}, false
		}
		from[t.Local] = true
	}
	return tunnels[0].Remote.Addr, true
}

// sharedEnds warns of a backup whose peer is at an address of the connection that it stands in for (R29).
func (k *checker) sharedEnds() {
	for i := range k.Connections {
		c := &k.Connections[i]
		j := k.find(c.HA.BackupOf)
		if j < 0 || j == i || !c.Enabled || !k.Connections[j].Enabled {
			continue
		}
		for n, t := range c.Tunnels {
			for _, other := range k.Connections[j].Tunnels {
				if t.Remote.Addr.IsValid() && t.Remote == other.Remote {
					k.warn(item(item("connections", i)+".tunnels", n)+".remote", fmt.Sprintf("%v is the address of connection %q as well, whose backup this is: when it is gone, so are both", t.Remote, c.HA.BackupOf),
						"the two devices of a redundant pair have an address each")
					break
				}
			}
		}
	}
}
