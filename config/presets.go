package config

import (
	"time"

	"gopkg.in/yaml.v3"
)

// A preset is what one provider changes in a plain connection. Zero fields change nothing.
type preset struct {
	crypto    profileText
	lifetimes Lifetimes
	dpd       DPD
	selectors Selectors
	maxMSS    int // octets
	pathMTU   int // octets
	allowWeak bool
	keepalive bool // it closes tunnels that nobody uses
}

// presets is the table of what `provider:` sets. Each value can be overridden in the connection. What a provider has
// as everybody else is left out.
var presets = map[Provider]preset{
	// AWS picks the weakest of what is offered, so nothing weak is.
	AWS: {
		crypto:    builtinProfiles["modern"],
		maxMSS:    1379,
		keepalive: true,
	},
	// The default policy of Azure knows group 2 only; a custom policy on its side is better. It does no PFS of its
	// own accord and follows ours: rekeys with a group come last so that we do not ask for one.
	Azure: {
		crypto: profileText{
			ike: []string{"aes256-sha256-modp2048", "aes256-sha256-modp1024", "aes256-sha1-modp1024"},
			esp: []string{"aes256gcm16", "aes256-sha256", "aes256gcm16-modp2048-modp1024", "aes256-sha256-modp2048-modp1024"},
		},
		lifetimes: Lifetimes{IKE: 28800 * time.Second, ESP: 27000 * time.Second},
		dpd:       DPD{Interval: 10 * time.Second, Retries: 4},
		maxMSS:    1350,
		allowWeak: true,
	},
	// Google wants one cipher per role.
	GCP: {
		crypto: profileText{
			ike: []string{"aes256gcm16-prfsha256-modp2048"},
			esp: []string{"aes256gcm16-modp2048"},
		},
		lifetimes: Lifetimes{IKE: 36000 * time.Second, ESP: 10800 * time.Second},
		dpd:       DPD{Interval: 20 * time.Second, Retries: 3},
		maxMSS:    1360,
		pathMTU:   1460,
	},
	Outscale: {
		crypto: profileText{
			ike: []string{"aes256-sha256-modp2048", "aes128-sha1-modp1024"},
			esp: []string{"aes256-sha256-modp2048", "aes128-sha1-modp1024"},
		},
		allowWeak: true,
		keepalive: true,
	},
	Virtuozzo: neutron,
	OpenStack: neutron,
	Generic:   {},
}

// neutron is OpenStack's VPN service, whose default is group 5.
var neutron = preset{
	crypto: profileText{
		ike: []string{"aes256-sha256-modp2048", "aes128-sha1-modp1536"},
		esp: []string{"aes128-sha1-modp1536", "aes256-sha256-modp2048"},
	},
	lifetimes: Lifetimes{IKE: time.Hour, ESP: time.Hour},
	dpd:       DPD{Interval: 30 * time.Second, Retries: 3}, // 120 s in all
	selectors: SelectorsNetworks,
	allowWeak: true,
	keepalive: true,
}

// freshConnection is what a connection is before its keys are read: the plain one, changed by its role and then by
// its provider. Which ones these are is looked up beforehand; whether they are spelled well is found while reading.
func freshConnection(n *yaml.Node) Connection {
	c := plainConnection()
	if role, _ := valueOf(n, "role"); Role(role) == RoleCloud {
		c.Start = StartWait
	}
	provider, _ := valueOf(n, "provider")
	presets[Provider(provider)].apply(&c)
	return c
}

func (p preset) apply(c *Connection) {
	if p.crypto.ike != nil {
		c.crypto = crypto{own: p.crypto.mustParse()}
	}
	set(&c.Lifetimes.IKE, p.lifetimes.IKE)
	set(&c.Lifetimes.ESP, p.lifetimes.ESP)
	set(&c.DPD.Interval, p.dpd.Interval)
	set(&c.DPD.Retries, p.dpd.Retries)
	set(&c.Selectors, p.selectors)
	set(&c.MaxMSS, p.maxMSS)
	set(&c.PathMTU, p.pathMTU)
	set(&c.AllowWeak, p.allowWeak)
}

// set changes a default unless there is nothing to change it to.
func set[T comparable](to *T, value T) {
	var none T
	if value != none {
		*to = value
	}
}
