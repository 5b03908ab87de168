package esp

import (
	"fmt"
	"net/netip"

	"twinbore/esp/protect"
)

// An SPI names one direction of a Child SA at the end that receives. 0 never appears on the wire and 1 to 255
// are reserved (RFC 4303 §2.1).
type SPI uint32

func (s SPI) String() string { return fmt.Sprintf("0x%08x", uint32(s)) }

// A ChildID names a Child SA within this gateway: the inbound SPI, which this gateway chose.
type ChildID SPI

func (c ChildID) String() string { return SPI(c).String() }

// A Path is a pair of outer addresses. Port 0 on both ends means bare ESP (IP protocol 50).
type Path struct{ Local, Remote netip.AddrPort }

// Reverse exchanges the ends.
func (p Path) Reverse() Path { return Path{Local: p.Remote, Remote: p.Local} }

func (p Path) String() string { return p.Local.String() + "=" + p.Remote.String() }

// Params is what one direction of a Child SA needs.
type Params struct {
	SPI       SPI
	Algorithm *protect.Algorithm
	Key       []byte // Algorithm.KeyLen octets; who makes an Inbound or Outbound of it may clear it afterwards
	ESN       bool   // extended sequence numbers, RFC 4303 §2.2.1
	Window    int    // replay window in packets: a power of two from 64, or 0 to turn the check off (RFC 4303 §3.4.3); inbound only
	Grow      bool   // let the window double, up to 65536, as long as packets come so late that they nearly miss it; inbound only
}

// Limits end an SA by use (RFC 4301 §4.4.2.1). Zero means no limit of that kind.
type Limits struct {
	SoftPackets, HardPackets uint64 // soft: ask for a rekey once; hard: refuse to seal or open
	SoftBytes, HardBytes     uint64 // inner octets
}

// A Child is what IKE negotiates and the data path runs: an SA in each direction and what may pass through it.
type Child struct {
	ID            ChildID
	Peer          string // the tunnel it belongs to, "connection/tunnel"
	In, Out       Params
	Local, Remote []Selector // inner packets that leave have a source in Local and a destination in Remote
	Path          Path       // outer addresses now; port 0 on both ends: without UDP
	Replaces      ChildID    // the Child SA whose traffic this one takes when it is activated; 0: none
	Group         uint64     // those of one group share what their selectors have in common, each worker sends by one (RFC 9611); 0: none
	Limits        Limits
}
