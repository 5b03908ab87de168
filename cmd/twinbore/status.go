package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newStatus(a *app) *cobra.Command {
	var exitCode, watch bool
	var every time.Duration
	cmd := &cobra.Command{
		Use:   "status [connection]",
		Short: "Show connections and tunnels, and why a tunnel is down",
		Long: `Show connections and tunnels, and why a tunnel is down.

-o wide adds suites, SPIs, NAT and what was dropped; -o json and -o yaml are for programs; -o name lists the tunnels.
--watch shows it again and again, in place on a terminal, until it is interrupted.
The star marks the tunnel that carries outbound traffic. Of one connection it shows what both ends wanted in the last
negotiation that failed: proposals transform by transform, networks, identities, and the peer's certificate with the check
that it failed.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format("table", "wide", "json", "yaml", "name")
			if err != nil {
				return err
			}
			name := strings.Join(args, "")
			switch {
			case every < 100*time.Millisecond:
				return usage("--interval %v: it is at least 100ms", every)
			case watch && exitCode:
				return usage("--watch and --exit-code exclude each other: --exit-code is of one moment")
			case watch && format != "table" && format != "wide":
				return usage("-o %s is not possible with --watch; there are table, wide (for programs: twinbore events -f)", format)
			case watch:
				return a.watchStatus(cmd.Context(), format, name, every)
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
			if name != "" {
				if st, raw, err = only(st, name); err != nil {
					return err
				}
			}
			if err := a.writeStatus(format, st, raw, name != "", time.Now()); err != nil {
				return err
			}
			if exitCode {
				return judge(st)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&exitCode, "exit-code", false, "5: a tunnel is down, 6: a connection has no tunnel up")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again and again until interrupted")
	cmd.Flags().DurationVar(&every, "interval", 2*time.Second, "how often, with --watch")
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
	case "json", "yaml":
		return a.writeRaw(format, raw)
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
	_, err := io.WriteString(a.out, a.statusText(format, st, one, now))
	return err
}

// statusText is the status for people. Of one connection it tells what failed as well.
func (a *app) statusText(format string, st api.Status, one bool, now time.Time) string {
	text := statusTable(st, format == "wide", !a.noColor && isTerminal(a.out), now)
	if one {
		text += failures(st, now)
	}
	return text
}

// judge is the exit code of --exit-code: the worst of all connections, but for those that are deleted.
func judge(st api.Status) error {
	code := exitOK
	for _, c := range st.Connections {
		if c.State == "deleting" || c.State == "deleted" {
			continue
		}
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
