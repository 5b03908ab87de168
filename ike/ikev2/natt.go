package ikev2

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// natStatus is what NAT detection found (RFC 7296 §2.23).
type natStatus struct {
	supported   bool // the peer sent its hashes
	local, peer bool // a NAT before us, before the peer; the peer may also pretend that there is one
	forced      bool // we pretended that there is one before us
}

func (n natStatus) found() bool { return n.local || n.peer }

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
	if s.nat.forced {
		s.p.random(source)
	}
	return []wire.Payload{
		&wire.Notify{Kind: wire.NotifyNATDetectionSourceIP, Data: source},
		&wire.Notify{Kind: wire.NotifyNATDetectionDestinationIP, Data: natHash(spiI, spiR, path.Remote)},
	}
}

// forcesEncap reports whether we pretend that there is a NAT before us. A responder that does not know yet who the peer is
// does so for any that may need it: the others take ESP in UDP as well, except those with EncapNever, which say so.
func (p *peer) forcesEncap() bool {
	return p.cfg.Encap == EncapAlways || slices.ContainsFunc(p.candidates, func(c Config) bool { return c.Encap == EncapAlways })
}

// learnNAT takes what the hashes of an authentic message say.
func (s *SA) learnNAT(m *message) {
	if n := detectNAT(m); n.supported {
		n.forced = s.nat.forced
		s.nat = n
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
	return s.p.cfg.Encap != EncapNever && s.nat.supported && (s.nat.found() || s.nat.forced)
}

// espPath is where ESP of this SA goes: without UDP it has no ports.
func (s *SA) espPath() esp.Path {
	if s.encap() {
		return s.path
	}
	return esp.Path{Local: netip.AddrPortFrom(s.path.Local.Addr(), 0), Remote: netip.AddrPortFrom(s.path.Remote.Addr(), 0)}
}

// misfit says why ESP cannot go as the configuration wants it, or nil.
func (c *Config) misfit(n natStatus) *localError {
	why := ""
	switch {
	case c.Encap == EncapAlways && !n.supported:
		why = "the peer does no NAT traversal, so it takes no ESP in UDP, and we have nothing else; with encap: auto and CAP_NET_RAW ESP goes without UDP"
	case c.Encap != EncapNever || !n.found() && !n.forced:
		return nil
	case n.local:
		why = "there is a NAT before us, or before the peer as it sees us, and ESP passes a NAT only in UDP; set encap: auto"
	default:
		why = "the peer is behind a NAT, or asks for ESP in UDP; set encap: auto"
	}
	return &localError{notify: wire.NotifyNoProposalChosen, reason: session.DatapathError, hint: why}
}

// float moves the initiator's path to the NAT traversal ports before IKE_AUTH (RFC 7296 §2.23). Where addresses may change
// later it does so in any case, since a NAT may be found then (RFC 4555 §3.3); OpenIKED 7.2 relies on it, and puts its marker
// before some answers on the IKE port otherwise.
func (s *SA) float() {
	mayChange := s.p.cfg.MOBIKE && s.nat.supported
	if s.encap() || s.nat.found() || mayChange {
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
