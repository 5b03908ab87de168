package config

import (
	"slices"
	"strings"
	"testing"
)

// Every line of the tables of what is not built is refused at its place. A new line needs a case here, and a line
// that is deleted because its feature is built takes its case with it.
func TestWhatIsNotBuiltIsRefused(t *testing.T) {
	const netstack, tunDevice = "datapath: {netstack: {", "datapath: {tun: {"
	cases := map[string][]string{ // the feature, and files that ask for it
		"the mode without a TUN (mode: netstack)": {gate("datapath: {mode: netstack}")},
		"SOCKS proxy":            {gate(netstack + "socks5: {listen: 127.0.0.1:1080}}}"), gate(netstack + "socks5: {auth: {user_file: a}}}}")},
		"HTTP proxy":             {gate(netstack + "http_proxy: {listen: 127.0.0.1:8118}}}")},
		"direct: refuse":         {gate(netstack + "direct: refuse}}")},
		"name server in the VPN": {gate(netstack + "dns: {server: 10.0.0.2}}}"), gate(netstack + "dns: {suffixes: [corp.example]}}}")},
		"forwarded ports":        {gate(netstack + "forwards: [{listen: 127.0.0.1:1, to: 10.0.0.1:1}]}}")},
		"exposed ports":          {gate(netstack + `exposes: [{inside: "10.0.0.1:1", to: "udp:127.0.0.1:1"}]}}`)},
		"leaving TCP's segment size alone (mss_clamp: off)": {gate(tunDevice + "mss_clamp: off}}")},
		"the control interface over TCP":                    {gate(`api: {listen: "127.0.0.1:9", token_file: /a}`), gate("api: {tls: {cert: /a}}"), gate("api: {token_file: /a}")},
		"the HTTP listener":                                 {gate("http: {listen: 127.0.0.1:9480}"), gate("http: {metrics: true}"), gate("http: {pprof: true}")},
		"logging to journald (format: journald)":            {gate("log: {format: journald}")},
		"AWS's log format (format: aws-s2s)":                {gate("log: {format: aws-s2s}")},
		"traces":                                            {gate(`tracing: {otlp: "http://127.0.0.1:4317"}`)},
		"secrets kept by AWS":                               {gate("secrets: {aws: {region: eu-west-3}}")},
		"secrets kept in a Vault":                           {gate(`secrets: {vault: {address: "https://vault.example"}}`)},
		"metrics by connection":                             {gate("metrics: {detail: connection}")},
		"announcing routes between connections (hub: true)": {base + "domains: [{name: default, hub: true}]\n"},
		"IKEv1 (ike: 1)":                                    {conn("ike: 1")},
		"BGP (routing: bgp)":                                {strings.Replace(base, "routing: static", "routing: bgp", 1)},
		"BGP":                                               {conn("bgp: {}")},
		"secrets kept by a service": {conn("ppk: {id: a, secret: {aws_ssm: {name: a}}}"),
			tun("psk: {aws_secretsmanager: {arn: a, json_key: t2}}"), tun("psk: {aws_ssm: {name: a}}"), tun("psk: {gcp_secret: {name: a}}"),
			tun("psk: {azure_keyvault: {vault: a, name: b}}"), tun("psk: {vault: {path: a, key: b}}"), tun("psk: {current: {file: a}, previous: {aws_ssm: {name: a}}}")},
	}
	for what, files := range cases {
		for _, text := range files {
			want := ": not supported yet: " + what
			if !slices.ContainsFunc(problems(text), func(p string) bool { return strings.HasPrefix(p, "f:") && strings.HasSuffix(p, want) }) {
				t.Errorf("%q is not refused in\n%s%s", what, text, strings.Join(problems(text), "\n"))
			}
		}
	}
	var listed []string
	listed = append(listed, whats(gatewayNotYet)...)
	listed = append(listed, whats(domainNotYet)...)
	listed = append(listed, whats(connectionNotYet)...)
	listed = append(listed, whats(tunnelNotYet)...)
	for _, what := range listed {
		if cases[what] == nil {
			t.Errorf("no case for %q", what)
		}
	}
	for what := range cases {
		if !slices.Contains(listed, what) {
			t.Errorf("%q is not in the tables", what)
		}
	}
}

func whats[T any](rules []unbuilt[T]) []string {
	var out []string
	for _, r := range rules {
		out = append(out, r.what)
	}
	return out
}

// A value that is the default of the format is accepted, also where the feature is not built.
func TestDefaultsMayBeWrittenOut(t *testing.T) {
	wantProblems(t, `apiVersion: twinbore/v1
gateway:
  state_dir: /var/lib/twinbore
  asn: 65000
  router_id: auto
  outside: {address: auto, interface: "", ike_port: 500, natt_port: 4500}
  networks: [10.20.0.0/16]
  datapath:
    mode: auto
    tun: {name: twinbore0, mtu: auto, mss_clamp: auto, routes: {table: main, protocol: 157, metric: 200}, forwarding: check, queues: auto}
    workers: auto
    offloads: auto
    verify_checksums: on
    netstack: {direct: outside-routes, socks5: {listen: "", auth: none}, http_proxy: {listen: ""}, dns: {suffixes: []}, forwards: [], exposes: []}
  api: {socket: /run/twinbore/twinbore.sock, group: twinbore, listen: ""}
  http: {listen: "", metrics: false, health: false, ui: false, pprof: false}
  log: {level: info, format: auto}
  tracing: {otlp: ""}
  secrets: {dir: /etc/twinbore/secrets, vault: {address: "", token_file: ""}, refresh: 5m}
  limits: {half_open: 200, cookie_threshold: 50, ike_per_source_rps: 20, max_connections: 10000, max_static_routes: 100}
  metrics: {detail: tunnel}
  strict_secrets: false
  watch: false
domains:
  - {name: default, tun: twinbore0, table: main, hub: false, propagate: true}
connections:
  - name: office
    description: ""
    enabled: true
    provider: generic
    role: customer
    ike: 2
    crypto: modern
    lifetimes: {ike: 8h, esp: 1h, rekey_at: 78%, jitter: 4%}
    dpd: {interval: 10s, retries: 3, action: restart}
    start: always
    keepalive: {mode: auto, target: peer-inside, interval: 10s, loss_down: 3}
    encap: auto
    replay_window: 1024
    verify_pfs: false
    ha: {mode: active-standby, prefer: 1, preempt_after: 30s, return_path: follow-peer}
    routing: static
    domain: default
    tags: {}
    auth: psk
    certificate: {ca: [], crl: []}
    ppk: {id: "", secret: null, required: false}
    filter: {in: [], out: []}
    remote_networks: [10.30.0.0/16]
    local_networks: gateway
    selectors: any
    child: combined
    narrow: accept
    idle_timeout: 0s
    allow_weak: false
    tunnels:
      - {name: 1, local: auto, remote: 198.51.100.21, remote_id: auto, local_id: auto, psk: {file: a}}
      - {name: 2, local: auto, remote: 198.51.100.87, remote_id: auto, local_id: auto, psk: {file: b}}
`)
}
