package config

import (
	"net/netip"
	"time"

	"gopkg.in/yaml.v3"

	"twinbore/config/secret"
)

// A Tunnel is one IKE SA with its Child SAs between two outside addresses.
type Tunnel struct {
	Name       string
	Local      netip.Addr // our outside address; zero means that of the route towards the peer
	Remote     Remote
	RemoteID   string       // IKE identity as ike/auth reads it; "" means the peer's address
	LocalID    string       // ours; "" means the outside address in use
	Inside     netip.Prefix // our address inside the tunnel with the length of its network; zero without
	PeerInside netip.Addr   // the peer's; zero without
	PeerASN    uint32       // 0 without
	PSK        PSK
	// CustomerGateway is the name of the customer gateway where this tunnel ends; "" is that of the connection.
	CustomerGateway string
}

// A Remote is where a peer is: exactly one field is set.
type Remote struct {
	Addr netip.Addr
	Host string
	Any  bool
}

// String is what stands in the configuration.
func (r Remote) String() string {
	switch {
	case r.Any:
		return "any"
	case r.Host != "":
		return r.Host
	case r.Addr.IsValid():
		return r.Addr.String()
	}
	return ""
}

// A PSK is a pre-shared key and the one before it, which is accepted until PreviousUntil (R58).
type PSK struct {
	Current       secret.Ref
	Previous      secret.Ref // zero without
	PreviousUntil time.Time  // zero means for as long as it stands here
}

var tunnelKind = object(
	at("name", tunnelName, func(t *Tunnel) *string { return &t.Name }, "name of the tunnel; default: its number"),
	at("local", orWord("auto", netip.Addr{}, hostAddress), func(t *Tunnel) *netip.Addr { return &t.Local }, "our outside address"),
	at("remote", peerPlace, func(t *Tunnel) *Remote { return &t.Remote }, remoteDoc),
	at("remote_id", orWord("auto", "", identity), func(t *Tunnel) *string { return &t.RemoteID }, "the peer's IKE identity"),
	at("local_id", orWord("auto", "", identity), func(t *Tunnel) *string { return &t.LocalID }, "our IKE identity"),
	at("inside", insideAddress, func(t *Tunnel) *netip.Prefix { return &t.Inside }, "our address inside the tunnel, with its length"),
	at("peer_inside", hostAddress, func(t *Tunnel) *netip.Addr { return &t.PeerInside }, "the peer's address inside the tunnel; default: the other host of the /30"),
	at("peer_asn", asn, func(t *Tunnel) *uint32 { return &t.PeerASN }, "the peer's AS number"),
	at("psk", pskKind, func(t *Tunnel) *PSK { return &t.PSK }, "the pre-shared key: where it is kept"),
	at("customer_gateway", plainName, func(t *Tunnel) *string { return &t.CustomerGateway }, "name of the customer gateway at this tunnel's other end; default: that of the connection"),
)

const remoteDoc = "the peer's outside address, host name, or any"

// pskKind is one secret, or two while a key is being changed.
var pskKind = func() kind[PSK] {
	both := object(
		must(at("current", secretKind, func(p *PSK) *secret.Ref { return &p.Current }, "the key that we use")),
		at("previous", orNull(secretKind), func(p *PSK) *secret.Ref { return &p.Previous }, "the key before, still accepted"),
		at("previous_until", moment, func(p *PSK) *time.Time { return &p.PreviousUntil }, "when the key before is no longer accepted"),
	)
	return kind[PSK]{
		schema: schema{"anyOf": []schema{secretKind.schema, both.schema}},
		read: func(r *reader, p place, into *PSK) {
			if hasKey(p.node, "current") || hasKey(p.node, "previous") || hasKey(p.node, "previous_until") {
				defer r.quiet()()
				both.read(r, p, into)
				return
			}
			secretKind.read(r, p, &into.Current)
		},
	}
}()

func hasKey(n *yaml.Node, key string) bool {
	_, ok := valueOf(n, key)
	return ok
}

// valueOf returns the scalar that stands under key in a mapping.
func valueOf(n *yaml.Node, key string) (string, bool) {
	if n.Kind != yaml.MappingNode {
		return "", false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1].Value, true
		}
	}
	return "", false
}
