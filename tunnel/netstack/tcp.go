package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
	"gvisor.dev/gvisor/pkg/waiter"
)

// backlog is how many connections wait to be accepted.
const backlog = 8

// ListenTCP listens on a port of our inside address of a tunnel, for what comes by that tunnel. Only ports that the data path shows
// to Control are heard. A tunnel that goes, or gets another address, ends what is open in it.
func (s *Stack) ListenTCP(peer string, port uint16) (net.Listener, error) {
	l, err := s.listenTCP(peer, port)
	if err != nil {
		return nil, fmt.Errorf("listen on port %d inside tunnel %q: %w", port, peer, err)
	}
	return l, nil
}

func (s *Stack) listenTCP(peer string, port uint16) (net.Listener, error) {
	ep, queue, n, err := s.endpoint(peer)
	if err != nil {
		return nil, err
	}
	ep.SocketOptions().SetReuseAddress(true)
	if err := ep.Bind(n.addr(n.inside, port)); err != nil {
		ep.Close()
		return nil, errors.New(err.String())
	}
	if err := ep.Listen(backlog); err != nil {
		ep.Close()
		return nil, errors.New(err.String())
	}
	return gonet.NewTCPListener(n.gv, queue, ep), nil
}

// DialTCP connects our inside address of a tunnel to an address behind it, by that tunnel.
func (s *Stack) DialTCP(ctx context.Context, peer string, remote netip.AddrPort) (net.Conn, error) {
	c, err := s.dialTCP(ctx, peer, remote)
	if err != nil {
		return nil, fmt.Errorf("connect to %v inside tunnel %q: %w", remote, peer, err)
	}
	return c, nil
}

func (s *Stack) dialTCP(ctx context.Context, peer string, remote netip.AddrPort) (net.Conn, error) {
	ep, queue, n, err := s.endpoint(peer)
	if err != nil {
		return nil, err
	}
	if remote.Addr().Is4() != n.inside.Is4() {
		ep.Close()
		return nil, fmt.Errorf("our inside address is %v", n.inside)
	}
	connected, done := waiter.NewChannelEntry(waiter.WritableEvents)
	queue.EventRegister(&connected)
	defer queue.EventUnregister(&connected)
	failed := ep.Bind(n.addr(n.inside, 0))
	if failed == nil {
		failed = ep.Connect(n.addr(remote.Addr(), remote.Port()))
	}
	if _, started := failed.(*tcpip.ErrConnectStarted); started {
		select {
		case <-ctx.Done():
			ep.Abort()
			return nil, ctx.Err()
		case <-done:
		}
		failed = ep.LastError()
	}
	if failed != nil {
		ep.Close()
		return nil, errors.New(failed.String())
	}
	return gonet.NewTCPConn(queue, ep), nil
}

// endpoint makes one of TCP in the stack that a tunnel is in.
func (s *Stack) endpoint(peer string) (tcpip.Endpoint, *waiter.Queue, *nic, error) {
	n, err := s.nicOf(peer)
	if err != nil {
		return nil, nil, nil, err
	}
	queue := new(waiter.Queue)
	ep, failed := n.gv.NewEndpoint(tcp.ProtocolNumber, protoOf(n.inside), queue)
	if failed != nil {
		return nil, nil, nil, errors.New(failed.String())
	}
	return ep, queue, n, nil
}
