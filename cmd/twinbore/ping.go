package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newPing(a *app) *cobra.Command {
	var through, from string
	q := api.PingQuery{}
	cmd := &cobra.Command{
		Use:   "ping host",
		Short: "Ping a host through a tunnel, or through each of a connection's",
		Long: `Ping a host through a tunnel, or through each tunnel of a connection, whichever carries traffic: the peer's inside address, or a
host behind the peer. Echo requests come from our inside address of the tunnel; where there is none, from an address of
this host in the connection's local networks. They are not fragmented. Without -i it is the connection that has a route to
the host. Exit code 0: something answered; 1: nothing did.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			format, err := a.format("table", "json")
			if err != nil {
				return err
			}
			if from != "" {
				if q.From, err = netip.ParseAddr(from); err != nil {
					return usage("--from %q is not an address", from)
				}
			}
			if q.Target, err = hostAddr(cmd.Context(), args[0], q.From); err != nil {
				return err
			}
			if err := q.Check(); err != nil {
				return usage("%w", err)
			}
			if q.Connection, q.Tunnel, err = a.through(cmd.Context(), through, q.Target); err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			if format == "json" {
				return a.pingJSON(ctx, q)
			}
			return a.ping(ctx, q)
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&through, "through", "i", "", "connection or connection/tunnel")
	flags.IntVarP(&q.Count, "count", "n", 5, fmt.Sprintf("how many, 1 to %d", api.MaxPings))
	flags.DurationVar(&q.Interval, "interval", time.Second, "between two, 10ms to 10s")
	flags.DurationVar(&q.Timeout, "wait", time.Second, "for an answer, 10ms to 10s")
	flags.IntVarP(&q.Size, "size", "s", 56, "octets of data")
	flags.StringVar(&from, "from", "", "address of ours to ping from")
	return cmd
}

// hostAddr is the address of a host, of the family of from if that is set.
func hostAddr(ctx context.Context, host string, from netip.Addr) (netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return a, nil
	}
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("host %q: %w", host, err)
	}
	for _, a := range list {
		if a = a.Unmap(); !from.IsValid() || a.Is4() == from.Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("host %q has no address of the family of %v", host, from)
}

// through says which connection and tunnel are meant: the ones named, or the connection whose route leads to the target.
func (a *app) through(ctx context.Context, name string, to netip.Addr) (conn, tunnel string, err error) {
	if name != "" {
		return target(name)
	}
	var st api.Status
	if err := a.ask(ctx, func(ctx context.Context, c *api.Client) (err error) {
		st, _, err = c.Status(ctx)
		return err
	}); err != nil {
		return "", "", err
	}
	if len(st.Connections) == 1 {
		return st.Connections[0].Name, "", nil
	}
	best := -1
	var names []string
	for _, c := range st.Connections {
		names = append(names, c.Name)
		for _, r := range c.Routes {
			if p, err := netip.ParsePrefix(r.Prefix); err == nil && p.Contains(to) && p.Bits() > best {
				conn, best = c.Name, p.Bits()
			}
		}
	}
	if best < 0 {
		return "", "", usage("no connection has a route to %v; name one with -i: %s", to, strings.Join(names, ", "))
	}
	return conn, "", nil
}

// errNoAnswer says that no ping was answered.
var errNoAnswer = errors.New("no answer")

// pingJSON has the daemon send all of them and writes what it says.
func (a *app) pingJSON(ctx context.Context, q api.PingQuery) error {
	done, err := a.askPing(ctx, q)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(done, "", "  ")
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(a.out, "%s\n", text); err != nil {
		return err
	}
	if !slices.ContainsFunc(done.Tunnels, func(t api.TunnelPinged) bool { return t.Received > 0 }) {
		return failure(exitError, nil)
	}
	return nil
}

// askPing asks the daemon, which has the time that it takes besides what a question may take.
func (a *app) askPing(ctx context.Context, q api.PingQuery) (api.Pinged, error) {
	ctx, cancel := context.WithTimeout(ctx, q.Whole()+a.timeout)
	defer cancel()
	done, err := api.NewClient(a.socket).Ping(ctx, q)
	return done, asExit(err)
}

// ping asks for one after another, so that each answer is seen when it comes, until all are sent or ctx is done.
func (a *app) ping(ctx context.Context, q api.PingQuery) error {
	tick := time.NewTicker(q.Interval)
	defer tick.Stop()
	count := q.Count
	q.Count = 1
	var sums []pingSum
	for seq := 1; seq <= count && ctx.Err() == nil; seq++ {
		done, err := a.askPing(ctx, q)
		if err != nil && ctx.Err() == nil {
			return err
		}
		for i, t := range done.Tunnels {
			if i == len(sums) {
				sums = append(sums, pingSum{name: done.Connection + "/" + t.Tunnel})
			}
			line := sums[i].add(t, seq, q.Size)
			if err := a.told("%s: %s\n", sums[i].name, line); err != nil {
				return err
			}
		}
		if seq < count {
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}
	answered := false
	for _, s := range sums {
		answered = answered || s.received > 0
		if err := a.told("--- %s\n", s); err != nil {
			return err
		}
	}
	if !answered {
		return failure(exitError, fmt.Errorf("%v: %w", q.Target, errNoAnswer))
	}
	return nil
}

// told writes what -q leaves out.
func (a *app) told(format string, args ...any) error {
	if a.quiet {
		return nil
	}
	_, err := fmt.Fprintf(a.out, format, args...)
	return err
}

// A pingSum is what came of the pings through one tunnel.
type pingSum struct {
	name           string // connection/tunnel
	sent, received int
	least, most    float64 // milliseconds
	sum            float64
}

// add counts one ping and says what came of it.
func (s *pingSum) add(t api.TunnelPinged, seq, size int) string {
	s.sent += t.Sent
	switch {
	case t.Error != nil:
		return fmt.Sprintf("seq=%d not sent: %s", seq, *t.Error)
	case len(t.Answers) == 0:
		return fmt.Sprintf("seq=%d no answer", seq)
	}
	a := t.Answers[0]
	if t.Received == 0 {
		return fmt.Sprintf("seq=%d %s says %s", seq, a.From, refusal(a))
	}
	s.received++
	s.sum += a.RTTMillis
	s.most = max(s.most, a.RTTMillis)
	if s.received == 1 || a.RTTMillis < s.least {
		s.least = a.RTTMillis
	}
	return fmt.Sprintf("%d octets from %s seq=%d ttl=%d time=%.1f ms", size, a.From, seq, a.TTL, a.RTTMillis)
}

// refusal is an answer that is none, for people.
func refusal(a api.PingAnswer) string {
	switch {
	case a.Verdict == "too_big" && a.MTU != nil:
		return fmt.Sprintf("too big, at most %d octets with headers", *a.MTU)
	case a.Verdict == "too_big":
		return "too big"
	case a.Verdict == "expired":
		return "too many hops"
	}
	return a.Verdict
}

func (s pingSum) String() string {
	line := fmt.Sprintf("%s: %d sent, %d received", s.name, s.sent, s.received)
	if s.sent > 0 {
		line += fmt.Sprintf(", %d%% lost", 100*(s.sent-s.received)/s.sent)
	}
	if s.received > 0 {
		line += fmt.Sprintf(", rtt min/avg/max %.1f/%.1f/%.1f ms", s.least, s.sum/float64(s.received), s.most)
	}
	return line
}
