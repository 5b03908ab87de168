package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newRoute(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "route",
		Short: "Show the routes of connections, and add and remove some while they run",
		Args:  noSubcommand,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	for _, sub := range []*cobra.Command{newRouteList(a), newRouteAdd(a), newRouteDel(a)} {
		sub.Args = asUsage(sub.Args)
		cmd.AddCommand(sub)
	}
	return cmd
}

// noSubcommand is what arguments of a command that has subcommands are.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return usage("unknown command %q of %s; there are %s", args[0], cmd.CommandPath(), strings.Join(names, ", "))
}

func newRouteList(a *app) *cobra.Command {
	var connection string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show which connection has which prefix, and where it leads now",
		Long: `Show which connection has which prefix, and where it leads now.

SOURCE is static (configured), added (with "route add") or bgp. STATE is active for the route that carries packets, standby
for one that is not the best of those that could, down while its connection has no tunnel up, and local for one whose prefix is a network
here. INSTALLED says whether the host's routing table leads packets to us.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			format, err := a.format("table", "json", "yaml")
			if err != nil {
				return err
			}
			var got api.Routes
			var raw []byte
			err = a.ask(cmd.Context(), func(ctx context.Context, c *api.Client) (err error) {
				got, raw, err = c.Routes(ctx, connection)
				return err
			})
			if err != nil {
				return err
			}
			return a.writeRoutes(format, got, raw)
		},
	}
	cmd.Flags().StringVar(&connection, "conn", "", "the routes of this connection alone")
	return cmd
}

func (a *app) writeRoutes(format string, got api.Routes, raw []byte) error {
	if format == "json" || format == "yaml" {
		return a.writeRaw(format, raw)
	}
	_, err := a.out.Write([]byte(routeTable(got)))
	return err
}

// routeTable is the routes for people. The domain has a column where there is more than one.
func routeTable(got api.Routes) string {
	several := false
	for _, r := range got.Routes {
		several = several || r.Domain != got.Routes[0].Domain
	}
	header := []string{"PREFIX", "CONNECTION", "TUNNEL", "SOURCE", "STATE", "INSTALLED"}
	if several {
		header = append([]string{"DOMAIN"}, header...)
	}
	rows := [][]string{header}
	for _, r := range got.Routes {
		tunnel, installed := absent, "no"
		if r.Tunnel != nil {
			tunnel = *r.Tunnel
		}
		if r.Installed {
			installed = "yes"
		}
		if r.Hint != "" {
			installed += ": " + r.Hint
		}
		row := []string{r.Prefix, r.Connection, tunnel, r.Source, r.State, installed}
		if several {
			row = append([]string{r.Domain}, row...)
		}
		rows = append(rows, row)
	}
	var out strings.Builder
	writeRows(&out, rows, func(cell, _ string) string { return cell })
	return out.String()
}

func newRouteAdd(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "add connection prefix...",
		Short: "Give networks to a connection with routing: static, at once",
		Long: `Give networks to a connection with routing: static, at once. All of them are taken or none, and no tunnel is touched.
A bare address is one host. The far end must know of them, too.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeRoutes(cmd.Context(), api.RouteChange{Connection: args[0], Prefixes: args[1:]})
		},
	}
}

func newRouteDel(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "del connection prefix...",
		Short: "Take networks away that were given with add, at once",
		Args:  cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeRoutes(cmd.Context(), api.RouteChange{Connection: args[0], Prefixes: args[1:], Remove: true})
		},
	}
}

// changeRoutes asks for a change and says what has become of it.
func (a *app) changeRoutes(ctx context.Context, change api.RouteChange) error {
	var done api.RoutesChanged
	err := a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		done, err = c.ChangeRoutes(ctx, change)
		return err
	})
	if err != nil || a.quiet {
		return err
	}
	word := "added"
	if change.Remove {
		word = "removed"
	}
	for _, p := range done.Prefixes {
		if _, err := fmt.Fprintf(a.out, "%s: %s %s\n", done.Connection, p, word); err != nil {
			return err
		}
	}
	if !done.Kept {
		_, err = fmt.Fprintln(a.err, "this lasts until the daemon ends: remote_networks in the configuration lasts longer")
	}
	return err
}
