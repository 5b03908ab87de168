package transport

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"twinbore/esp"
)

// RouteMTU returns how many octets a packet may have on a path before this host or, with IPv6, a router on the way
// refuses it whole: the least of the interface's MTU, the route's, and what ICMPv6 has told the kernel. Of cfg only Interface and
// Mark are looked at. It asks the kernel and sends nothing.
func RouteMTU(cfg Config, path esp.Path) (int, error) {
	local, remote := path.Local.Addr().Unmap(), path.Remote.Addr().Unmap()
	family, level, option := unix.AF_INET, unix.IPPROTO_IP, unix.IP_MTU
	if remote.Is6() {
		family, level, option = unix.AF_INET6, unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("MTU of the route to %s: %w", remote, err)
	}
	defer unix.Close(fd)
	if cfg.Mark != 0 {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(cfg.Mark))
	}
	if cfg.Interface != "" && err == nil {
		err = unix.BindToDevice(fd, cfg.Interface)
	}
	if local.IsValid() && !local.IsUnspecified() && err == nil {
		err = unix.Bind(fd, sockaddr(local, 0))
	}
	if err == nil {
		err = unix.Connect(fd, sockaddr(remote, 4500)) // any port will do
	}
	mtu := 0
	if err == nil {
		mtu, err = unix.GetsockoptInt(fd, level, option)
	}
	if err != nil {
		return 0, fmt.Errorf("MTU of the route to %s: %w", remote, err)
	}
	return mtu, nil
}

func sockaddr(a netip.Addr, port int) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Port: port, Addr: a.As4()}
	}
	return &unix.SockaddrInet6{Port: port, Addr: a.As16()}
}
