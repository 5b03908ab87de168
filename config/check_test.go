package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// second is base with another connection after it.
func second(lines ...string) string {
	return base + "  - name: other\n    routing: static\n    " + strings.Join(lines, "\n    ") + "\n"
}

const otherTunnels = "tunnels: [{remote: 203.0.113.1, psk: {file: c}}, {remote: 203.0.113.2, psk: {file: d}}]"

func TestChecksBetweenKeys(t *testing.T) {
	for _, c := range []struct {
		why, text string
		want      []string
	}{
		// Networks and who owns them.
		{"R33, TS-08: the same network behind two peers", second("remote_networks: [10.31.0.0/16, 10.30.0.0/16]", otherTunnels), []string{
			`f:11:37: connections[1].remote_networks[1]: connections "office" and "other" both have 10.30.0.0/16 behind their peer; the other is at f:5:22`}},
		{"R33, TS-08: a network inside another one: the longest prefix wins", second("remote_networks: [10.30.1.0/24, 10.0.0.0/8]", otherTunnels), nil},
		{"a disabled connection owns nothing", second("enabled: false", "remote_networks: [10.30.0.0/16]", otherTunnels), nil},
		{"R35: a bare address is one host, and counts as written twice", strings.Replace(base, "[10.30.0.0/16]", "[10.30.0.1, 10.30.0.1/32]", 1), []string{
			`f:5:34: connections[0].remote_networks[1]: 10.30.0.1/32 stands twice; it is already number 1 of the list`}},
		{"the same network on both sides", strings.Replace(base, "10.30.0.0/16", "10.20.0.0/16", 1), []string{
			`f:5:23: connections[0].remote_networks[0]: 10.20.0.0/16 is a network here as well`}},
		{"a network that another connection has on this side", second("local_networks: [10.9.0.0/16]", "remote_networks: [10.20.0.0/16]", otherTunnels), []string{
			`f:12:23: connections[1].remote_networks[0]: 10.20.0.0/16 is a network here as well; gateway.networks has it, and another connection says so to its peer`}},
		{"R36: static routing without a route", strings.Replace(base, "    remote_networks: [10.30.0.0/16]\n", "", 1), []string{
			`f:3:5: connections[0].remote_networks: routing: static needs at least one network behind the peer; remote_networks: [10.0.0.0/16]`}},
		{"R36: static routing with an empty list", strings.Replace(base, "[10.30.0.0/16]", "[]", 1), []string{
			`f:5:22: connections[0].remote_networks: routing: static needs`}},
		{"R13: the default route is never taken without being named, and then with a warning", strings.Replace(base, "10.30.0.0/16", "0.0.0.0/0", 1), []string{
			`f:5:23: warning: connections[0].remote_networks[0]: 0.0.0.0/0 sends everything that no other route takes into connection "office"`}},
		{"R14: static routes are counted", "gateway: {networks: [10.20.0.0/16], limits: {max_static_routes: 1}}\n" + strings.Replace(base[strings.Index(base, "conn"):], "[10.30.0.0/16]", "[10.30.0.0/16, 10.31.0.0/16]", 1), []string{
			`f:5:22: connections[0].remote_networks: 2 networks, more than gateway.limits.max_static_routes (1)`}},
		{"R14: connections are counted", strings.Replace(second("remote_networks: [10.31.0.0/16]", otherTunnels), "gateway: {", "gateway: {limits: {max_connections: 1}, ", 1), []string{
			`f:3:3: connections: 2 connections, more than gateway.limits.max_connections (1)`}},
		{"policy needs networks here", strings.Replace(strings.Replace(base, "routing: static", "routing: policy", 1), "networks: [10.20.0.0/16]", "", 1), []string{
			`f:3:5: connections[0].local_networks: selectors: networks needs at least one network here; set gateway.networks or local_networks`}},

		// Pings.
		{"R25: pings need an address to leave from", conn("keepalive: {mode: on}"), []string{
			`f:3:23: connections[0].keepalive.mode: tunnel "1" has no inside address to ping from; give it one, as inside: 169.254.61.2/30`,
			`f:3:23: connections[0].keepalive.mode: tunnel "2" has no inside address to ping from`}},
		{"R25: with auto there are none then", conn("keepalive: {mode: auto, interval: 5s}"), nil},
		{"R25: what is pinged is behind the peer", conn("keepalive: {mode: auto, target: 10.20.0.1}"), []string{
			`f:3:37: connections[0].keepalive.target: 10.20.0.1 is not behind the peer; take an address of remote_networks, or peer-inside`}},
		{"R25: the selectors leave pings out", strings.Replace(conn("selectors: networks\n    keepalive: {mode: icmp}"), "{remote: 198.51.100.21,", "{inside: 169.254.61.2/30, remote: 198.51.100.21,", 1), []string{
			`f:4:23: connections[0].keepalive.mode: selectors: networks leaves out pings from 169.254.61.2 to 169.254.61.1 through tunnel "1"; use selectors: any, or inside addresses that are in the networks`,
			`f:4:23: connections[0].keepalive.mode: tunnel "2" has no inside`}},
		{"R25: both ends of a ping are of one family", strings.Replace(strings.Replace(conn("keepalive: {mode: on, target: fd00::1}"), "[10.30.0.0/16]", "[10.30.0.0/16, fd00::/64]", 1), "{remote: 198.51.100.21", "{inside: 169.254.61.2/30, remote: 198.51.100.21", 1), []string{
			`f:3:23: connections[0].keepalive.mode: tunnel "2" has no inside`,
			`f:3:35: connections[0].keepalive.target: fd00::1 cannot be pinged from 169.254.61.2 of tunnel "1"`}},

		// Tunnels and their addresses.
		{"R20: one tunnel", strings.TrimSuffix(base, "      - {remote: 198.51.100.87, psk: {file: b.psk}}\n"), []string{
			`f:7:7: warning: connections[0].tunnels: connection "office" is not redundant: it has one tunnel`}},
		{"no tunnel", base[:strings.Index(base, "    tunnels")] + "    tunnels: []\n", []string{
			`f:6:14: connections[0].tunnels: connection "office" has no tunnel`}},
		{"R19: both tunnels between the same addresses", strings.Replace(base, "198.51.100.87", "198.51.100.21", 1), []string{
			`f:8:18: connections[0].tunnels[1].remote: another tunnel goes from the same outside address to 198.51.100.21 already; the other is at f:7:9`}},
		{"R19: one peer address, two of ours", strings.Replace(strings.Replace(base, "198.51.100.87", "198.51.100.21", 1), "gateway: {", "gateway: {outside: {address: [192.0.2.10, 192.0.2.11]}, ", 1), []string{
			`f:7:7: warning: connections[0].tunnels: all tunnels of connection "office" end at 198.51.100.21`}},
		{"R29: two connections to the same peer", second("remote_networks: [10.31.0.0/16]", "tunnels: [{remote: 198.51.100.87, psk: {file: c}}, {remote: 203.0.113.2, psk: {file: d}}]"), []string{
			`f:12:24: connections[1].tunnels[0].remote: another tunnel goes from the same outside address to 198.51.100.87 already; the other is at f:8:9`}},
		{"R16: two connections of one name", strings.Replace(second("remote_networks: [10.31.0.0/16]", otherTunnels), "name: other", "name: office", 1), []string{
			`f:9:11: connections[1].name: there are two connections "office"; the other is at f:3:5`}},
		{"R16: two tunnels of one name", strings.Replace(base, "{remote: 198.51.100.21", "{name: 2, remote: 198.51.100.21", 1), []string{
			`f:8:9: connections[0].tunnels[1].name: connection "office" has two tunnels "2"; a tunnel without a name is called by its number`}},
		{"R31: inside networks that overlap", strings.NewReplacer("100.21,", "100.21, inside: 169.254.61.2/30,", "100.87,", "100.87, inside: 169.254.61.1/30,").Replace(base), []string{
			`f:8:41: connections[0].tunnels[1].inside: 169.254.61.0/30 overlaps the inside network 169.254.61.0/30 of another tunnel; the other is at f:7:41`}},
		{"R31: two connections with one inside network", strings.NewReplacer("100.21,", "100.21, inside: 169.254.61.2/30,").Replace(
			second("remote_networks: [10.31.0.0/16]", "tunnels: [{remote: 203.0.113.1, inside: 169.254.61.2/30, psk: {file: c}}, {remote: 203.0.113.2, psk: {file: d}}]")), nil},
		{"R31: an inside network with two ends of ours", strings.NewReplacer("100.21,", "100.21, inside: 169.254.61.2/30,").Replace(
			second("remote_networks: [10.31.0.0/16]", "tunnels: [{remote: 203.0.113.1, inside: 169.254.61.1/30, psk: {file: c}}, {remote: 203.0.113.2, psk: {file: d}}]")), []string{
			`f:12:45: connections[1].tunnels[0].inside: 169.254.61.0/30 overlaps the inside network 169.254.61.0/30 of another tunnel; the other is at f:7:41`}},
		{"R31: a wide inside network that holds another", strings.NewReplacer("100.21,", "100.21, inside: 169.254.61.6/30,", "100.87,", "100.87, inside: 169.254.61.1/24, peer_inside: 169.254.61.2,").Replace(base), []string{
			`f:7:41: connections[0].tunnels[0].inside: 169.254.61.4/30 overlaps the inside network 169.254.61.0/24`}},
		{"the metadata service of clouds", strings.Replace(base, "100.21,", "100.21, inside: 169.254.169.253/30,", 1), []string{
			`f:7:41: warning: connections[0].tunnels[0].inside: 169.254.169.252/30 holds 169.254.169.254, where clouds serve metadata`}},
		{"our own address as the peer's", strings.Replace(base, "gateway: {", "gateway: {outside: {address: 198.51.100.87}, ", 1), []string{
			`f:8:18: connections[0].tunnels[1].remote: 198.51.100.87 is our own outside address`}},
		{"two families", strings.Replace(base, "100.21,", "100.21, local: 2001:db8::1,", 1), []string{
			`f:7:40: connections[0].tunnels[0].local: 2001:db8::1 and the peer's 198.51.100.21 are of different families`}},
		{"any without certificates", strings.Replace(base, "198.51.100.87", "any", 1), []string{
			`f:8:18: connections[0].tunnels[1].remote: remote: any needs role: cloud and auth: certificate; a pre-shared key is chosen by the peer's address`}},

		// Certificates.
		{"certificates that are not named", certified("auth: certificate"), []string{
			`f:3:5: connections[0].certificate: auth: certificate needs certificate.cert; certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}`,
			`f:3:5: connections[0].certificate: auth: certificate needs certificate.key; `,
			`f:3:5: connections[0].certificate: auth: certificate needs certificate.ca; `}},
		{"certificates that are named", certified("auth: certificate\n    certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem], crl: [ca.crl]}"), nil},
		{"certificates with SHA-1", certified("auth: certificate\n    certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}\n    allow_weak: true"), []string{
			`f:5:17: warning: connections[0].allow_weak: connection "office" allows signatures with SHA-1 to an RSA peer that does not know RFC 7427; leave it out`}},
		{"a key that cannot be made here", certified("auth: certificate\n    certificate: {cert: gw.pem, key: {generate: true}, ca: [ca.pem]}"), []string{
			`f:4:38: connections[0].certificate.key: a private key belongs to its certificate and cannot be generated; openssl genpkey`}},
		{"a private key in the file itself", certified("auth: certificate\n    certificate: {cert: gw.pem, key: {inline: canary}, ca: [ca.pem]}"), []string{
			`f:4:38: warning: connections[0].certificate.key: a secret stands in the configuration itself; use {file: …}`}},
		{"a secret that certificates make idle", conn("auth: certificate\n    certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}"), []string{
			`f:9:38: warning: connections[0].tunnels[0].psk: the pre-shared key is not used; auth: certificate stands at the connection`,
			`f:10:38: warning: connections[0].tunnels[1].psk: the pre-shared key is not used; `}},
		{"R60: peers at any address are told apart by name", strings.NewReplacer("198.51.100.21", "any", "198.51.100.87", "any, remote_id: gw.example").Replace(
			certified("role: cloud\n    auth: certificate\n    certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}")), []string{
			`f:10:9: connections[0].tunnels[0].remote_id: remote: any needs remote_id; what the peer's certificate names: a host name, or its subject`}},
		{"R60: two peers at any address with one name", strings.NewReplacer("198.51.100.21", "any, remote_id: gw.example", "198.51.100.87", "any, remote_id: gw.example").Replace(
			certified("role: cloud\n    auth: certificate\n    certificate: {cert: gw.pem, key: {file: gw.key}, ca: [ca.pem]}")), []string{
			`f:11:18: connections[0].tunnels[1].remote: another tunnel goes from the same outside address to any already; the other is at f:10:9`}},

		// Filters (R47).
		{"R47: a filter", conn("filter: {in: [{action: allow, proto: tcp, port: 22}, {action: allow, port: 8000-8100}, {action: deny}], out: [{action: deny, proto: icmp}]}"), nil},
		{"R47: ports of ICMP", conn("filter: {out: [{action: deny, proto: udp, port: 53}, {action: allow, proto: icmp, port: 8}]}"), []string{
			`f:3:93: connections[0].filter.out[1].port: icmp has no ports; leave port out, or set proto to tcp or udp`}},
		{"R47: a rule behind one that matches everything", conn("filter: {in: [{action: deny}, {action: allow, proto: tcp, port: 22}]}"), []string{
			`f:3:35: warning: connections[0].filter.in[1]: this rule is never reached: rule 1 before it matches everything`}},

		// References (R10).
		{"R10: a domain that is not there", conn("domain: defualt"), []string{
			`f:3:13: connections[0].domain: there is no domain "defualt"; there are default; did you mean "default"?`}},
		{"R10: a tunnel that is not there", conn(`ha: {prefer: "3"}`), []string{
			`f:3:18: connections[0].ha.prefer: connection "office" has no tunnel "3"; it has 1, 2`}},
		{"two domains of one name", base + "domains: [{name: default}, {name: default}]\n", []string{
			`f:9:35: domains[1].name: there are two domains "default"; the other is at f:9:11`}},
		{"R12: a domain without a device of its own", base + "domains: [{name: blue}]\n", []string{
			`f:9:11: domains[0].tun: domains "blue" and "default" both have the device "twinbore0"; give each domain a device of its own, as tun: twinbore1`}},
		{"R40: a table that is left alone", base + "domains: [{name: default, propagate: false}]\n", []string{
			`f:9:38: warning: domains[0].propagate: domain "default" leaves the host's routes alone: what leads into twinbore0, and that its networks are unreachable while they are down, is up to you`}},
		{"F11: domains that would meet in a table", second("domain: blue", "remote_networks: [10.31.0.0/16, 10.30.7.0/24]", otherTunnels) + "domains: [{name: blue, tun: twinbore1}]\n", []string{
			`f:12:37: connections[1].remote_networks[1]: 10.30.7.0/24 of domain "blue" and 10.30.0.0/16 of domain "default" (connection "office") are in one routing table, main; give one of the domains a table of its own, as table: 100`}},
		{"F11: domains with tables of their own", second("domain: blue", "remote_networks: [10.30.0.0/16]", otherTunnels) + "domains: [{name: blue, tun: twinbore1, table: 100}]\n", nil},
		{"R32: domains without a network in common", second("domain: blue", "remote_networks: [10.31.0.0/16]", otherTunnels) + "domains: [{name: blue, tun: twinbore1}]\n", nil},

		// Connections that stand in for one another (R28).
		{"R33: the same network in a backup", second("ha: {backup_of: office}", "remote_networks: [10.30.0.0/16]", otherTunnels), nil},
		{"a backup of nobody", second("ha: {backup_of: ofice}", "remote_networks: [10.31.0.0/16]", otherTunnels), []string{
			`f:11:21: connections[1].ha.backup_of: there is no connection "ofice"; did you mean "office"?`}},
		{"a backup of itself", second("ha: {backup_of: other}", "remote_networks: [10.31.0.0/16]", otherTunnels), []string{
			`f:11:21: connections[1].ha.backup_of: connection "other" cannot be its own backup`}},
		{"backups in a circle", strings.Replace(second("ha: {backup_of: office}", "remote_networks: [10.30.0.0/16]", otherTunnels), "routing: static", "routing: static\n    ha: {backup_of: other}", 1), []string{
			`f:5:21: connections[0].ha.backup_of: connection "office" is its own backup, by way of "other"; one of them has to be without backup_of`,
			`f:12:21: connections[1].ha.backup_of: connection "other" is its own backup, by way of "office"; one of them`}},
		{"a backup in another domain", second("domain: blue", "ha: {backup_of: office}", "remote_networks: [10.30.0.0/16]", otherTunnels) + "domains: [{name: blue, tun: twinbore1, table: 100}]\n", []string{
			`f:12:21: connections[1].ha.backup_of: connection "other" is in domain "blue" and "office" in domain "default", which have nothing to do with each other`}},
		{"a backup without a network in common", second("ha: {backup_of: office}", "remote_networks: [10.31.0.0/16]", otherTunnels), []string{
			`f:11:21: warning: connections[1].ha.backup_of: connection "other" is the backup of "office" and has none of its remote_networks; it stands in for the networks that both have`}},

		// Keys and algorithms.
		{"no key", strings.Replace(base, ", psk: {file: b.psk}", "", 1), []string{
			`f:8:9: connections[0].tunnels[1]: tunnel 2 of connection "office" has no psk; psk: {file: office-2.psk}`}},
		{"weak algorithms", conn("crypto: compat"), []string{`f:3:13: connections[0].crypto: connection "office" has weak algorithms: modp1024: `}},
		{"weak algorithms that are allowed", conn("crypto: compat\n    allow_weak: true"), []string{`f:3:13: warning: connections[0].crypto: connection "office" allows weak algorithms: modp1024: `}},
		{"no dead peer detection", conn("dpd: {interval: 0s}"), []string{`f:3:21: warning: connections[0].dpd.interval: a dead tunnel is noticed only at its next rekey`}},
		{"R51, R52: IKEv1 is old and negotiates one pair", strings.NewReplacer("routing: static", "routing: policy\n    ike: 1", "[10.30.0.0/16]", "[10.30.0.0/16, 10.31.0.0/16]").Replace(base), []string{
			`f:3:5: connections[0].selectors: IKEv1 negotiates one local and one remote network; name one of each, or use selectors: any`,
			`f:5:10: connections[0].ike: not supported yet: IKEv1 (ike: 1)`,
			`f:5:10: warning: connections[0].ike: connection "office" uses IKEv1, which is obsolete; use ike: 2 if the peer can`}},
		{"R38, R37: BGP needs numbers that differ", conn("bgp: {timers: {keepalive: 30s, hold: 30s}, med: {3: 1}}"), []string{
			`f:3:10: connections[0].bgp: not supported yet: BGP`,
			`f:3:10: connections[0].bgp: a bgp section with routing: static`,
			`f:3:19: connections[0].bgp.timers: hold must be longer than keepalive; three times as long is usual`,
			`f:3:57: connections[0].bgp.med."3": connection "office" has no tunnel "3"; it has 1, 2`}},
		{"a control port without protection", gate("api: {listen: 127.0.0.1:9}"), []string{
			`f:2:17: gateway.api.listen: not supported yet: the control interface over TCP`,
			`f:2:17: gateway.api.listen: a TCP listener needs tls or token_file`}},
	} {
		t.Run(c.why, func(t *testing.T) { wantProblems(t, c.text, c.want...) })
	}
}

// R38: the ends of a BGP session have different numbers, and the peer's must be known.
func TestASNumbersDiffer(t *testing.T) {
	text := strings.NewReplacer("routing: static", "routing: bgp",
		"100.21,", "100.21, inside: 169.254.61.2/30, peer_asn: 65000,",
		"100.87,", "100.87, inside: 169.254.61.6/30,").Replace(base)
	wantProblems(t, text,
		`f:4:14: connections[0].routing: not supported yet: BGP`,
		`f:7:68: connections[0].tunnels[0].peer_asn: 65000 is gateway.asn as well; the two ends need different AS numbers`,
		`f:8:9: connections[0].tunnels[1].peer_asn: peer_asn is missing`)
}

// R31: the peer is the other host of a network of two.
func TestOtherHost(t *testing.T) {
	for in, want := range map[string]string{
		"169.254.61.2/30": "169.254.61.1", "169.254.61.1/30": "169.254.61.2", "169.254.62.6/30": "169.254.62.5",
		"10.0.0.0/31": "10.0.0.1", "10.0.0.255/31": "10.0.0.254",
		"2001:db8::1/126": "2001:db8::2", "2001:db8::/127": "2001:db8::1",
		"10.0.0.1/29": "invalid IP", "10.0.0.1/32": "invalid IP",
	} {
		if got := otherHost(netip.MustParsePrefix(in)).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}

// R19: with two outside addresses the nth tunnel ends at the nth, of the peer's family.
func TestTunnelsShareOutsideAddresses(t *testing.T) {
	two := strings.Replace(base, "gateway: {", "gateway: {outside: {address: [192.0.2.10, 192.0.2.11]}, ", 1)
	c := good(t, two).Connections[0]
	if c.Tunnels[0].Local.String() != "192.0.2.10" || c.Tunnels[1].Local.String() != "192.0.2.11" {
		t.Errorf("got %v and %v", c.Tunnels[0].Local, c.Tunnels[1].Local)
	}
	mixed := strings.Replace(two, "192.0.2.10", "2001:db8::1", 1)
	c = good(t, mixed).Connections[0]
	if c.Tunnels[0].Local.String() != "192.0.2.11" || c.Tunnels[1].Local.String() != "192.0.2.11" {
		t.Errorf("peers with IPv4: got %v and %v", c.Tunnels[0].Local, c.Tunnels[1].Local)
	}
	named := strings.Replace(base, "gateway: {", "gateway: {outside: {identity: \"fqdn:gw.example\"}, ", 1)
	if got := good(t, named).Connections[0].Tunnels[1].LocalID; got != "fqdn:gw.example" {
		t.Errorf("identity %q", got)
	}
}

func TestTrafficSelectors(t *testing.T) {
	for _, c := range []struct{ routing, remote, extra, local, want string }{
		{"static", "10.30.0.0/16", "", "0.0.0.0/0", "0.0.0.0/0"},
		{"static", "2001:db8::/32", "", "::/0", "::/0"},
		{"static", "10.30.0.0/16, 2001:db8::/32", "", "0.0.0.0/0 ::/0", "0.0.0.0/0 ::/0"},
		{"static", "10.30.0.0/16", "selectors: networks", "10.20.0.0/16", "10.30.0.0/16"},
		{"policy", "10.30.0.0/16, 10.31.0.1", "", "10.20.0.0/16", "10.30.0.0/16 10.31.0.1/32"},
		{"policy", "10.30.0.0/16", "local_networks: [10.9.0.0/24]", "10.9.0.0/24", "10.30.0.0/16"},
		{"policy", "10.30.0.0/16", "selectors: any", "0.0.0.0/0", "0.0.0.0/0"},
	} {
		text := strings.NewReplacer("routing: static", "routing: "+c.routing, "[10.30.0.0/16]", "["+c.remote+"]\n    "+c.extra).Replace(base)
		conn := good(t, text).Connections[0]
		if got := words(conn.LocalTS()); got != c.local {
			t.Errorf("%+v: local %s, want %s", c, got, c.local)
		}
		if got := words(conn.RemoteTS()); got != c.want {
			t.Errorf("%+v: remote %s, want %s", c, got, c.want)
		}
	}
}

func words(list []netip.Prefix) string { return strings.Trim(fmt.Sprint(list), "[]") }

// The table of product presets, and that every value of it can be overridden.
func TestPresets(t *testing.T) {
	for provider, want := range map[string]string{
		"aws":       "aes256gcm16-prfsha384-ecp384 aes256gcm16-prfsha256-ecp256 aes256-sha256-modp2048 | aes256gcm16-ecp384 aes256gcm16-ecp256 aes256-sha256-modp2048 | 8h0m0s 1h0m0s 10s 3 any 1379 0 false",
		"azure":     "aes256-sha256-modp2048 aes256-sha256-modp1024 aes256-sha1-modp1024 | aes256gcm16 aes256-sha256 aes256gcm16-modp2048-modp1024 aes256-sha256-modp2048-modp1024 | 8h0m0s 7h30m0s 10s 4 any 1350 0 true",
		"gcp":       "aes256gcm16-prfsha256-modp2048 | aes256gcm16-modp2048 | 10h0m0s 3h0m0s 20s 3 any 1360 1460 false",
		"outscale":  "aes256-sha256-modp2048 aes128-sha1-modp1024 | aes256-sha256-modp2048 aes128-sha1-modp1024 | 8h0m0s 1h0m0s 10s 3 any 0 0 true",
		"virtuozzo": "aes256-sha256-modp2048 aes128-sha1-modp1536 | aes128-sha1-modp1536 aes256-sha256-modp2048 | 1h0m0s 1h0m0s 30s 3 networks 0 0 true",
		"openstack": "aes256-sha256-modp2048 aes128-sha1-modp1536 | aes128-sha1-modp1536 aes256-sha256-modp2048 | 1h0m0s 1h0m0s 30s 3 networks 0 0 true",
		"generic":   "aes256gcm16-prfsha384-ecp384 aes256gcm16-prfsha256-ecp256 aes256-sha256-modp2048 | aes256gcm16-ecp384 aes256gcm16-ecp256 aes256-sha256-modp2048 | 8h0m0s 1h0m0s 10s 3 any 0 0 false",
	} {
		loaded := good(t, conn("provider: "+provider))
		c := loaded.Connections[0]
		got := fmt.Sprintln(c.IKE, "|", c.ESP, "|", c.Lifetimes.IKE, c.Lifetimes.ESP, c.DPD.Interval, c.DPD.Retries, c.Selectors, c.MaxMSS, c.PathMTU, c.AllowWeak)
		if got := strings.NewReplacer("[", "", "]", "", "\n", "").Replace(got); got != want {
			t.Errorf("%s:\n got %s\nwant %s", provider, got, want)
		}
		if weak := slices.ContainsFunc(loaded.Warnings, func(p Problem) bool { return strings.Contains(p.Text, "weak algorithms") }); weak != c.AllowWeak {
			t.Errorf("%s: allow_weak is %v, and weak algorithms are warned of: %v", provider, c.AllowWeak, weak)
		}
	}
	if len(presets) != 7 {
		t.Errorf("%d presets", len(presets))
	}
	over := good(t, conn("provider: azure\n    crypto: {ike: [aes256-sha256-ecp256]}\n    allow_weak: true\n    lifetimes: {esp: 30m}\n    dpd: {retries: 2}")).Connections[0]
	if fmt.Sprint(over.IKE) != "[aes256-sha256-ecp256]" || over.ESP[0].String() != "aes256gcm16" || over.Lifetimes.ESP.String() != "30m0s" || over.Lifetimes.IKE.String() != "8h0m0s" || over.DPD.Retries != 2 {
		t.Errorf("overridden: %+v", over)
	}
	named := good(t, conn("provider: gcp\n    crypto: modern")).Connections[0]
	if named.IKE[0].String() != "aes256gcm16-prfsha384-ecp384" || named.Profile != "modern" {
		t.Errorf("a profile over a preset: %v", named.IKE)
	}
	// Order of keys does not matter (R70).
	late := good(t, strings.Replace(base, "    tunnels:", "    lifetimes: {esp: 30m}\n    provider: gcp\n    tunnels:", 1)).Connections[0]
	if late.Lifetimes.ESP.String() != "30m0s" || late.Lifetimes.IKE.String() != "10h0m0s" {
		t.Errorf("provider after lifetimes: %+v", late.Lifetimes)
	}
}

// certified is a connection with these lines whose tunnels have no pre-shared key.
func certified(lines string) string {
	return strings.NewReplacer(", psk: {file: a.psk}", "", ", psk: {file: b.psk}", "").Replace(conn(lines))
}

// CTL-05: there is no way to the control interface but its socket: none is the default, and one without authentication is
// refused for two reasons.
func TestNoControlOverTCP(t *testing.T) {
	c, err := load(base)
	if err != nil || c.Gateway.API.Listen != "" || c.Gateway.HTTP.Listen != "" {
		t.Fatalf("by default: %+v, %+v, %v", c.Gateway.API, c.Gateway.HTTP, err)
	}
	for _, listen := range []string{"127.0.0.1:9", "0.0.0.0:9", "[::]:9"} {
		got := strings.Join(problems(gate(fmt.Sprintf("api: {listen: %q}", listen))), "\n")
		for _, want := range []string{"a TCP listener needs tls or token_file", "not supported yet: the control interface over TCP"} {
			if !strings.Contains(got, want) {
				t.Errorf("%s: got %s, want %q", listen, got, want)
			}
		}
	}
	if got := strings.Join(problems(gate("http: {listen: 0.0.0.0:9480, pprof: true}")), "\n"); !strings.Contains(got, "not supported yet: the HTTP listener") {
		t.Errorf("http: got %s", got)
	}
}
