package main

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

var update = flag.Bool("update", false, "rewrite testdata")

var tableNow = time.Date(2026, 11, 23, 21, 0, 0, 0, time.UTC)

// tableStatus is what the sample in the product's page shows, and what else a line may have to say.
func tableStatus() api.Status {
	ago := func(d time.Duration) time.Time { return tableNow.Add(-d) }
	ike := func(suite string) *api.IKE {
		return &api.IKE{Version: 2, Role: "initiator", Suite: suite, NAT: "none", SPIInitiator: "c3f1000000000001", SPIResponder: "9a02000000000002"}
	}
	child := func(suite string, rekey int64) []api.Child {
		return []api.Child{{SPIIn: "0xc1a2b3c4", SPIOut: "0x0d0e0f10", Suite: suite, Encap: "udp", RekeyInSeconds: &rekey}}
	}
	bgp := []api.Route{{Prefix: "10.0.0.0/16", Source: "bgp"}, {Prefix: "10.1.0.0/16", Source: "bgp"}, {Prefix: "10.2.0.0/16", Source: "bgp"}}
	retry, past := tableNow.Add(16*time.Second), ago(time.Millisecond)
	return api.Status{SchemaVersion: 1,
		Gateway: api.Gateway{Name: "paris-gw-1", Version: "v0.1.0", Mode: "tun", ASN: api.Ptr(uint32(65010)), UptimeSeconds: 3*86400 + 4*3600 + 60,
			Drops: map[string]uint64{"tun_queue": 3, "replay": 12, "no_route": 3}, OffloadsGivenUp: []string{"tun_uso"}},
		Connections: []api.Connection{{
			Name: "aws-prod", State: "available", ActiveTunnel: api.Ptr("1"), Routes: bgp, Tunnels: []api.Tunnel{
				{Name: "1", Status: "UP", Since: ago(59 * time.Hour), Local: api.Ptr("192.0.2.10:4500"), Remote: api.Ptr("198.51.100.21:4500"),
					IKE: ike("aes256gcm16-prfsha384-ecp384"), Children: child("aes256gcm16-ecp384", 38*60),
					Traffic: api.Traffic{RXBytes: 4_100_000_000, TXBytes: 812_000_000}, Probe: &api.Probe{RTTMillis: api.Ptr(8.2)}},
				{Name: "2", Status: "UP", Since: ago(59 * time.Hour), Local: api.Ptr("192.0.2.10:4500"), Remote: api.Ptr("198.51.100.87:4500"),
					IKE: ike("aes256gcm16-prfsha384-ecp384"), Children: child("aes256gcm16-ecp384", 12*60+59),
					Traffic: api.Traffic{RXBytes: 1_100_000, TXBytes: 999_999}},
			}}, {
			Name: "azure-eu", State: "available", ActiveTunnel: api.Ptr("1"), Routes: []api.Route{{Source: "static"}, {Source: "static"}}, Tunnels: []api.Tunnel{
				{Name: "1", Status: "UP", Since: ago(6*time.Hour + 2*time.Minute), Remote: api.Ptr("192.0.2.77:4500"),
					IKE: ike("aes256-sha256-modp1024"), Children: child("aes256-sha256", 51*60), Traffic: api.Traffic{RXBytes: 90_400_000, TXBytes: 76_600_000}},
				{Name: "2", Status: "DOWN", Since: ago(4 * time.Minute), Remote: api.Ptr("192.0.2.78:500"), NextRetry: &retry,
					Reason: "AUTH_FAILED", Hint: "the peer rejected our key: check psk of tunnel 2"},
			}}, {
			Name: "branch", State: "pending", Tunnels: []api.Tunnel{
				{Name: "1", Status: "DOWN", Since: ago(12 * time.Second), Remote: api.Ptr("[2001:db8::1]:500"), NextRetry: &past,
					Reason: "NO_RESPONSE", Hint: "no answer yet"},
				{Name: "2", Status: "DOWN", Since: ago(12 * time.Second), Reason: "WAITING_FOR_PEER", Hint: "start: wait"},
			}}, {
			Name: "single", State: "available", ActiveTunnel: api.Ptr("1"), Tunnels: []api.Tunnel{
				{Name: "1", Status: "UP", Admin: "drained", Since: ago(time.Minute), Remote: api.Ptr("203.0.113.9:500"), IKE: ike("chacha20poly1305-prfsha256-curve25519"),
					Probe: &api.Probe{RTTMillis: api.Ptr(120.0), LossPercent: 2.4}}},
		}, {
			Name: "both", State: "available", ActiveTunnel: api.Ptr("1"), Tunnels: []api.Tunnel{
				{Name: "1", Status: "UP", Active: true, Since: ago(time.Minute), Remote: api.Ptr("203.0.113.10:500"), IKE: ike("aes128-sha1-modp1024")},
				{Name: "2", Status: "UP", Active: true, Since: ago(time.Minute), Remote: api.Ptr("203.0.113.11:500"), IKE: ike("aes256gcm16-prfsha384-ecp384")}},
		}, {
			Name: "gone", State: "deleted", Tunnels: []api.Tunnel{{Name: "1", Status: "DOWN", Since: ago(time.Minute), Reason: "ADMIN_DOWN", Hint: "deleted"}},
		}}}
}

func TestStatusTable(t *testing.T) {
	for file, wide := range map[string]bool{"testdata/status-table.txt": false, "testdata/status-wide.txt": true} {
		got := statusTable(tableStatus(), wide, false, tableNow)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || got != string(want) {
			t.Errorf("%s: %v: got\n%s", file, err, got)
		}
	}
}

func TestColoursChangeNoColumn(t *testing.T) {
	plain, colour := statusTable(tableStatus(), false, false, tableNow), statusTable(tableStatus(), false, true, tableNow)
	if !strings.Contains(colour, "\x1b[31mDOWN") {
		t.Errorf("no red:\n%q", colour)
	}
	for _, code := range []string{"\x1b[31m", "\x1b[32m", "\x1b[0m"} {
		colour = strings.ReplaceAll(colour, code, "")
	}
	if colour != plain {
		t.Errorf("got\n%s\nwant\n%s", colour, plain)
	}
}

func TestSpans(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0s", -time.Second: "0s", 16 * time.Second: "16s", 4*time.Minute + 59*time.Second: "4m",
		6*time.Hour + 2*time.Minute: "6h02m", 59 * time.Hour: "2d11h", 100 * 24 * time.Hour: "100d0h"} {
		if got := span(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestOctets(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 9_949: "9.9 kB", 9_950: "10 kB", 999_499: "999 kB", 999_500: "1.0 MB",
		812_000_000: "812 MB", 4_100_000_000: "4.1 GB", 1 << 63: "9.2 EB"} {
		if got := octets(n); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
}

func TestExitCodesOfStatus(t *testing.T) {
	all := tableStatus()
	for code, conns := range map[int][]api.Connection{exitOK: {all.Connections[0], all.Connections[5]}, exitDegraded: all.Connections[:2], exitDown: all.Connections[:3]} {
		st := all
		st.Connections = conns
		if got := exitCode(judge(st)); got != code {
			t.Errorf("%d connections: got %d, want %d", len(conns), got, code)
		}
	}
}

func TestYAMLKeepsOrderAndTypes(t *testing.T) {
	raw, err := json.Marshal(api.Connection{Name: "1", State: "available", Since: tableNow, Tags: map[string]string{}, Routes: []api.Route{}, Tunnels: []api.Tunnel{}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := yamlOf(raw)
	const want = `name: "1"
id: null
state: available
since: "2026-11-23T21:00:00Z"
role: ""
routing: ""
domain: ""
source: ""
tags: {}
active_tunnel: null
note: null
one_way: null
routes: []
tunnels: []
`
	if err != nil || string(got) != want {
		t.Errorf("got %v\n%s", err, got)
	}
}

// R44: what goes one way only is said at the tunnel that carries it.
func TestStatusSaysOneWay(t *testing.T) {
	st := tableStatus()
	said := "one-way: 12 packets sent in 5s and none came back: look there"
	for i := range st.Connections {
		st.Connections[i].OneWay = &said
	}
	got := statusTable(st, false, false, tableNow)
	want := 0
	for _, c := range st.Connections {
		if c.ActiveTunnel != nil {
			want++
		}
	}
	if n := strings.Count(got, said); n != want || n == 0 {
		t.Errorf("said %d times, want %d\n%s", n, want, got)
	}
}
