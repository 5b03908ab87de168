package config

import (
	"net/netip"
	"time"

	"twinbore/config/secret"
)

// BGP is how a connection with routing: bgp speaks with its peer.
type BGP struct {
	AdvertiseGateway bool           // advertise gateway.networks
	AdvertiseDefault bool           // advertise the default route
	Advertise        []netip.Prefix // else these
	Import           []PrefixRule   // none means everything
	MaxPrefixes      int
	Keepalive, Hold  time.Duration
	MED              map[string]uint32 // by tunnel
	Prepend          map[string]int    // by tunnel
	Password         secret.Ref
	BFD              bool

	advertise networks
}

// A PrefixRule matches prefixes inside Prefix whose length is from GE to LE.
type PrefixRule struct {
	Prefix netip.Prefix
	GE, LE int
}

var bgpPointerKind = kind[*BGP]{schema: bgpKind.schema, merge: true, read: func(r *reader, p place, into **BGP) {
	if *into == nil {
		*into = freshBGP()
	}
	bgpKind.read(r, p, *into)
	b := *into
	b.AdvertiseGateway, b.AdvertiseDefault, b.Advertise = b.advertise.gateway, b.advertise.all, b.advertise.list
}}

var bgpKind = object(
	at("advertise", networksKind("gateway", "default"), func(b *BGP) *networks { return &b.advertise }, "networks that we announce; gateway: gateway.networks; default: the default route"),
	at("import", list(prefixRule), func(b *BGP) *[]PrefixRule { return &b.Import }, "networks that we accept"),
	at("max_prefixes", whole[int](1, 1_000_000), func(b *BGP) *int { return &b.MaxPrefixes }, "networks of the peer until the session is closed"),
	at("timers", object(
		at("keepalive", duration(time.Second, 6*time.Hour), func(b *BGP) *time.Duration { return &b.Keepalive }, "time between messages"),
		at("hold", duration(3*time.Second, 18*time.Hour), func(b *BGP) *time.Duration { return &b.Hold }, "silence until the session is down"),
	), func(b *BGP) *BGP { return b }, "timers"),
	at("med", mapping(tunnelName, whole[uint32](0, 4294967295)), func(b *BGP) *map[string]uint32 { return &b.MED }, "metric announced, by tunnel"),
	at("prepend", mapping(tunnelName, whole[int](0, 10)), func(b *BGP) *map[string]int { return &b.Prepend }, "our AS number that many times more, by tunnel"),
	at("password", orNull(secretKind), func(b *BGP) *secret.Ref { return &b.Password }, "TCP MD5 password"),
	at("bfd", truth, func(b *BGP) *bool { return &b.BFD }, "bidirectional forwarding detection"),
)
