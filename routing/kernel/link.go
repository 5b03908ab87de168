package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// A link is the wanted state of a domain's device, and what became of it.
type link struct {
	wanted bool // SetLink has told the following two; else the device is left as it is
	addrs  []netip.Prefix
	mtu    int // octets

	index int            // of the interface, as last seen; 0: not yet
	added []netip.Prefix // addresses that we gave to it
	raise raise
}

// addrGenNone is IN6_ADDR_GEN_MODE_NONE of linux/if_link.h.
const addrGenNone = 1

// SetLink gives the device of a domain these addresses and this MTU in octets, and sets it up. Addresses that others gave it
// stay.
func (k *Kernel) SetLink(domain string, addrs []netip.Prefix, mtu int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.cfg.Domains, func(d Domain) bool { return d.Name == domain })
	if i < 0 {
		return fmt.Errorf("kernel routes: there is no domain %q", domain)
	}
	l := k.devices[i]
	l.wanted, l.addrs, l.mtu = true, slices.Clone(addrs), mtu
	_, err := k.bringLink(l, k.cfg.Domains[i].Device)
	return err
}

// find returns the interface that l was, whatever it is called now, or else the one of that name, which is a new one.
func (k *Kernel) find(l *link, name string) (netlink.Link, error) {
	if l.index != 0 {
		if dev, err := k.nl.LinkByIndex(l.index); err == nil {
			return dev, nil
		}
	}
	dev, err := k.nl.LinkByName(name)
	if err == nil && dev.Attrs().Index != l.index {
		l.index, l.added, l.raise = dev.Attrs().Index, nil, raise{} // the addresses went with the one before
	}
	return dev, err
}

// bringLink brings a device to its wanted state, if one was told, and returns its name. The caller holds mu.
func (k *Kernel) bringLink(l *link, name string) (string, error) {
	dev, err := k.find(l, name)
	if errors.As(err, &netlink.LinkNotFoundError{}) && len(l.addrs) == 0 {
		l.added = nil // it is gone, and its addresses with it
		return name, nil
	}
	if err != nil {
		return name, fmt.Errorf("interface %s: %w", name, err)
	}
	name = dev.Attrs().Name
	if !l.wanted {
		return name, nil
	}
	var errs []error
	try := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %s: %w", name, what, err))
		}
	}
	down := dev.Attrs().Flags&net.FlagUp == 0
	if down {
		// Without an address of its own choice the kernel has no reason to send router solicitations into the tunnel. A
		// kernel without IPv6 refuses, and would not send any either.
		_ = k.nl.LinkSetIP6AddrGenMode(dev, addrGenNone)
	}
	if dev.Attrs().MTU != l.mtu {
		try(fmt.Sprintf("MTU %d", l.mtu), k.nl.LinkSetMTU(dev, l.mtu))
	}
	errs = append(errs, k.bringAddresses(l, dev)...)
	switch {
	case !down:
	case !l.raise.due(time.Now()):
		errs = append(errs, fmt.Errorf("interface %s: something else sets it down again and again; it is set up again, each time a little later", name))
	default:
		if l.raise.times > 0 {
			k.cfg.Log.Warn("device was set down by something else; it is set up again", "device", name)
		}
		l.raise.now(time.Now())
		try("setting it up", k.nl.LinkSetUp(dev))
	}
	return name, errors.Join(errs...)
}

// bringAddresses gives a device the addresses that it lacks, and takes those that we gave and that are not wanted any more.
func (k *Kernel) bringAddresses(l *link, dev netlink.Link) (errs []error) {
	try := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %s: %w", dev.Attrs().Name, what, err))
		}
	}
	var there []netlink.Addr
	err := dump(func() (err error) {
		there, err = k.nl.AddrList(dev, netlink.FAMILY_ALL)
		return err
	})
	if err != nil {
		try("reading its addresses", err)
		return errs
	}
	for _, a := range l.addrs {
		if slices.ContainsFunc(there, toAddr(a).Equal) && slices.Contains(l.added, a) {
			continue // replacing it would be one more change that a Watch tells of
		}
		err := k.nl.AddrReplace(dev, toAddr(a))
		try("address "+a.String(), err)
		if err == nil && !slices.Contains(l.added, a) {
			l.added = append(l.added, a)
		}
	}
	l.added = slices.DeleteFunc(l.added, func(a netip.Prefix) bool {
		if slices.Contains(l.addrs, a) {
			return false
		}
		err := k.nl.AddrDel(dev, toAddr(a))
		if errors.Is(err, unix.EADDRNOTAVAIL) { // someone else was faster
			return true
		}
		try("removing address "+a.String(), err)
		return err == nil
	})
	return errs
}

// How soon a device that something else sets down is set up again: at once, and then later each time, as long as it does not
// stay up for a while.
const (
	raiseAgain   = time.Second
	raiseSlowest = 30 * time.Second
	raiseStays   = time.Minute
)

// A raise remembers how often a device was set up.
type raise struct {
	times int
	last  time.Time
	pause time.Duration // after last
}

// due reports whether the device may be set up now.
func (r *raise) due(now time.Time) bool { return now.Sub(r.last) >= r.pause }

// now notes that it is.
func (r *raise) now(at time.Time) {
	switch {
	case r.times == 0:
	case at.Sub(r.last) >= raiseStays+r.pause:
		r.pause = 0
	default:
		r.pause = min(max(2*r.pause, raiseAgain), raiseSlowest)
	}
	r.times, r.last = r.times+1, at
}

func toAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // nobody else is on the link
	}
	return a
}
