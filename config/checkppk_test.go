package config

import (
	"slices"
	"strings"
	"testing"
)

// K-03, RFC 8784 §6: a PPK has a name and a secret, and the secret is long.
func TestPPKIsWhole(t *testing.T) {
	for text, want := range map[string]string{
		"ppk: {secret: {file: a}}":                          `the ppk of connection "office" has no id`,
		"ppk: {required: true}":                             `the ppk of connection "office" has no id`,
		"ppk: {id: quantum}":                                `the ppk of connection "office" has no secret`,
		"ppk: {id: quantum, required: true}":                `the ppk of connection "office" has no secret`,
		"ppk: {id: quantum, secret: {generate: true}}":      "a ppk cannot be generated here",
		"ppk: {id: quantum, secret: {file: a}}\n    ike: 1": "IKEv1 has no ppk",
	} {
		if !slices.ContainsFunc(problems(conn(text)), func(p string) bool { return strings.Contains(p, want) }) {
			t.Errorf("%s: %q is not among\n%q", text, want, problems(conn(text)))
		}
	}
	wantProblems(t, conn("ppk: {id: quantum, secret: {inline: twenty-four octets here.}}"),
		"f:3:32: warning: connections[0].ppk.secret: a secret stands in the configuration itself",
		"f:3:32: warning: connections[0].ppk.secret: the secret is worth at most 141 bits by its length and its characters, 256 are wanted")
	for _, text := range []string{"ppk: {id: quantum, secret: {file: a}}", "ppk: {id: quantum, secret: {file: a, encoding: hex}, required: true}"} {
		wantProblems(t, conn(text))
	}
}
