package ike

import (
	"io"
	"log/slog"
	"net/netip"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// A Conn carries IKE messages; it adds and removes the non-ESP marker (RFC 3948 §2.2). *datapath.Gateway is one.
type Conn interface {
	// ReadIKE waits for the next message, copies it to b and says on which path it came. One goroutine calls it.
	// Its error means that the Conn is closed and will give nothing more; faults of the network are not errors.
	ReadIKE(b []byte) (n int, on esp.Path, err error)
	// WriteIKE sends b, which the Conn must not keep. It is called from several goroutines at once and must not
	// wait. Its error is loss: the engine counts it and goes on.
	WriteIKE(b []byte, on esp.Path) error
}

// A Dataplane is the data path as IKE sees it. *datapath.Gateway is one. It is called from several goroutines at
// once and must not wait for the engine.
type Dataplane interface {
	// AllocSPI reserves an inbound SPI until Remove.
	AllocSPI() esp.SPI
	// Install makes inbound work at once; outbound is ready but not used until Activate.
	Install(esp.Child) error
	// Activate moves outbound traffic to the Child SA.
	Activate(esp.ChildID) error
	// Remove ends both directions and gives the SPI back; an unknown id is ignored.
	Remove(esp.ChildID)
	// Move changes the outer addresses; an unknown id is ignored.
	Move(esp.ChildID, esp.Path)
	// LastInbound says when the Child SA last received an authentic packet, which counts as liveness (RFC 7296 §2.4).
	LastInbound(esp.ChildID) time.Time
}

// A Config is what an Engine needs. It does not change while the engine runs.
type Config struct {
	Conn      Conn
	Dataplane Dataplane
	Peers     []Peer

	// Rand is where secrets, SPIs and nonces come from; nil means crypto/rand. The engine guards it with a mutex
	// and hands it to every session that has none of its own.
	Rand io.Reader
	// Log receives one line for each event and, at a bounded rate, for drops; nil means none.
	Log *slog.Logger
	// Observe receives each event after it was logged; nil means nobody. It is called on the shards' goroutines,
	// several at once when there are several shards; it must not wait, and it may call Do.
	Observe func(session.Event)
	Limits  Limits
	// Shards is how many goroutines run sessions; 0 means one for each core.
	Shards int
}

// Limits bound what peers that have not proven who they are may cost. A zero field means its default.
type Limits struct {
	HalfOpen        int // unauthenticated IKE SAs in all, besides the room kept for configured addresses; 200
	CookieThreshold int // from so many unauthenticated IKE SAs on, a cookie is asked for (RFC 7296 §2.6); 50. Below zero: always
	PerSource       int // unauthenticated IKE SAs of one IPv4 address or one IPv6 /64; 5
	IKEPerSourceRPS int // IKE_SA_INIT requests a second of one IPv4 address or one IPv6 /64; 20
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field    *int
		fallback int
	}{{&l.HalfOpen, 200}, {&l.CookieThreshold, 50}, {&l.PerSource, 5}, {&l.IKEPerSourceRPS, 20}} {
		if *f.field == 0 {
			*f.field = f.fallback
		}
	}
	return l
}

// sourceOf is what limits per source count by: a single IPv4 address, or the /64 that one IPv6 host owns (RFC 8019 §4.3).
func sourceOf(remote netip.Addr) netip.Prefix {
	remote = remote.Unmap().WithZone("")
	bits := 64
	if remote.Is4() {
		bits = 32
	}
	p, _ := remote.Prefix(bits)
	return p
}
