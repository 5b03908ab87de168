package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/store"
	"twinbore/tunnel/simnet"
)

// A maker is a gateway on which things are made at run time, with the folder where they are kept.
type maker struct {
	*site
	origin *Origin
	files  map[string]string // the one file, which a test may change
}

// makes begins a gateway with this file and with what is kept in dir.
func makes(t *testing.T, net *simnet.Net, dir, text string) *maker {
	t.Helper()
	m := &maker{files: map[string]string{"f.yaml": text}}
	m.origin = &Origin{Files: func(objects []config.Object) (*config.Config, error) {
		tree := fstest.MapFS{"f.yaml": {Data: []byte(m.files["f.yaml"]), Mode: 0o600}}
		return config.Sources{FS: tree, Names: []string{"f.yaml"}, Objects: objects}.Load()
	}, Texts: func(files config.Texts, objects []config.Object) (*config.Config, error) {
		return config.Sources{FS: files, Names: files.Names(), Objects: objects}.Load()
	}}
	if m.origin.Store, m.origin.Fault = store.Open(dir); errors.Is(m.origin.Fault, store.ErrLocked) {
		t.Fatal(m.origin.Fault)
	}
	cfg, err := m.origin.Load()
	if err != nil {
		t.Fatal(err)
	}
	s, run := buildFrom(t, net, cfg, func(o *Options) { o.Origin, o.Kept = m.origin, m.origin.Store })
	m.site = s
	run()
	return m
}

// restart is what happens after a kill: nothing is said to anybody, and the store is opened again.
func (m *maker) restart(net *simnet.Net, dir string) *maker {
	m.t.Helper()
	m.end()
	return makes(m.t, net, dir, m.files["f.yaml"])
}

func (m *maker) end() {
	m.t.Helper()
	if err := m.stop(); err != nil {
		m.t.Error(err)
	}
	if err := m.origin.Store.Close(); err != nil {
		m.t.Error(err)
	}
}

// do asks for a change, which must succeed.
func (m *maker) do(verb api.ObjectVerb, kind api.ObjectKind, name, document string) api.ObjectChanged {
	m.t.Helper()
	done, err := m.d.ChangeObject(m.t.Context(), api.ObjectChange{Verb: verb, Kind: kind, Name: name, Document: []byte(document)})
	if err != nil {
		m.t.Fatalf("%s %s: %v\n%s", verb, name, err, m.log)
	}
	return done
}

// refuses asks for a change that must be refused with a reason and these words, and must change nothing.
func (m *maker) refuses(verb api.ObjectVerb, kind api.ObjectKind, name, document, reason, words string) {
	m.t.Helper()
	before := m.listed()
	_, err := m.d.ChangeObject(m.t.Context(), api.ObjectChange{Verb: verb, Kind: kind, Name: name, Document: []byte(document)})
	p, _ := errors.AsType[*api.Problem](err)
	if p == nil || p.Reason != reason || !strings.Contains(p.Detail, words) {
		m.t.Errorf("%s %s: %v, want %s: %s", verb, name, err, reason, words)
	}
	if after := m.listed(); after != before {
		m.t.Errorf("a refused %s has changed\n%s\nto\n%s", verb, before, after)
	}
}

// listed is everything that is listed, but for what depends on the time.
func (m *maker) listed() string {
	m.t.Helper()
	var all []api.Object
	for _, kind := range []api.ObjectKind{api.Connections, api.CustomerGateways} {
		got, err := m.d.Objects(m.t.Context(), kind)
		if err != nil {
			m.t.Fatal(err)
		}
		for _, o := range got.Objects {
			if o.State == "available" || o.State == "deleting" {
				o.State = "pending or more"
			}
			o.Left = nil
			all = append(all, o)
		}
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		m.t.Fatal(err)
	}
	return string(text)
}

func (m *maker) object(kind api.ObjectKind, name string) api.Object {
	m.t.Helper()
	o, err := m.d.Object(m.t.Context(), kind, name)
	if err != nil {
		m.t.Fatal(err)
	}
	return o
}

// state is a folder for a gateway on which things are made, and the file that says so; it has the connection c1 of pairs.
func state(t *testing.T) (dir, keys, text string) {
	dir, keys = filepath.Join(t.TempDir(), "state"), t.TempDir()
	text, _ = pairs(1, nil)
	text = strings.Replace(text, "gateway: {name: left,", "gateway: {name: left, secrets: {dir: "+keys+"},", 1)
	for _, c := range []string{"c2", "c3"} {
		for n := range 2 {
			name := filepath.Join(keys, c+"-"+string(rune('1'+n))+".psk")
			if err := os.WriteFile(name, []byte("the key of tunnel "+string(rune('1'+n))+" of "+c), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir, keys, text
}

// second is the connection c2 of pairs, as its author would write it.
const second = `
name: c2
routing: static
crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
dpd: {interval: 10s, retries: 2}
remote_networks: [172.18.0.0/16]
tags: {env: prod}
tunnels:
  - {remote: 198.51.101.2, psk: {file: c2-1.psk}}
  - {remote: 198.51.102.2, psk: {file: c2-2.psk}}
`

// A connection made at run time comes up, lives through a restart, and is deleted in the end; nothing else is touched.
func TestLifeOfAConnection(t *testing.T) { // EV-03, R1, R5, R6, R8, R9, R18
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		_, r := pairs(0, nil)
		right := open(t, net, r, nil)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.allUp(2)
		first := m.allSPIs()["c1/1"]

		made := m.do(api.Create, api.Connections, "c2", second)
		if o := made.Object; !made.Created || !made.Changed || o.Source != "runtime" || o.State != "pending" || o.At != nil || !strings.HasPrefix(*o.ID, "vpn-") || o.Tags["env"] != "prod" {
			t.Errorf("made %+v", made)
		}
		m.allUp(4)
		if o := m.object(api.Connections, "c2"); o.State != "available" {
			t.Errorf("state %s", o.State)
		}
		if o := m.object(api.Connections, "c1"); o.Source != "file" || *o.At != "f.yaml:3:5" || !strings.Contains(string(o.Document), "172.17.0.0/16") || strings.Contains(string(o.Document), "the key") {
			t.Errorf("from a file: %+v %s", o, o.Document)
		}
		spis := m.allSPIs()
		if again := m.do(api.Put, api.Connections, "c2", second); again.Created || again.Changed || *again.Object.ID != *made.Object.ID {
			t.Errorf("the same document again: %+v", again)
		}
		if changed := m.do(api.Patch, api.Connections, "c2", `{"tags": {"env": null, "tier": "gold"}, "dpd": {"interval": "20s"}}`); !changed.Changed || changed.Object.Tags["env"] != "" || changed.Object.Tags["tier"] != "gold" {
			t.Errorf("modified: %+v", changed)
		}
		if got := m.allSPIs(); got["c2/1"] != spis["c2/1"] || got["c1/1"] != first {
			t.Errorf("tags and dpd have touched SAs: %v, before %v", got, spis)
		}

		m = m.restart(net, dir)
		m.allUp(4)
		if o := m.object(api.Connections, "c2"); *o.ID != *made.Object.ID || o.Tags["tier"] != "gold" || !o.Created.Equal(*made.Object.Created) {
			t.Errorf("after a restart: %+v", o)
		}
		gone := m.do(api.Delete, api.Connections, "c2", "")
		if o := gone.Object; o.State != "deleting" && o.State != "deleted" || o.Deleted == nil || *o.Left != 3600 || *o.ID != *made.Object.ID {
			t.Errorf("while it is deleted: %+v", o)
		}
		time.Sleep(2 * time.Second)
		if o := m.object(api.Connections, "c2"); o.State != "deleted" {
			t.Errorf("then: %+v", o)
		}
		if spis := right.allSPIs(); !strings.HasPrefix(spis["c2/1"], "DOWN") || strings.Contains(spis["c2/1"], "/") {
			t.Errorf("R8: the peer was not told: %v", spis["c2/1"])
		}
		m = m.restart(net, dir)
		time.Sleep(30 * time.Minute)
		if o := m.object(api.Connections, "c2"); o.State != "deleted" || *o.Left > 1800 || *o.Left < 1700 {
			t.Errorf("half an hour later: %+v, %d s left", o, *o.Left)
		}
		m.refuses(api.Patch, api.Connections, "c2", "{}", api.NotFound, `no connection "c2": have c1`) // R9: terminal
		m.refuses(api.Create, api.Connections, "c2", second+"id: "+*made.Object.ID+"\n", api.Invalid, "was used before and is never used again")
		again := m.do(api.Create, api.Connections, "c2", second)
		if *again.Object.ID == *made.Object.ID {
			t.Error("R9: the id is used again")
		}
		if got, err := m.d.Objects(t.Context(), api.Connections); err != nil || len(got.Objects) != 3 {
			t.Errorf("listed: %v, %v", got, err)
		}
		time.Sleep(31 * time.Minute)
		if got, err := m.d.Objects(t.Context(), api.Connections); err != nil || len(got.Objects) != 2 {
			t.Errorf("after the hour: %v, %v", got, err)
		}
		m.end()
	})
}

func TestRefusedChanges(t *testing.T) { // R2, R10, R14, R16, R33
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		dir, _, text := state(t)
		m := makes(t, net, dir, strings.Replace(text, "outside: {address: 192.0.2.10}", "outside: {address: 192.0.2.10}, limits: {max_connections: 3}", 1))
		m.do(api.Create, api.CustomerGateways, "lyon", "{name: lyon, address: 203.0.113.9, tags: {tier: gold}}")
		m.do(api.Create, api.Connections, "c2", second)
		m.do(api.Create, api.Connections, "at-lyon", "{name: at-lyon, customer_gateway: lyon, routing: static, remote_networks: [172.30.0.0/16], tunnels: [{psk: {file: c3-1.psk}}]}")

		for _, c := range []struct {
			verb                          api.ObjectVerb
			kind                          api.ObjectKind
			name, document, reason, words string
		}{
			{api.Patch, api.Connections, "c1", "{}", api.ReadOnly, `connection "c1" stands in f.yaml:3:5: change it there, and reload`},
			{api.Delete, api.Connections, "c1", "", api.ReadOnly, "f.yaml:3:5"},
			{api.Put, api.Connections, "c1", strings.Replace(second, "c2", "c1", 1), api.ReadOnly, "f.yaml:3:5"},
			{api.Create, api.Connections, "c2", second, api.Exists, `there is a connection "c2" already`},
			{api.Create, api.Connections, "c9", second, api.Invalid, `the document is of "c2", not of "c9"`},
			{api.Create, api.Connections, "c9", "{routing: static}", api.Invalid, "the document has no name; want name: c9"},
			{api.Create, api.Connections, "c9", "[]", api.Invalid, "found no mapping"},
			{api.Patch, api.Connections, "c2", "{name: c9}", api.Invalid, "keeps its name"},
			{api.Patch, api.Connections, "c2", "{id: other}", api.Invalid, "the id cannot be changed"},
			{api.Patch, api.Connections, "c2", "{start: allways}", api.Invalid, `did you mean "always"?`},
			{api.Patch, api.Connections, "c2", "{remote_networks: [172.17.0.0/16]}", api.Invalid, `connections "c1" and "c2" both have 172.17.0.0/16`},
			{api.Patch, api.Connections, "c2", "{customer_gateway: lion}", api.Invalid, `there is no customer gateway "lion"; there are lyon; did you mean "lyon"?`},
			{api.Patch, api.Connections, "c9", "{}", api.NotFound, `no connection "c9": have c1, c2, at-lyon`},
			{api.Delete, api.Connections, "c9", "", api.NotFound, `no connection "c9"`},
			{api.Create, api.Connections, "c3", strings.NewReplacer("c2", "c3", ".2,", ".3,", "172.18", "172.19").Replace(second), api.Invalid, "4 connections, more than gateway.limits.max_connections (3)"},
			{api.Patch, api.Connections, "c2", "{tunnels: [{remote: 198.51.101.2, psk: {file: none.psk}}]}", api.Invalid, "tunnel c2/1: secret not available"},
			{api.Patch, api.Connections, "c2", "{tunnels: [{remote: 198.51.101.2, local: 192.0.2.77, psk: {file: c2-1.psk}}]}", api.NeedsRestart, "can only change with a restart of the gateway"},
			{api.Delete, api.CustomerGateways, "lyon", "", api.InUse, `customer gateway "lyon" is in use by connection "at-lyon"`},
			{api.Delete, api.CustomerGateways, "nice", "", api.NotFound, `no customer gateway "nice": have lyon`},
		} {
			m.refuses(c.verb, c.kind, c.name, c.document, c.reason, c.words)
		}
		if o := m.object(api.CustomerGateways, "lyon"); o.State != "available" || len(o.UsedBy) != 1 || o.Tags["tier"] != "gold" || !strings.HasPrefix(*o.ID, "cgw-") {
			t.Errorf("lyon: %+v", o)
		}
		before := m.listed()
		m = m.restart(net, dir)
		if after := m.listed(); after != before {
			t.Errorf("after a restart\n%s\nbefore\n%s", after, before)
		}
		m.do(api.Delete, api.Connections, "at-lyon", "")
		m.do(api.Delete, api.CustomerGateways, "lyon", "")
		m.end()
	})
}

// A customer gateway that moves takes its connections along.
func TestCustomerGatewayChangesItsConnections(t *testing.T) { // R3
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		_, r := pairs(0, nil)
		open(t, net, r, nil)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.do(api.Create, api.CustomerGateways, "lyon", "{name: lyon, address: 203.0.113.9}")
		m.do(api.Create, api.Connections, "c2", strings.NewReplacer("remote: 198.51.101.2", "customer_gateway: lyon", "  - {remote: 198.51.102.2, psk: {file: c2-2.psk}}\n", "").Replace(second))
		time.Sleep(5 * time.Second)
		if spis := m.allSPIs(); strings.HasPrefix(spis["c2/1"], "UP") {
			t.Fatalf("there is nobody: %v", spis)
		}
		m.do(api.Patch, api.CustomerGateways, "lyon", "{address: 198.51.101.2}")
		m.allUp(3)
		m.end()
	})
}

// Keys that nobody names are made, one for each tunnel, and go with their connection; the answer says where they are and not what.
func TestGeneratedKeys(t *testing.T) { // R61, R62
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		dir, keys, text := state(t)
		m := makes(t, net, dir, text)
		made := m.do(api.Create, api.Connections, "c2", "{name: c2, role: cloud, routing: static, remote_networks: [172.18.0.0/16], tunnels: [{remote: 198.51.101.2}, {remote: 198.51.102.2}]}")
		if len(made.Object.Secrets) != 2 || made.Object.Secrets[0] != (api.MadeSecret{Tunnel: "1", File: filepath.Join(keys, "c2.1.psk")}) {
			t.Fatalf("secrets %v", made.Object.Secrets)
		}
		var texts []string
		for _, s := range made.Object.Secrets {
			text, err := os.ReadFile(s.File)
			if err != nil || len(text) != 33 {
				t.Errorf("%s: %q, %v", s.File, text, err)
			}
			texts = append(texts, strings.TrimSpace(string(text)))
		}
		if texts[0] == texts[1] {
			t.Error("both tunnels have one key")
		}
		raw, err := os.ReadFile(m.origin.Store.Path())
		if err != nil || strings.Contains(string(raw), texts[0]) || strings.Contains(m.listed(), texts[0]) || strings.Contains(m.log.String(), texts[0]) {
			t.Errorf("the key is in the store, the list or the log: %v", err)
		}
		m.do(api.Delete, api.Connections, "c2", "")
		for _, s := range made.Object.Secrets {
			if _, err := os.Lstat(s.File); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s is there after its connection: %v", s.File, err)
			}
		}
		m.end()
	})
}

// What was taken down stays down over a restart, until it is brought up.
func TestTakenDownStaysDown(t *testing.T) { // EV-03, hardening 5.1
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		_, r := pairs(0, nil)
		open(t, net, r, nil)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.allUp(2)
		act := func(verb api.Verb, tunnel string) {
			t.Helper()
			if _, err := m.d.keptAct(t.Context(), api.Action{Verb: verb, Connection: "c1", Tunnel: tunnel}); err != nil {
				t.Fatal(err)
			}
		}
		act(api.Down, "2")
		m = m.restart(net, dir)
		m.allUp(1)
		time.Sleep(time.Minute)
		if spis := m.allSPIs(); !strings.HasPrefix(spis["c1/2"], "DOWN") {
			t.Errorf("after a restart %v", spis)
		}
		act(api.Up, "")
		m = m.restart(net, dir)
		m.allUp(2)
		act(api.Down, "")
		act(api.Restart, "1")
		m = m.restart(net, dir)
		m.allUp(1)
		if _, err := m.d.keptAct(t.Context(), api.Action{Verb: api.Down, Connection: "c1", Tunnel: "3"}); err == nil || len(m.origin.Store.State().Down) != 1 {
			t.Errorf("a tunnel that is not there: %v", err)
		}
		m.end()
	})
}

// A store that cannot be read or written does not keep the gateway from running with its files.
func TestStoreInTrouble(t *testing.T) { // EV-24, EV-35
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.do(api.Create, api.Connections, "c2", second)
		m.end()
		path := filepath.Join(dir, "objects.db")
		if err := os.Truncate(path, 5000); err != nil {
			t.Fatal(err)
		}
		m = makes(t, net, dir, text)
		if got, _ := m.d.Objects(t.Context(), api.Connections); len(got.Objects) != 1 {
			t.Errorf("from a damaged store: %v", got.Objects)
		}
		if events, _ := m.d.Events(0); len(events) == 0 || events[0].Kind != "state.damaged" || !strings.Contains(events[0].Attributes["hint"], ".bad") {
			t.Errorf("events %v", events)
		}
		m.do(api.Create, api.Connections, "c2", second)

		m.end()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		m = makes(t, net, dir, text)
		if events, _ := m.d.Events(0); len(events) == 0 || events[0].Kind != "state.unavailable" {
			t.Errorf("events %v", events)
		}
		m.refuses(api.Create, api.Connections, "c3", strings.NewReplacer("c2", "c3", ".2,", ".3,", "172.18", "172.19").Replace(second), api.NotKept, "mode 0777")
		if _, err := m.d.keptAct(t.Context(), api.Action{Verb: api.Down, Connection: "c1"}); err == nil || !strings.Contains(err.Error(), "mode 0777") {
			t.Errorf("down: %v", err)
		}
		m.end()
	})
}

// What is written into the files, be it whole or half, is for a reload: making something else neither applies it nor fails.
func TestFilesInTheMakingAreLeftAlone(t *testing.T) { // R18
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.files["f.yaml"] = "gateway: {name: half"
		m.do(api.Create, api.Connections, "c2", second)
		m.files["f.yaml"] = strings.Replace(text, "172.17.0.0/16", "172.27.0.0/16", 1)
		m.do(api.Patch, api.Connections, "c2", "{description: changed}")
		if got := m.d.cfg.Load().Connections; len(got) != 2 || got[0].RemoteNetworks[0].String() != "172.17.0.0/16" || got[1].Description != "changed" {
			t.Errorf("%+v", got)
		}
		if _, err := m.d.Reload(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := m.d.cfg.Load().Connections; len(got) != 2 || got[0].RemoteNetworks[0].String() != "172.27.0.0/16" || got[1].Description != "changed" {
			t.Errorf("after a reload %+v", got)
		}
		m.end()
	})
}

// Files that change under an object leave it out and say so; a reload that would do so is refused.
func TestObjectThatCeasesToFit(t *testing.T) { // R33
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		dir, _, text := state(t)
		m := makes(t, net, dir, text)
		m.do(api.Create, api.Connections, "c2", second)
		m.files["f.yaml"] = strings.Replace(text, "172.17.0.0/16", "172.18.0.0/16", 1)
		if _, _, err := m.origin.read(nil); err == nil || !strings.Contains(err.Error(), `connections "c1" and "c2" both have 172.18.0.0/16`) {
			t.Errorf("a reload: %v", err)
		}
		m = m.restart(net, dir)
		o := m.object(api.Connections, "c2")
		if o.State != "refused" || o.Problem == nil || !strings.Contains(*o.Problem, "172.18.0.0/16") {
			t.Errorf("%+v", o)
		}
		if events, _ := m.d.Events(0); len(events) == 0 || events[0].Kind != "object.refused" {
			t.Errorf("events %v", events)
		}
		// Others can be made and reloaded all the same, and it can be mended.
		m.do(api.Create, api.CustomerGateways, "lyon", "{name: lyon, address: 203.0.113.9}")
		if _, _, err := m.origin.read(nil); err != nil {
			t.Error(err)
		}
		m.do(api.Patch, api.Connections, "c2", "{remote_networks: [172.28.0.0/16]}")
		if o := m.object(api.Connections, "c2"); o.State != "pending" || o.Problem != nil {
			t.Errorf("mended: %+v", o)
		}
		m.end()
	})
}

func TestNothingCanBeMadeWithoutAStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		s := open(t, net, leftConfig, nil)
		_, err := s.d.ChangeObject(context.Background(), api.ObjectChange{Verb: api.Create, Kind: api.Connections, Name: "c2", Document: []byte(second)})
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Reason != api.NotPossible {
			t.Errorf("%v", err)
		}
		if got, err := s.d.Objects(t.Context(), api.Connections); err != nil || len(got.Objects) != 1 || got.Objects[0].Name != "hq" {
			t.Errorf("%v, %v", got, err)
		}
	})
}
