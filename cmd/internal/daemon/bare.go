package daemon

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/transport"
)

// errNoBareESP is why there is no ESP without UDP where Options say how to listen, and not for this.
var errNoBareESP = errors.New("the network that this daemon was given has none")

// openBare opens the sockets for ESP without UDP, one for each of our addresses, unless every connection wants UDP. A raw
// socket is a privilege that a gateway can do without: why says why there is none. Then connections with encap: auto
// use UDP, and one with never is an error.
func openBare(g config.Gateway, conns []config.Connection, opts Options, opened *cleanup) (sockets []datapath.Socket, why, err error) {
	if !slices.ContainsFunc(conns, func(c config.Connection) bool { return c.Encap != config.EncapAlways }) {
		return nil, nil, nil
	}
	var mine cleanup
	sockets, why = listenBare(g, conns, opts, &mine)
	if why == nil {
		*opened = append(*opened, mine...)
		return sockets, nil, nil
	}
	mine.close()
	for _, c := range conns {
		if c.Encap == config.EncapNever {
			return nil, why, fmt.Errorf("connection %q has encap: never: %w", c.Name, why)
		}
	}
	if why == errNoBareESP { // nobody's fault, and nothing to mend
		why = nil
	}
	return nil, why, nil
}

func listenBare(g config.Gateway, conns []config.Connection, opts Options, opened *cleanup) (out []datapath.Socket, err error) {
	listen := opts.ListenESP
	switch {
	case listen == nil && opts.Listen != nil:
		return nil, errNoBareESP
	case listen == nil:
		listen = transport.ListenESP
	}
	addrs, fixed := outsideAddrs(g.Outside, conns)
	for _, a := range addrs {
		s, err := listen(transport.Config{Addr: netip.AddrPortFrom(a, 0), Interface: g.Outside.Interface})
		if !fixed && a.Is6() && errors.Is(err, syscall.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return nil, err
		}
		opened.add(s.Close)
		out = append(out, datapath.Socket{Socket: s, Addr: a})
	}
	return out, nil
}

// encapOf translates encap. Without a socket for anything else auto is always: we say that there is a NAT, and the peer
// encapsulates (RFC 7296 §2.23).
func (d *Daemon) encapOf(e config.Encap) ikev2.Encap {
	switch {
	case e == config.EncapNever:
		return ikev2.EncapNever
	case e == config.EncapAlways || !d.bare:
		return ikev2.EncapAlways
	}
	return ikev2.EncapAuto
}

// The words for why ESP is in UDP.
const (
	encapForNAT     = "nat"           // one was found, or the peer says that there is one
	encapConfigured = "always"        // encap: always
	encapNoSocket   = "no_raw_socket" // encap: auto, and the socket could not be opened
)

// showEncap says in the status how ESP goes, and why it is in UDP.
func (e *end) showEncap(c session.ChildInfo) (encap string, reason *string) {
	switch {
	case !c.Encap:
		return "esp", nil
	case len(e.ikes) > 0 && e.ikes[len(e.ikes)-1].NAT != "none":
		return "udp", api.Ptr(encapForNAT)
	case e.conn.encap == config.EncapAlways:
		return "udp", api.Ptr(encapConfigured)
	}
	return "udp", api.Ptr(encapNoSocket)
}
