package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/daemon"
	"twinbore/config"
	"twinbore/config/secret"
)

func newCheck(a *app) *cobra.Command {
	var strict bool
	cmd := &cobra.Command{
		Use:   "check [file or folder]...",
		Short: "Validate the configuration and say everything that is wrong with it",
		Long: `Validate the configuration and say everything that is wrong with it, with file, line and column:
keys and values, references, overlapping networks, weak algorithms, what is not supported yet,
and whether the secrets and certificates are there, fit together and are only ours to read or change. Nothing is changed and no command is run.

-o json and -o sarif write the report for programs. Exit code 3: the configuration is invalid.`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			format, err := a.format("table", "json", "sarif")
			if err != nil {
				return err
			}
			if len(args) > 0 {
				a.configs = append(a.configs, args...)
			}
			report, err := a.check(cmd.Context())
			if err != nil {
				return err
			}
			if strict {
				report.promote()
			}
			if err := report.write(a, format); err != nil {
				return err
			}
			if report.Problems.Count(config.Error) > 0 {
				return failure(exitConfig, nil)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&strict, "strict", false, "warnings are errors")
	return cmd
}

// check loads the configuration and looks at its secrets.
func (a *app) check(ctx context.Context) (*checkReport, error) {
	c, err := a.load()
	if problems, ok := errors.AsType[config.Problems](err); ok {
		return &checkReport{Problems: problems}, nil
	}
	if err != nil {
		return nil, err
	}
	report := &checkReport{Problems: c.Warnings, Files: c.Files}
	store := secret.Store{Dir: c.Gateway.Secrets.Dir, CredentialsDir: os.Getenv("CREDENTIALS_DIRECTORY"), LookupEnv: os.LookupEnv}
	look := func(path string, ref secret.Ref, bits int) {
		if p, bad := checkSecret(ctx, store, ref, bits); bad {
			p.Path, p.Pos = path, c.Pos(path)
			report.Problems = append(report.Problems, p)
		}
	}
	for i, conn := range c.Connections {
		report.Connections++
		report.Tunnels += len(conn.Tunnels)
		for j, t := range conn.Tunnels {
			path := fmt.Sprintf("connections[%d].tunnels[%d].psk", i, j)
			for _, ref := range []secret.Ref{t.PSK.Current, t.PSK.Previous} {
				look(path, ref, secret.WantBits)
			}
		}
		look(fmt.Sprintf("connections[%d].ppk.secret", i), conn.PPK.Secret, secret.WantPPKBits)
	}
	report.Problems = append(report.Problems, daemon.CheckCertificates(ctx, c, time.Now())...)
	return report, nil
}

// checkSecret says what is wrong with one secret that should be worth so many bits. One that stands in the configuration was
// looked at while loading.
func checkSecret(ctx context.Context, store secret.Store, ref secret.Ref, bits int) (config.Problem, bool) {
	if ref.IsZero() || ref.Kind == secret.Inline {
		return config.Problem{}, false
	}
	found, err := store.Check(ctx, ref)
	defer found.Wipe()
	switch {
	case err != nil && (ref.Kind == secret.Env || ref.Kind == secret.Credential):
		// The daemon has another environment than the one who checks.
		return config.Problem{Severity: config.Warning, Text: err.Error(), Hint: "the daemon must find it in its own environment"}, true
	case err != nil:
		return config.Problem{Severity: config.Error, Text: err.Error()}, true
	case found.IsZero(): // nobody knows before it is made or asked for
		return config.Problem{}, false
	}
	if weak := found.Weakness(bits); weak != "" {
		return config.Problem{Severity: config.Warning, Text: fmt.Sprintf("%v: %s", ref, weak), Hint: secret.StrongHint}, true
	}
	return config.Problem{}, false
}
