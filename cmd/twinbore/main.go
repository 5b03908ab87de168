package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/config"
)

// commands are the subcommands, in the order of the help text.
var commands = []func(*app) *cobra.Command{
	newRun,
	newStatus,
	newUp,
	newDown,
	newRestart,
	newDrain,
	newUndrain,
	newRekey,
	newReload,
	newDiff,
	newApply,
	newConfirm,
	newPing,
	newMTU,
	newRoute,
	newFirewall,
	newConnection,
	newCustomerGateway,
	newRotatePSK,
	newLogs,
	newEvents,
	newDemo,
	newCheck,
	newInit,
	newSchema,
	newCompletion,
	newVersion,
}

// An app is what every subcommand is given: the global flags and where to read and write.
type app struct {
	configs []string      // -c: files and folders; none means the default ones
	socket  string        // of the daemon
	output  string        // -o; ask format for it
	noColor bool          // --no-color or NO_COLOR
	quiet   bool          // say only what went wrong
	verbose bool          // say more
	timeout time.Duration // of one question to the daemon

	in       io.Reader
	out, err io.Writer
}

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program but for the process around it. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, err io.Writer) int {
	a := &app{in: in, out: out, err: err}
	root := newRoot(a)
	root.SetArgs(args)
	failed := root.ExecuteContext(ctx)
	if f, ok := errors.AsType[*exitFailure](failed); failed != nil && !(ok && f.err == nil) {
		fmt.Fprintf(err, "twinbore: %v\n", failed)
	}
	return exitCode(failed)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "twinbore",
		Short:             "Site-to-site IPsec gateway: a VPN connection of two tunnels",
		Args:              noSuchCommand,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},

		SuggestionsMinimumDistance: 2,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see %s --help", err, cmd.CommandPath())
	})
	flags := root.PersistentFlags()
	flags.StringArrayVarP(&a.configs, "config", "c", nil, "configuration file or folder, repeatable (default "+config.DefaultFile+" and "+config.DefaultFolder+")")
	flags.StringVar(&a.socket, "socket", "/run/twinbore/twinbore.sock", "control socket of the daemon")
	flags.StringVarP(&a.output, "output", "o", "table", "table, wide, json, yaml or name")
	flags.BoolVar(&a.noColor, "no-color", os.Getenv("NO_COLOR") != "", "no colours (also NO_COLOR)")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "say only what went wrong")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "say more")
	flags.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for the daemon")
	for _, newCommand := range commands {
		cmd := newCommand(a)
		if cmd.Args != nil {
			cmd.Args = asUsage(cmd.Args)
		}
		root.AddCommand(cmd)
	}
	return root
}

// noSuchCommand is what arguments of the root command are.
func noSuchCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := "see twinbore --help"
	if near := root.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage("unknown command %q; %s", args[0], hint)
}

// asUsage makes a wrong number of arguments a mistake of usage.
func asUsage(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usage("%w; see %s --help", err, cmd.CommandPath())
		}
		return nil
	}
}

// format returns what -o says, or a mistake of usage when the subcommand cannot write that.
func (a *app) format(can ...string) (string, error) {
	if !slices.Contains(can, a.output) {
		return "", usage("-o %s is not possible here; there are %s", a.output, strings.Join(can, ", "))
	}
	return a.output, nil
}
