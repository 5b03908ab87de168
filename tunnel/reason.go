package tunnel

import (
	"maps"
	"slices"
)

// A Reason is one of the stable codes for why a tunnel is DOWN (R24). Programs depend on the words.
type Reason string

const (
	NoResponse        Reason = "NO_RESPONSE"
	DNSFailed         Reason = "DNS_FAILED"
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
	Idled             Reason = "IDLE"
	BGPIdle           Reason = "BGP_IDLE"
	BGPHoldExpired    Reason = "BGP_HOLD_EXPIRED"
	BGPMaxPrefix      Reason = "BGP_MAX_PREFIX"
	ProbeLost         Reason = "PROBE_LOST"
	ReplayStorm       Reason = "REPLAY_STORM"
	SecretUnavailable Reason = "SECRET_UNAVAILABLE"
	AdminIsDown       Reason = "ADMIN_DOWN"
	Drained           Reason = "DRAINED"
	WaitingForPeer    Reason = "WAITING_FOR_PEER"
	WaitingForTraffic Reason = "WAITING_FOR_TRAFFIC"
	RateLimited       Reason = "RATE_LIMITED"
	DatapathError     Reason = "DATAPATH_ERROR"
)

// hints says, for each code, what a person should look at when nobody knew anything more exact.
var hints = map[Reason]string{
	NoResponse:        "no answer from the peer yet: check its address and that UDP 500 and 4500 pass both ways",
	DNSFailed:         "the peer's host name has no address now: check the name and this host's resolver",
	PortBlocked:       "the network refuses our packets: check firewalls for UDP 500 and 4500",
	NoProposalIKE:     "no IKE proposal in common: compare crypto.ike with the peer's phase 1 settings",
	NoProposalESP:     "no ESP proposal in common: compare crypto.esp, PFS included, with the peer's phase 2 settings",
	InvalidKELoop:     "the peer keeps asking for another key exchange group: compare the groups in crypto.ike",
	AuthFailed:        "the pre-shared keys differ: check psk on both ends",
	IDMismatch:        "the peer's identity is not the one configured: compare remote_id with what the peer sends",
	TSUnacceptable:    "the peer does not accept our networks: compare selectors, local_networks and remote_networks",
	DPDTimeout:        "the peer stopped answering: check the path to it",
	PeerDeleted:       "the peer closed the tunnel",
	RekeyFailed:       "new keys could not be agreed on: compare crypto.esp and lifetimes with the peer's",
	LifetimeExpired:   "the keys reached the end of their life before new ones were agreed on",
	Idled:             "no traffic for idle_timeout",
	BGPIdle:           "BGP is not established",
	BGPHoldExpired:    "the BGP neighbour stopped talking",
	BGPMaxPrefix:      "the BGP neighbour announced more than bgp.max_prefixes",
	ProbeLost:         "the keepalive target inside the tunnel does not answer",
	ReplayStorm:       "too many replayed packets: something copies this tunnel's traffic",
	SecretUnavailable: "the pre-shared key could not be read: check psk and the permissions of its file",
	AdminIsDown:       "taken down by the operator: `twinbore up` brings it back",
	Drained:           "taken out of service by the operator: `twinbore undrain` brings it back",
	WaitingForPeer:    "start: wait, the peer has to begin",
	WaitingForTraffic: "start: on-traffic, the first packet starts it",
	RateLimited:       "the peer begins negotiations too often",
	DatapathError:     "the data path refused the negotiated SA: see the log",
}

// Reasons returns every code, in alphabetical order.
func Reasons() []Reason { return slices.Sorted(maps.Keys(hints)) }

// Hint returns the sentence for a person that goes with r when nothing more exact is known.
func (r Reason) Hint() string {
	if h, ok := hints[r]; ok {
		return h
	}
	return "see the log"
}
