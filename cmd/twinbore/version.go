package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when a release is linked.
var version = "dev"

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			format, err := a.format("table", "wide", "json", "name")
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return writeJSON(a, struct {
					SchemaVersion int    `json:"schemaVersion"`
					Version       string `json:"version"`
					Commit        string `json:"commit"`
					Go            string `json:"go"`
					Platform      string `json:"platform"`
				}{1, version, commit(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH})
			case "name":
				_, err = fmt.Fprintln(a.out, version)
			default:
				_, err = fmt.Fprintf(a.out, "twinbore %s (commit %s, %s, %s/%s)\n", version, commit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			}
			return err
		},
	}
}

// commit is what the binary was built from, as far as the Go tool wrote that down.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 12)]
			}
		}
	}
	return "unknown"
}
