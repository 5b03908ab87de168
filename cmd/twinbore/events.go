package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newEvents(a *app) *cobra.Command {
	var follow bool
	var since string
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Write what has happened as JSON lines, for programs",
		Long: `Write the last events as JSON lines, for programs: tunnels and SAs that come and go, failovers, negotiations that fail.
The daemon keeps 4,096. Ids have no gaps: where there is one, events are lost, because the daemon was restarted or the
reader was too slow. twinbore logs is for people.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("output") {
				if _, err := a.format("json"); err != nil {
					return err
				}
			}
			at, err := sinceTime(since, time.Now())
			if err != nil {
				return err
			}
			return a.events(cmd.Context(), api.EventQuery{Since: at, Follow: follow})
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until interrupted")
	cmd.Flags().StringVar(&since, "since", "", "only what is not older: a duration like 10m, or a time like 2026-11-21T10:00:00Z")
	return cmd
}

// events writes what there is, and with Follow what comes, until ctx is done. Cut off by the daemon, because whoever reads
// this program's output was too slow, it goes on where it was.
func (a *app) events(ctx context.Context, q api.EventQuery) error {
	for {
		err := a.readEvents(ctx, &q)
		if err != nil && ctx.Err() == nil {
			return asExit(err)
		}
		if !q.Follow || ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

// readEvents reads until the daemon ends it, and notes in q what was read.
func (a *app) readEvents(ctx context.Context, q *api.EventQuery) error {
	if !q.Follow {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	return api.NewClient(a.socket).Events(ctx, *q, func(e api.Event) error {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.out, "%s\n", line); err != nil {
			return err
		}
		q.After, q.Since = e.ID, time.Time{}
		return nil
	})
}
