package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"syscall"

	"twinbore/config"
	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
	"twinbore/routing/kernel"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// inside is where plain packets come from and go to: a device for each domain.
type inside struct {
	mode   string // tun | memory
	device tun.Device
	queues []tun.Device      // the device's others
	others []datapath.Domain // but the default one
	names  []string          // of the interfaces; none in memory
	host   host              // nil: the host is left alone
}

// openInside takes the devices it is given, or makes a TUN device for each domain, with its addresses. One that somebody
// deletes is made again.
func openInside(cfg *config.Config, opts Options, opened *cleanup) (inside, error) {
	if opts.Device != nil {
		in := inside{mode: "memory", device: opts.Device}
		for _, d := range cfg.Domains {
			if d.Name == datapath.DefaultDomain {
				continue
			}
			if opts.Domains[d.Name] == nil {
				return inside{}, fmt.Errorf("domain %q has no device", d.Name)
			}
			in.others = append(in.others, datapath.Domain{Name: d.Name, Device: opts.Domains[d.Name]})
		}
		return in, nil
	}
	if err := tun.Available(); err != nil {
		return inside{}, fmt.Errorf("%w (hint: run as root, or with CAP_NET_ADMIN and access to /dev/net/tun)", err)
	}
	in := inside{mode: "tun"}
	routes := cfg.Gateway.Datapath.TUN.Routes
	host := kernel.Config{Protocol: routes.Protocol, Metric: int(routes.Metric), Log: opts.Log}
	var links []func(*kernel.Kernel) error
	for _, d := range cfg.Domains {
		addrs, mtu := linkOf(cfg, d.Name)
		all, err := openDevice(cfg.Gateway.Datapath, d.TUN, mtu, opts)
		if err != nil {
			return inside{}, err
		}
		for _, q := range all {
			opened.add(q.Close)
		}
		name := all[0].Name()
		in.names = append(in.names, name)
		if d.Name == datapath.DefaultDomain {
			in.device, in.queues = all[0], all[1:]
		} else {
			in.others = append(in.others, datapath.Domain{Name: d.Name, Device: all[0], Queues: all[1:]})
		}
		host.Domains = append(host.Domains, kernel.Domain{Name: d.Name, Device: name, Table: d.Table, Sources: sourcesIn(cfg.Local(d.Name), ownAddresses())})
		links = append(links, func(k *kernel.Kernel) error { return k.SetLink(d.Name, addrs, mtu) })
	}
	k, err := kernel.New(host)
	if err != nil {
		return inside{}, err
	}
	opened.add(k.Close)
	for _, set := range links {
		if err := set(k); err != nil {
			return inside{}, err
		}
	}
	in.host = k
	return in, nil
}

// openDevice makes the device of a domain and returns its queues.
func openDevice(cfg config.Datapath, name string, mtu int, opts Options) ([]tun.Device, error) {
	use := cfg.Offloads
	_, queues := workers(cfg, opts)
	return tun.OpenLasting(tun.Config{Name: name, MTU: mtu, NoTSO: !use.Allowed(use.TUNTSO), NoUSO: !use.Allowed(use.TUNUSO)}, queues,
		deviceReturns(opts.Log, name))
}

// deviceReturns says what becomes of a device that somebody deleted. The host's routes into it come back by themselves: the change
// stirs them.
func deviceReturns(log *slog.Logger, name string) func(error) {
	return func(err error) {
		if err != nil {
			log.Error("the device was deleted and cannot be made again yet", "device", name, "err", err)
			return
		}
		log.Warn("the device was deleted by somebody and is there again", "device", name)
	}
}

// forward looks at what else the host needs in order to forward packets, or sees to it.
func forward(how config.Forwarding, devices []string, log *slog.Logger) error {
	said := map[string]bool{}
	for _, device := range devices {
		switch how {
		case config.ForwardingEnable:
			if err := kernel.EnableForwarding(device); err != nil {
				return err
			}
		case config.ForwardingCheck:
			for _, warning := range kernel.CheckForwarding(device) {
				if !said[warning] {
					said[warning] = true
					log.Warn("the host may not forward packets", "hint", warning)
				}
			}
		}
	}
	return nil
}

// insideAddresses are those of our ends of the tunnels.
func insideAddresses(conns []config.Connection) []netip.Prefix {
	var out []netip.Prefix
	for _, c := range conns {
		for _, t := range c.Tunnels {
			if t.Inside.IsValid() && !slices.Contains(out, t.Inside) {
				out = append(out, t.Inside)
			}
		}
	}
	return out
}

// sourcesIn picks, for each family, the first of this host's addresses that lies in the gateway's networks: packets of
// the gateway itself have it as source, because the peer expects nothing from elsewhere.
func sourcesIn(networks []netip.Prefix, own []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, a := range own {
		mine := slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(a) })
		if mine && !slices.ContainsFunc(out, func(o netip.Addr) bool { return o.Is4() == a.Is4() }) {
			out = append(out, a)
		}
	}
	return out
}

const (
	ethernetMTU = 1500 // octets
	maxOverhead = 128  // octets around an inner packet: IPv6, UDP, ESP, IV, padding and tag come to 121 at most
)

// pathMTU is how many octets of an outer packet the path to a connection's peers takes: what is known of the provider's, and
// Ethernet's otherwise. It is larger where the device is made for larger packets: who asks for those has the network for them.
func pathMTU(c config.Connection, device config.TUN) int {
	if c.PathMTU != 0 {
		return c.PathMTU
	}
	if device.MTU > ethernetMTU {
		return device.MTU + maxOverhead
	}
	return ethernetMTU
}

// deviceMTU is what fits through every tunnel, whichever of the offered suites is chosen, in UDP or not. Larger packets
// than a tunnel takes are answered by the data path, which knows its suite.
func deviceMTU(conns []config.Connection) int {
	mtu := ethernetMTU
	for _, c := range conns {
		path := pathMTU(c, config.TUN{})
		for _, t := range c.Tunnels {
			outer6 := t.Remote.Addr.Is6() || t.Remote.Host != ""
			for _, alg := range algorithmsOf(c.ESP) {
				mtu = min(mtu, datapath.InnerMTU(path, outer6, c.Encap != config.EncapNever, alg))
			}
		}
	}
	return max(mtu, 1280) // IPv6 needs it (RFC 8200 §5)
}

// algorithmsOf returns every protection that proposals can lead to: what a peer would get that offers each cipher
// with each integrity transform alone.
func algorithmsOf(proposals []suite.Proposal) []*protect.Algorithm {
	var out []*protect.Algorithm
	spi := []byte{0, 0, 1, 0} // any that may be used
	for _, o := range suite.Offer(proposals, wire.ProtoESP, spi, suite.WithoutGroups) {
		kinds := map[wire.TransformType][]wire.Transform{}
		for _, t := range o.Transforms {
			kinds[t.Type] = append(kinds[t.Type], t)
		}
		integrity := kinds[wire.TransformINTEG]
		if len(integrity) == 0 {
			integrity = []wire.Transform{{}} // an AEAD needs none
		}
		for _, encr := range kinds[wire.TransformENCR] {
			for _, integ := range integrity {
				one := o
				one.Number = 1
				one.Transforms = append([]wire.Transform{encr}, kinds[wire.TransformESN]...)
				if integ.Type == wire.TransformINTEG {
					one.Transforms = append(one.Transforms, integ)
				}
				chosen, err := suite.Select(proposals, &wire.SA{Proposals: []wire.Proposal{one}}, wire.ProtoESP, suite.SelectOptions{})
				if err == nil {
					out = append(out, chosen.Suite.Algorithm)
				}
			}
		}
	}
	return out
}

// openOutside opens the sockets: for each address of ours one on the IKE port, and on the NAT traversal port one for each
// worker. Without
// addresses every address of both families is ours; a host without IPv6 does without.
func openOutside(g config.Gateway, conns []config.Connection, opts Options, opened *cleanup) ([]datapath.Socket, error) {
	listen := transport.ListenGroup
	if opts.Listen != nil {
		listen = func(c transport.Config, _ int) ([]transport.Socket, error) {
			s, err := opts.Listen(c)
			return []transport.Socket{s}, err
		}
	}
	packets, _ := workers(g.Datapath, opts)
	cfg, use := g.Outside, g.Datapath.Offloads
	addrs, fixed := outsideAddrs(cfg, conns)
	var out []datapath.Socket
	for _, a := range addrs {
		for _, port := range []uint16{cfg.IKEPort, cfg.NATTPort} {
			n := 1
			if port == cfg.NATTPort {
				n = packets
			}
			group, err := listen(transport.Config{Addr: netip.AddrPortFrom(a, port), Interface: cfg.Interface,
				NoGSO: !use.Allowed(use.UDPGSO), NoGRO: !use.Allowed(use.UDPGRO)}, n)
			if !fixed && a.Is6() && errors.Is(err, syscall.EAFNOSUPPORT) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for _, s := range group {
				opened.add(s.Close)
				out = append(out, datapath.Socket{Socket: s, Addr: a})
			}
		}
	}
	return out, nil
}

// routeMTU asks the kernel about routes, unless the network is not the kernel's.
func routeMTU(cfg config.Outside, opts Options) func(esp.Path) int {
	if opts.Listen != nil {
		return nil
	}
	return func(path esp.Path) int {
		mtu, err := transport.RouteMTU(transport.Config{Interface: cfg.Interface}, path)
		if err != nil {
			return 0 // there is no route at present
		}
		return mtu
	}
}

// outsideAddrs returns the addresses to bind to. With an address configured for the gateway these are all that
// it and the tunnels name; without one it is every address there is.
func outsideAddrs(cfg config.Outside, conns []config.Connection) (addrs []netip.Addr, fixed bool) {
	if len(cfg.Addresses) == 0 {
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, false
	}
	addrs = slices.Clone(cfg.Addresses)
	for _, c := range conns {
		for _, t := range c.Tunnels {
			if t.Local.IsValid() && !slices.Contains(addrs, t.Local) {
				addrs = append(addrs, t.Local)
			}
		}
	}
	return addrs, true
}
