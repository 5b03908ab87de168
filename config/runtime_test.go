package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"twinbore/config/secret"
)

// object is one that was made at run time.
func made(t *testing.T, kind ObjectKind, text string) Object {
	t.Helper()
	o, err := ParseObject(kind, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// withObjects loads base and what was made at run time, and returns everything that is said of it.
func withObjects(objects ...Object) (*Config, []string) {
	tree := fstest.MapFS{"f": {Data: []byte(base), Mode: 0o644}}
	env := func(name string) (string, bool) { return "10.99.0.0/16", name == "CANARY" }
	c, err := Sources{FS: tree, Names: []string{"f"}, Env: env, Objects: objects}.Load()
	found, _ := errors.AsType[Problems](err)
	if c != nil {
		found = c.Warnings
	}
	var lines []string
	for _, p := range found {
		lines = append(lines, p.String())
	}
	return c, lines
}

const branch = `
name: branch
role: cloud
routing: static
remote_networks: [10.40.0.0/16]
tunnels:
  - remote: 203.0.113.1
  - remote: 203.0.113.2
tags: {env: prod}
`

func TestObjectsJoinTheFiles(t *testing.T) { // R1, R62
	c, said := withObjects(made(t, ConnectionObject, branch), made(t, CustomerGatewayObject, "{name: lyon, address: 203.0.113.9}"))
	if c == nil || len(said) != 0 {
		t.Fatalf("said %q", said)
	}
	got, ok := c.Connection("branch")
	if !ok || !got.Runtime || got.Tags["env"] != "prod" || got.Tunnels[0].PSK.Current.Kind != secret.Generate || got.Tunnels[0].PSK.Current.Name != "branch.1.psk" {
		t.Errorf("made at run time: %+v", got)
	}
	if g, ok := c.CustomerGateway("lyon"); !ok || !g.Runtime {
		t.Errorf("customer gateway: %+v", g)
	}
	if office, _ := c.Connection("office"); office.Runtime {
		t.Error("a connection from a file says that it was made at run time")
	}
}

// An object keeps its text: what is parsed again is the same, with the order of its keys.
func TestObjectIsJSONOfWhatItsAuthorWrote(t *testing.T) {
	o := made(t, ConnectionObject, "name: branch\nid: vpn-1\nenabled: true\ndescription: \"on\"\nreplay_window: 1024\ntags: {n: 1.50, x: 010, t: \"true\", d: 2026-11-21}\nbgp: null\n")
	want := `{
  "name": "branch",
  "id": "vpn-1",
  "enabled": true,
  "description": "on",
  "replay_window": 1024,
  "tags": {
    "n": 1.50,
    "x": "010",
    "t": "true",
    "d": "2026-11-21"
  },
  "bgp": null
}`
	if string(o.Text) != want || o.Name != "branch" || o.ID != "vpn-1" {
		t.Errorf("got %q %q\n%s", o.Name, o.ID, o.Text)
	}
	if again := made(t, ConnectionObject, string(o.Text)); string(again.Text) != want {
		t.Errorf("parsed again it is\n%s", again.Text)
	}
}

func TestObjectsAreCheckedLikeFiles(t *testing.T) {
	for _, c := range []struct{ why, text, want string }{
		{"R16: a name that a file has", strings.Replace(branch, "branch", "office", 1), `connection "office" (made at run time):2:11: connections[1].name: there are two connections "office"; the other is at f:3:5`},
		{"R16: what a name may be", strings.Replace(branch, "branch", "Branch 1", 1), `connection "Branch 1" (made at run time):2:11: connections[1].name: "Branch 1" does not fit; want a name: a to z, 0 to 9 and -, a letter first, at most 63 characters; did you mean "branch-1"?`},
		{"R5: routing is wanted", strings.Replace(branch, "routing: static\n", "", 1), `connection "branch" (made at run time):1:1: connections[1]: routing is missing`},
		{"R33: whose network it is", strings.Replace(branch, "10.40.0.0/16", "10.30.0.0/16", 1), `connections "office" and "branch" both have 10.30.0.0/16 behind their peer; the other is at f:5:22`},
		{"R2: the customer gateway that is missing", branch + "customer_gateway: lion\n", `there is no customer gateway "lion"; there are lyon; did you mean "lyon"?`},
		{"an unknown key", branch + "star: always\n", `unknown key "star"; want`},
		{"the daemon's environment", strings.Replace(branch, "prod", `"${env:CANARY}"`, 1), `connections[1].tags."env": ${env:…} is for files: the environment is the daemon's`},
		{"a secret itself", strings.Replace(branch, "203.0.113.1", "203.0.113.1\n    psk: {inline: canary-7Hq2-canary-7Hq2}", 1), `connections[1].tunnels[0].psk: a secret may not stand in what is made at run time; put the secret in a file`},
		{"a command", strings.Replace(branch, "203.0.113.1", "203.0.113.1\n    psk: {exec: [cat, canary-7Hq2]}", 1), `connections[1].tunnels[0].psk: exec is for configuration files, not for what is made at run time`},
		{"a variable", strings.Replace(branch, "203.0.113.1", "203.0.113.1\n    psk: {env: CANARY}", 1), `connections[1].tunnels[0].psk: env is for configuration files`},
		{"another folder", strings.Replace(branch, "203.0.113.1", "203.0.113.1\n    psk: {file: ../shadow}", 1), `connections[1].tunnels[0].psk: a file outside of gateway.secrets.dir is for configuration files`},
		{"an absolute path", strings.Replace(branch, "203.0.113.1", "203.0.113.1\n    psk: {file: /etc/shadow}", 1), `connections[1].tunnels[0].psk: a file outside of gateway.secrets.dir is for configuration files`},
		{"R9: an id that something has", branch + "id: cgw-1\n", `customer_gateways[0].id: the id "cgw-1" is taken; the other is at connection "branch" (made at run time):`},
	} {
		c2, said := withObjects(made(t, ConnectionObject, c.text), made(t, CustomerGatewayObject, "{name: lyon, id: cgw-1, address: 203.0.113.9}"))
		all := strings.Join(said, "\n")
		if c2 != nil || !strings.Contains(all, c.want) || strings.Contains(all, "7Hq2") || strings.Contains(all, "10.99") {
			t.Errorf("%s: said\n%s\nwant\n%s", c.why, all, c.want)
		}
	}
}

func TestPatch(t *testing.T) { // RFC 7396 §3 and appendix A
	for _, c := range []struct{ target, patch, want string }{
		{`{"name":"a","b":{"c":1,"d":2}}`, `{"b":{"c":null,"e":3}}`, `{"name":"a","b":{"d":2,"e":3}}`},
		{`{"name":"a","b":[1,2]}`, `{"b":[3]}`, `{"name":"a","b":[3]}`},
		{`{"name":"a","b":1}`, `{"b":null,"c":null}`, `{"name":"a"}`},
		{`{"name":"a","b":"x"}`, `{"b":{"c":{"d":null}}}`, `{"name":"a","b":{"c":{}}}`},
		{`{"name":"a"}`, `tags: {env: test}`, `{"name":"a","tags":{"env":"test"}}`},
		{`{"name":"a","b":1,"c":2}`, `{"b":2}`, `{"name":"a","b":2,"c":2}`},
	} {
		got, err := made(t, ConnectionObject, c.target).Patch([]byte(c.patch))
		if want := made(t, ConnectionObject, c.want); err != nil || string(got.Text) != string(want.Text) {
			t.Errorf("%s with %s: %s, %v; want %s", c.target, c.patch, got.Text, err, c.want)
		}
	}
	for _, bad := range []string{"", "[]", "x", "{a: &b c}", "{[a]: b}"} {
		if _, err := made(t, ConnectionObject, `{"name":"a"}`).Patch([]byte(bad)); err == nil {
			t.Errorf("%q is accepted as a change", bad)
		}
	}
}

func TestWithID(t *testing.T) {
	for text, want := range map[string]string{
		"{name: a, role: cloud}":        `{"name":"a","id":"vpn-2","role":"cloud"}`,
		"{role: cloud, id: x, name: a}": `{"role":"cloud","id":"vpn-2","name":"a"}`,
		"{role: cloud}":                 `{"role":"cloud","id":"vpn-2"}`,
	} {
		got, err := made(t, ConnectionObject, text).WithID("vpn-2")
		if err != nil || got.ID != "vpn-2" || string(got.Text) != string(made(t, ConnectionObject, want).Text) {
			t.Errorf("%s: %s, %v", text, got.Text, err)
		}
	}
}

// What is no object is refused with a reason, and a secret in it is not repeated.
func TestParseObjectRefuses(t *testing.T) { // SEC-05
	for _, bad := range []string{"", "[]", "canary", "a: b: canary", "{a: &canary b}", "a: 1\n---\nb: 2\n", "\xff", "{[a]: b}", "{<<: {a: b}}", strings.Repeat("[", 40), "#" + strings.Repeat("x", maxFileSize)} {
		o, err := ParseObject(ConnectionObject, []byte(bad))
		if err == nil || strings.Contains(err.Error(), "canary") {
			t.Errorf("%.40q: %s, %v", bad, o.Text, err)
		}
	}
}

// The documents of the files are there for who asks, without the secrets that stand in them.
func TestDocumentsOfFiles(t *testing.T) { // R61
	c := good(t, strings.Replace(base, "{file: a.psk}", "{inline: canary-7Hq2-canary-7Hq2-canary}", 1))
	want := `{"name":"office","routing":"static","remote_networks":["10.30.0.0/16"],"tunnels":[{"remote":"198.51.100.21","psk":{"inline":"[redacted]"}},{"remote":"198.51.100.87","psk":{"file":"b.psk"}}]}`
	if got := string(c.Document("connections[0]")); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	made, _ := withObjects(made(t, ConnectionObject, branch))
	if made.Document("connections[1]") != nil || made.Document("connections[0]") == nil {
		t.Error("the document of what was made at run time stands where only files are")
	}
}

// The files that a configuration keeps are not printed with it: secrets may stand in them.
func TestKeptFilesAreNotPrinted(t *testing.T) { // SEC-03
	c := good(t, strings.Replace(base, "{file: a.psk}", "{inline: canary-7Hq2-canary-7Hq2-canary}", 1))
	if got := c.Texts(); len(got) != 1 || !strings.Contains(string(got[0].Text), "canary-7Hq2") {
		t.Fatalf("the files are not kept: %d", len(got))
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		for _, v := range []any{c, *c} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, "canary") || strings.Contains(text, strings.Trim(fmt.Sprint([]byte("canary")), "[]")) {
				t.Errorf("%s shows the secret", verb)
			}
		}
	}
}
