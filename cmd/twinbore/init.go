package main

import (
	_ "embed"
	"io"

	"github.com/spf13/cobra"
)

// sample is a configuration with comments, to start from.
//
//go:embed sample.yaml
var sample string

func newInit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Print a commented sample configuration",
		Long: `Print a commented sample configuration:

  twinbore init > /etc/twinbore/twinbore.yaml && twinbore check`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.out, sample)
			return err
		},
	}
}
