package main

import (
	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newDrain(a *app) *cobra.Command {
	cmd := verb(a, api.Drain, "Take a tunnel out of service without losing a packet, until `undrain`", nil)
	cmd.Use = "drain connection/tunnel"
	cmd.Long = `Take a tunnel out of service without losing a packet, until "undrain" or "up".

Its traffic moves to another tunnel at once, or as soon as one is up. What the peer still sends by it is taken; when nothing
comes any more for a second, or after 15 seconds, the tunnel is closed.`
	return cmd
}

func newUndrain(a *app) *cobra.Command {
	return verb(a, api.Undrain, "Put a tunnel that was drained back into service", nil)
}
