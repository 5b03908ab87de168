package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// diffBase has two connections, one with two tunnels.
const diffBase = `gateway: {networks: [10.20.0.0/16], outside: {address: [192.0.2.10, 192.0.2.11]}}
connections:
  - name: aws-prod
    routing: static
    remote_networks: [10.30.0.0/16]
    tunnels:
      - {remote: 198.51.100.21, inside: 169.254.61.2/30, psk: {file: aws-1.psk}}
      - {remote: 198.51.100.87, inside: 169.254.62.6/30, psk: {file: aws-2.psk}}
  - name: office
    routing: static
    remote_networks: [10.40.0.0/16]
    tunnels:
      - {remote: 203.0.113.5, psk: {inline: "not shown anywhere 1"}}
`

func mustLoad(t testing.TB, text string) *Config {
	t.Helper()
	c, err := Load(fstest.MapFS{"f.yaml": {Data: []byte(text), Mode: 0o600}}, nil, "f.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return c
}

// F6, EV-27: what a change would cost, tunnel by tunnel, in the words that people see. The plans are golden, and none holds a secret.
func TestPlansAreTold(t *testing.T) {
	edit := func(pairs ...string) string {
		text := diffBase
		for i := 0; i < len(pairs); i += 2 {
			if !strings.Contains(text, pairs[i]) {
				t.Fatalf("%q does not stand there", pairs[i])
			}
			text = strings.Replace(text, pairs[i], pairs[i+1], 1)
		}
		return text
	}
	office := "  - name: office\n"
	aws := "  - name: aws-prod\n"
	key := func(line string) string { return edit(aws, aws+"    "+line+"\n") }
	another := diffBase + "  - {name: branch, routing: static, remote_networks: [10.50.0.0/16], tunnels: [{remote: 203.0.113.6, psk: {file: b.psk}}, {remote: 203.0.113.7, psk: {file: c.psk}}]}\n"
	var got strings.Builder
	for _, c := range []struct{ name, text string }{
		{"nothing", diffBase},
		{"order and comments alone", edit("    routing: static\n    remote_networks: [10.30.0.0/16]\n", "    remote_networks: [10.30.0.0/16] # there\n    routing: static\n")},
		{"psk of one tunnel", edit("aws-2.psk", "aws-2-new.psk")},
		{"psk with the old one still accepted", edit("psk: {file: aws-2.psk}", "psk: {current: {file: new.psk}, previous: {file: aws-2.psk}, previous_until: 2026-12-24}")},
		{"inline secret", edit("anywhere 1", "anywhere 2")},
		{"dpd", key("dpd: {interval: 30s, retries: 5, action: clear}")},
		{"ha and keys of no consequence", key("ha: {prefer: \"2\", preempt_after: 1m, backup_of: office}\n    description: moved\n    tags: {env: prod}")},
		{"esp proposals", key("crypto: {esp: [aes128gcm16-x25519]}")},
		{"ike proposals", key("crypto: {ike: [aes128gcm16-prfsha256-x25519]}")},
		{"lifetimes", key("lifetimes: {ike: 4h, esp: 30m, rekey_at: 80%}")},
		{"remote of one tunnel", edit("198.51.100.21", "198.51.100.22")},
		{"both tunnels at once", edit("198.51.100.21", "198.51.100.22", "aws-2.psk", "aws-3.psk")},
		{"one tunnel of one", edit("203.0.113.5", "203.0.113.9")},
		{"networks", edit("10.30.0.0/16", "10.30.0.0/16, 10.31.0.0/16")},
		{"networks of another family", edit("10.30.0.0/16", "10.30.0.0/16, 2001:db8:1::/48")},
		{"networks that are negotiated", edit("10.40.0.0/16]", "10.40.0.0/16]\n    selectors: networks")},
		{"our networks", edit("networks: [10.20.0.0/16]", "networks: [10.20.0.0/16, 10.21.0.0/16]")},
		{"another connection", another},
		{"one connection less", strings.Split(diffBase, office)[0]},
		{"one that is switched off", edit(office, office+"    enabled: false\n")},
		{"another name", edit(office, "  - name: bureau\n")},
		{"a third tunnel", edit("aws-2.psk}}\n", "aws-2.psk}}\n      - {remote: 198.51.100.99, psk: {file: aws-3.psk}}\n")},
		{"one tunnel less", edit("      - {remote: 198.51.100.87, inside: 169.254.62.6/30, psk: {file: aws-2.psk}}\n", "")},
		{"the second with the name of the first", edit("      - {remote: 198.51.100.21, inside: 169.254.61.2/30, psk: {file: aws-1.psk}}\n", "", "{remote: 198.51.100.87", "{local: 192.0.2.11, remote: 198.51.100.87")},
		{"an address that nobody listens at", edit("{remote: 198.51.100.21", "{local: 192.0.2.99, remote: 198.51.100.21")},
		{"a new connection at such an address", strings.Replace(another, "{remote: 203.0.113.6", "{local: 192.0.2.98, remote: 203.0.113.6", 1)},
		{"ports", edit("outside: {", "outside: {ike_port: 5500, natt_port: 5501, ")},
		{"outside address", edit("192.0.2.11", "192.0.2.12")},
		{"the gateway's other keys", edit("gateway: {", "gateway: {name: x, limits: {max_connections: 5, half_open: 7}, log: {level: debug}, ")},
		{"a profile", edit(aws, aws+"    crypto: ours\n") + "crypto_profiles: {ours: {ike: [aes128gcm16-prfsha256-x25519], esp: [aes128gcm16]}}\n"},
		{"a profile that nobody uses", diffBase + "crypto_profiles: {ours: {ike: [aes128gcm16-prfsha256-x25519], esp: [aes128gcm16]}}\n"},
		{"a provider and what it sets", key("provider: azure\n    allow_weak: true")},
	} {
		plan := Diff(mustLoad(t, diffBase), mustLoad(t, c.text))
		fmt.Fprintf(&got, "# %s\n%s%s\n", c.name, plan, plan.Summary())
		if refused := plan.Refused(); refused != nil {
			fmt.Fprintf(&got, "refused: %s\n", strings.Join(refused, ", "))
		}
		got.WriteString("\n")
	}
	if strings.Contains(got.String(), "not shown") {
		t.Error("a plan tells a secret")
	}
	golden := filepath.Join("testdata", "plans.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("plans differ from %s; read the difference and run with -update:\n%s", golden, got.String())
	}
}

// Every key of the language has a class, by itself or with the mapping that it belongs to, and no other has one.
func TestEveryKeyHasAClass(t *testing.T) {
	known := map[string]bool{}
	note := func(prefix string, names []string) {
		for _, n := range names {
			known[prefix+n] = false // not met yet
		}
	}
	note("", namesOf(configKeys))
	note("gateway.", namesOf(gatewayKeys))
	note("connections[].", namesOf(connectionKeys))
	note("connections[].tunnels[].", namesOf(tunnelKeys))
	inner := map[string]bool{"": true, "gateway": true, "connections": true, "connections[]": true, "connections[].tunnels[]": true}
	eachKey(documentKind.schema, "", func(parent, name string) {
		path := name
		if parent != "" {
			path = parent + "." + name
		}
		var covered bool
		for at := path; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
			if _, ok := known[at]; ok && !inner[at] {
				known[at], covered = true, true
				break
			}
			if slices.ContainsFunc(append(namesOf(connectionKeys), namesOf(gatewayKeys)...), func(n string) bool {
				return strings.HasPrefix("connections[]."+n, at+".") || strings.HasPrefix("gateway."+n, at+".")
			}) && at == path {
				covered = true // a mapping whose keys stand in the table one by one
				break
			}
		}
		if !covered && !inner[path] {
			t.Errorf("%s has no class: what does a change of it cost while the gateway runs? See classes.go", path)
		}
	})
	for path, met := range known {
		if !met && path != "connections[].tunnels" {
			t.Errorf("%s has a class and is no key", path)
		}
	}
}

func namesOf[T any](keys []key[T]) []string {
	var out []string
	for _, k := range keys {
		out = append(out, k.name)
	}
	return out
}

// F6: a plan names what is changed and nothing else, however much there is.
func TestPlanOfAThousandTouchesOne(t *testing.T) {
	old, new := mustLoad(t, thousand("a.psk")), mustLoad(t, thousand("b.psk"))
	if plan := Diff(old, old); !plan.Empty() || plan.Unchanged != 1000 {
		t.Errorf("a configuration differs from itself: %s", plan)
	}
	plan := Diff(old, new)
	if got, want := plan.String(), "~ c0500/1 psk (file a.psk to file b.psk) → restart tunnel 1 (tunnel 2 stays)\n"; got != want || plan.Unchanged != 999 {
		t.Errorf("got %q and %d unchanged, want %q", got, plan.Unchanged, want)
	}
}

// thousand is a configuration of 1,000 connections with two tunnels each. psk is the place of one secret in its middle.
func thousand(psk string) string {
	var b strings.Builder
	b.WriteString("gateway: {networks: [10.0.0.0/16]}\nconnections:\n")
	for i := range 1000 {
		one := fmt.Sprintf("t%d.psk", i)
		if i == 500 {
			one = psk
		}
		fmt.Fprintf(&b, "  - name: c%04d\n    routing: static\n    remote_networks: [100.%d.%d.0/24]\n    tunnels:\n", i, 64+i/256, i%256)
		fmt.Fprintf(&b, "      - {remote: 198.18.%d.%d, psk: {file: %s}}\n      - {remote: 198.19.%d.%d, psk: {file: u%d.psk}}\n", i/256, i%256, one, i/256, i%256, i)
	}
	return b.String()
}

func BenchmarkLoadThousand(b *testing.B) {
	text := thousand("a.psk")
	b.ReportAllocs()
	for b.Loop() {
		mustLoad(b, text)
	}
}

func BenchmarkDiffThousand(b *testing.B) {
	old, new := mustLoad(b, thousand("a.psk")), mustLoad(b, thousand("b.psk"))
	b.ReportAllocs()
	for b.Loop() {
		Diff(old, new)
	}
}
