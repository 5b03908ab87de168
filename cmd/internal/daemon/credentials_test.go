package daemon

import (
	"errors"
	"strings"
	"testing"
	"time"

	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/ike"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
)

// testLooker looks up secrets and writes down those that are weak.
func testLooker(weak *strings.Builder) looker {
	return looker{now: time.Now(), weak: func(peer string, ref secret.Ref, s secret.Secret, bits int) {
		if s.Weakness(bits) != "" {
			weak.WriteString(peer + " at " + ref.String())
		}
	}}
}

// K-02, AUT-13: a PPK that cannot be had or is weak is told of, and stays required if it is. One that was there before stays.
func TestPPKIsFetched(t *testing.T) {
	var weak strings.Builder
	var c credential
	l := testLooker(&weak)
	inline := secret.Ref{Kind: secret.Inline, Value: secret.New([]byte("00112233445566ff")), Encoding: secret.Hex}
	l.ppk(t.Context(), &c, "office/1", config.PPK{ID: "quantum", Secret: inline}, credential{})
	if got := c.use.PPK; got.ID != "quantum" || string(got.Key) != "\x00\x11\x22\x33\x44\x55\x66\xff" || got.Required || c.err != nil {
		t.Errorf("got %+v, %v", got, c.err)
	}
	if weak.String() != "office/1 at inline" {
		t.Errorf("eight octets are taken for good: %q", weak.String())
	}
	l.ppk(t.Context(), &c, "office/1", config.PPK{}, credential{})
	if got := c.use.PPK; got.ID != "" || got.Key != nil || c.err != nil {
		t.Errorf("without one: got %+v, %v", got, c.err)
	}
	missing := config.PPK{ID: "quantum", Secret: secret.Ref{Kind: secret.File, Name: "/nowhere/a.ppk"}, Required: true}
	l.ppk(t.Context(), &c, "office/1", missing, credential{})
	if got := c.use.PPK; got.Key != nil || !got.Required || c.err == nil || !strings.Contains(c.err.Error(), "no such file") {
		t.Errorf("a file that is not there: got %+v, %v", got, c.err)
	}
	l.ppk(t.Context(), &c, "office/1", missing, credential{use: ike.Secrets{PPK: ikev2.PPK{Key: []byte("before")}}})
	if string(c.use.PPK.Key) != "before" {
		t.Errorf("the one from before is lost: %+v", c.use.PPK)
	}
}

// SEC-04: of two keys each is had or not for itself; one that was found before stays; equal ones count once.
func TestKeysAreFetchedEachForItself(t *testing.T) {
	var weak strings.Builder
	l := testLooker(&weak)
	inline := func(text string) secret.Ref { return secret.Ref{Kind: secret.Inline, Value: secret.New([]byte(text))} }
	missing := secret.Ref{Kind: secret.File, Name: "/nowhere/a.psk"}
	old := credential{use: ike.Secrets{Auth: auth.Credentials{Secrets: []auth.Secret{
		{Peer: "a/1", Name: currentKey, Key: []byte("old current")}, {Peer: "a/1", Name: previousKey, Key: []byte("old previous")}}}}}
	for _, c := range []struct {
		psk    config.PSK
		before credential
		want   string
		usable bool
	}{
		{config.PSK{Current: inline("the first key")}, credential{}, "current=the first key", true},
		{config.PSK{Current: inline("the first key"), Previous: inline("the second key")}, credential{}, "current=the first key previous=the second key", true},
		{config.PSK{Current: inline("the first key"), Previous: inline("the first key")}, credential{}, "current=the first key", true},
		{config.PSK{Current: missing, Previous: inline("the second key")}, credential{}, "previous=the second key", false},
		{config.PSK{Current: missing, Previous: inline("the second key")}, old, "current=old current previous=the second key", true},
		{config.PSK{Current: missing, Previous: missing}, old, "current=old current previous=old previous", true},
		{config.PSK{Current: missing}, credential{}, "", false},
	} {
		var got credential
		l.keys(t.Context(), &got, "a/1", c.psk, c.before)
		var words []string
		for _, s := range got.use.Auth.Secrets {
			words = append(words, s.Name+"="+string(s.Key))
		}
		if text := strings.Join(words, " "); text != c.want || got.usable("a/1") != c.usable {
			t.Errorf("%v: got %q, usable %v; want %q, %v", c.psk, text, got.usable("a/1"), c.want, c.usable)
		}
		if missed := c.psk.Current.Kind == secret.File; missed != (got.err != nil) {
			t.Errorf("%v: error %v", c.psk, got.err)
		}
	}
	l.quick = true
	var got credential
	l.keys(t.Context(), &got, "a/1", config.PSK{Current: secret.Ref{Kind: secret.Exec, Args: []string{"/bin/false"}}}, credential{})
	if !errors.Is(got.err, errLater) {
		t.Errorf("a command was run, or refused: %v", got.err)
	}
}
