package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/ike"
	"twinbore/tunnel/simnet"
)

// keyed is one of the sites with its two secrets in files, which are made if they are not there.
func keyed(t *testing.T, dir, text string) string {
	for name, key := range map[string]string{"one": "the key of tunnel one", "two": "the key of tunnel two"} {
		file := filepath.Join(dir, name+".psk")
		if _, err := os.Stat(file); err != nil {
			writeKey(t, file, key)
		}
		text = strings.Replace(text, `inline: "`+key+`"`, "file: "+name+".psk", 1)
	}
	return strings.Replace(text, "gateway:", "gateway:\n  secrets: {dir: "+dir+", refresh: 1m}", 1)
}

func writeKey(t *testing.T, file, key string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// kinds counts the events of the site of a kind.
func (s *site) kinds(kind string) (list []api.Event) {
	all, _ := s.d.Events(0)
	return slices.DeleteFunc(slices.Clone(all), func(e api.Event) bool { return e.Kind != kind })
}

// SEC-04: a secret that is missing, or is something else than a secret, stops its own tunnel and no other; the status says
// what is wrong with it, and the tunnel comes up by itself when it is there.
func TestSecretThatComesLater(t *testing.T) {
	for name, spoil := range map[string]struct {
		do   func(file string) error
		hint string
	}{
		"missing":     {os.Remove, "no such file"},
		"a web page":  {func(file string) error { return os.WriteFile(file, []byte("<!DOCTYPE html><h1>502</h1>"), 0o600) }, "web page"},
		"two lines":   {func(file string) error { return os.WriteFile(file, []byte("{\n\"a\": 1}"), 0o600) }, "more than one line"},
		"for all":     {func(file string) error { return os.Chmod(file, 0o644) }, "chmod 600"},
		"empty":       {func(file string) error { return os.WriteFile(file, nil, 0o600) }, "is empty"},
		"a great one": {func(file string) error { return os.WriteFile(file, make([]byte, 1<<20), 0o600) }, "longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			text := keyed(t, dir, leftConfig)
			file := filepath.Join(dir, "one.psk")
			if err := spoil.do(file); err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				open(t, net, rightConfig, nil)
				left := open(t, net, text, nil)
				left.want("2: DOWN UP", 2*time.Second)
				time.Sleep(time.Minute)
				got := left.connection().Tunnels[0]
				if got.Reason != "SECRET_UNAVAILABLE" || !strings.Contains(got.Hint, spoil.hint) || got.Key == nil || got.Key.Problem == nil || got.Key.Source != "file one.psk" {
					t.Errorf("got %s: %q, %+v", got.Reason, got.Hint, got.Key)
				}
				if failed := left.kinds("secret.refresh_failed"); len(failed) != 1 || *failed[0].Tunnel != "1" {
					t.Errorf("events %+v", failed)
				}
				if n := strings.Count(left.log.String(), "secret not available"); n != 1 {
					t.Errorf("the log says it %d times", n)
				}
				os.Remove(file)
				writeKey(t, file, "the key of tunnel one")
				left.want("1: UP UP", 90*time.Second)
				if got := left.connection().Tunnels[0].Key; got.Problem != nil {
					t.Errorf("the status goes on to say %q", *got.Problem)
				}
			})
		})
	}
}

// SEC-04, R58: a secret that is replaced at its place is found without touching the live SAs; one that is taken away stays
// what it was. What is not accepted any more is deleted.
func TestSecretThatChangesAtItsPlace(t *testing.T) {
	dir := t.TempDir()
	text := keyed(t, dir, leftConfig)
	file := filepath.Join(dir, "one.psk")
	old := file + ".until-20000101T000500Z" // a bubble begins at midnight
	writeKey(t, old, "the key before that")
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, net, rightConfig, nil)
		left := open(t, net, text, nil)
		left.want("1: UP UP", 2*time.Second)
		before := left.connection().Tunnels[0]
		if before.Key.PreviousUntil == nil || !before.Key.PreviousUntil.Equal(time.Date(2000, 1, 1, 0, 5, 0, 0, time.UTC)) {
			t.Errorf("got %+v", before.Key)
		}
		writeKey(t, file, "another key for tunnel one")
		time.Sleep(2 * time.Minute)
		if changed := left.kinds("psk.rotated"); len(changed) != 1 || *changed[0].Tunnel != "1" {
			t.Errorf("events %+v", changed)
		}
		os.Remove(file)
		time.Sleep(10 * time.Minute)
		after := left.connection().Tunnels[0]
		if after.IKE.SPIInitiator != before.IKE.SPIInitiator || !after.Since.Equal(before.Since) || after.Key.Problem == nil {
			t.Errorf("before %+v, after %+v, %+v", before.IKE, after.IKE, after.Key)
		}
		if len(left.kinds("psk.rotated")) != 1 || len(left.kinds("secret.refresh_failed")) != 1 {
			t.Errorf("events: %+v, %+v", left.kinds("psk.rotated"), left.kinds("secret.refresh_failed"))
		}
		writeKey(t, file, "the key of tunnel one")
		time.Sleep(6 * time.Minute)
		if _, err := os.Stat(old); err == nil || after.Key.PreviousUntil != nil {
			t.Errorf("a key whose time is over is still there: %v, %+v", err, after.Key)
		}
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Restart, Connection: "hq", Tunnel: "1"}); err != nil {
			t.Fatal(err)
		}
		left.want("1: UP UP", 20*time.Second)
		for _, key := range []string{"another key", "the key of", "the key before"} {
			if strings.Contains(left.log.String(), key) {
				t.Errorf("SEC-02: the log shows %q", key)
			}
		}
	})
}

// F5: certificates are read again, and the engine is told when one of the files has changed and not before.
func TestCertificatesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPKI(t)
		cfg := p.load(t, certConfig)
		k := newKeeper(slog.New(slog.DiscardHandler), newTimeline("test", time.Now()))
		given := map[string]int{}
		k.give = func(peer string, _ ike.Secrets) bool { given[peer]++; return true }
		k.use(t.Context(), cfg)
		look := func() { k.lookAgain(t.Context(), "a test", func(string, *patience) bool { return true }) }
		look()
		if len(given) > 0 {
			t.Errorf("nothing has changed, and the engine was given %v", given)
		}
		file := filepath.Join(filepath.Dir(cfg.Files[0]), "left.pem")
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append([]byte("renewed\n"), b...), 0o644); err != nil {
			t.Fatal(err)
		}
		look()
		if given["hq/1"] != 1 || given["hq/2"] != 1 {
			t.Errorf("the file has changed, and the engine was given %v", given)
		}
	})
}

// SEC-04, R58: a reload looks up the secrets of tunnels that are the same in it, and touches no live SA.
func TestReloadLooksSecretsUpAgain(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(keyed(t, dir, leftConfig), "refresh: 1m", "refresh: 24h", 1)
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, net, rightConfig, nil)
		left := open(t, net, text, nil)
		left.want("1: UP UP", 2*time.Second)
		before := left.connection().Tunnels[0]
		writeKey(t, filepath.Join(dir, "one.psk"), "another key for tunnel one")
		time.Sleep(time.Minute)
		if changed := left.kinds("psk.rotated"); len(changed) != 0 {
			t.Errorf("before the reload: %+v", changed)
		}
		if _, err := left.d.Reconfigure(t.Context(), left.d.cfg.Load()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		after := left.connection().Tunnels[0]
		if changed := left.kinds("psk.rotated"); len(changed) != 1 || after.IKE.SPIInitiator != before.IKE.SPIInitiator || !after.Since.Equal(before.Since) {
			t.Errorf("after it: %+v, and the IKE SA %s is %s", changed, before.IKE.SPIInitiator, after.IKE.SPIInitiator)
		}
	})
}

// SEC-04: a command that takes its time holds up neither the start of the gateway nor the other tunnels, and is ended after
// five seconds. Not in a bubble: the program that is run has the clock of the world.
func TestSlowCommand(t *testing.T) {
	dir := t.TempDir()
	slow := filepath.Join(dir, "slow")
	if err := os.WriteFile(slow, []byte("#!/bin/sh\nread nothing < "+filepath.Join(dir, "fifo")+"\necho the key of tunnel one\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	net := simnet.New(1)
	t.Cleanup(net.Close)
	open(t, net, rightConfig, nil)
	begun := time.Now()
	left := open(t, net, strings.Replace(leftConfig, `inline: "the key of tunnel one"`, "exec: ["+slow+"]", 1), nil)
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("the start took %v", took)
	}
	left.want("2: DOWN UP", 3*time.Second)
	answer, err := os.OpenFile(filepath.Join(dir, "fifo"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	answer.Write([]byte("\n"))
	answer.Close()
	left.want("1: UP UP", 3*time.Second)
	if got := left.connection().Tunnels[0].Key; got.Source != "exec "+slow || got.Problem != nil {
		t.Errorf("got %+v", got)
	}
}
