package config

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"twinbore/config/secret"
)

const canary = "canary-7Hq2.secret-text"

func TestReferencesToSecrets(t *testing.T) {
	for text, want := range map[string]secret.Ref{
		"{file: a.psk}":                      {Kind: secret.File, Name: "a.psk"},
		"{file: /run/keys/a, encoding: hex}": {Kind: secret.File, Name: "/run/keys/a", Encoding: secret.Hex},
		"{env: PSK_1}":                       {Kind: secret.Env, Name: "PSK_1"},
		"{credential: aws-prod-t1}":          {Kind: secret.Credential, Name: "aws-prod-t1"},
		"{exec: [/bin/key, get]}":            {Kind: secret.Exec, Args: []string{"/bin/key", "get"}},
		"{generate: true}":                   {Kind: secret.Generate, Name: "office.2.psk"},
		"{current: {env: A}}":                {Kind: secret.Env, Name: "A"},
	} {
		got := good(t, tun("psk: "+text)).Connections[0].Tunnels[1].PSK
		if fmt.Sprintf("%+v", got.Current) != fmt.Sprintf("%+v", want) || got.Current.Encoding != want.Encoding || len(got.Current.Args) != len(want.Args) {
			t.Errorf("%s: got %+v, want %+v", text, got.Current, want)
		}
	}
	both := good(t, tun(`psk: {current: {file: new}, previous: {file: old}, previous_until: 2026-12-01T10:00:00Z}`)).Connections[0].Tunnels[1].PSK
	if both.Current.Name != "new" || both.Previous.Name != "old" || !both.PreviousUntil.Equal(time.Date(2026, 12, 1, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("rotation: %+v", both)
	}
	// R62: the cloud's side makes keys where none is given, one for each tunnel.
	cloud := good(t, strings.NewReplacer(", psk: {file: a.psk}", "", ", psk: {file: b.psk}", "", "name: office", "name: office\n    role: cloud").Replace(base)).Connections[0]
	for i, name := range []string{"office.1.psk", "office.2.psk"} {
		if psk := cloud.Tunnels[i].PSK.Current; psk.Kind != secret.Generate || psk.Name != name {
			t.Errorf("tunnel %d of the cloud role: %v", i+1, psk)
		}
	}
}

func TestWrongReferences(t *testing.T) {
	at := func(column int) string { return fmt.Sprintf("f:9:%d: connections[0].tunnels[1].psk", column) }
	for text, want := range map[string]string{
		"{}":                           at(14) + ": found 0 references; want exactly one: {file: …}, {env: …}",
		"{file: a, env: B}":            at(14) + ": found 2 references",
		"{generate: false}":            at(14) + ": found 0 references",
		"{fiel: a}":                    at(15) + `: unknown key (not shown); want file, env, credential, exec, generate, inline, encoding`,
		"{file: a, encoding: rot13}":   at(34) + ".encoding: a value (not shown) does not fit; want text, hex or base64",
		"{vault: {path: a, key: b}}":   at(14) + ": not supported yet: secrets kept by a service",
		"{aws_ssm: {name: a, kye: b}}": at(34) + ".aws_ssm: unknown key",
		"{previous: {file: a}}":        at(14) + ": current is missing",
		"{current: {file: a}, previous: {generate: true}}": at(45) + ".previous: a key that was used before cannot be generated",
	} {
		got := problems(tun("psk: " + text))
		if len(got) == 0 || !strings.HasPrefix(got[0], want) {
			t.Errorf("%s: got %v\nwant %s", text, got, want)
		}
	}
}

// SEC-03: a secret that stands where its reference should be, or is written wrongly, is not repeated by any message.
func TestMessagesDoNotRepeatSecrets(t *testing.T) {
	for _, text := range []string{
		canary, "[" + canary + "]", "{" + canary + "}", "{" + canary + ": x}", "{inline: [" + canary + "]}", "{inline: {" + canary + ": 1}}",
		"{fiel: " + canary + "}", "{env: " + canary + "}", "{credential: \"" + canary + " \"}", "{generate: " + canary + "}", "{generate: \"" + canary + "\"}",
		"{exec: " + canary + "}", "{exec: [{" + canary + ": 1}]}", "{file: a, encoding: " + canary + "}", "{inline: " + canary + ", encoding: hex}",
		"{inline: " + canary + ", encoding: base64}", "{inline: \"${env:" + canary + "}\"}", "{current: " + canary + "}", "{current: {file: a}, previous_until: " + canary + "}",
		"{vault: " + canary + "}", "{vault: {path: [" + canary + "]}}", "{inline: *" + canary + "}", "{inline: !" + canary + " x}", "{inline: " + canary + "}",
		"{inline: \"" + canary + "\\n" + canary + "\"}", "{inline: \"" + canary + "\", inline: x}", "{\"" + canary + "\": 1, \"" + canary + "\": 2}",
	} {
		c, err := load(tun("psk: " + text))
		var said string
		if err != nil {
			said = err.Error()
			found, _ := errors.AsType[Problems](err)
			said += fmt.Sprintf("%+v %#v", found, found)
		} else {
			said = fmt.Sprintf("%v %+v %#v", c.Warnings, c, c)
		}
		if said == "" || strings.Contains(said, canary) {
			t.Errorf("psk: %s\nsays %s", text, said)
		}
	}
}

// A secret in the configuration itself is warned of, judged by what it can be worth (AUT-13), and refused where strict_secrets says so.
func TestInlineSecrets(t *testing.T) {
	psk := func(text string) string { return tun(`psk: {inline: "` + text + `"}`) }
	const where = "f:9:14: "
	wantProblems(t, psk(canary), where+"warning: connections[0].tunnels[1].psk: a secret stands in the configuration itself; use {file: …}")
	wantProblems(t, psk("0123456789"), where+"warning: connections[0].tunnels[1].psk: a secret stands in",
		where+"warning: connections[0].tunnels[1].psk: the secret is worth at most 13 bits by its length and its characters, 128 are wanted; openssl rand -hex 32 makes a good one")
	wantProblems(t, psk("0123456"), where+"connections[0].tunnels[1].psk: inline: is shorter than 8 octets")
	wantProblems(t, psk(""), where+"connections[0].tunnels[1].psk: inline: is empty")
	wantProblems(t, strings.Replace(psk(canary), "gateway: {", "gateway: {strict_secrets: true, ", 1),
		where+"connections[0].tunnels[1].psk: a secret stands in the configuration itself, and strict_secrets forbids that")
}
