package ikev2

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"

	"twinbore/esp"
	"twinbore/ike/wire"
)

// natStatus is what NAT detection found (RFC 7296 §2.23).
type natStatus struct {
	supported   bool // the peer sent its hashes
	local, peer bool // a NAT before us, before the peer
}

func (n natStatus) String() string {
	switch {
	case n.local && n.peer:
		return "both"
	case n.local:
		return "local"
	case n.peer:
		return "peer"
	}
	return "none"
}

// natHash is the content of a NAT_DETECTION notify: SHA-1 is the protocol's choice, nothing secret hangs on it.
func natHash(spiI, spiR uint64, addr netip.AddrPort) []byte {
	var b []byte
	b = binary.BigEndian.AppendUint64(b, spiI)
	b = binary.BigEndian.AppendUint64(b, spiR)
	b = append(b, addr.Addr().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	sum := sha1.Sum(b)
	return sum[:]
}

// natNotifies announces our view of the path. With EncapAlways the hash of our own address is spoilt, so that the
// peer sees a NAT and encapsulates too.
func (s *SA) natNotifies(spiI, spiR uint64, path esp.Path) []wire.Payload {
	source := natHash(spiI, spiR, path.Local)
	if s.p.cfg.Encap == EncapAlways {
		s.p.random(source)
	}
	return []wire.Payload{
		&wire.Notify{Kind: wire.NotifyNATDetectionSourceIP, Data: source},
		&wire.Notify{Kind: wire.NotifyNATDetectionDestinationIP, Data: natHash(spiI, spiR, path.Remote)},
	}
}

// detectNAT compares the peer's hashes with what we see. The peer may send several for its own addresses.
func detectNAT(m *message) natStatus {
	var n natStatus
	var sources, peerSeen int
	for _, notify := range m.notifies {
		if len(notify.Data) != sha1.Size { // whatever it is, no NAT makes it so
			continue
		}
		switch notify.Kind {
		case wire.NotifyNATDetectionSourceIP:
			sources++
			if string(notify.Data) == string(natHash(m.SPIi, m.SPIr, m.path.Remote)) {
				peerSeen++
			}
		case wire.NotifyNATDetectionDestinationIP:
			n.supported = true
			n.local = string(notify.Data) != string(natHash(m.SPIi, m.SPIr, m.path.Local))
		}
	}
	n.supported = n.supported && sources > 0
	n.peer = n.supported && peerSeen == 0
	n.local = n.local && n.supported
	return n
}

// encap reports whether ESP of this SA goes inside UDP.
func (s *SA) encap() bool {
	switch s.p.cfg.Encap {
	case EncapNever:
		return false
	case EncapAlways:
		return s.nat.supported
	}
	return s.nat.local || s.nat.peer
}

// float moves the initiator's path to the NAT traversal ports before IKE_AUTH (RFC 7296 §2.23).
func (s *SA) float() {
	if s.encap() || s.nat.local || s.nat.peer {
		s.path = esp.Path{Local: netip.AddrPortFrom(s.path.Local.Addr(), orPort(s.p.cfg.NATTPort)),
			Remote: netip.AddrPortFrom(s.path.Remote.Addr(), orPort(s.p.cfg.PeerNATTPort))}
	}
}

func orPort(port uint16) uint16 {
	if port == 0 {
		return 4500
	}
	return port
}
