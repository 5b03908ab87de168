package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"twinbore/config"
)

func TestConfigurationsReachTheDaemon(t *testing.T) {
	var verb ConfigVerb
	var got ConfigRequest
	c := NewClient(serve(t, Config{Config: func(_ context.Context, v ConfigVerb, q ConfigRequest) (ConfigAnswer, error) {
		verb, got = v, q
		return ConfigAnswer{SchemaVersion: SchemaVersion, Plan: config.Plan{Unchanged: 7}, Restarts: []string{"hq/1"}}, nil
	}}))
	files := []ConfigFile{{Name: "/a.yaml", Text: "gateway: {}\n# ü\n"}}
	for _, want := range []struct {
		verb ConfigVerb
		q    ConfigRequest
	}{
		{ConfigCheck, ConfigRequest{Files: files}},
		{ConfigPlan, ConfigRequest{}},
		{ConfigApply, ConfigRequest{Files: files, ConfirmSeconds: 120, Parallel: true}},
		{ConfigReload, ConfigRequest{Parallel: true}},
		{ConfigConfirm, ConfigRequest{}},
	} {
		answer, _, err := c.Config(t.Context(), want.verb, want.q)
		text, _ := json.Marshal(got)
		asked, _ := json.Marshal(want.q)
		if err != nil || verb != want.verb || string(text) != string(asked) || answer.Plan.Unchanged != 7 || answer.Restarts[0] != "hq/1" {
			t.Errorf("asked for %s %s: the daemon saw %s %s, answered %+v, %v", want.verb, asked, verb, text, answer, err)
		}
	}
}

// CTL-03: what no daemon can do is refused before it is asked, and no answer repeats what was sent: it may hold a secret.
func TestConfigurationsThatMakeNoSense(t *testing.T) {
	socket := serve(t, Config{Config: func(context.Context, ConfigVerb, ConfigRequest) (ConfigAnswer, error) {
		t.Error("the daemon was asked")
		return ConfigAnswer{}, nil
	}})
	for _, c := range []struct{ verb, body string }{
		{"reload", `{"files": [{"name": "x", "text": "sesame"}]}`},
		{"reload", `{"confirm_seconds": 10}`},
		{"apply", `{"confirm_seconds": -1}`},
		{"apply", `{"confirm_seconds": 86401}`},
		{"apply", `{"files": "sesame"}`},
		{"apply", `{"fils": ["sesame"]}`},
		{"plan", "sesame"},
		{"check", `{"files": [{"name": "x", "text": "` + strings.Repeat("sesame ", maxBody/7) + `"}]}`},
		{"apply", `{"files": [{"name": "x", "text": "` + strings.Repeat("sesame ", maxBody/7) + `"}]}`},
	} {
		_, err := NewClient(socket).do(t.Context(), http.MethodPost, "/v1/config:"+c.verb, []byte(c.body)...)
		p, ok := err.(*Problem)
		if !ok || p.Reason != BadRequest || strings.Contains(p.Detail, "sesame") {
			t.Errorf("%s %.60s: got %v", c.verb, c.body, err)
		}
	}
	if _, err := NewClient(socket).do(t.Context(), http.MethodPost, "/v1/config:explode"); err == nil || err.(*Problem).Reason != NotFound {
		t.Errorf("an unknown verb: %v", err)
	}
	large := ConfigRequest{Files: []ConfigFile{{Text: strings.Repeat("x", maxBody)}}}
	if _, _, err := NewClient(socket).Config(t.Context(), ConfigApply, large); err == nil || !strings.Contains(err.Error(), "too large to be sent") {
		t.Errorf("a file that is too large: %v", err)
	}
}

// CTL-02: a configuration says what the daemon runs and reads, so who may only talk to it may not send one.
func TestTheGroupOfTheSocketSendsNoConfiguration(t *testing.T) {
	for _, c := range []struct {
		who  credential
		want bool
	}{{credential{uid: 0}, true}, {credential{uid: 12345, gid: 0, allowed: true}, false}} {
		if got := c.who.owner(); got != c.want {
			t.Errorf("%+v: %v, want %v", c.who, got, c.want)
		}
	}
}
