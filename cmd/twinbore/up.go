package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newUp(a *app) *cobra.Command {
	var wait bool
	cmd := verb(a, api.Up, "Bring a connection or one tunnel up, and try at once", func(ctx context.Context, done api.Done) error {
		if !wait {
			return nil
		}
		return a.waitUp(ctx, done)
	})
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until one of the tunnels is up, at most --timeout; exit code 7: it is not")
	return cmd
}

func newDown(a *app) *cobra.Command {
	return verb(a, api.Down, "Take a connection or one tunnel down until `up`", nil)
}

func newRestart(a *app) *cobra.Command {
	return verb(a, api.Restart, "Close a connection or one tunnel and begin anew", nil)
}

// verb is a subcommand that asks for an action. after, if any, is what else there is to do.
func verb(a *app, v api.Verb, short string, after func(context.Context, api.Done) error) *cobra.Command {
	return &cobra.Command{
		Use:   string(v) + " connection[/tunnel]",
		Short: short,
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, tunnel, err := target(args[0])
			if err != nil {
				return err
			}
			done, err := a.act(cmd.Context(), api.Action{Verb: v, Connection: conn, Tunnel: tunnel})
			if err != nil || after == nil {
				return err
			}
			return after(cmd.Context(), done)
		},
	}
}

// act asks for an action and says what it reached.
func (a *app) act(ctx context.Context, action api.Action) (done api.Done, err error) {
	err = a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		done, err = c.Act(ctx, action)
		return err
	})
	if err != nil || a.quiet {
		return done, err
	}
	for _, t := range done.Tunnels {
		if _, err := fmt.Fprintf(a.out, "%s/%s: %s asked for\n", done.Connection, t, action.Verb); err != nil {
			return done, err
		}
	}
	return done, nil
}

// errStillDown says that --wait has waited long enough.
var errStillDown = errors.New("not up yet")

// waitUp returns when one of the tunnels is up.
func (a *app) waitUp(ctx context.Context, done api.Done) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	client := api.NewClient(a.socket)
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	why := ""
	for {
		st, _, err := client.Status(ctx)
		if err == nil {
			var up bool
			if up, why = standing(st, done); up {
				return nil
			}
		} else if ctx.Err() == nil {
			return asExit(err)
		}
		select {
		case <-ctx.Done():
			return failure(exitTimeout, fmt.Errorf("%s: %w after %s: %s", done.Connection, errStillDown, a.timeout, why))
		case <-poll.C:
		}
	}
}

// standing reports whether one of done's tunnels is up, and if not why.
func standing(st api.Status, done api.Done) (up bool, why string) {
	var reasons []string
	for _, c := range st.Connections {
		if c.Name != done.Connection {
			continue
		}
		for _, t := range c.Tunnels {
			switch {
			case !slices.Contains(done.Tunnels, t.Name):
			case t.Status == "UP":
				return true, ""
			default:
				reasons = append(reasons, fmt.Sprintf("tunnel %s: %s: %s", t.Name, t.Reason, t.Hint))
			}
		}
	}
	return false, strings.Join(reasons, "; ")
}
