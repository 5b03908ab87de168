package ikev2

import (
	"io"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
)

// An Encap says when ESP goes inside UDP.
type Encap uint8

const (
	EncapAuto   Encap = iota // when a NAT was found (RFC 7296 §2.23)
	EncapAlways              // pretend that there is one, so that the peer does the same; no tunnel with a peer that cannot
	EncapNever               // no tunnel where there is a NAT
)

// Config is what a session needs to know about its peer and itself. While the session lives it changes by session.Configure
// alone.
type Config struct {
	Peer              string // "connection/tunnel"
	LocalID, RemoteID auth.ID
	Auth              auth.Credentials // by certificate if it has one for Peer, else by pre-shared key
	PPK               PPK              // mixed into the keys of a new IKE SA (RFC 8784)
	IKE, ESP          []suite.Proposal // ours, best first
	Local, Remote     []esp.Selector   // of the Child SA: what is here and what is there
	RefuseNarrower    bool             // as initiator, refuse an answer narrower than asked
	Encap             Encap
	Window            int        // replay window of inbound ESP, packets
	ChildLimits       esp.Limits // by packets and bytes
	IKELifetime       time.Duration
	ChildLifetime     time.Duration
	RekeyAt           float64 // share of a lifetime after which we rekey, 0 to 1; 0 means 0.78
	Jitter            float64 // of RekeyAt, plus or minus, as a share of the lifetime
	DPD               DPD
	Retransmit        session.Backoff // zero: session.DefaultBackoff
	Hurried           bool            // responder: many are half-open, and who begins has 5 s to authenticate itself, not 30 s
	NATTPort          uint16          // our port for the move of RFC 7296 §2.23; 0 means 4500
	PeerNATTPort      uint16          // the peer's; 0 means 4500
	FragmentSize      int             // longest IP packet of an IKE message where the peer takes fragments (RFC 7383); 0 means 1280
	InitialContact    bool            // no other SA with this peer is known to us (RFC 7296 §2.4)

	// A zero LocalID is the address of our end of the path.
	MOBIKE    bool // follow the addresses that the peer names, and name ours, where the peer does so too (RFC 4555)
	VerifyPFS bool // replace the first Child SA at once, by an exchange with keys of its own: a wrong PFS group shows now
	Resources int  // Child SAs for the same traffic, one for each worker of the data path, where the peer agrees (RFC 9611); 0 means 1
	PerPair   bool // a Child SA for each pair of Local and Remote, for peers that cannot have several in one

	// Rand is where SPIs, nonces, keys, IVs and jitter come from; nil means crypto/rand.
	Rand io.Reader
	// AllocSPI reserves an inbound SPI in the data path; a Child SA that is never installed gives it back by Remove.
	AllocSPI func() esp.SPI
	// LastInbound says when the Child SA last received an authentic packet: traffic counts as liveness (RFC 7296 §2.4).
	LastInbound func(esp.ChildID) time.Time
}

// configure gives the session another configuration. What the engine has given it for this session alone stays.
func (p *peer) configure(to Config) {
	to.Rand, to.AllocSPI, to.LastInbound = p.cfg.Rand, p.cfg.AllocSPI, p.cfg.LastInbound
	to.InitialContact, to.Hurried = p.cfg.InitialContact, p.cfg.Hurried
	p.cfg = to
}

// ownID is who we say that we are on a path.
func (c *Config) ownID(path esp.Path) auth.ID {
	if c.LocalID == (auth.ID{}) {
		return auth.IDFromAddr(path.Local.Addr())
	}
	return c.LocalID
}

// DPD is when silence makes us ask whether the peer is alive, and how long we wait: after Interval without anything
// authentic a request is sent, Retries times in all, Interval apart; one Interval after the last the peer is dead.
// A zero Interval turns it off.
type DPD struct {
	Interval time.Duration
	Retries  int
}
