package api

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

// R58, SEC-02: a key goes in and does not come back, neither in an answer nor in a refusal or the log.
func TestRotation(t *testing.T) {
	const canary = "a canary for the daemon"
	var log bytes.Buffer
	var got []Rotation
	socket := serve(t, Config{
		Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Rotate: func(_ context.Context, r Rotation) (Rotated, error) {
			r.Secret = bytes.Clone(r.Secret)
			got = append(got, r)
			if r.Tunnel == "2" {
				return Rotated{}, Refuse(NotPossible, "it is kept elsewhere")
			}
			return Rotated{Connection: r.Connection, Tunnel: r.Tunnel, Place: "/a"}, nil
		},
	})
	c := NewClient(socket)
	done, err := c.Rotate(t.Context(), Rotation{Connection: "h q", Tunnel: "1", Secret: []byte(canary), GraceSeconds: 60})
	if err != nil || done.Connection != "h q" || done.Place != "/a" || len(got) != 1 || string(got[0].Secret) != canary || got[0].GraceSeconds != 60 {
		t.Errorf("got %+v, %v; the daemon was asked for %+v", done, err, got)
	}
	if _, err := c.Rotate(t.Context(), Rotation{Connection: "hq", Tunnel: "2", Secret: []byte(canary)}); err == nil || err.Error() != "it is kept elsewhere" {
		t.Errorf("got %v", err)
	}
	if _, err := c.Rotate(t.Context(), Rotation{Connection: "hq", Tunnel: "1", GraceSeconds: -1}); err == nil {
		t.Error("a grace below zero")
	}
	got = nil
	for _, body := range []string{"", canary, `{"secret": "` + canary + `"}`, `{"secret": 1}`, `{"grace_seconds": -1}`, `{"grace_seconds": 1e12}`,
		`{"grace_seconds": 9223372036854775807}`, `{"passwort": "` + canary + `"}`, "[]", strings.Repeat("[", 20_000), "\x00\xff"} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", "http://twinbore/v1/connections/hq/tunnels/1/actions/rotate-psk", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest || strings.Contains(string(answer), canary) {
			t.Errorf("%.40q: %s %s", body, resp.Status, answer)
		}
	}
	if got != nil || strings.Contains(log.String(), canary) || strings.Count(log.String(), "rotate-psk") != 2 {
		t.Errorf("the daemon was asked for %d rotations; the log is\n%s", len(got), &log)
	}
}
