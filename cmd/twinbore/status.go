package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"

	"twinbore/cmd/internal/api"
)

func newStatus(a *app) *cobra.Command {
	var exitCode bool
	cmd := &cobra.Command{
		Use:   "status [connection]",
		Short: "Show connections and tunnels, and why a tunnel is down",
		Long: `Show connections and tunnels, and why a tunnel is down.

-o wide adds suites, SPIs and NAT; -o json and -o yaml are for programs; -o name lists the tunnels.
The star marks the tunnel that carries outbound traffic. Of one connection it shows what both ends wanted in the last
negotiation that failed: proposals transform by transform, networks, identities, and the peer's certificate with the check
that it failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format("table", "wide", "json", "yaml", "name")
			if err != nil {
				return err
			}
			var st api.Status
			var raw []byte
			err = a.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				st, raw, err = c.Status(ctx)
				return err
			})
			if err != nil {
				return err
			}
			if len(args) == 1 {
				if st, raw, err = only(st, args[0]); err != nil {
					return err
				}
			}
			if err := a.writeStatus(format, st, raw, len(args) == 1, time.Now()); err != nil {
				return err
			}
			if exitCode {
				return judge(st)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "5: a tunnel is down, 6: a connection has no tunnel up")
	return cmd
}

// only leaves one connection in a status.
func only(st api.Status, name string) (api.Status, []byte, error) {
	i := slices.IndexFunc(st.Connections, func(c api.Connection) bool { return c.Name == name })
	if i < 0 {
		return api.Status{}, nil, fmt.Errorf("no connection %q", name)
	}
	st.Connections = st.Connections[i : i+1]
	raw, err := json.Marshal(st)
	return st, raw, err
}

// writeStatus writes st, or raw, which is the same as the daemon wrote it. Of one connection it tells what failed as well.
func (a *app) writeStatus(format string, st api.Status, raw []byte, one bool, now time.Time) error {
	switch format {
	case "json":
		var out bytes.Buffer
		if err := json.Indent(&out, bytes.TrimSpace(raw), "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.out, out.String())
		return err
	case "yaml":
		text, err := yamlOf(raw)
		if err != nil {
			return err
		}
		_, err = a.out.Write(text)
		return err
	case "name":
		for _, c := range st.Connections {
			for _, t := range c.Tunnels {
				if _, err := fmt.Fprintf(a.out, "%s/%s\n", c.Name, t.Name); err != nil {
					return err
				}
			}
		}
		return nil
	}
	colour := !a.noColor && isTerminal(a.out)
	text := statusTable(st, format == "wide", colour, now)
	if one {
		text += failures(st, now)
	}
	_, err := a.out.Write([]byte(text))
	return err
}

// yamlOf writes JSON, which is YAML already, the way that people write YAML; the order of the keys stays.
func yamlOf(raw []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	var block func(*yaml.Node)
	block = func(n *yaml.Node) {
		n.Style &^= yaml.FlowStyle | yaml.DoubleQuotedStyle
		if n.Kind == yaml.ScalarNode && n.Tag == "!!str" && n.Value == "" {
			n.Style = yaml.DoubleQuotedStyle
		}
		for _, child := range n.Content {
			block(child)
		}
	}
	block(&doc)
	return yaml.Marshal(&doc)
}

// judge is the exit code of --exit-code: the worst of all connections.
func judge(st api.Status) error {
	code := exitOK
	for _, c := range st.Connections {
		up := 0
		for _, t := range c.Tunnels {
			if t.Status == "UP" {
				up++
			}
		}
		switch {
		case up == 0:
			return failure(exitDown, nil)
		case up < len(c.Tunnels):
			code = exitDegraded
		}
	}
	if code != exitOK {
		return failure(code, nil)
	}
	return nil
}
