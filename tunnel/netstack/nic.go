package netstack

import (
	"errors"
	"net"
	"net/netip"
	"slices"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// A nic is gVisor's side of a tunnel.
type nic struct {
	gv     *stack.Stack
	id     tcpip.NICID
	link   *link
	inside netip.Addr
}

func (n *nic) addr(a netip.Addr, port uint16) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: n.id, Addr: tcpip.AddrFromSlice(a.AsSlice()), Port: port}
}

func protoOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is6() {
		return ipv6.ProtocolNumber
	}
	return ipv4.ProtocolNumber
}

// nicOf returns gVisor's side of a tunnel, and makes it when it is needed first.
func (s *Stack) nicOf(peer string) (*nic, error) {
	inside, err := s.insideOf(peer)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, net.ErrClosed
	}
	if n := s.nics[peer]; n != nil {
		return n, nil
	}
	s.lastNIC++
	n := &nic{gv: s.gvisorFor(inside), id: s.lastNIC, link: &link{peer: peer, s: s}, inside: inside}
	if err := n.join(); err != nil {
		return nil, err
	}
	s.nics[peer] = n
	return n, nil
}

// gvisorFor returns the first of gVisor's stacks in which nobody has an address yet, and makes it if there is none. Two tunnels of one
// stack cannot have the same: gVisor looks for who listens by addresses and ports, and for the device after that; a peer's
// port that is in use in one tunnel would be closed in the other. A stack costs a goroutine for each core. The caller holds mu.
func (s *Stack) gvisorFor(inside netip.Addr) *stack.Stack {
	for _, gv := range s.gvs {
		taken := false
		for _, n := range s.nics {
			taken = taken || n.gv == gv && n.inside == inside
		}
		if !taken {
			return gv
		}
	}
	gv := stack.New(stack.Options{NetworkProtocols: []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
		TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol}})
	s.gvs = append(s.gvs, gv)
	return gv
}

// join puts the nic into its stack: its address, and the way to everything.
func (n *nic) join() error {
	if err := n.gv.CreateNICWithOptions(n.id, n.link, stack.NICOptions{Name: n.link.peer}); err != nil {
		return errors.New(err.String())
	}
	whole := tcpip.ProtocolAddress{Protocol: protoOf(n.inside), AddressWithPrefix: tcpip.AddrFromSlice(n.inside.AsSlice()).WithPrefix()}
	if err := n.gv.AddProtocolAddress(n.id, whole, stack.AddressProperties{}); err != nil {
		n.gv.RemoveNIC(n.id)
		return errors.New(err.String())
	}
	everything := header.IPv4EmptySubnet
	if n.inside.Is6() {
		everything = header.IPv6EmptySubnet
	}
	n.gv.AddRoute(tcpip.Route{Destination: everything, NIC: n.id})
	return nil
}

// leave takes the nic out of its stack, and ends what is open in it.
func (n *nic) leave() {
	for _, ep := range n.gv.RegisteredEndpoints() {
		if e, ok := ep.(tcpip.Endpoint); ok {
			if at, err := e.GetLocalAddress(); err == nil && at.NIC == n.id {
				ep.Abort()
			}
		}
	}
	n.gv.RemoveNIC(n.id)
}

// deliver gives gVisor a packet of TCP, or an ICMP error about one, that is for somebody there.
func (s *Stack) deliver(peer string, packet []byte, local, remote netip.AddrPort) bool {
	s.mu.Lock()
	n := s.nics[peer]
	s.mu.Unlock()
	if n == nil || n.inside != local.Addr() {
		return false
	}
	id := stack.TransportEndpointID{
		LocalPort: local.Port(), LocalAddress: tcpip.AddrFromSlice(local.Addr().AsSlice()),
		RemotePort: remote.Port(), RemoteAddress: tcpip.AddrFromSlice(remote.Addr().AsSlice()),
	}
	if n.gv.FindTransportEndpoint(protoOf(n.inside), tcp.ProtocolNumber, id, n.id) == nil {
		return false
	}
	n.link.deliver(packet)
	return true
}

// Close ends everything that is open, and returns when no goroutine is left. Ping works on.
func (s *Stack) Close() {
	s.mu.Lock()
	gvs := slices.Clone(s.gvs)
	s.gvs, s.closed = nil, true
	clear(s.nics)
	s.mu.Unlock()
	for _, gv := range gvs {
		gv.Destroy()
	}
}
