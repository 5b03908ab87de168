package main

import (
	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newRekey(a *app) *cobra.Command {
	var ike, child bool
	cmd := &cobra.Command{
		Use:   "rekey connection[/tunnel]",
		Short: "Replace the keys of tunnels that are up, now",
		Long:  "Replace the keys of tunnels that are up, now: those of the IKE SA and of its Child SAs, or of one kind. No packet is lost.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, tunnel, err := target(args[0])
			if err != nil {
				return err
			}
			action := api.Action{Verb: api.Rekey, Connection: conn, Tunnel: tunnel}
			switch {
			case ike && !child:
				action.SA = "ike"
			case child && !ike:
				action.SA = "child"
			}
			_, err = a.act(cmd.Context(), action)
			return err
		},
	}
	cmd.Flags().BoolVar(&ike, "ike", false, "the IKE SA's keys")
	cmd.Flags().BoolVar(&child, "child", false, "the Child SAs' keys")
	return cmd
}
