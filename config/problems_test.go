package config

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

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
