package config

import "time"

// Every default value of the format stands in this file. What a provider changes is in presets.go.

// Where the configuration is when nobody says so.
const (
	DefaultFile   = "/etc/twinbore/twinbore.yaml"
	DefaultFolder = "/etc/twinbore/conf.d"
)

const (
	apiVersion    = "twinbore/v1"
	defaultDomain = "default"
	mainTable     = 254
)

func freshGateway() Gateway {
	return Gateway{
		StateDir: "/var/lib/twinbore",
		ASN:      65000, // R38
		Outside:  Outside{IKEPort: 500, NATTPort: 4500},
		Datapath: Datapath{
			Mode: ModeAuto,
			TUN: TUN{
				Name:       "twinbore0",
				MSSClamp:   MSSAuto,
				Routes:     KernelRoutes{Table: mainTable, Protocol: 157, Metric: 200},
				Forwarding: ForwardingCheck,
			},
			Offloads: Offloads{Mode: OffloadsAuto}, VerifyChecksums: On,
			Netstack: Netstack{Direct: DirectOutside},
		},
		API:     API{Socket: "/run/twinbore/twinbore.sock", Group: "twinbore"},
		Log:     Log{Level: "info", Format: LogAuto},
		Secrets: Secrets{Dir: "/etc/twinbore/secrets", Refresh: 5 * time.Minute},
		Limits:  Limits{HalfOpen: 200, CookieThreshold: 50, IKEPerSourceRPS: 20, MaxConnections: 10000, MaxStaticRoutes: 100, MaxCustomerGateways: 10000},
		Metrics: Metrics{Detail: "tunnel"},
	}
}

// plainConnection is a connection of which nothing is said. What is said of provider and role changes it before the
// rest is read.
func plainConnection() Connection {
	return Connection{
		Enabled:      true,
		Provider:     Generic,
		Role:         RoleCustomer,
		IKEVersion:   2, // R52
		Lifetimes:    Lifetimes{IKE: 8 * time.Hour, ESP: time.Hour, RekeyAt: 0.78, Jitter: 0.04},
		DPD:          DPD{Interval: 10 * time.Second, Retries: 3, Action: DPDRestart},
		Start:        StartAlways,
		Keepalive:    Keepalive{Mode: KeepAuto, Interval: 10 * time.Second, LossDown: 3},
		Encap:        EncapAuto,
		ReplayWindow: 1024,
		HA:           HA{Mode: ActiveStandby, PreemptAfter: 30 * time.Second, ReturnPath: FollowPeer},
		Domain:       defaultDomain,
		Auth:         AuthPSK,
		Child:        ChildCombined,
		Narrow:       NarrowAccept,
		crypto:       crypto{profile: "modern"},
		locally:      networks{gateway: true},
	}
}

func freshBGP() *BGP {
	return &BGP{MaxPrefixes: 1000, Keepalive: 10 * time.Second, Hold: 30 * time.Second}
}

func freshDomain() Domain {
	return Domain{Name: defaultDomain, Propagate: true}
}
