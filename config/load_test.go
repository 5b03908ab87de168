package config

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"twinbore/config/secret"
)

var update = flag.Bool("update", false, "rewrite golden files")

// base is a valid configuration with nothing to warn of; tests put other lines in its place or after it.
const base = `gateway: {networks: [10.20.0.0/16]}
connections:
  - name: office
    routing: static
    remote_networks: [10.30.0.0/16]
    tunnels:
      - {remote: 198.51.100.21, psk: {file: a.psk}}
      - {remote: 198.51.100.87, psk: {file: b.psk}}
`

// gate, conn and tun write one key of the gateway, of a connection and of a tunnel into an otherwise valid file. The
// line of what they write is 2, 3 and 9.
func gate(line string) string {
	return "gateway:\n  " + line + "\n" + strings.TrimPrefix(base, "gateway: {networks: [10.20.0.0/16]}\n")
}
func conn(line string) string {
	return strings.Replace(base, "  - name: office\n", "  - "+line+"\n    name: office\n", 1)
}
func tun(line string) string {
	return strings.TrimSuffix(base, "      - {remote: 198.51.100.87, psk: {file: b.psk}}\n") +
		"      - remote: 198.51.100.87\n        " + line + "\n"
}

// load reads one file called "f".
func load(text string) (*Config, error) { return loadFiles(map[string]string{"f": text}, nil, "f") }

func loadFiles(files map[string]string, env map[string]string, names ...string) (*Config, error) {
	tree := fstest.MapFS{}
	for name, text := range files {
		tree[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o644}
	}
	return Load(tree, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, names...)
}

// good loads what must be valid.
func good(t *testing.T, text string) *Config {
	t.Helper()
	c, err := load(text)
	if err != nil {
		t.Fatalf("refused:\n%v\n%s", err, text)
	}
	return c
}

// problems is everything that is said of a file, one line each.
func problems(text string) []string {
	c, err := load(text)
	found, _ := errors.AsType[Problems](err)
	if c != nil {
		found = c.Warnings
	}
	var lines []string
	for _, p := range found {
		lines = append(lines, p.String())
	}
	return lines
}

// wantProblems compares what is said with what must be said: each line of want must be the start of a problem, and
// there must be no others.
func wantProblems(t *testing.T, text string, want ...string) {
	t.Helper()
	got := problems(text)
	for i, w := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], w) {
			t.Errorf("problem %d: want one that starts with\n   %s\nof these\n   %s\nfor\n%s", i+1, w, strings.Join(got, "\n   "), text)
			return
		}
	}
	if len(got) > len(want) {
		t.Errorf("too many problems:\n   %s\nfor\n%s", strings.Join(got[len(want):], "\n   "), text)
	}
}

// Every example that the README shows is valid, and warns of nothing but what it says itself.
func TestExamplesAreValid(t *testing.T) {
	warnings := map[string]int{"single-tunnel.yaml": 2} // weak algorithms of the provider, one tunnel (R20)
	files, err := filepath.Glob("../testdata/examples/*.yaml")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %v, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c := good(t, string(text))
		if got, want := len(c.Warnings), warnings[filepath.Base(file)]; got != want {
			t.Errorf("%s: %d warnings, want %d: %v", file, got, want, c.Warnings)
		}
	}
}

// The full example of the format is read whole: nothing in it is unknown or wrong, and what is not built is named.
func TestFullExampleIsRefusedForWhatIsNotBuiltOnly(t *testing.T) {
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(problems(string(text)), "\n") + "\n"
	golden(t, "testdata/full.golden", got)
	for line := range strings.Lines(got) {
		if !strings.Contains(line, ": not supported yet: ") {
			t.Errorf("says more than what is not built: %s", line)
		}
	}
}

// golden compares with a file that -update rewrites.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -update rewrites it):\n%s", file, got)
	}
}

// The shortest cloud example of the format uses BGP.
func TestMinimalBGPIsNotSupportedYet(t *testing.T) {
	wantProblems(t, `gateway: { asn: 65010 }
connections:
  - name: aws-prod
    provider: aws
    routing: bgp
    bgp: { advertise: [10.20.0.0/16] }
    tunnels:
      - { remote: 198.51.100.21, inside: 169.254.61.2/30, peer_asn: 64512, psk: {file: aws-1.psk} }
      - { remote: 198.51.100.87, inside: 169.254.62.6/30, peer_asn: 64512, psk: {file: aws-2.psk} }
`, "f:5:14: connections[0].routing: not supported yet: BGP (routing: bgp)")
}

// What is left out has the default of the format.
func TestDefaults(t *testing.T) {
	c := good(t, base)
	if len(c.Warnings) != 0 {
		t.Errorf("the base of all tests warns: %v", c.Warnings)
	}
	g := c.Gateway
	if g.Outside.IKEPort != 500 || g.Outside.NATTPort != 4500 || g.Datapath.TUN.Name != "twinbore0" || g.Datapath.TUN.Routes != (KernelRoutes{254, 157, 200}) ||
		g.API.Socket != "/run/twinbore/twinbore.sock" || g.ASN != 65000 || g.HTTP != (HTTP{}) || g.Limits.HalfOpen != 200 || g.Limits.CookieThreshold != 50 {
		t.Errorf("gateway: %+v", g)
	}
	if len(c.Domains) != 1 || c.Domains[0] != (Domain{Name: "default", TUN: "twinbore0", Table: 254, Propagate: true}) {
		t.Errorf("domains: %+v", c.Domains)
	}
	office, ok := c.Connection("office")
	if !ok {
		t.Fatal("no connection office")
	}
	if !office.Enabled || office.IKEVersion != 2 || office.Lifetimes != (Lifetimes{8 * time.Hour, time.Hour, 0.78, 0.04}) ||
		office.DPD != (DPD{10 * time.Second, 3, DPDRestart}) || office.Start != StartAlways || office.ReplayWindow != 1024 ||
		office.HA != (HA{ActiveStandby, "1", 30 * time.Second, FollowPeer, ""}) || office.Selectors != SelectorsAny || office.AllowWeak || office.Profile != "modern" {
		t.Errorf("connection: %+v", office)
	}
	if got := office.IKE[0].String() + " " + office.ESP[0].String(); got != "aes256gcm16-prfsha384-ecp384 aes256gcm16-ecp384" {
		t.Errorf("first proposals %s", got)
	}
	if office.Tunnels[0].Name != "1" || office.Tunnels[1].Name != "2" || office.Tunnels[0].Local.IsValid() || office.Tunnels[0].LocalID != "" {
		t.Errorf("tunnels: %+v", office.Tunnels)
	}
	if !slices.Equal(office.LocalNetworks, prefixes("10.20.0.0/16")) {
		t.Errorf("local networks %v, want those of the gateway", office.LocalNetworks)
	}
	if cloud := good(t, conn("role: cloud")); cloud.Connections[0].Start != StartWait {
		t.Errorf("the cloud role starts %s, want wait", cloud.Connections[0].Start)
	}
}

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// Files and folders are merged; what is set twice is an error that names both places.
func TestFilesAreMerged(t *testing.T) {
	files := map[string]string{
		"twinbore.yaml":    "apiVersion: twinbore/v1\ngateway: {asn: 65010, outside: {ike_port: 501}}\n",
		"conf.d/10.yaml":   "apiVersion: twinbore/v1\n" + base,
		"conf.d/20.yml":    "gateway: {outside: {natt_port: 4501}}\ncrypto_profiles: {own: {ike: [aes256-sha256-ecp256], esp: [aes256-sha256]}}\n",
		"conf.d/30.json":   `{"connections": [{"name": "second", "routing": "static", "crypto": "own", "remote_networks": ["10.31.0.0/16"], "tunnels": [{"remote": "198.51.100.1", "psk": {"env": "PSK"}}]}]}`,
		"conf.d/notes.txt": "not: [yaml",
		"conf.d/.40.yaml":  "not: [yaml",
	}
	c, err := loadFiles(files, nil, "twinbore.yaml", "conf.d")
	if err != nil {
		t.Fatal(err)
	}
	if c.Gateway.ASN != 65010 || c.Gateway.Outside.IKEPort != 501 || c.Gateway.Outside.NATTPort != 4501 || len(c.Connections) != 2 || len(c.Files) != 4 {
		t.Errorf("merged into %+v of %v", c, c.Files)
	}
	if got := c.Connections[1].ESP[0].String(); got != "aes256-sha256" {
		t.Errorf("the profile of another file gives %s", got)
	}
	if got, want := c.Pos("connections[1].tunnels[0].psk").String(), "conf.d/30.json:1:"; !strings.HasPrefix(got, want) {
		t.Errorf("position %s, want %s…", got, want)
	}

	files["conf.d/50.yaml"] = base + "crypto_profiles: {own: {ike: [aes256-sha256-ecp256], esp: [aes256-sha256]}}\n"
	_, err = loadFiles(files, nil, "twinbore.yaml", "conf.d")
	for _, want := range []string{
		`conf.d/50.yaml:1:11: gateway.networks: "networks" is set twice; it is already set at conf.d/10.yaml:2:21`,
		`conf.d/50.yaml:3:11: connections[2].name: there are two connections "office"; the other is at conf.d/10.yaml:4:5`,
		`conf.d/50.yaml:9:19: crypto_profiles."own": "own" is set twice; it is already set at conf.d/20.yml:2:24`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want the problem\n   %s\nin\n%v", want, err)
		}
	}
}

func TestMissingFilesAreReported(t *testing.T) {
	_, err := loadFiles(map[string]string{"empty/readme.txt": ""}, nil, "absent.yaml")
	if err == nil || err.Error() != "absent.yaml: file does not exist" {
		t.Errorf("got %v", err)
	}
	_, err = loadFiles(map[string]string{"empty/readme.txt": ""}, nil, "empty")
	if err == nil || err.Error() != "no configuration file in empty" {
		t.Errorf("got %v", err)
	}
}

// SEC-01: whoever can write the configuration decides where traffic goes.
func TestConfigurationThatOthersCanWriteIsRefused(t *testing.T) {
	for mode, want := range map[fs.FileMode]string{
		0o600: "", 0o644: "", 0o444: "",
		0o664:                    "f: the file has mode 0664: others can change it; chmod go-w",
		0o646:                    "f: the file has mode 0646: others can change it; chmod go-w",
		0o600 | fs.ModeNamedPipe: "f: the file is not a regular file but a pipe",
	} {
		_, err := Load(fstest.MapFS{"f": {Data: []byte(base), Mode: mode}}, nil, "f")
		if got := fmt.Sprint(err); want != "" && got != want || want == "" && err != nil {
			t.Errorf("mode %v: got %v, want %q", mode, err, want)
		}
	}
}

// JSON is read as the YAML that it is, tabs included.
func TestJSONInput(t *testing.T) {
	c := good(t, "{\n\t\"gateway\": {\"networks\": [\"10.20.0.0/16\"], \"asn\": 65010},\n\t\"connections\": [{\n\t\t\"name\": \"office\", \"routing\": \"static\", \"enabled\": true,\n"+
		"\t\t\"remote_networks\": [\"10.30.0.0/16\"],\n\t\t\"tunnels\": [\n\t\t\t{\"remote\": \"198.51.100.21\", \"psk\": {\"exec\": [\"/bin/key\", \"1\"]}}\n\t\t]\n\t}]\n}\n")
	if psk := c.Connections[0].Tunnels[0].PSK.Current; psk.Kind != secret.Exec || !slices.Equal(psk.Args, []string{"/bin/key", "1"}) {
		t.Errorf("psk %+v", psk)
	}
}

// Only ${env:NAME} is replaced, wherever a single value stands; nothing else that looks like a shell is.
func TestEnvironment(t *testing.T) {
	env := map[string]string{"ASN": "65010", "NET": "10.30.0.0/16", "HOST": "gw", "ADDR": "auto", "BAD": "canary-from-env", "PSK": "a key of some length that is long"}
	text := gate("asn: ${env:ASN}")
	text = strings.ReplaceAll(text, "[10.30.0.0/16]", "[\"${env:NET}\"]")
	text = strings.ReplaceAll(text, "remote: 198.51.100.21", "description: x, remote: \"${env:HOST}-1.example.com\"")
	text = strings.ReplaceAll(text, "description: x, ", "local: \"${env:ADDR}\", ")
	text = strings.ReplaceAll(text, "    routing: static\n", "    routing: static\n    description: \"$HOME ${HOME} $(id) `id` $env:HOST\"\n")
	c, err := loadFiles(map[string]string{"f": text}, env, "f")
	if err != nil {
		t.Fatal(err)
	}
	conn := c.Connections[0]
	if c.Gateway.ASN != 65010 || conn.RemoteNetworks[0] != netip.MustParsePrefix("10.30.0.0/16") || conn.Tunnels[0].Remote.Host != "gw-1.example.com" || conn.Tunnels[0].Local.IsValid() {
		t.Errorf("got %+v", c)
	}
	if conn.Description != "$HOME ${HOME} $(id) `id` $env:HOST" {
		t.Errorf("description became %q", conn.Description)
	}
	for value, want := range map[string]string{
		"${env:ABSENT}": `f:2:8: gateway.asn: the environment variable "ABSENT" is not set`,
		"${env:BAD}":    `f:2:8: gateway.asn: "${env:BAD}" does not fit; want an AS number`,
		"${env:}":       `f:2:8: gateway.asn: "${env:}" does not name an environment variable as ${env:NAME}`,
		"${env:A B}":    `f:2:8: gateway.asn: "${env:A B}" does not name`,
		`"${env:ASN"`:   `f:2:8: gateway.asn: "${env:ASN" does not name`,
	} {
		_, err := loadFiles(map[string]string{"f": gate("asn: " + value)}, env, "f")
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: got %v\nwant %s", value, err, want)
		}
	}
}
