package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// dumpTries is how often a dump is tried that the kernel interrupts because what it tells of changes meanwhile.
const dumpTries = 3

// dump reads, and reads again when the answer may have holes.
func dump(read func() error) (err error) {
	for range dumpTries {
		if err = read(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	return err
}

// routes reads the tables: all routes of ours, and those of others that have the prefix of a wanted one or lead to a
// peer. The rest, which may be a million, is not kept.
func (k *Kernel) routes() (ours, others []route, err error) {
	names, err := k.links()
	if err != nil {
		return nil, nil, err
	}
	prefixes := map[netip.Prefix]bool{}
	for _, w := range k.want {
		prefixes[w.Prefix.Masked()] = true
	}
	concerns := func(r route) bool {
		return prefixes[r.prefix] || slices.ContainsFunc(k.peers, r.prefix.Contains)
	}
	err = dump(func() error {
		ours, others = nil, nil
		return k.nl.RouteListFilteredIter(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE,
			func(r netlink.Route) bool {
				got, ok := fromNetlink(&r, names)
				switch {
				case !ok:
				case got.protocol == k.cfg.Protocol:
					ours = append(ours, got)
				case k.cfg.looksInto(got.table) && concerns(got):
					others = append(others, got)
				}
				return true
			})
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the kernel's routes: %w", err)
	}
	return ours, others, nil
}

// links returns the names of the interfaces by index.
func (k *Kernel) links() (map[int]string, error) {
	var all []netlink.Link
	err := dump(func() (err error) {
		all, err = k.nl.LinkList()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's interfaces: %w", err)
	}
	names := map[int]string{}
	for _, l := range all {
		names[l.Attrs().Index] = l.Attrs().Name
	}
	return names, nil
}

// do makes one change.
func (k *Kernel) do(s step) error {
	r, err := k.toNetlink(s.route)
	switch {
	case err == nil && s.del:
		err = k.nl.RouteDel(r)
	case err == nil:
		return k.nl.RouteReplace(r)
	}
	if s.del && (errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENODEV) || errors.As(err, &netlink.LinkNotFoundError{})) {
		return nil // it went by itself, with its device
	}
	return err
}

func (k *Kernel) toNetlink(r route) (*netlink.Route, error) {
	out := &netlink.Route{
		Dst:      &net.IPNet{IP: r.prefix.Addr().AsSlice(), Mask: net.CIDRMask(r.prefix.Bits(), r.prefix.Addr().BitLen())},
		Table:    r.table,
		Priority: r.metric,
		Protocol: netlink.RouteProtocol(r.protocol),
		Type:     unix.RTN_UNICAST,
	}
	if r.unreachable {
		out.Type = unix.RTN_UNREACHABLE
		return out, nil
	}
	dev, err := k.nl.LinkByName(r.dev)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", r.dev, err)
	}
	out.LinkIndex = dev.Attrs().Index
	if r.via.IsValid() {
		out.Gw = r.via.AsSlice()
	} else if r.prefix.Addr().Is4() {
		out.Scope = unix.RT_SCOPE_LINK
	}
	if r.src.IsValid() {
		out.Src = r.src.AsSlice()
	}
	return out, nil
}

// fromNetlink reports false for a route that is none of unicast and unreachable, or no IP route.
func fromNetlink(r *netlink.Route, names map[int]string) (route, bool) {
	if r.Type != unix.RTN_UNICAST && r.Type != unix.RTN_UNREACHABLE || r.Family != unix.AF_INET && r.Family != unix.AF_INET6 {
		return route{}, false
	}
	out := route{
		key:         key{r.Table, prefixOf(r.Dst, r.Family), r.Priority},
		unreachable: r.Type == unix.RTN_UNREACHABLE,
		protocol:    int(r.Protocol),
	}
	if src, ok := netip.AddrFromSlice(r.Src); ok {
		out.src = src.Unmap()
	}
	if out.unreachable { // IPv6 gives these the loopback device
		return out, true
	}
	index, gw := r.LinkIndex, r.Gw
	if len(r.MultiPath) > 0 {
		index, gw = r.MultiPath[0].LinkIndex, r.MultiPath[0].Gw
	}
	out.dev = names[index]
	if via, ok := netip.AddrFromSlice(gw); ok {
		out.via = via.Unmap()
	}
	return out, true
}

func prefixOf(dst *net.IPNet, family int) netip.Prefix {
	if dst == nil {
		if family == unix.AF_INET6 {
			return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	ones, _ := dst.Mask.Size()
	addr, _ := netip.AddrFromSlice(dst.IP)
	if family == unix.AF_INET {
		addr = addr.Unmap()
	}
	return netip.PrefixFrom(addr, ones)
}
