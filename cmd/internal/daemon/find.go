package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	"twinbore/esp"
	"twinbore/tunnel"
)

// A finder looks for the outer addresses of an attempt, away from the loop: a resolver may take its time. A host name
// is asked for anew at each attempt, and never for a tunnel that lives (EV-15). Of several addresses each attempt
// takes the one after that of the attempt before, as long as they fail.
type finder struct {
	lookup    func(ctx context.Context, host string) ([]netip.Addr, error)
	route     func(remote netip.Addr) (netip.Addr, error) // our address for packets to remote
	localPort uint16                                      // IKE's
	peerPort  uint16
	running   *sync.WaitGroup // the daemon's
}

// find posts a found to mail, at once or later.
func (f *finder) find(ctx context.Context, e *end, number int, mail *mailbox) {
	if e.remote == "" {
		mail.post(found{end: e, number: number, reason: tunnel.WaitingForPeer, hint: "remote: any, the peer has to begin"})
		return
	}
	if addr, err := netip.ParseAddr(e.remote); err == nil {
		mail.post(f.complete(e, number, e.local, addr))
		return
	}
	host, local, missed := e.remote, e.local, e.missed
	f.running.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, lookupTime)
		defer cancel()
		addrs, err := f.lookup(ctx, host)
		if err == nil {
			var fit []netip.Addr
			for _, a := range addrs {
				if a = a.Unmap(); !local.IsValid() || local.Is4() == a.Is4() {
					fit = append(fit, a)
				}
			}
			if len(fit) > 0 {
				mail.post(f.complete(e, number, local, fit[(slices.Index(fit, missed)+1)%len(fit)]))
				return
			}
			err = errors.New("it has no address of the family of our own")
		}
		mail.post(found{end: e, number: number, reason: tunnel.DNSFailed,
			hint: fmt.Sprintf("host name %q of the peer: %v", host, plain(err))})
	})
}

// complete finds our own address for a peer's, unless it is local. It does not look into e, which is the loop's.
func (f *finder) complete(e *end, number int, local, remote netip.Addr) found {
	out := found{end: e, number: number}
	if !local.IsValid() {
		var err error
		if local, err = f.route(remote); err != nil {
			out.reason, out.hint = tunnel.NoResponse, fmt.Sprintf("this host cannot reach %v: %v", remote, plain(err))
			return out
		}
	}
	out.path = esp.Path{Local: netip.AddrPortFrom(local, f.localPort), Remote: netip.AddrPortFrom(remote, f.peerPort)}
	return out
}

// routeTo asks the kernel which of our addresses packets to remote would have. Connecting a UDP socket sends nothing.
func routeTo(remote netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 500)))
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

// plain takes the innermost meaning of a network error: what was attempted is said already.
func plain(err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New(dns.Err)
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
