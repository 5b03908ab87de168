package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Every wrong value is answered with its place, itself, what is allowed, and what was probably meant.
func TestWrongValues(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Keys.
		{gate("asm: 1"), `f:2:3: gateway: unknown key "asm"; want name, state_dir, asn`},
		{gate("networksz: []"), `f:2:3: gateway: unknown key "networksz"; want name, state_dir, asn, router_id, outside, networks, datapath, api, http, log, tracing, secrets, limits, metrics, strict_secrets, watch; did you mean "networks"?`},
		{conn("psk: {file: x}"), `f:3:5: connections[0]: unknown key "psk"; want `},
		{conn("remote-networks: []"), `f:3:5: connections[0]: unknown key "remote-networks"`},
		{gate("name: [a]"), `f:2:9: gateway.name: found a list; want a host name`},
		{gate("name:"), `f:2:8: gateway.name: found nothing; want a host name`},
		{gate("networks: 10.0.0.0/8"), `f:2:13: gateway.networks: found a single value; want a list; write it as [ … ], or as lines that start with a dash`},
		{gate("outside: [x]"), `f:2:12: gateway.outside: found a list; want a mapping, as key: value`},
		{gate("[a, b]: 1"), `f:2:3: gateway: found a list as a key; want `},
		{base + "gatewy: {}\n", `f:9:1: unknown key "gatewy"; want apiVersion, gateway, domains, crypto_profiles, customer_gateways, connections; did you mean "gateway"?`},
		{"apiVersion: twinbore/v2\n" + base, `f:1:13: apiVersion: "twinbore/v2" does not fit; want twinbore/v1; did you mean "twinbore/v1"?`},

		// Words.
		{conn("start: allways"), `f:3:12: connections[0].start: "allways" does not fit; want always, on-traffic or wait; did you mean "always"?`},
		{conn("provider: AWS"), `f:3:15: connections[0].provider: "AWS" does not fit; want aws, azure, gcp, outscale, virtuozzo, openstack or generic; did you mean "aws"?`},
		{conn("start: perhaps"), `f:3:12: connections[0].start: "perhaps" does not fit; want always, on-traffic or wait`},
		{conn("enabled: yes"), `f:3:14: connections[0].enabled: "yes" does not fit; want true or false; did you mean "true"?`},
		{conn(`enabled: "true"`), `f:3:14: connections[0].enabled: "true" is text, because of its quotes; want true or false; leave the quotes out`},
		{conn("description: 12"), `f:3:18: connections[0].description: "12" is no text in YAML; want text; put it in quotes`},
		{conn("description: \"a\\nb\""), `f:3:18: connections[0].description: "a\nb" holds a control character; want text of at most 255 characters on one line`},

		// Numbers and times.
		{gate("asn: 0"), `f:2:8: gateway.asn: "0" does not fit; want an AS number from 1 to 4294967294, but for 23456 and 65535`},
		{gate("asn: 23456"), `f:2:8: gateway.asn: "23456" is reserved; want an AS number`},
		{gate("asn: 4294967295"), `f:2:8: gateway.asn: "4294967295" does not fit`},
		{gate(`asn: "65010"`), `f:2:8: gateway.asn: "65010" is text, because of its quotes`},
		{gate("outside: {ike_port: 65536}"), `f:2:23: gateway.outside.ike_port: "65536" does not fit; want a whole number from 1 to 65535`},
		{gate("outside: {ike_port: 0500}"), `f:2:23: gateway.outside.ike_port: "0500" does not fit`},
		{conn("replay_window: 1000"), `f:3:20: connections[0].replay_window: "1000" is not a power of two; want a power of two from 64 to 65536; did you mean "1024"?`},
		{conn("replay_window: 32"), `f:3:20: connections[0].replay_window: "32" does not fit; want a power of two from 64 to 65536`},
		{conn("dpd: {interval: 10}"), `f:3:21: connections[0].dpd.interval: "10" has no unit; want a time from 0s to 1h, written as 10s, 5m or 1h30m; did you mean "10s"?`},
		{conn("lifetimes: {ike: 9 hours}"), `f:3:22: connections[0].lifetimes.ike: "9 hours" does not fit; want a time from 1s to 168h, written as`},
		{conn("lifetimes: {rekey_at: 78}"), `f:3:27: connections[0].lifetimes.rekey_at: "78" has no %; want a share from 10% to 95%; did you mean "78%"?`},
		{conn("lifetimes: {rekey_at: 95%, jitter: 5%}"), `f:3:40: connections[0].lifetimes.jitter: rekey_at and jitter together reach the end of the lifetime`},

		// Addresses (R35, R31).
		{gate("networks: [10.20.0.1/16]"), `f:2:14: gateway.networks[0]: "10.20.0.1/16" has host bits set; want a network as 10.20.0.0/16 or 2001:db8::/32; did you mean "10.20.0.0/16"?`},
		{gate("networks: [10.20/16]"), `f:2:14: gateway.networks[0]: "10.20/16" does not fit; want a network as 10.20.0.0/16 or 2001:db8::/32; did you mean "10.20.0.0/16"?`},
		{gate("networks: [10.20.0.0/33]"), `f:2:14: gateway.networks[0]: "10.20.0.0/33" does not fit`},
		{gate("networks: [10.20.0.0/16, 10.21.0.0/16, 10.20.0.0/16]"), `f:2:42: gateway.networks[2]: 10.20.0.0/16 stands twice; it is already number 1 of the list`},
		{gate(`networks: ["::ffff:10.0.0.0/104"]`), `f:2:14: gateway.networks[0]: "::ffff:10.0.0.0/104" is IPv4 written as IPv6`},
		{gate("outside: {address: 192.0.2.10/24}"), `f:2:22: gateway.outside.address: "192.0.2.10/24" does not fit; want auto or the IP address of a host; did you mean "192.0.2.10"?`},
		{gate("outside: {address: 0.0.0.0}"), `f:2:22: gateway.outside.address: "0.0.0.0" is not the address of a host`},
		{gate("outside: {address: [192.0.2.1, 192.0.2.2, 192.0.2.3]}"), `f:2:22: gateway.outside.address: found a list of another length; want auto or one value, or a list of two`},
		{gate("outside: {address: [192.0.2.1, 192.0.2.1]}"), `f:2:34: gateway.outside.address[1]: 192.0.2.1 stands twice`},
		{gate("outside: {natt_port: 500}"), `f:2:24: gateway.outside.natt_port: ike_port and natt_port are the same`},
		{gate("datapath: {tun: {routes: {table: 255}}}"), `f:2:36: gateway.datapath.tun.routes.table: "255" is the kernel's own table; want main, or the number`},
		{gate("datapath: {tun: {mtu: huge}}"), `f:2:25: gateway.datapath.tun.mtu: "huge" does not fit; want auto or a whole number from 576 to 9216`},
		{tun("inside: 169.254.61.2\n        psk: {file: b.psk}"), `f:9:17: connections[0].tunnels[1].inside: "169.254.61.2" does not fit; want our address inside the tunnel with its length, as 169.254.61.2/30; did you mean "169.254.61.2/30"?`},
		{tun("inside: 169.254.61.0/30\n        psk: {file: b.psk}"), `f:9:17: connections[0].tunnels[1].inside: "169.254.61.0/30" is the first or last address of 169.254.61.0/30, which no host has`},
		{tun("inside: 169.254.61.3/30\n        psk: {file: b.psk}"), `f:9:17: connections[0].tunnels[1].inside: "169.254.61.3/30" is the first or last address`},
		{tun("inside: 169.254.61.2/29\n        psk: {file: b.psk}"), `f:9:17: connections[0].tunnels[1].inside: 169.254.61.2/29 has room for more than two hosts: which one is the peer?; set peer_inside`},
		{tun("inside: 169.254.61.2/30\n        peer_inside: 169.254.61.6\n        psk: {file: b.psk}"), `f:10:22: connections[0].tunnels[1].peer_inside: 169.254.61.6 is not in 169.254.61.0/30`},
		{tun("inside: 169.254.61.2/30\n        peer_inside: 169.254.61.2\n        psk: {file: b.psk}"), `f:10:22: connections[0].tunnels[1].peer_inside: 169.254.61.2 is our own inside address`},
		{tun("peer_inside: 169.254.61.2\n        psk: {file: b.psk}"), `f:9:22: connections[0].tunnels[1].peer_inside: peer_inside without inside`},
		{tun("local_id: fqnd:gw.example\n        psk: {file: b.psk}"), `f:9:19: connections[0].tunnels[1].local_id: "fqnd:gw.example" does not fit; want auto or an IKE identity: an address, a host name, fqdn:…, email:…, keyid:… or a certificate's subject; did you mean "fqdn:gw.example"?`},
		{strings.Replace(base, "198.51.100.87", "198.51.100.87/32", 1), `f:8:18: connections[0].tunnels[1].remote: "198.51.100.87/32" does not fit; want an IP address, a host name or any; did you mean "198.51.100.87"?`},
		{strings.Replace(base, "198.51.100.87", "198.51.100.999", 1), `f:8:18: connections[0].tunnels[1].remote: "198.51.100.999" does not fit`},

		// Proposals.
		{conn("crypto: {ike: [aes256gmc16-prfsha384-ecp384]}"), `f:3:20: connections[0].crypto.ike[0]: "aes256gmc16-prfsha384-ecp384" is no ike proposal: unknown word "aes256gmc16", did you mean "aes256gcm16"?`},
		{conn("crypto: {esp: [aes256]}"), `f:3:20: connections[0].crypto.esp[0]: "aes256" is no esp proposal: `},
		{conn("crypto: {esp: []}"), `f:3:19: connections[0].crypto.esp: found nothing; want a list of at least one`},
		{conn("crypto: modren"), `f:3:13: connections[0].crypto: there is no crypto profile "modren"; there are compat, modern; did you mean "modern"?`},
	} {
		got := problems(c.text)
		if len(got) == 0 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("got\n   %s\nwant\n   %s\nfor\n%s", strings.Join(got, "\n   "), c.want, c.text)
		}
	}
}

// A key in the wrong place is told where it belongs.
func TestMisplacedKeyIsSentHome(t *testing.T) {
	got := strings.Join(problems(conn("peer_asn: 64512")), "\n")
	if want := "it belongs under connections[].tunnels[]"; !strings.Contains(got, want) {
		t.Errorf("got %s\nwant %s in it", got, want)
	}
}

// R70: order does not matter, and everything that is missing or wrong is said at once.
func TestAllProblemsAreReportedTogether(t *testing.T) {
	wantProblems(t, `connections:
  - tunnels:
      - {psk: {file: a}}
    strat: wait
    dpd: {interval: 10, retries: 0}
    remote_networks: [10.0.0.1/8]
  - name: b
gateway:
  asn: x
`,
		"f:2:5: connections[0]: name is missing",
		"f:2:5: connections[0]: routing is missing",
		"f:3:7: warning: connections[0].tunnels: connection without a name is not redundant: it has one tunnel",
		`f:3:9: connections[0].tunnels[0]: remote is missing`,
		`f:4:5: connections[0]: unknown key "strat"`,
		`f:5:21: connections[0].dpd.interval: "10" has no unit`,
		`f:5:34: connections[0].dpd.retries: "0" does not fit`,
		`f:6:23: connections[0].remote_networks[0]: "10.0.0.1/8" has host bits set`,
		"f:7:5: connections[1]: routing is missing",
		"f:7:5: connections[1]: tunnels is missing",
		`f:9:8: gateway.asn: "x" does not fit`,
	)
}

// SEC-06: names become parts of files, commands and log lines.
func TestNamesThatCouldEscapeAreRefused(t *testing.T) {
	bad := []string{"../x", "a/b", "a;b", "a b", "-a", "A", "1a", "a_b", "é", "a\tb", "", strings.Repeat("a", 64)}
	for _, name := range bad {
		text := strings.Replace(base, "name: office", fmt.Sprintf("name: %q", name), 1)
		if got := strings.Join(problems(text), "\n"); !strings.HasPrefix(got, "f:3:11: connections[0].name: ") {
			t.Errorf("connection name %q: got %q", name, got)
		}
	}
	for _, name := range append(bad, "sixteen-letters-") {
		if got := strings.Join(problems(gate(fmt.Sprintf("datapath: {tun: {name: %q}}", name))), "\n"); !strings.HasPrefix(got, "f:2:26: gateway.datapath.tun.name: ") {
			t.Errorf("device name %q: got %q", name, got)
		}
	}
	got := strings.Join(problems(strings.Replace(base, "name: office", "name: My Office", 1)), "\n")
	if want := `did you mean "my-office"?`; !strings.Contains(got, want) {
		t.Errorf("got %s, want %s in it", got, want)
	}
}

// SEC-05: what is no plain YAML, or made to be expensive, is refused with its line, and at once.
func TestHostileFilesAreRefused(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", c, c, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1, c-1)
	}
	for name, c := range map[string]struct{ text, want string }{
		"bomb":           {bomb, "f:1:4: anchors and aliases"},
		"alias":          {"gateway: {name: *hunter2}\n", "f: not YAML: anchors and aliases"},
		"merge":          {"gateway:\n  <<: {asn: 1}\n", "f:2:3: merge keys"},
		"tag":            {"gateway: {name: !!binary aGVsbG8=}\n", "f:1:17: tags"},
		"duplicate":      {"gateway: {asn: 1, asn: 2}\n", `f:1:19: gateway.asn: "asn" is set twice; it is already set at f:1:16`},
		"two documents":  {"gateway: {}\n---\ngateway: {}\n", "f:2:1: a second document"},
		"too long":       {strings.Repeat("# comment\n", 110_000), "f: the file is longer than 1048576 octets"},
		"not UTF-8":      {"gateway:\n  name: \"\xff\"\n", "f:2:10: the text is not UTF-8"},
		"control":        {"gateway:\n  name: \"\x00\"\n", "f:2:10: a control character (U+0000)"},
		"deep":           {strings.Repeat("[", 2000) + strings.Repeat("]", 2000), "f:1:33: nested deeper than 32 levels"},
		"very deep":      {strings.Repeat("[", 1_000_000), "f"},
		"open":           {"gateway: {name: [\n", "f:"},
		"a word":         {"hello\n", "f:1:1: found a single value; want a mapping"},
		"a list":         {"[1, 2]\n", "f:1:1: found a list; want a mapping"},
		"wide":           {strings.Repeat("a: 1\n", 5_000), `f:1:1: unknown key "a"`},
		"many wrong":     {"gateway: {networks: [" + strings.Repeat("x,", 10_000) + "x]}\n", `f:1:22: gateway.networks[0]: "x" does not fit`},
		"long key":       {strings.Repeat("k", 100_000) + ": 1\n", "f"},
		"question marks": {strings.Repeat("? ", 500_000), "f"},
		"long value":     {gate("name: " + strings.Repeat("v", 100_000)), "f:2:9: gateway.name: \"vvvv"},
	} {
		start := time.Now()
		got := problems(c.text)
		if took := time.Since(start); took > 5*time.Second { // a second on a machine that does nothing else
			t.Errorf("%s: took %v", name, took)
		}
		if len(got) == 0 || !strings.HasPrefix(got[0], c.want) {
			t.Errorf("%s: got %.300q, want %q", name, got, c.want)
		}
		for _, p := range got {
			if len(p) > 2000 {
				t.Errorf("%s: a problem of %d octets", name, len(p))
			}
			if strings.Contains(p, "hunter2") {
				t.Errorf("%s: repeats what may be a secret: %s", name, p)
			}
		}
		if len(got) > maxProblems {
			t.Errorf("%s: %d problems", name, len(got))
		}
	}
	wantProblems(t, "connections:\ngateway:\n", "f:1:13: warning: connections: no connection is configured")
	for _, empty := range []string{"", "# nothing\n", "---\n", "{}\n"} {
		wantProblems(t, empty, "warning: connections: no connection is configured")
	}
}
