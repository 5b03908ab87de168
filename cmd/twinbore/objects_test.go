package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

// A maker is a daemon on which things can be made, as far as the commands see it.
type maker struct {
	socket string
	got    []api.ObjectChange
	asked  int // for one object
}

func newMaker(t *testing.T, key string) *maker {
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	left := int64(2520)
	office := api.Object{Name: "office", State: "available", Source: "file", At: api.Ptr("/etc/twinbore/twinbore.yaml:3:5"), Tags: map[string]string{"env": "prod"}, Document: json.RawMessage(`{"name":"office","routing":"static"}`)}
	branch := api.Object{Name: "branch", ID: api.Ptr("vpn-0"), State: "pending", Source: "runtime", Created: &at, Modified: &at, Tags: map[string]string{"tier": "gold", "env": "test"},
		Document: json.RawMessage(`{"name":"branch","id":"vpn-0","tunnels":[{"inside":"169.254.1.1/30"}]}`), Secrets: []api.MadeSecret{{Tunnel: "1", File: key}}}
	broken := api.Object{Name: "broken", ID: api.Ptr("vpn-1"), State: "refused", Source: "runtime", Problem: api.Ptr("its network is taken\nand more")}
	gone := api.Object{Name: "gone", ID: api.Ptr("vpn-2"), State: "deleted", Source: "runtime", Deleted: &at, Left: &left}
	m := new(maker)
	m.socket = answering(t, api.Config{
		Objects: func(_ context.Context, kind api.ObjectKind) (api.Objects, error) {
			if kind == api.CustomerGateways {
				return api.Objects{Objects: []api.Object{{Name: "lyon", ID: api.Ptr("cgw-0"), State: "available", Source: "runtime", UsedBy: []string{"branch", "office"}}}}, nil
			}
			return api.Objects{SchemaVersion: 1, Objects: []api.Object{office, branch, broken, gone}}, nil
		},
		Object: func(_ context.Context, _ api.ObjectKind, name string) (api.Object, error) {
			m.asked++
			for _, o := range []api.Object{office, branch, broken, gone} {
				if o.Name == name && m.asked != 1 {
					return o, nil
				}
			}
			if name == "gone" {
				return api.Object{Name: "gone", State: "deleting"}, nil
			}
			return api.Object{}, api.Refuse(api.NotFound, "no such thing: have office")
		},
		ChangeObject: func(_ context.Context, c api.ObjectChange) (api.ObjectChanged, error) {
			m.got = append(m.got, c)
			switch {
			case c.Name == "office":
				return api.ObjectChanged{}, api.Refuse(api.ReadOnly, "it stands in a file")
			case c.Verb == api.Delete:
				return api.ObjectChanged{Changed: true, Object: api.Object{Name: c.Name, ID: api.Ptr("vpn-2"), State: "deleting"}}, nil
			case c.Name == "same":
				return api.ObjectChanged{Object: api.Object{Name: c.Name}}, nil
			}
			return api.ObjectChanged{Created: c.Verb == api.Create, Changed: true, Object: branch}, nil
		},
	})
	return m
}

func TestObjectCommands(t *testing.T) { // R17, R18, R61, R68
	dir := t.TempDir()
	key, file := filepath.Join(dir, "branch.1.psk"), filepath.Join(dir, "branch.yaml")
	if err := os.WriteFile(key, []byte("canary-7Hq2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("name: branch\nrouting: static\ntunnels: [{remote: 203.0.113.1}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args, in string
		code     int
		says     string // in what is printed
		sends    string // "verb kind name document"
	}{
		// create
		{"connection create branch -f " + file, "", 0, "connection \"branch\" created: vpn-0\n  key of tunnel 1 generated: " + key + "\n", `create connections branch {"name":"branch","routing":"static","tunnels":[{"remote":"203.0.113.1"}]}`},
		{"connection create branch -f - --tag env=prod --network 10.1.0.0/16 --network 10.2.0.0/16", "{name: branch, tags: {a: b}}", 0, "created", `create connections branch {"name":"branch","tags":{"a":"b","env":"prod"},"remote_networks":["10.1.0.0/16","10.2.0.0/16"]}`},
		{"connection create branch --customer-gateway lyon --routing static --network 10.1.0.0/16 --inside 169.254.1.1/30 --inside 169.254.2.1/30", "", 0, "created",
			`create connections branch {"name":"branch","role":"cloud","customer_gateway":"lyon","routing":"static","remote_networks":["10.1.0.0/16"],"tunnels":[{"inside":"169.254.1.1/30","psk":{"generate":true}},{"inside":"169.254.2.1/30","psk":{"generate":true}}]}`},
		{"connection create branch --provider aws --routing bgp --remote 203.0.113.1 --remote 203.0.113.2 --psk-file a.psk --psk-file b.psk", "", 0, "created",
			`create connections branch {"name":"branch","provider":"aws","routing":"bgp","tunnels":[{"psk":{"file":"a.psk"},"remote":"203.0.113.1"},{"psk":{"file":"b.psk"},"remote":"203.0.113.2"}]}`},
		{"connection create branch -f " + file + " -o name", "", 0, "branch\n", "*"},
		{"connection create branch -f " + file + " -o json", "", 0, `"created": true`, "*"},
		{"connection create branch -f " + file + " -q", "", 0, "", "*"},
		{"connection create office -f " + file, "", 1, "twinbore: it stands in a file", "*"},
		{"connection create branch -f /nowhere", "", 1, "no such file", ""},
		{"connection create branch -f -", "[]", 1, "found no mapping", ""},
		{"connection create branch --tag x", "", 2, "--tag x is not NAME=TEXT", ""},
		{"connection create branch --tunnels 17", "", 2, "it is from 1 to 16", ""},
		{"connection create", "", 2, "accepts 1 arg", ""},
		{"customer-gateway create lyon --address 203.0.113.9 --asn 65101 --vendor juniper --platform srx --tag tier=gold", "", 0, "customer gateway \"branch\" created",
			`create customer-gateways lyon {"name":"lyon","address":"203.0.113.9","device":{"vendor":"juniper","platform":"srx"},"asn":65101,"tags":{"tier":"gold"}}`},

		// modify
		{"connection modify branch --set dpd.interval=20s --set tags.env=null --set enabled=false", "", 0, "connection \"branch\" changed: vpn-0\n", `modify connections branch {"dpd":{"interval":"20s"},"tags":{"env":null},"enabled":false}`},
		{"connection modify branch -f - --network 10.3.0.0/16", "{dpd: {retries: 4}, description: null}", 0, "changed", `modify connections branch {"dpd":{"retries":4},"description":null,"remote_networks":["10.3.0.0/16"]}`},
		{"connection modify branch -f " + file + " --replace", "", 0, "changed", `put connections branch {"name":"branch","routing":"static","tunnels":[{"remote":"203.0.113.1"}]}`},
		{"connection modify same --description x", "", 0, "connection \"same\" is like that already", "*"},
		{"customer-gateway modify lyon --address 203.0.113.10", "", 0, "changed", `modify customer-gateways lyon {"address":"203.0.113.10"}`},
		{"connection modify branch", "", 2, "there is nothing to change", ""},
		{"connection modify branch --replace", "", 2, "--replace needs the whole connection", ""},
		{"connection modify branch --set x", "", 2, "--set x is not KEY=VALUE", ""},
		{"connection modify branch --set tags=a --set tags.b=c", "", 1, "the value of tags.b: tags: found a single value; want a mapping", ""},

		// delete
		{"connection delete gone", "", 10, "cannot be undone; say --yes", ""},
		{"connection delete gone --yes", "", 0, "connection \"gone\" deleted: vpn-2\n", `delete connections gone `},
		{"connection delete gone --yes --wait", "", 0, "deleted", "*"},
		{"connection delete office --yes", "", 1, "it stands in a file", "*"},

		// list, show
		{"connection list", "", 0, `NAME    ID     STATE      SOURCE                           TAGS                DETAIL
office  –      available  /etc/twinbore/twinbore.yaml:3:5  env=prod
branch  vpn-0  pending    runtime                          env=test,tier=gold
broken  vpn-1  refused    runtime                          –                   its network is taken
gone    vpn-2  deleted    runtime                          –                   listed for 42m
`, ""},
		{"connection list -o name --tag env", "", 0, "office\nbranch\n", ""},
		{"connection list -o name --tag env=test --tag tier", "", 0, "branch\n", ""},
		{"connection list -o name", "", 0, "office\nbranch\nbroken\n", ""},
		{"connection list -o json --tag env=prod", "", 0, "\"schemaVersion\": 1,\n  \"objects\": [\n    {\n      \"name\": \"office\"", ""},
		{"connection list -o wide", "", 2, "table, json, yaml, name", ""},
		{"customer-gateway list", "", 0, "lyon  cgw-0  available  runtime  –     used by branch, office\n", ""},
		{"connection show branch", "", 0, "# connection \"branch\": pending\n# made at run time, 2026-11-21T10:00:00Z; last changed 2026-11-21T10:00:00Z\n# key of tunnel 1: " + key + "\nname: branch\nid: vpn-0\ntunnels:\n    - inside: 169.254.1.1/30\n", ""},
		{"connection show office", "", 0, "# from /etc/twinbore/twinbore.yaml:3:5\nname: office\nrouting: static\n", ""},
		{"connection show gone", "", 0, "# vpn-2, deleted 2026-11-21T10:00:00Z; listed for 42m\n", ""},
		{"connection show broken", "", 0, "# not in effect: its network is taken\n# and more\n", ""},
		{"connection show nobody", "", 1, "no such thing: have office", ""},
		{"connection show branch -o yaml", "", 0, "state: pending", ""},
		{"connection whatever", "", 2, "there are create, delete, list, modify, show", ""},
	} {
		m := newMaker(t, key)
		if strings.Contains(c.args, " show ") {
			m.asked = 1
		}
		var out, errs bytes.Buffer
		args := append(strings.Fields(c.args), "--socket", m.socket)
		code := run(t.Context(), args, strings.NewReader(c.in), &out, &errs)
		said := out.String() + errs.String()
		if code != c.code || !strings.Contains(said, c.says) || c.says == "" && said != "" || strings.Contains(said, "7Hq2") {
			t.Errorf("%s: exit code %d\n%s", c.args, code, said)
		}
		sent := ""
		for _, g := range m.got {
			var compact bytes.Buffer
			if len(g.Document) > 0 {
				if err := json.Compact(&compact, g.Document); err != nil {
					t.Fatal(err)
				}
			}
			sent = string(g.Verb) + " " + string(g.Kind) + " " + g.Name + " " + compact.String()
		}
		if c.sends == "*" && sent == "" || c.sends != "*" && sent != c.sends {
			t.Errorf("%s: sent\n%s\nwant\n%s", c.args, sent, c.sends)
		}
	}
}

// The key itself is shown to root alone, and only when that is asked for.
func TestShowSecrets(t *testing.T) { // R61
	key := filepath.Join(t.TempDir(), "branch.1.psk")
	if err := os.WriteFile(key, []byte("canary-7Hq2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	m := newMaker(t, key)
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"connection", "create", "branch", "--show-secrets", "--socket", m.socket}, nil, &out, &errs)
	if os.Geteuid() == 0 {
		if code != 0 || !strings.Contains(out.String(), key+": canary-7Hq2\n") {
			t.Errorf("root: exit code %d, %s%s", code, &out, &errs)
		}
	} else if code != exitPermission || len(m.got) > 0 {
		t.Errorf("not root: exit code %d, %s%s", code, &out, &errs)
	}
}

// What shows the document gives what makes it again.
func TestShownDocumentCanBeGivenBack(t *testing.T) {
	m := newMaker(t, "/none")
	m.asked = 1
	var shown, errs bytes.Buffer
	if code := run(t.Context(), []string{"connection", "show", "branch", "--socket", m.socket}, nil, &shown, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	if code := run(t.Context(), []string{"connection", "create", "branch", "-f", "-", "--socket", m.socket}, &shown, &errs, &errs); code != 0 {
		t.Fatal(errs.String())
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, m.got[0].Document); err != nil || compact.String() != `{"name":"branch","id":"vpn-0","tunnels":[{"inside":"169.254.1.1/30"}]}` {
		t.Errorf("given back as %s, %v", &compact, err)
	}
}
