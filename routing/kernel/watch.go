package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle is how long changes are gathered before they are told: an address goes and another comes in one breath.
const settle = 50 * time.Millisecond

// groups are what a Watch listens to.
var groups = []int{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE}

// A Watch hears of changes of the host's network. It says that there was one, not what: whoever is told looks for himself.
// So when the kernel had to drop what it wanted to tell (ENOBUFS), that is one more change and nothing is lost.
type Watch struct {
	socket   *os.File
	protocol int
	settle   time.Duration
}

// NewWatch begins to listen in the network namespace of the calling thread, for which it needs no privilege. Routes that
// are new and carry protocol are ours and no news; that one was taken away is.
func NewWatch(protocol int) (*Watch, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("watching the host's network: %w", err)
	}
	w := &Watch{socket: os.NewFile(uintptr(fd), "rtnetlink"), protocol: protocol, settle: settle}
	err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	for _, g := range groups {
		if err == nil {
			err = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, g)
		}
	}
	if err != nil {
		w.socket.Close()
		return nil, fmt.Errorf("watching the host's network: %w", err)
	}
	return w, nil
}

// Run calls changed when interfaces, addresses or routes have changed, not more often than each 50 ms. It returns nil when
// ctx is done, and otherwise why it cannot go on; either way the Watch is over.
func (w *Watch) Run(ctx context.Context, changed func()) error {
	defer w.socket.Close()
	defer context.AfterFunc(ctx, func() { w.socket.Close() })()
	buf := make([]byte, 64<<10)
	pending := false
	for {
		n, err := w.socket.Read(buf)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			err = w.socket.SetReadDeadline(time.Time{})
			pending = false
			changed()
		case err != nil && !errors.Is(err, unix.ENOBUFS):
		case !pending && (err != nil || news(buf[:n], w.protocol)):
			err = w.socket.SetReadDeadline(time.Now().Add(w.settle))
			pending = true
		default:
			err = nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("watching the host's network: %w", err)
		}
	}
}

// rtmProtocol is where struct rtmsg of linux/rtnetlink.h has its protocol.
const rtmProtocol = 5

// news reports whether one of the messages in b is a change that is not our own. What cannot be read is one.
func news(b []byte, protocol int) bool {
	list, err := syscall.ParseNetlinkMessage(b)
	if err != nil || len(list) == 0 {
		return true
	}
	for _, m := range list {
		if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) <= rtmProtocol || int(m.Data[rtmProtocol]) != protocol {
			return true
		}
	}
	return false
}

// Carriers returns the addresses, of this network namespace, of interfaces that are up and have a carrier: those that packets
// can leave with.
func Carriers() ([]netip.Addr, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's interfaces: %w", err)
	}
	running := map[int]bool{}
	for _, l := range links {
		running[l.Attrs().Index] = l.Attrs().RawFlags&unix.IFF_RUNNING != 0
	}
	addrs, err := netlink.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("reading the kernel's addresses: %w", err)
	}
	var out []netip.Addr
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && running[a.LinkIndex] {
			out = append(out, addr.Unmap())
		}
	}
	return out, nil
}
