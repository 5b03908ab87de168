package tunnel

import (
	"net/netip"
	"time"

	"twinbore/esp"
)

// All, as the tunnel of an Event, means every tunnel of the connection.
const All = -1

// A Kind says what an Event tells.
type Kind uint8

const (
	Begin        Kind = iota // the connection's life starts: tunnels that start by themselves do so now
	AdminUp                  // the operator wants Tunnel (or All) up; also: try again now
	AdminDown                // the operator wants Tunnel (or All) down
	IKEUp                    // an IKE SA with an authenticated peer lives
	IKEDown                  // an IKE SA is gone: Reason, Hint
	ChildUp                  // Child carries traffic
	ChildDown                // Child is gone and nothing replaced it: Reason, Hint
	ChildRekeyed             // Child replaced Old
	ChildFailed              // a Child SA could not be made, the IKE SA lives: Reason, Hint
	Failed                   // a negotiation ended before there was an IKE SA: Reason, Hint, Initiator
	Reachable                // the way to Tunnel's peer has come back: a retry need not wait for its time
	Traffic                  // a packet waits for the connection
	Idle                     // no tunnel has carried anything for as long as the operator lets them
	Drain                    // the operator wants Tunnel (or All) out of service, without loss
	Undrain                  // and back
	Silent                   // the connection's packets leave by Tunnel, and for too long nothing authentic has come back
	Doubted                  // what comes by Tunnel says nothing of what leaves by it: its peer, or our own host, makes us doubt that ours arrive
	Heard                    // an authentic packet came by Tunnel; need be told only after Silent and while Tunnel is drained
	PeerMoved                // the peer's packets come by Tunnel now, and no longer by the one that ours leave by
	PingAnswered             // the answer to ping Number came back through Tunnel, after RTT
	IKEAnswered              // Tunnel's peer answered a request of ours
	Delete                   // the connection's life ends
	Wake                     // the time that Output.Wake asked for has come
)

func (k Kind) String() string {
	return [...]string{"begin", "admin-up", "admin-down", "ike-up", "ike-down", "child-up", "child-down", "child-rekeyed",
		"child-failed", "failed", "reachable", "traffic", "idle", "drain", "undrain", "silent", "doubted", "heard", "peer-moved",
		"ping-answered", "ike-answered", "delete", "wake"}[k]
}

// An Event is one fact. Fields that the Kind does not name are not looked at.
type Event struct {
	Kind      Kind
	Tunnel    int // index into Config.Tunnels, or All for the operator's kinds; not used by Begin, Traffic, Idle, Delete, Wake
	Child     esp.ChildID
	Old       esp.ChildID
	Reason    Reason
	Hint      string
	Initiator bool // this gateway had begun what failed
	Number    uint16
	RTT       time.Duration
}

// An Output is what must happen now.
type Output struct {
	IKE     []IKECommand // in order
	Probe   []ProbeCommand
	Choose  Choice
	Routes  RouteChange
	Changes []Change  // for logs and events, in order
	Wake    time.Time // Handle a Wake event then; zero means no deadline
}

// A Do says what IKE is to do.
type Do uint8

const (
	Initiate Do = iota // begin an IKE SA and its Child SA; on one that lives, make the Child SA that is missing
	Close              // delete everything at the peer and end
	Discard            // end at once and tell nobody: the peer did not answer a Close in time
	Bar                // from now on give the peer no answer when it begins: each handshake would be followed by a Close
	Admit              // answer it again
)

func (d Do) String() string { return [...]string{"initiate", "close", "discard", "bar", "admit"}[d] }

// An IKECommand is something for one tunnel's IKE session.
type IKECommand struct {
	Tunnel int
	Do     Do
	Reason Reason // of Close and Discard
}

// A Way is how a peer is asked whether it is there.
type Way uint8

const (
	Ping     Way = iota // an ICMP echo request through the tunnel, which shows that packets pass both ways
	Liveness            // an empty IKE request, or once more the one that is open (RFC 7296 §2.4)
)

func (w Way) String() string { return [...]string{"ping", "liveness"}[w] }

// A ProbeCommand asks for one question to a tunnel's peer, now. What becomes of it is told by PingAnswered or IKEAnswered;
// that nothing does is for the Connection to find.
type ProbeCommand struct {
	Tunnel int
	Way    Way
	Target netip.Addr // of a Ping
	Number uint16     // of a Ping: its sequence number
}

// A Choice tells the data path which tunnels outbound traffic takes from now on.
type Choice struct {
	Changed bool
	Tunnels []int // none: packets wait or are dropped, and never leave in clear; several: each flow takes one of them
}

// A RouteChange tells the routing side whether the connection can carry traffic, or waits for some to start it.
type RouteChange struct {
	Changed bool
	Up      bool
}

// A ChangeKind says what a Change tells.
type ChangeKind uint8

const (
	TunnelUp     ChangeKind = iota // Tunnel carries traffic; After is how long it had been DOWN
	TunnelDown                     // Tunnel carries no traffic: Reason, Hint; After is how long it had been UP
	TunnelReason                   // Tunnel is still DOWN, but for another Reason
	Switched                       // traffic moves From these tunnels To those
	StateChanged                   // the connection's State
	ProbeGone                      // nothing passes Tunnel any more: Hint
	ProbeBack                      // packets pass Tunnel again; After is how long they had not
)

func (k ChangeKind) String() string {
	return [...]string{"tunnel up", "tunnel down", "tunnel still down", "traffic moved", "connection state changed",
		"probe lost", "probe restored"}[k]
}

// A Change is something that an operator would want in a timeline.
type Change struct {
	Kind     ChangeKind
	Tunnel   int
	Reason   Reason
	Hint     string
	From, To []int
	State    State
	After    time.Duration
}
