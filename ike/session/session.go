package session

import (
	"net/netip"
	"time"

	"twinbore/esp"
)

// A Session is the protocol state for one peer: its IKE SA, the SA replacing it, and every Child SA.
// It is not safe for concurrent use. Its methods never block, read no clock and start no goroutine.
type Session interface {
	// Receive takes one IKE message (no non-ESP marker). The session does not keep msg.
	Receive(now time.Time, msg []byte, on esp.Path) Output
	// Do takes one command.
	Do(now time.Time, cmd Command) Output
	// Expire does what is due at now; calling it early does nothing.
	Expire(now time.Time) Output
}

// An Output is what must happen now. Apply the fields in this order.
type Output struct {
	Child   []ChildOp  // before Send, so that the peer's first packet finds its SA (RFC 7296 §2.8)
	Claim   []uint64   // local IKE SPIs that now lead here
	Send    []Datagram // in order
	Release []uint64   // local IKE SPIs no longer ours
	Events  []Event    // for logs, metrics, routes, status
	Wake    time.Time  // call Expire then; zero means no deadline
	Renew   *Initiate  // begin another session beside this one, which ends soon and which the peer lets us replace in no other way
	Lingers bool       // what is left only answers what the peer may ask again; nobody need wait for its end
	Done    bool       // nothing left; forget this session
}

// A Datagram is one IKE message to send, without the non-ESP marker: the engine adds it on port 4500 paths.
type Datagram struct {
	Bytes []byte
	Path  esp.Path
}

// An Op is what the data path does with a Child SA.
type Op uint8

const (
	Install  Op = iota // inbound works at once; outbound is ready but not used until Activate
	Activate           // outbound traffic moves here
	Remove             // both directions end
	Move               // the outer path changed
)

func (o Op) String() string { return [...]string{"install", "activate", "remove", "move"}[o] }

// A ChildOp is one change of the data path. Child is whole for Install; ID alone counts for Activate and Remove;
// ID and Child.Path count for Move.
type ChildOp struct {
	Op    Op
	ID    esp.ChildID
	Child esp.Child
}

// A Command is something the operator or the connection logic wants of a session.
type Command interface{ command() }

type (
	// Initiate begins an IKE SA and its Child SAs to the peer on Path (ports as for the first message). Local and Remote, of
	// one selector each or none, are the packet's that waits: it is asked for first (RFC 7296 §2.9).
	Initiate struct {
		Path          esp.Path
		Local, Remote []esp.Selector
	}
	// Close deletes everything at the peer and ends. With Quiet nothing is sent: the peer is gone or has said so.
	Close struct {
		Quiet  bool
		Reason Reason // reported in the last event; empty means ADMIN_DOWN
	}
	// Rekey replaces the IKE SA, or each Child SA, now.
	Rekey struct{ IKE bool }
	// Probe asks for a liveness check now, whatever the traffic says (RFC 7296 §2.4). A request that is open is sent once more
	// instead, which costs it no try: whoever gives this command knows that the way to the peer has just come back.
	Probe struct{}
	// Spent says that a Child SA has come near its limit of packets or bytes.
	Spent struct{ Child esp.ChildID }
	// PathSeen says that the newest of all authentic packets of a Child SA came on another path.
	PathSeen struct {
		Child esp.ChildID
		Path  esp.Path
	}
	// PathChanged says that packets to the peer now leave with another of our addresses.
	PathChanged struct{ Local netip.Addr }
	// Configure gives the session another configuration, the Config of its version, without the parts that the engine adds. What
	// is established stays as it is: proposals and lifetimes count from the next rekey on, timers from now on.
	Configure struct{ Config any }
)

func (Initiate) command() {}
func (Close) command()    {}
func (Rekey) command()    {}
func (Probe) command()    {}
func (Spent) command()    {}

func (PathSeen) command()    {}
func (PathChanged) command() {}
func (Configure) command()   {}

// A Reason is one of the stable codes of the product: what took something down or kept it from coming up.
type Reason string

const (
	NoResponse        Reason = "NO_RESPONSE"
	PortBlocked       Reason = "PORT_BLOCKED"
	NoProposalIKE     Reason = "NO_PROPOSAL_IKE"
	NoProposalESP     Reason = "NO_PROPOSAL_ESP"
	InvalidKELoop     Reason = "INVALID_KE_LOOP"
	AuthFailed        Reason = "AUTH_FAILED"
	IDMismatch        Reason = "ID_MISMATCH"
	TSUnacceptable    Reason = "TS_UNACCEPTABLE"
	DPDTimeout        Reason = "DPD_TIMEOUT"
	PeerDeleted       Reason = "PEER_DELETED"
	RekeyFailed       Reason = "REKEY_FAILED"
	LifetimeExpired   Reason = "LIFETIME_EXPIRED"
	AdminDown         Reason = "ADMIN_DOWN"
	SecretUnavailable Reason = "SECRET_UNAVAILABLE"
	RateLimited       Reason = "RATE_LIMITED"
	DatapathError     Reason = "DATAPATH_ERROR"
)

// A Kind says what an Event tells.
type Kind uint8

const (
	Message      Kind = iota // one IKE message sent or received: Exchange, MessageID, Story; debug level
	IKEUp                    // peer authenticated; IKE is filled
	IKERekeyed               // a new IKE SA took over; IKE is filled
	IKEDown                  // the IKE SA is gone: Reason, Hint
	ChildUp                  // a Child SA carries traffic; Child is filled
	ChildRekeyed             // Child replaced Old
	ChildDown                // Child.ID is gone and nothing replaces it: Reason, Hint
	ChildFailed              // a Child SA could not be made; the IKE SA lives: Reason, Hint
	Failed                   // the negotiation ended before the peer was authenticated, or a rekey did: Reason, Hint
	Moved                    // the peer's outer address changed: IKE.Path
	Weak                     // a negotiated algorithm is weak: Hint names it
	ChildMoved               // ESP of Child goes into UDP now, or out of it
	Dropped                  // an inbound message was dropped: Reason is not set, Story says why; counted
)

func (k Kind) String() string {
	return [...]string{"message", "ike up", "ike rekeyed", "ike down", "child up", "child rekeyed", "child down",
		"child failed", "failed", "moved", "weak", "child moved", "dropped"}[k]
}

// An Event is something that happened, in the words of the logs, the metrics and the status. It holds no secrets.
type Event struct {
	Kind   Kind
	Time   time.Time
	Peer   string // "connection/tunnel"; empty while an answered peer is not known
	Reason Reason
	Hint   string // for a person: what differs and what to change
	IKE    IKEInfo
	Child  ChildInfo
	Old    esp.ChildID // ChildRekeyed
	Offers *Offers     // Failed, ChildFailed, IKEDown: what both ends wanted, where that is the reason; nobody changes it
	// Candidates are, of a Failed without a Peer, all that the answered peer could have been.
	Candidates []string

	// Message and Dropped.
	Sent      bool
	Answer    bool   // to a request; false: a request
	Exchange  string // "IKE_SA_INIT"
	MessageID uint32
	Payloads  string // "SA KE Ni N(NAT_DETECTION_SOURCE_IP)"
	Size      int    // octets of the IKE message, or of all its fragments
	Again     bool   // sent before, the same octets
	Story     string // the rule's sentence, or why it was dropped
}

// IKEInfo describes an IKE SA.
type IKEInfo struct {
	Version           int // 1 or 2
	Initiator         bool
	SPIi, SPIr        uint64
	Suite             string // "aes256gcm16-prfsha384-ecp384"
	LocalID, RemoteID string
	Secret            string // "current" or "previous": the pre-shared key that the peer used; empty with certificates (F5)
	PPK               string // id of the post-quantum pre-shared key in the keys (RFC 8784); empty: none is
	NAT               string // none | local | peer | both
	Path              esp.Path
	Established       time.Time
	RekeyAt           time.Time // zero: never by time
	InitialContact    bool      // the peer says that it knows no other SA with us (RFC 7296 §2.4)
}

// ChildInfo describes a Child SA.
type ChildInfo struct {
	ID            esp.ChildID
	SPIIn, SPIOut esp.SPI
	Suite         string // "aes256gcm16-ecp384"
	Encap         bool
	ESN           bool
	Local, Remote []esp.Selector
	Established   time.Time
	RekeyAt       time.Time
}

// Remote is the peer's outer address, for logs.
func (i IKEInfo) Remote() netip.AddrPort { return i.Path.Remote }
