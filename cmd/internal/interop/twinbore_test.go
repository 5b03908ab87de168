//go:build interop

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// program is the built binary: these tests run what a user runs.
var program, _ = filepath.Abs("../../../bin/twinbore")

// A gateway is twinbore on one host.
type gateway struct {
	*process
	socket string
}

// startGateway runs twinbore with a configuration whose control socket is HOST.sock in the lab's folder.
func (l *lab) startGateway(host, config string) (*gateway, error) {
	file := l.path(host + ".yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p, err := l.start(host, "twinbore-"+host, nil, program, "run", "--config", file)
	if err != nil {
		return nil, err
	}
	g := &gateway{process: p, socket: l.path(host + ".sock")}
	return g, g.ready(10*time.Second, func() error { _, err := g.status(); return err })
}

// command runs a subcommand against this gateway's daemon.
func (g *gateway) command(limit time.Duration, args ...string) (string, error) {
	return run(limit, append(append([]string{program}, args...), "--socket", g.socket)...)
}

// status is `twinbore status -o json`.
func (g *gateway) status() (map[string]any, error) {
	out, err := g.command(5*time.Second, "status", "-o", "json")
	if err != nil {
		return nil, err
	}
	var st map[string]any
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		return nil, fmt.Errorf("status: %w: %s", err, out)
	}
	return st, nil
}

// dig follows names and indices into a decoded JSON value and prints what it finds there: a string bare, null as
// null, anything else as JSON. What is not there is null.
func dig(v any, path []string) string {
	for _, p := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[p]
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i < 0 || i >= len(at) {
				return "null"
			}
			v = at[i]
		default:
			return "null"
		}
	}
	if s, ok := v.(string); ok {
		return s
	}
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}
