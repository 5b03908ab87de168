package tun

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Name asks the descriptor, which knows the interface after a rename too. Once the device is gone or closed the
// last name remains.
func (d *device) Name() string {
	if name, err := d.askName(); err == nil {
		d.name.Store(&name)
	}
	return *d.name.Load()
}

func (d *device) askName() (string, error) {
	ifr, err := unix.NewIfreq("")
	if err != nil {
		return "", err
	}
	var refused error
	if err := d.raw.Control(func(fd uintptr) { refused = unix.IoctlIfreq(int(fd), unix.TUNGETIFF, ifr) }); err != nil {
		return "", err
	}
	return ifr.Name(), refused
}

// MTU asks the kernel, because routing/kernel and operators change it. Once the device is gone or closed the last
// value remains.
func (d *device) MTU() int {
	if ifr, err := d.link(unix.SIOCGIFMTU, 0); err == nil {
		d.mtu.Store(int32(ifr.Uint32()))
	}
	return int(d.mtu.Load())
}

// readyMTU sets the MTU unless it is 0, and keeps what then holds.
func (d *device) readyMTU(mtu int) error {
	if mtu != 0 {
		if _, err := d.link(unix.SIOCSIFMTU, mtu); err != nil {
			return fmt.Errorf("TUN device %q: set the MTU to %d: %w", *d.name.Load(), mtu, err)
		}
	}
	ifr, err := d.link(unix.SIOCGIFMTU, 0)
	if err != nil {
		return fmt.Errorf("TUN device %q: read the MTU: %w", *d.name.Load(), err)
	}
	d.mtu.Store(int32(ifr.Uint32()))
	return nil
}

// Lost reads the interface's counter of what was not sent. Once the device is gone it is 0.
func (d *device) Lost() uint64 {
	l, err := netlink.LinkByName(d.Name())
	if err != nil || l.Attrs().Statistics == nil {
		return 0
	}
	return l.Attrs().Statistics.TxDropped
}

const (
	// queueLen is how many packets wait for Read. The kernel's own 500 are less than one burst of small packets.
	queueLen = 5000
	// superSegments is how many TCP segments of an MTU of 1500 become one UDP message of at most 65507 octets, sealed. A
	// superpacket of one more would cost a message of its own.
	superSegments = 44
)

// readyQueue sets the length of the queue and the size of superpackets. Where the kernel does not let it, that is
// slower, not wrong.
func (d *device) readyQueue() {
	d.link(unix.SIOCSIFTXQLEN, queueLen)
	if !d.offloads.TSO {
		return
	}
	if l, err := netlink.LinkByName(*d.name.Load()); err == nil {
		netlink.LinkSetGSOMaxSegs(l, superSegments)
	}
}

// link makes one request about the interface under its present name.
func (d *device) link(request uint, value int) (*unix.Ifreq, error) {
	ifr, err := unix.NewIfreq(d.Name())
	if err != nil {
		return nil, err
	}
	ifr.SetUint32(uint32(value))
	var refused error
	if err := d.ioctl.Control(func(fd uintptr) { refused = unix.IoctlIfreq(int(fd), request, ifr) }); err != nil {
		return nil, err
	}
	return ifr, refused
}
