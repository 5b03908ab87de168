package daemon

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// SEC-02, SEC-03: canaries in every kind of place that a secret can come from, through a life of a gateway at debug level: up, a
// wrong key, rekeys, a rotation, secrets that cannot be had, the end. They are in nothing that comes out: logs, status,
// logs, events and refusals of the API, stacks of goroutines, the command line, and files other than those that keep them.
// The environment has a test of its own (environ_test.go). Not in a bubble: the control socket is a real one.
func TestCanariesStayInside(t *testing.T) {
	secrets, run := t.TempDir(), t.TempDir()
	canaries := map[string]string{}
	for _, name := range []string{"file", "env", "credential", "exec", "inline", "previous", "rotated", "ppk"} {
		canaries[name] = fmt.Sprintf("Canary-%s-%s", name, strings.Repeat(name[:2], 8))
	}
	writeKey(t, filepath.Join(secrets, "file.psk"), canaries["file"])
	writeKey(t, filepath.Join(secrets, "credential"), canaries["credential"])
	writeKey(t, filepath.Join(secrets, "ppk"), canaries["ppk"])
	printer := filepath.Join(secrets, "print")
	if err := os.WriteFile(printer, []byte("#!/bin/sh\necho "+canaries["exec"]+"\necho this is "+canaries["exec"]+" >&2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", secrets)
	t.Setenv("TWINBORE_TEST_CANARY", canaries["env"])

	connection := func(name, role, remote, networks string, tunnels ...string) string {
		text := fmt.Sprintf("  - name: %s\n    role: %s\n    routing: static\n    remote_networks: [%s]\n    ppk: {id: q, secret: {file: ppk}}\n    tunnels:\n", name, role, networks)
		for i, psk := range tunnels {
			text += fmt.Sprintf("      - {remote: %s%d, psk: %s}\n", remote, i+1, psk)
		}
		return text
	}
	head := func(name, address string) string {
		return fmt.Sprintf("gateway:\n  name: %s\n  outside: {address: %s}\n  secrets: {dir: %s, refresh: 1s}\nconnections:\n", name, address, secrets)
	}
	psk := func(kind string) string {
		return map[string]string{"file": "{file: file.psk}", "env": "{env: TWINBORE_TEST_CANARY}", "credential": "{credential: credential}",
			"exec": "{exec: [" + printer + "]}", "inline": "{inline: " + canaries["inline"] + "}",
			"previous": "{current: {inline: another key than the peer has}, previous: {inline: " + canaries["previous"] + "}}"}[kind]
	}
	left := head("left", "192.0.2.10") +
		connection("a", "customer", "198.51.100.", "10.2.0.0/16", psk("file"), psk("env"), psk("credential")) +
		connection("b", "customer", "203.0.113.", "10.3.0.0/16", psk("exec"), psk("inline"), psk("previous"))
	right := func(name, nets, prefix string, keys ...string) string {
		text := head(name, "["+prefix+"1, "+prefix+"2]") + "  - name: x\n    role: cloud\n    start: wait\n    routing: static\n    remote_networks: [10.1.0.0/16]\n    ppk: {id: q, secret: {file: ppk}}\n    tunnels:\n"
		for i, key := range keys {
			text += fmt.Sprintf("      - {local: %s%d, remote: 192.0.2.10, psk: {inline: %s}}\n", prefix, i+1, key)
		}
		return text
	}
	net := simnet.New(1)
	t.Cleanup(net.Close)
	var peers []*site
	peers = append(peers, open(t, net, right("r1", "10.2.0.0/16", "198.51.100.", canaries["file"], canaries["env"]), nil),
		open(t, net, right("r2", "10.3.0.0/16", "203.0.113.", canaries["exec"], canaries["inline"]), nil))
	socket := filepath.Join(run, "s")
	s := openWith(t, net, left, func(o *Options) { o.NoAPI, o.Socket = false, socket })
	client := api.NewClient(socket)
	ctx := t.Context()

	var out bytes.Buffer
	note := func(v any, err error) { fmt.Fprintf(&out, "%v %+v %#v\n", err, v, v) }
	for range 100 { // until the exec'd key has come, too
		st, _, err := client.Status(ctx)
		if err == nil && st.Connections[1].Tunnels[0].Status == "UP" && st.Connections[0].Tunnels[1].Status == "UP" {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	note(client.Rotate(ctx, api.Rotation{Connection: "a", Tunnel: "1", Secret: []byte(canaries["rotated"]), GraceSeconds: 60}))
	note(client.Rotate(ctx, api.Rotation{Connection: "b", Tunnel: "2", Secret: []byte(canaries["rotated"]), GraceSeconds: 60}))
	for _, a := range []api.Action{{Verb: api.Rekey, Connection: "a"}, {Verb: api.Restart, Connection: "a", Tunnel: "1"}, {Verb: api.Restart, Connection: "b"}} {
		note(client.Act(ctx, a))
	}
	writeKey(t, filepath.Join(secrets, "ppk"), "")
	if err := os.Chmod(filepath.Join(secrets, "credential"), 0o644); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond) // a refresh, and the restarts
	st, raw, err := client.Status(ctx)
	note(st, err)
	out.Write(raw)
	if st.Connections[0].Tunnels[0].Status != "UP" || st.Connections[1].Tunnels[1].Status != "UP" {
		t.Errorf("the story is not what it should be: %+v", st.Connections)
	}
	note(s.d.Logs(api.LogQuery{}))
	events, _ := s.d.Events(0)
	note(events, nil)
	if !slices.ContainsFunc(events, func(e api.Event) bool { return e.Kind == "secret.refresh_failed" }) || !slices.ContainsFunc(events, func(e api.Event) bool { return e.Kind == "psk.rotated" }) {
		t.Error("the story has no secret that cannot be had, or no rotation")
	}
	stacks := make([]byte, 1<<20)
	out.Write(stacks[:runtime.Stack(stacks, true)])
	s.d.keeper.mu.Lock()
	note(s.d.keeper.cfg, nil)
	for _, c := range s.d.keeper.found {
		note(c, nil)
		note(c.use, nil)
		note(c.use.Auth, nil)
	}
	s.d.keeper.mu.Unlock()
	s.stop()
	cmdline, _ := os.ReadFile("/proc/self/cmdline")
	out.Write(cmdline)
	for _, site := range append(peers, s) {
		out.WriteString(site.log.String())
	}
	filepath.WalkDir(run, func(path string, d fs.DirEntry, err error) error {
		if b, err := os.ReadFile(path); err == nil {
			out.Write(b)
		}
		return nil
	})
	for name, canary := range canaries {
		for form, text := range map[string]string{"text": canary, "hex": hex.EncodeToString([]byte(canary)), "base64": base64.RawStdEncoding.EncodeToString([]byte(canary)),
			"octets": strings.Trim(fmt.Sprint([]byte(canary)), "[]")} {
			if i := strings.Index(out.String(), text); i >= 0 {
				t.Errorf("the canary of %s is there as %s: …%s", name, form, out.String()[max(0, i-100):i+20])
			}
		}
	}
}
