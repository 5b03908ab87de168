package datapath

import (
	"fmt"
	"slices"

	"twinbore/tunnel/tun"
)

// DefaultDomain is the name of the domain that Config.Device belongs to.
const DefaultDomain = "default"

// A Domain is a routing table of its own with a device of its own. What comes by the device finds its way in this table
// only, and what comes by a tunnel leaves by the device of its connection's domain only: the same network may stand in
// two domains, and nothing gets from one to the other (F11).
type Domain struct {
	Name   string
	Device tun.Device
	Queues []tun.Device // the others of the device's queues
}

// A domain is one as the packet path knows it: its place among them is its number.
type domain struct {
	name   string
	queues []*device
}

// addDomain makes a domain's queues ready.
func (g *Gateway) addDomain(from Domain) error {
	switch {
	case from.Device == nil && from.Name == DefaultDomain:
		return fmt.Errorf("data path: no device")
	case from.Device == nil:
		return fmt.Errorf("data path: no device for domain %q", from.Name)
	case from.Name == "" || g.domainOf(from.Name) >= 0:
		return fmt.Errorf("data path: a domain needs a name of its own; %q is none", from.Name)
	}
	d := domain{name: from.Name}
	for _, q := range append([]tun.Device{from.Device}, from.Queues...) {
		one := new(device)
		one.init(q, &g.stats)
		d.queues = append(d.queues, one)
		g.queues = append(g.queues, one)
	}
	g.domains = append(g.domains, d)
	return nil
}

// domainOf returns the number of a domain, below 0 if there is none of this name. The default one has no need of a name.
func (g *Gateway) domainOf(name string) int {
	if name == "" {
		name = DefaultDomain
	}
	return slices.IndexFunc(g.domains, func(d domain) bool { return d.name == name })
}

// queueOf returns a worker's queue of a domain's device.
func (g *Gateway) queueOf(domain, worker int) *device {
	queues := g.domains[domain].queues
	return queues[worker%len(queues)]
}
