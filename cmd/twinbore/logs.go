package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

// followEvery is how often -f asks for what is new.
const followEvery = 500 * time.Millisecond

func newLogs(a *app) *cobra.Command {
	var follow bool
	var since, level string
	cmd := &cobra.Command{
		Use:   "logs [connection[/tunnel]]",
		Short: "Show the last IKE messages and changes of each tunnel",
		Long: `Show the last IKE messages and changes of each tunnel, from the daemon's memory: what each message was for, and what
became of it. Nothing of it is secret. -o json writes one object a line.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format("table", "json")
			if err != nil {
				return err
			}
			var q api.LogQuery
			if len(args) == 1 {
				q.Connection, q.Tunnel, _ = strings.Cut(args[0], "/")
				if _, _, err := target(args[0]); err != nil {
					return err
				}
			}
			if level != "" && !slices.Contains(api.Levels, level) {
				return usage("no --level %q; there are %s", level, strings.Join(api.Levels, ", "))
			}
			q.Level = level
			if q.Since, err = sinceTime(since, time.Now()); err != nil {
				return err
			}
			return a.logs(cmd.Context(), q, format, follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on with what comes, until interrupted")
	cmd.Flags().StringVar(&level, "level", "", "nothing less severe: debug (all, messages too), info (changes) or warn (what is wrong)")
	cmd.Flags().StringVar(&since, "since", "", "only what is not older: a duration like 10m, or a time like 2026-11-21T10:00:00Z")
	return cmd
}

// sinceTime reads --since; empty is the zero time.
func sinceTime(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, usage("--since %q is neither a duration like 10m nor a time like 2026-11-21T10:00:00Z", text)
	}
	return at, nil
}

// logs writes what there is, and with follow what comes, until ctx is done.
func (a *app) logs(ctx context.Context, q api.LogQuery, format string, follow bool) error {
	for {
		var logs api.Logs
		err := a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
			logs, err = c.Logs(ctx, q)
			return err
		})
		if err != nil && ctx.Err() == nil {
			return err
		}
		for _, e := range logs.Entries {
			if err := a.writeEntry(format, e); err != nil {
				return err
			}
		}
		if !follow || ctx.Err() != nil {
			return nil
		}
		q.After = logs.Last
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

func (a *app) writeEntry(format string, e api.LogEntry) error {
	line := logLine(e)
	if format == "json" {
		raw, err := json.Marshal(e)
		if err != nil {
			return err
		}
		line = string(raw)
	}
	_, err := fmt.Fprintln(a.out, line)
	return err
}

// logLine is an entry for people.
func logLine(e api.LogEntry) string {
	who := e.Connection + "/" + e.Tunnel
	if e.Connection == "" {
		who = "(not known yet)"
	}
	words := []string{e.Time.Local().Format("2006-01-02 15:04:05.000"), who}
	if m := e.Message; m != nil {
		words = append(words, messageWords(e, m)...)
	} else {
		words = append(words, e.Kind)
	}
	text := e.Text
	if e.Reason != "" {
		text = strings.TrimSuffix(e.Reason+": "+text, ": ")
	}
	if text != "" {
		words = append(words, text)
	}
	return printable(strings.Join(words, "  "))
}

// messageWords say which message it is and where it went.
func messageWords(e api.LogEntry, m *api.LogMessage) []string {
	arrow, way := "←", "from"
	if m.Sent {
		arrow, way = "→", "to"
	}
	what := "request"
	if m.Answer {
		what = "answer"
	}
	words := []string{fmt.Sprintf("%s %s %s #%d", arrow, m.Exchange, what, m.ID)}
	if m.Payloads != "" {
		words = append(words, "{"+m.Payloads+"}")
	}
	words = append(words, fmt.Sprintf("%d octets %s %s", m.Octets, way, e.Remote))
	if e.Kind == "dropped" {
		words = append(words, "dropped:")
	}
	return words
}

// printable keeps what a peer chose, such as its identity, from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '?'
		}
		return r
	}, s)
}
