package main

import (
	"github.com/spf13/cobra"

	"twinbore/config"
)

func newSchema(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema (2020-12) of the configuration. Editors complete and check with it when the first
line of the configuration names the file it was written to:

  # yaml-language-server: $schema=/path/of/schema.json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.out.Write(config.Schema())
			return err
		},
	}
}
