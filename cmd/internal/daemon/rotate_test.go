package daemon

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/tunnel/simnet"
)

// rotate replaces the key of tunnel 1, with five minutes of grace.
func (s *site) rotate(conn, key string) api.Rotated {
	s.t.Helper()
	done, err := s.d.keeper.rotate(s.t.Context(), api.Rotation{Connection: conn, Tunnel: "1", Secret: []byte(key), GraceSeconds: 300})
	if err != nil {
		s.t.Fatal(err)
	}
	return done
}

// stream sends a packet each 20 ms from one site to the other until it is stopped, and counts those that are lost.
func stream(from, to *site) (stop func() (sent, lost int)) {
	ended, counted := make(chan struct{}), make(chan [2]int, 1)
	go func() {
		var sent, lost int
		for {
			select {
			case <-ended:
				counted <- [2]int{sent, lost}
				return
			case <-time.After(20 * time.Millisecond):
			}
			sent++
			if !from.send(to, uint32(sent)) {
				lost++
			}
		}
	}()
	return func() (int, int) { close(ended); n := <-counted; return n[0], n[1] }
}

// EV-28, SEC-04, R28, R58, R59: the key of a tunnel is replaced under traffic, at one end and then at the other, whichever is first.
// No packet is lost and no SA is dropped; a new IKE SA can be made at each moment, and the status says which key the peer
// has used. Both ends begin in turn.
func TestRotationUnderTraffic(t *testing.T) {
	for _, first := range []string{"we first", "peer first"} {
		t.Run(first, func(t *testing.T) {
			dirs := [2]string{t.TempDir(), t.TempDir()}
			texts := [2]string{keyed(t, dirs[0], leftConfig), keyed(t, dirs[1], strings.Replace(rightConfig, "start: wait", "start: always", 1))}
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				right, left := open(t, net, texts[1], nil), open(t, net, texts[0], nil)
				left.want("1: UP UP", 2*time.Second)
				right.want("1: UP UP", 2*time.Second)
				time.Sleep(30 * time.Second) // of two IKE SAs that were begun at once one is left
				type turn struct {
					at   *site
					conn string
				}
				turns := []turn{{left, "hq"}, {right, "branch"}}
				if first == "peer first" {
					turns[0], turns[1] = turns[1], turns[0]
				}
				const next = "the key that comes after the others"
				spi := func() string { return left.connection().Tunnels[0].IKE.SPIInitiator }
				for i, changed := range turns {
					before, stop := spi(), stream(left, right)
					done := changed.at.rotate(changed.conn, next)
					if done.OutageSeconds == nil || *done.OutageSeconds != 0 || done.PreviousUntil == nil || done.Generated {
						t.Errorf("the estimate is %+v", done)
					}
					time.Sleep(10 * time.Second)
					if sent, lost := stop(); lost > 0 || sent < 100 {
						t.Errorf("%d of %d packets are lost", lost, sent)
					}
					if after := spi(); after != before {
						t.Errorf("the IKE SA was %s and is %s", before, after)
					}
					want := []string{"previous", "current"}[i]
					for _, by := range []turn{{left, "hq"}, {right, "branch"}} {
						anew(t, by.at, by.conn, left, right)
						if got := *changed.at.connection().Tunnels[0].IKE.Secret; got != want {
							t.Errorf("after %s begun by %s: the status of %s says %s, want %s", changed.conn, by.conn, changed.conn, got, want)
						}
					}
				}
				if got := left.connection().Tunnels[0].Key; got.PreviousUntil == nil {
					t.Errorf("the status does not say that the key before is accepted: %+v", got)
				}
				time.Sleep(6 * time.Minute)
				if got := left.connection().Tunnels[0].Key; got.PreviousUntil != nil || got.Problem != nil {
					t.Errorf("after the grace: %+v", got)
				}
				for _, dir := range dirs {
					if entries, _ := os.ReadDir(dir); len(entries) != 2 {
						t.Errorf("%d files are left in %s", len(entries), dir)
					}
				}
				for _, s := range []*site{left, right} {
					if events := s.kinds("psk.rotated"); len(events) != 1 || strings.Contains(s.log.String(), next) {
						t.Errorf("events %+v, or SEC-02: the key is in the log", events)
					}
				}
			})
		})
	}
}

// anew makes tunnel 1 anew, begun by that site.
func anew(t *testing.T, by *site, conn string, left, right *site) {
	t.Helper()
	for _, s := range []*site{left, right} {
		s.want("1: UP UP", 2*time.Minute)
	}
	if _, err := by.d.Act(t.Context(), api.Action{Verb: api.Restart, Connection: conn, Tunnel: "1"}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Second)
	for _, s := range []*site{left, right} {
		s.want("1: UP UP", 2*time.Minute)
	}
}

// R58: a restart amid the grace knows both keys; the peer has not changed yet.
func TestRotationSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	text := keyed(t, dir, leftConfig)
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, rightConfig, nil)
		left := open(t, net, text, nil)
		left.want("1: UP UP", 2*time.Second)
		done, err := left.d.keeper.rotate(t.Context(), api.Rotation{Connection: "hq", Tunnel: "1", GraceSeconds: 120})
		if err != nil || !done.Generated || done.Place != filepath.Join(dir, "one.psk") {
			t.Fatalf("%+v, %v", done, err)
		}
		if made, err := os.ReadFile(done.Place); err != nil || len(made) != 33 || strings.Contains(left.log.String(), string(made[:32])) {
			t.Errorf("made %d octets (%v), or SEC-02: the key is in the log", len(made), err)
		}
		left.stop()
		left = open(t, net, text, nil)
		left.want("1: UP UP", 2*time.Minute)
		right.want("1: UP UP", 2*time.Minute)
		if got := left.connection().Tunnels[0]; *got.IKE.Secret != "previous" || got.Key.PreviousUntil == nil {
			t.Errorf("the peer has used %s; %+v", *got.IKE.Secret, got.Key)
		}
		left.stop()
		time.Sleep(2 * time.Minute)
		left = open(t, net, text, nil)
		left.want("2: DOWN UP", 2*time.Minute)
		if got := left.connection().Tunnels[0]; got.Reason != "AUTH_FAILED" {
			t.Errorf("after the grace: %+v", got)
		}
	})
}

// What cannot be replaced here is explained, and nothing changes.
func TestRotationIsRefused(t *testing.T) {
	dir := t.TempDir()
	writeKey(t, filepath.Join(dir, "shared.psk"), "the key of two tunnels")
	writeKey(t, filepath.Join(dir, "own.psk"), "the key of one tunnel")
	cfg := &config.Config{Gateway: config.Gateway{Secrets: config.Secrets{Dir: dir, Refresh: time.Minute}}}
	for name, ref := range map[string]secret.Ref{
		"env": {Kind: secret.Env, Name: "X"}, "inline": {Kind: secret.Inline, Value: secret.New([]byte("the key inside"))},
		"exec": {Kind: secret.Exec, Args: []string{"/bin/print", "me"}}, "one": {Kind: secret.File, Name: "shared.psk"},
		"two": {Kind: secret.File, Name: "shared.psk"}, "gone": {Kind: secret.File, Name: "gone.psk"}, "own": {Kind: secret.File, Name: "own.psk"},
	} {
		cfg.Connections = append(cfg.Connections, config.Connection{Name: name, Enabled: true, Auth: config.AuthPSK,
			Tunnels: []config.Tunnel{{Name: "1", PSK: config.PSK{Current: ref}}}})
	}
	cfg.Connections = append(cfg.Connections, config.Connection{Name: "cert", Enabled: true, Auth: config.AuthCertificate, Tunnels: []config.Tunnel{{Name: "1"}}},
		config.Connection{Name: "off", Tunnels: []config.Tunnel{{Name: "1"}}})
	k := newKeeper(slog.New(slog.DiscardHandler), newTimeline("test", time.Now()))
	k.mu.Lock()
	k.cfg = cfg
	k.mu.Unlock()
	for at, want := range map[string]string{
		"env/1": "env X: whoever starts this gateway gives it", "inline/1": "comes from inline: write psk: {current", "exec/1": "exec /bin/print: replace it there",
		"one/1": "shared.psk is the secret of two/1 as well", "two/1": "shared.psk is the secret of one/1 as well", "gone/1": "no such file",
		"cert/1": "proves itself by a certificate", "off/1": `no connection "off"`, "nowhere/1": `no connection "nowhere"`, "own/2": `has no tunnel "2"`,
		"own/1": "the new secret is shorter than 8 octets",
	} {
		conn, tunnel, _ := strings.Cut(at, "/")
		_, err := k.rotate(t.Context(), api.Rotation{Connection: conn, Tunnel: tunnel, Secret: []byte("short"), GraceSeconds: 60})
		if refused, ok := errors.AsType[*api.Problem](err); !ok || !strings.Contains(refused.Detail, want) {
			t.Errorf("%s: got %v, want %q", at, err, want)
		}
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 2 {
		t.Errorf("there are %d files now", len(entries))
	}
}
