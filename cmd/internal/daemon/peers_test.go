package daemon

import (
	"log/slog"
	"strings"
	"testing"

	"twinbore/config"
	"twinbore/config/secret"
)

// K-02, AUT-13: a PPK that cannot be had or is weak is told of, and stays required if it is.
func TestPPKIsFetched(t *testing.T) {
	var log strings.Builder
	d := &Daemon{log: slog.New(slog.NewTextHandler(&log, nil))}
	inline := secret.Ref{Kind: secret.Inline, Value: secret.New([]byte("00112233445566ff")), Encoding: secret.Hex}
	got := d.ppkOf(t.Context(), secret.Store{}, "office/1", config.PPK{ID: "quantum", Secret: inline})
	if got.ID != "quantum" || string(got.Key) != "\x00\x11\x22\x33\x44\x55\x66\xff" || got.Required {
		t.Errorf("got %+v", got)
	}
	if text := log.String(); !strings.Contains(text, "at most 64 bits") || !strings.Contains(text, "peer=office/1 at=inline") {
		t.Errorf("eight octets are taken for good: %s", text)
	}
	log.Reset()
	if got := d.ppkOf(t.Context(), secret.Store{}, "office/1", config.PPK{}); got.ID != "" || got.Key != nil || log.Len() > 0 {
		t.Errorf("without one: got %+v, and the log says %s", got, log.String())
	}
	missing := secret.Ref{Kind: secret.File, Name: "/nowhere/a.ppk"}
	got = d.ppkOf(t.Context(), secret.Store{}, "office/1", config.PPK{ID: "quantum", Secret: missing, Required: true})
	if got.Key != nil || !got.Required || !strings.Contains(log.String(), "ppk not available") {
		t.Errorf("a file that is not there: got %+v, and the log says %s", got, log.String())
	}
}
