package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

// answering runs a control socket until the test ends and returns where it is.
func answering(t *testing.T, cfg api.Config) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tbcli") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	l, err := api.Listen(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	serving, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.New(cfg).Run(serving, l) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Errorf("the control socket ended with %v", err)
		}
	})
	return socket
}

// R58, R59, F5: the new key goes to the daemon and nowhere else (SEC-02), and the operator is told what is left to do.
func TestRotatePSK(t *testing.T) {
	const key = "the new key, which is a canary"
	file := filepath.Join(t.TempDir(), "new.psk")
	if err := os.WriteFile(file, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TWINBORE_TEST_NEW", key)
	until := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	var got []api.Rotation
	socket := answering(t, api.Config{
		Status: func(context.Context) (api.Status, error) { return tableStatus(), nil },
		Rotate: func(_ context.Context, r api.Rotation) (api.Rotated, error) {
			r.Secret = bytes.Clone(r.Secret)
			got = append(got, r)
			if r.Tunnel == "9" {
				return api.Rotated{}, api.Refuse(api.NotPossible, "the secret of x/9 is not kept by this gateway")
			}
			done := api.Rotated{Connection: r.Connection, Tunnel: r.Tunnel, Place: "/etc/twinbore/secrets/a.psk", Generated: len(r.Secret) == 0}
			if r.GraceSeconds > 0 {
				done.PreviousUntil, done.OutageSeconds = &until, new(int64)
			} else {
				done.Weakness = api.Ptr("the secret is worth at most 20 bits")
			}
			return done, nil
		},
	})
	for _, c := range []struct {
		args   string
		in     string
		code   int
		want   string // in what it says
		secret string // that the daemon was given
		grace  int64
	}{
		{"aws-prod/2", "", 0, `aws-prod/2: the pre-shared key is replaced
  new     made by the gateway, not shown: it is in /etc/twinbore/secrets/a.psk
  old     accepted until 2026-11-23T12:00:00Z
  outage  0 s expected: live SAs stay, and whoever begins a new one may have either key
  to do   give the peer 198.51.100.87 the new key for this tunnel
  then    ` + "`twinbore restart aws-prod/2`" + ` makes both ends use it (tunnel 1 is UP, or wait for the next IKE SA)
  check   ` + "`twinbore status aws-prod -o json`" + `: ike.secret is "current" when the peer has used the new key
`, "", 86400},
		{"aws-prod/2 --grace 0 --from file:" + file, "", 0, "old     not accepted any more\n  outage  none now", key, 0},
		{"aws-prod/2 --from env:TWINBORE_TEST_NEW --grace 1h", "", 0, "new     not shown: it is in", key, 3600},
		{"aws-prod/2 --from -", key + "\n", 0, "replaced", key, 86400},
		{"aws-prod/2 --from - --encoding hex", "00112233445566778899\n", 0, "replaced", "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99", 86400},
		{"aws-prod/2 -o json", "", 0, `"previous_until": "2026-11-23T12:00:00Z",`, "", 86400},
		{"aws-prod/9", "", 1, "is not kept by this gateway", "", 86400},
		{"aws-prod", "", 2, "one tunnel at a time (aws-prod/1, then aws-prod/2)", "", -1},
		{"aws-prod/2 --generate --from -", "", 2, "exclude each other", "", -1},
		{"aws-prod/2 --grace 1000h", "", 2, "from 0 to 720h", "", -1},
		{"aws-prod/2 --from canary-in-an-argument", "", 2, "never the key itself", "", -1},
		{"aws-prod/2 --from file:/nowhere/a", "", 1, "no such file", "", -1},
		{"aws-prod/2 --from -", "short", 1, "the new key on standard input: inline: is shorter than 8 octets", "", -1},
		{"aws-prod/2 --from - --encoding rot13", "", 2, "there are text, hex and base64", "", -1},
	} {
		got = nil
		var out bytes.Buffer
		code := run(t.Context(), append([]string{"--socket", socket, "rotate-psk"}, strings.Fields(c.args)...), strings.NewReader(c.in), &out, &out)
		text := out.String()
		if code != c.code || !strings.Contains(text, c.want) || strings.Contains(text, "canary") {
			t.Errorf("rotate-psk %s: exit code %d, want %d; it says\n%s\nwant\n%s", c.args, code, c.code, text, c.want)
		}
		switch {
		case c.grace < 0 && got != nil:
			t.Errorf("rotate-psk %s: the daemon was asked", c.args)
		case c.grace >= 0 && (len(got) != 1 || string(got[0].Secret) != c.secret || got[0].GraceSeconds != c.grace || got[0].Connection != "aws-prod"):
			t.Errorf("rotate-psk %s: the daemon was asked for %+v", c.args, got)
		}
	}
}
