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

// A link is the wanted state of the device.
type link struct {
	addrs []netip.Prefix
	mtu   int
}

// addrGenNone is IN6_ADDR_GEN_MODE_NONE of linux/if_link.h.
const addrGenNone = 1

// SetLink gives the device these addresses and this MTU in octets, and sets it up. Addresses that others gave it stay.
func (k *Kernel) SetLink(addrs []netip.Prefix, mtu int) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.link = &link{addrs: slices.Clone(addrs), mtu: mtu}
	return k.bringLink()
}

// bringLink brings the device to its wanted state, if one was told. The caller holds mu.
func (k *Kernel) bringLink() error {
	if k.link == nil {
		return nil
	}
	dev, err := k.nl.LinkByName(k.cfg.Device)
	if errors.As(err, &netlink.LinkNotFoundError{}) && len(k.link.addrs) == 0 {
		k.added = nil // it is gone, and its addresses with it
		return nil
	}
	if err != nil {
		return fmt.Errorf("interface %s: %w", k.cfg.Device, err)
	}
	var errs []error
	try := func(what string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("interface %s: %s: %w", k.cfg.Device, what, err))
		}
	}
	if dev.Attrs().Flags&net.FlagUp == 0 {
		// Without an address of its own choice the kernel has no reason to send router solicitations into the tunnel. A
		// kernel without IPv6 refuses, and would not send any either.
		_ = k.nl.LinkSetIP6AddrGenMode(dev, addrGenNone)
	}
	if dev.Attrs().MTU != k.link.mtu {
		try(fmt.Sprintf("MTU %d", k.link.mtu), k.nl.LinkSetMTU(dev, k.link.mtu))
	}
	there, err := k.nl.AddrList(dev, netlink.FAMILY_ALL)
	try("reading its addresses", err)
	for _, a := range k.link.addrs {
		if slices.ContainsFunc(there, toAddr(a).Equal) && slices.Contains(k.added, a) {
			continue // replacing it would be one more change that a Watch tells of
		}
		err := k.nl.AddrReplace(dev, toAddr(a))
		try("address "+a.String(), err)
		if err == nil && !slices.Contains(k.added, a) {
			k.added = append(k.added, a)
		}
	}
	k.added = slices.DeleteFunc(k.added, func(a netip.Prefix) bool {
		if slices.Contains(k.link.addrs, a) {
			return false
		}
		err := k.nl.AddrDel(dev, toAddr(a))
		if errors.Is(err, unix.EADDRNOTAVAIL) { // someone else was faster
			return true
		}
		try("removing address "+a.String(), err)
		return err == nil
	})
	if dev.Attrs().Flags&net.FlagUp == 0 {
		try("setting it up", k.nl.LinkSetUp(dev))
	}
	return errors.Join(errs...)
}

func toAddr(p netip.Prefix) *netlink.Addr {
	a := &netlink.Addr{IPNet: &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}}
	if p.Addr().Is6() {
		a.Flags = unix.IFA_F_NODAD // nobody else is on the link
	}
	return a
}
