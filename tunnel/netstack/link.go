package netstack

import (
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// leastMTU is what a tunnel is taken to carry while nothing is known of it (RFC 8200 §5).
const leastMTU = 1280

// A link is a tunnel as gVisor's stack sees it: a device without a link layer, whose packets leave by Send at once.
type link struct {
	peer string
	s    *Stack
	up   atomic.Pointer[stack.NetworkDispatcher] // nil: detached
}

// deliver gives the stack a packet that came by the tunnel.
func (l *link) deliver(packet []byte) {
	to := l.up.Load()
	if to == nil {
		return
	}
	proto := header.IPv4ProtocolNumber
	if packet[0]>>4 == 6 {
		proto = header.IPv6ProtocolNumber
	}
	pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(packet)})
	defer pkt.DecRef()
	(*to).DeliverNetworkPacket(proto, pkt)
}

// WritePackets sends what the stack says. What does not leave is lost, and TCP says it again.
func (l *link) WritePackets(list stack.PacketBufferList) (int, tcpip.Error) {
	for _, pkt := range list.AsSlice() {
		view := pkt.ToView()
		if l.s.cfg.Send(l.peer, view.AsSlice()) != nil {
			l.s.drop(l.peer, notSent)
		}
		view.Release()
	}
	return list.Len(), nil
}

// MTU is what the tunnel takes now.
func (l *link) MTU() uint32 {
	if mtu := l.s.cfg.MTU(l.peer); mtu > 0 {
		return uint32(mtu)
	}
	return leastMTU
}

func (l *link) Attach(to stack.NetworkDispatcher) {
	if to == nil {
		l.up.Store(nil)
		return
	}
	l.up.Store(&to)
}

// The rest of stack.LinkEndpoint is about a link layer, of which there is none.
func (l *link) IsAttached() bool                           { return l.up.Load() != nil }
func (*link) SetMTU(uint32)                                {}
func (*link) MaxHeaderLength() uint16                      { return 0 }
func (*link) LinkAddress() tcpip.LinkAddress               { return "" }
func (*link) SetLinkAddress(tcpip.LinkAddress)             {}
func (*link) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityNone }
func (*link) Wait()                                        {}
func (*link) ARPHardwareType() header.ARPHardwareType      { return header.ARPHardwareNone }
func (*link) AddHeader(*stack.PacketBuffer)                {}
func (*link) ParseHeader(*stack.PacketBuffer) bool         { return true }
func (*link) Close()                                       {}
func (*link) SetOnCloseAction(func())                      {}
