package api

import "time"

// SchemaVersion of Status. It changes when a field is renamed or dropped.
const SchemaVersion = 1

// Status is how the daemon and everything it runs stands: the answer to GET /v1/status.
type Status struct {
	SchemaVersion int          `json:"schemaVersion"`
	Gateway       Gateway      `json:"gateway"`
	Connections   []Connection `json:"connections"` // in the order of the configuration
}

// Gateway is the daemon itself.
type Gateway struct {
	Name          string  `json:"name"`
	Version       string  `json:"version"`
	Mode          string  `json:"mode"` // tun | memory
	ASN           *uint32 `json:"asn"`
	UptimeSeconds int64   `json:"uptime_seconds"`
	// ConfirmUntil is when the configuration before comes back unless that which runs is confirmed; null: it need not be.
	ConfirmUntil *time.Time `json:"confirm_until"`
	// Drops counts all dropped packets by reason, those that belong to no tunnel too, and what the sockets and the device lost.
	Drops           map[string]uint64 `json:"drops"`
	OffloadsGivenUp []string          `json:"offloads_given_up"` // the kernel refused what it had said it would take
}

// Connection is one VPN connection. Its state and the status of its tunnels are separate facts (R7).
type Connection struct {
	Name         string            `json:"name"`
	ID           *string           `json:"id"`    // free label
	State        string            `json:"state"` // pending | available | deleting | deleted
	Since        time.Time         `json:"since"` // of State
	Role         string            `json:"role"`  // customer | cloud
	Routing      string            `json:"routing"`
	Domain       string            `json:"domain"`
	Source       string            `json:"source"` // file | runtime
	Tags         map[string]string `json:"tags"`
	ActiveTunnel *string           `json:"active_tunnel"` // the first of several
	Note         *string           `json:"note"`          // what an operator should know and need not act on
	OneWay       *string           `json:"one_way"`       // packets go one way only, and where to look (R44); null: they do not
	Routes       []Route           `json:"routes"`
	Tunnels      []Tunnel          `json:"tunnels"`
}

// Route is a prefix behind the peer.
type Route struct {
	Prefix    string  `json:"prefix"`
	Source    string  `json:"source"` // static | bgp
	Tunnel    *string `json:"tunnel"` // that carries it now
	Installed bool    `json:"installed"`
}

// Tunnel is one tunnel of a connection.
type Tunnel struct {
	Name      string     `json:"name"`
	Status    string     `json:"status"` // UP | DOWN
	Since     time.Time  `json:"since"`  // of Status
	Reason    string     `json:"reason"` // stable code; empty while UP
	Hint      string     `json:"hint"`
	NextRetry *time.Time `json:"next_retry"` // not after now: being tried
	Admin     string     `json:"admin"`      // up | down | draining | drained
	Active    bool       `json:"active"`     // outbound traffic takes it
	Local     *string    `json:"local"`      // outer address:port
	Remote    *string    `json:"remote"`
	Inside    *string    `json:"inside"`
	IKE       *IKE       `json:"ike"`
	Children  []Child    `json:"children"`
	Traffic   Traffic    `json:"traffic"`
	BGP       *BGP       `json:"bgp"`
	Probe     *Probe     `json:"probe"`
	Failure   *Failure   `json:"failure"` // the last negotiation that failed; null: none did
	Key       *Key       `json:"key"`     // where the secret is, by which the tunnel proves who we are
}

// Key is the place of a tunnel's secret, and never the secret.
type Key struct {
	Source        string     `json:"source"`         // file office.1.psk | env NAME | …
	Problem       *string    `json:"problem"`        // why it cannot be had now; null: it can
	PreviousUntil *time.Time `json:"previous_until"` // how long one before it is accepted; null: none is, or for as long as the configuration has it
}

// Failure is a negotiation that failed, with what both ends wanted (F3). It stays when the tunnel is UP again.
type Failure struct {
	Time       time.Time   `json:"time"`
	Reason     string      `json:"reason"`
	Hint       string      `json:"hint"`
	About      *string     `json:"about"`      // IKE proposal | ESP proposal | traffic selectors | identity | pre-shared key | certificate; null: there is nothing to compare
	Told       bool        `json:"told"`       // the peer said what it wants; false: it only refused
	Ours       []string    `json:"ours"`       // proposals, as configured
	Theirs     []string    `json:"theirs"`     // in the same words
	Transforms []Transform `json:"transforms"` // of the two proposals that have most in common; of whatever else it is about
}

// Transform compares one kind of algorithm, the networks of one end, its identity, or one thing about its proof.
type Transform struct {
	What    string   `json:"what"`
	Ours    []string `json:"ours"`
	Theirs  []string `json:"theirs"`
	Differs bool     `json:"differs"`
}

// IKE is the IKE SA of a tunnel.
type IKE struct {
	Version        int       `json:"version"`
	Role           string    `json:"role"` // initiator | responder
	SPIInitiator   string    `json:"spi_initiator"`
	SPIResponder   string    `json:"spi_responder"`
	Suite          string    `json:"suite"`
	Established    time.Time `json:"established"`
	RekeyInSeconds *int64    `json:"rekey_in_seconds"`
	NAT            string    `json:"nat"` // none | local | peer | both
	LocalID        string    `json:"local_id"`
	RemoteID       string    `json:"remote_id"`
	Secret         *string   `json:"secret"` // current | previous: the pre-shared key in use (F5); null with certificates
	PPK            *string   `json:"ppk"`    // id of the post-quantum pre-shared key in the keys (RFC 8784); null: none is
}

// Child is a pair of ESP SAs.
type Child struct {
	SPIIn          string    `json:"spi_in"`
	SPIOut         string    `json:"spi_out"`
	Suite          string    `json:"suite"`
	Encap          string    `json:"encap"`        // udp | esp
	EncapReason    *string   `json:"encap_reason"` // why in UDP: nat | always | no_raw_socket; null: it is not
	ESN            bool      `json:"esn"`
	Established    time.Time `json:"established"`
	RekeyInSeconds *int64    `json:"rekey_in_seconds"`
	LocalTS        []string  `json:"local_ts"`
	RemoteTS       []string  `json:"remote_ts"`
}

// Traffic counts inner packets since the daemon started.
type Traffic struct {
	RXBytes   uint64            `json:"rx_bytes"`
	TXBytes   uint64            `json:"tx_bytes"`
	RXPackets uint64            `json:"rx_packets"`
	TXPackets uint64            `json:"tx_packets"`
	LastRX    *time.Time        `json:"last_rx"`
	Drops     map[string]uint64 `json:"drops"` // by reason, only those that occurred
	// Of the drops, those that came later than the replay window reaches, and how many packets the latest came behind.
	LatePackets uint64 `json:"late_packets"`
	LateBy      uint64 `json:"late_by"`
}

// BGP is the BGP session inside a tunnel; null where none is configured.
type BGP struct {
	State      string    `json:"state"`
	Received   int       `json:"received"`
	Advertised int       `json:"advertised"`
	Since      time.Time `json:"since"`
}

// Probe is what pings through a tunnel say; null where there were none, or the tunnel has no Child SA.
type Probe struct {
	RTTMillis   *float64 `json:"rtt_ms"`       // smoothed; null: nobody has answered
	LossPercent float64  `json:"loss_percent"` // of the last 32
	Suspect     bool     `json:"suspect"`      // packets go out and nothing comes back
}

// Stamp is how times are written: UTC, to the millisecond.
func Stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }

// Ptr returns where v is, or nil for a zero v: an absent value.
func Ptr[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
