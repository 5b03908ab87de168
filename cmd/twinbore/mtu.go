package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newMTU(a *app) *cobra.Command {
	var through, from string
	cmd := &cobra.Command{
		Use:   "mtu host",
		Short: "Measure how large packets may be in a tunnel, and say what is around them",
		Long: `Measure how large packets to a host may be in a tunnel, or in each of a connection's, and say what is around them. Echo requests of
several sizes are sent, which nobody on the way may fragment, inside nor outside; the host must answer ping. To the peer's
inside address it is the path between the gateways that is measured; to a host behind the peer, that and the rest of the way.
Exit code 1: nothing was measured.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			format, err := a.format("table", "json")
			if err != nil {
				return err
			}
			q := api.MTUQuery{}
			if from != "" {
				if q.From, err = netip.ParseAddr(from); err != nil {
					return usage("--from %q is not an address", from)
				}
			}
			if q.Target, err = hostAddr(cmd.Context(), args[0], q.From); err != nil {
				return err
			}
			if q.Connection, q.Tunnel, err = a.through(cmd.Context(), through, q.Target); err != nil {
				return err
			}
			return a.mtu(cmd.Context(), q, format)
		},
	}
	cmd.Flags().StringVarP(&through, "through", "i", "", "connection or connection/tunnel")
	cmd.Flags().StringVar(&from, "from", "", "address of ours to measure from")
	return cmd
}

// mtuTime is what a measurement may take, besides what a question may.
const mtuTime = time.Minute

func (a *app) mtu(ctx context.Context, q api.MTUQuery, format string) error {
	ctx, cancel := context.WithTimeout(ctx, mtuTime+a.timeout)
	defer cancel()
	done, err := api.NewClient(a.socket).MTU(ctx, q)
	if err != nil {
		return asExit(err)
	}
	text := []byte(mtuTable(done))
	if format == "json" {
		if text, err = json.MarshalIndent(done, "", "  "); err != nil {
			return err
		}
		text = append(text, '\n')
	}
	if _, err := a.out.Write(text); err != nil {
		return err
	}
	if !slices.ContainsFunc(done.Tunnels, func(t api.TunnelMeasured) bool { return t.Measured != nil }) {
		return failure(exitError, nil)
	}
	return nil
}

// mtuTable writes the sums.
func mtuTable(done api.Measured) string {
	var out strings.Builder
	for i, t := range done.Tunnels {
		if i > 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "%s/%s to %s\n", done.Connection, t.Tunnel, done.Target)
		if t.InnerMTU > 0 {
			writeSum(&out, t)
		}
		if t.Error != nil {
			fmt.Fprintf(&out, "  not measured: %s\n", *t.Error)
		}
	}
	return out.String()
}

// writeSum writes what is around a packet, and what was measured.
func writeSum(out *strings.Builder, t api.TunnelMeasured) {
	line := func(what string, n int) { fmt.Fprintf(out, "  %-24s %6d\n", what, n) }
	line("outer packet", t.PathMTU)
	for _, o := range t.Around {
		line(o.What, -o.Octets)
	}
	fmt.Fprintf(out, "  %-24s %6d  %s\n", "inner packet", t.InnerMTU, t.Suite)
	if t.Measured == nil {
		return
	}
	fmt.Fprintf(out, "  %-24s %6d  %s\n", "measured", *t.Measured, verdict(t))
}

// verdict is what follows from a measurement.
func verdict(t api.TunnelMeasured) string {
	switch {
	case *t.Measured >= t.InnerMTU:
		return "the path takes it"
	case t.Refused != nil:
		return fmt.Sprintf("%s takes no more, and says so: nothing is to be done", t.Refused.By)
	}
	return fmt.Sprintf("larger ones are lost, or come in pieces; datapath: {tun: {mtu: %d}} keeps all below that", *t.Measured)
}
