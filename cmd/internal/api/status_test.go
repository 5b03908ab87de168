package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite testdata")

// full is a status in which every field has a value somewhere, and every field that may be absent is absent somewhere.
func full() Status {
	at := Stamp(time.Date(2026, 11, 21, 10, 0, 0, 123_456_789, time.FixedZone("CET", 3600)))
	rtt := 8.2
	return Status{
		SchemaVersion: SchemaVersion,
		Gateway:       Gateway{Name: "paris-gw-1", Version: "v0.1.0", Mode: "tun", ASN: Ptr(uint32(65010)), UptimeSeconds: 273600, Drops: map[string]uint64{"tun_queue": 7}, OffloadsGivenUp: []string{"tun_uso"}},
		Connections: []Connection{{
			Name: "aws-prod", ID: Ptr("vpn-0fake"), State: "available", Since: at, Role: "customer", Routing: "bgp", Domain: "default", Source: "file", Tags: map[string]string{"env": "prod"},
			ActiveTunnel: Ptr("1"), Note: Ptr("not redundant now: only tunnel 1 is fit for use"),
			Routes: []Route{
				{Prefix: "10.0.0.0/16", Source: "bgp", Tunnel: Ptr("1"), Installed: true},
				{Prefix: "10.1.0.0/16", Source: "static"},
			},
			Tunnels: []Tunnel{{
				Name: "1", Status: "UP", Since: at, Admin: "draining", Active: true,
				Local: Ptr("192.0.2.10:4500"), Remote: Ptr("198.51.100.21:4500"), Inside: Ptr("169.254.61.2/30"),
				IKE: &IKE{Version: 2, Role: "initiator", SPIInitiator: "c3f1000000000001", SPIResponder: "9a02000000000002",
					Suite: "aes256gcm16-prfsha384-ecp384", Established: at, RekeyInSeconds: Ptr(int64(22000)), NAT: "none",
					LocalID: "203.0.113.10", RemoteID: "198.51.100.21"},
				Children: []Child{{SPIIn: "0xc1a2b3c4", SPIOut: "0x0d0e0f10", Suite: "aes256gcm16-ecp384", Encap: "udp", EncapReason: Ptr("always"), ESN: true,
					Established: at, RekeyInSeconds: Ptr(int64(2300)), LocalTS: []string{"0.0.0.0/0"}, RemoteTS: []string{"0.0.0.0/0"}}},
				Traffic: Traffic{RXBytes: 1, TXBytes: 2, RXPackets: 3, TXPackets: 4, LastRX: &at, Drops: map[string]uint64{"replay": 5}, LatePackets: 4, LateBy: 2000},
				BGP:     &BGP{State: "ESTABLISHED", Received: 3, Advertised: 2, Since: at},
				Probe:   &Probe{RTTMillis: &rtt, LossPercent: 12.5, Suspect: true},
			}, {
				Name: "2", Status: "DOWN", Since: at, Reason: "AUTH_FAILED", Hint: "check psk", NextRetry: &at, Admin: "up",
				Children: []Child{}, Traffic: Traffic{Drops: map[string]uint64{}},
				Key: &Key{Source: "file aws-1.psk", Problem: Ptr("psk: file aws-1.psk: no such file or directory"), PreviousUntil: &at},
				Failure: &Failure{Time: at, Reason: "NO_PROPOSAL_IKE", Hint: "change it", About: Ptr("IKE proposal"), Told: true,
					Ours: []string{"aes256gcm16-prfsha384-ecp384"}, Theirs: []string{"aes256gcm16-prfsha256-ecp384"},
					Transforms: []Transform{{What: "PRF", Ours: []string{"prfsha384"}, Theirs: []string{"prfsha256"}, Differs: true}}},
			}},
		}, {
			Name: "branch", State: "pending", Since: at, Role: "cloud", Routing: "static", Domain: "default", Source: "runtime", Tags: map[string]string{},
			Routes: []Route{}, Tunnels: []Tunnel{},
		}},
	}
}

// TestStatusKeepsItsShape shows product.md §7.1: every name, and null where a value is absent.
func TestStatusKeepsItsShape(t *testing.T) {
	got, err := json.MarshalIndent(full(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const file = "testdata/status.json"
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the status changed its shape: got\n%s", got)
	}
}
