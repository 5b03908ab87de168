package datapath

import (
	"sync/atomic"

	"twinbore/esp"
)

// A reason says why a packet went no further. Each dropped packet is counted once, under one reason, with the tunnel
// it belongs to where that is known and else with the gateway.
type reason uint8

const (
	malformed    reason = iota // not a datagram, an ESP packet or an IP packet that can be right
	badInner                   // authentic ESP with no whole IP packet inside
	unknownSPI                 // no Child SA has this SPI
	badAuth                    // the integrity check failed
	replayed                   // seen before, or too old to tell
	dummy                      // next header 59: traffic flow padding of the peer (RFC 4303 §2.6)
	wrongTS                    // outside the traffic selectors (RFC 4301 §5.2)
	spoofed                    // from the tunnel, with a source that is not the peer's to use (R33)
	noRoute                    // no connection owns the destination (R34), or it may not be reached from the peer (R13)
	forbidden                  // to a place that is closed to the tunnel: this gateway's own control ports
	noSA                       // the connection has no Child SA to send with
	tooBig                     // more than the tunnel takes and not to be fragmented
	loop                       // an outer packet that came back through the device
	seqExhausted               // the Child SA has used up its sequence numbers
	expired                    // the Child SA has reached its hard limit of packets or bytes
	internal                   // no random octets for an IV
	sendError                  // the socket refused it
	deviceError                // the device refused it
	congested                  // met congestion on the outer way, and its sender does not know ECN (RFC 6040 §4.2)
	inboxFull                  // an IKE message that found the engine's inbox full
	controlFull                // control traffic that found its queue full
	filterIn                   // denied by the connection's filter, from the peer (R47)
	filterOut                  // denied by the connection's filter, to the peer
	reasons
)

func (r reason) String() string {
	return [reasons]string{"malformed", "inner", "unknown_spi", "auth", "replay", "dummy", "ts", "spoofed", "no_route", "policy",
		"no_sa", "mtu", "loop", "seq_exhausted", "expired", "internal", "send_error", "tun_error", "ecn", "inbox_full", "control_full", "filter_in", "filter_out"}[r]
}

// drops counts by reason. It is safe for concurrent use.
type drops [reasons]atomic.Uint64

func (d *drops) add(r reason) { d[r].Add(1) }

func (d *drops) addN(r reason, n int) { d[r].Add(uint64(n)) }

// addTo adds the counts that are not zero to total, by name.
func (d *drops) addTo(total map[string]uint64) {
	for r := range reasons {
		if n := d[r].Load(); n != 0 {
			total[r.String()] += n
		}
	}
}

// reasonOf translates an error of package esp.
func reasonOf(err error) reason {
	switch err {
	case esp.ErrMalformed:
		return malformed
	case esp.ErrUnknownSPI:
		return unknownSPI
	case esp.ErrReplay:
		return replayed
	case esp.ErrAuth:
		return badAuth
	case esp.ErrDummy:
		return dummy
	case esp.ErrInner:
		return badInner
	case esp.ErrSeqExhausted:
		return seqExhausted
	case esp.ErrExpired:
		return expired
	}
	return internal
}
