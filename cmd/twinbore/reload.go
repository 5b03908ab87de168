package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
	"twinbore/config"
)

func newReload(a *app) *cobra.Command {
	var parallel bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running gateway read its configuration again and apply what has changed",
		Long: `Have the running gateway read its configuration again, as SIGHUP does, and apply what has changed. What has not is not
touched: its SAs stay. Two tunnels of a connection that must be restarted go one after the other. When anything is wrong
nothing changes, and everything that is wrong is said (exit code 3); what only a restart of the gateway can change is
refused (exit code 10).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.configure(cmd.Context(), api.ConfigReload, api.ConfigRequest{Parallel: parallel})
		},
	}
	cmd.Flags().BoolVar(&parallel, "parallel", false, "restart both tunnels of a connection at once")
	return cmd
}

func newDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff [file or folder]...",
		Short: "Show what a configuration would change in the running gateway, and what that costs",
		Long: `Show what a configuration would change in the running gateway, connection by connection, and what that costs: in place, new
keys, a restart of tunnels, or a restart of the gateway. Without files the daemon reads its own again. Files that are named,
or given with -c, are read by you and sent to the daemon, which only root and the daemon's own user may do; secrets are looked
up by the daemon, where the files say.

Exit code 8: there are changes. 3: the configuration is invalid.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := a.configRequest(args)
			if err != nil {
				return err
			}
			return a.configure(cmd.Context(), api.ConfigPlan, q)
		},
	}
}

func newApply(a *app) *cobra.Command {
	var parallel bool
	var confirm time.Duration
	cmd := &cobra.Command{
		Use:   "apply [file or folder]...",
		Short: "Bring the running gateway to a configuration, for good or until it is confirmed",
		Long: `Bring the running gateway to a configuration, as reload does. Without files the daemon reads its own again; files that are
named, or given with -c, are read by you and sent to the daemon, as with diff. They run until the next reload or start of the
daemon, which reads its own files.

With --confirm the configuration before comes back after that time unless "twinbore confirm" is given before, so that a change that
cuts you off undoes itself. Until then no other change is taken. A daemon that starts anew meanwhile begins with its files.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := a.configRequest(args)
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("confirm") && confirm < time.Second {
				return usage("--confirm %v is too short", confirm)
			}
			q.Parallel, q.ConfirmSeconds = parallel, int64(confirm/time.Second)
			return a.configure(cmd.Context(), api.ConfigApply, q)
		},
	}
	cmd.Flags().DurationVar(&confirm, "confirm", 0, "bring the configuration before back after so long, unless it is confirmed")
	cmd.Flags().BoolVar(&parallel, "parallel", false, "restart both tunnels of a connection at once")
	return cmd
}

func newConfirm(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "confirm",
		Short: "Keep the configuration that was applied with --confirm",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.configure(cmd.Context(), api.ConfigConfirm, api.ConfigRequest{})
		},
	}
}

// configRequest reads the files that are named, or none. Their names are made absolute: what stands beside them is looked up by
// the daemon, which has another working folder.
func (a *app) configRequest(args []string) (api.ConfigRequest, error) {
	names := append(a.configs, args...)
	if len(names) == 0 {
		return api.ConfigRequest{}, nil
	}
	for i, name := range names {
		absolute, err := filepath.Abs(name)
		if err != nil {
			return api.ConfigRequest{}, err
		}
		names[i] = absolute
	}
	texts, err := config.ReadTexts(hostFS{}, names...)
	if err != nil {
		return api.ConfigRequest{}, failure(exitConfig, fmt.Errorf("the configuration is invalid:\n%w", err))
	}
	if len(texts) == 0 { // which would mean the daemon's own
		return api.ConfigRequest{}, failure(exitConfig, fmt.Errorf("no configuration file in %s", strings.Join(names, " and ")))
	}
	var q api.ConfigRequest
	for _, t := range texts {
		q.Files = append(q.Files, api.ConfigFile{Name: t.Name, Text: string(t.Text)})
	}
	return q, nil
}

// configure asks the daemon and says what came of it.
func (a *app) configure(ctx context.Context, verb api.ConfigVerb, q api.ConfigRequest) error {
	format, err := a.format("table", "json")
	if err != nil {
		return err
	}
	var got api.ConfigAnswer
	var raw []byte
	err = a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		got, raw, err = c.Config(ctx, verb, q)
		return err
	})
	if p, ok := errors.AsType[*api.Problem](err); ok {
		switch p.Reason {
		case api.Invalid:
			return failure(exitConfig, fmt.Errorf("the configuration is invalid:\n%w", err))
		case api.NeedsRestart, api.Conflict:
			return failure(exitRefused, err)
		}
	}
	if err != nil {
		return err
	}
	if format == "json" {
		if err := a.writeRaw(format, raw); err != nil {
			return err
		}
	} else if !a.quiet {
		fmt.Fprint(a.out, configText(verb, got))
	}
	if verb == api.ConfigPlan && !got.Plan.Empty() {
		return failure(exitChanges, nil)
	}
	return nil
}

// configText is an answer for people.
func configText(verb api.ConfigVerb, got api.ConfigAnswer) string {
	var b strings.Builder
	if verb == api.ConfigConfirm {
		return "the configuration stays\n"
	}
	for _, w := range got.Warnings {
		fmt.Fprintln(&b, printable(w))
	}
	if got.Plan.Empty() {
		b.WriteString("no changes\n")
	}
	for line := range strings.Lines(got.Plan.String()) {
		fmt.Fprintln(&b, printable(strings.TrimSuffix(line, "\n")))
	}
	if !got.Plan.Empty() {
		fmt.Fprintln(&b, got.Plan.Summary())
	}
	if got.ConfirmUntil != nil {
		fmt.Fprintf(&b, "the configuration before comes back at %s unless you say: twinbore confirm\n", got.ConfirmUntil.Local().Format(time.TimeOnly))
	}
	return b.String()
}
