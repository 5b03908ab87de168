package main

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"twinbore/cmd/internal/api"
)

func newDemo(a *app) *cobra.Command {
	var keep bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a connection, its two tunnels and a failover, without privileges or configuration",
		Long: `Run two gateways in this process, joined over loopback sockets: the real IKE, ESP and connection logic, on devices
in memory. The connection comes up, traffic passes, tunnel 1 is cut, traffic moves to tunnel 2, tunnel 1 is restored
and traffic returns. It takes some ten seconds and ends with "demo passed".`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			if err := a.demo(ctx, keep); err != nil {
				return fmt.Errorf("demo failed: %w", err)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&keep, "keep", false, "stay when it is over, for `twinbore status`")
	return cmd
}

// demo is the whole story.
func (a *app) demo(ctx context.Context, keep bool) (err error) {
	w, err := openDemoWorld(ctx, a, keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.close()) }()
	s := story{app: a, world: w}
	for _, act := range []func(context.Context) error{s.bringUp, s.carry, s.cut, s.restore} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	a.say("\ndemo passed\n")
	if keep {
		a.say("\nIt runs on; look at it with\n  twinbore --socket %s status\nand end it with Ctrl-C.\n", w.socket())
		<-ctx.Done()
	}
	return nil
}

func (a *app) say(format string, args ...any) {
	fmt.Fprintf(a.out, format, args...) // a story that nobody reads goes on
}

// A story is told one act after the other.
type story struct {
	*app
	world *demoWorld
}

func (s *story) bringUp(ctx context.Context) error {
	s.say(`Two gateways in this process, joined by two tunnels over loopback:

  10.1.0.0/16 ── left %v ══╦══ tunnel 1 ══ %v ══╦══ right ── 10.2.0.0/16
                                  ╚══ tunnel 2 ══ %v ══╝

`, demoLeft, demoCloud[0], demoCloud[1])
	began := time.Now()
	if err := s.await(ctx, 5*time.Second, "both tunnels UP, traffic on tunnel 1", func(c api.Connection) bool {
		return up(c, 0) && up(c, 1) && active(c) == "1"
	}); err != nil {
		return err
	}
	s.say("The connection is up after %s: IKE_SA_INIT and IKE_AUTH on each tunnel.\n\n", short(time.Since(began)))
	return s.show(ctx)
}

func (s *story) carry(ctx context.Context) error {
	s.world.traffic.mark()
	if err := pause(ctx, time.Second); err != nil {
		return err
	}
	count := s.world.traffic.mark()
	s.say("\nTraffic: %d packets each way through tunnel 1, %d lost.\n", count.sent/2, count.lost)
	if count.sent == 0 || count.lost > 0 {
		return fmt.Errorf("%d of %d packets were lost with nothing wrong", count.lost, count.sent)
	}
	return nil
}

func (s *story) cut(ctx context.Context) error {
	s.say("\nTunnel 1 is cut: nothing comes through any more, and nobody is told.\n")
	s.world.cable.cut(true)
	if err := s.await(ctx, 6*time.Second, "traffic on tunnel 2", func(c api.Connection) bool { return active(c) == "2" }); err != nil {
		return err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	count := s.world.traffic.mark()
	s.say("The peer did not answer for two questions, 1 s apart: traffic moved to tunnel 2.\n")
	s.say("Failover took %s; %d of %d packets were lost meanwhile.\n\n", short(count.gap), count.lost, count.sent)
	if count.gap > 4*time.Second {
		return fmt.Errorf("failover took %s", count.gap)
	}
	if err := s.show(ctx); err != nil {
		return err
	}
	if err := pause(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	if count := s.world.traffic.mark(); count.sent == 0 || count.lost > 0 {
		return fmt.Errorf("%d of %d packets were lost on tunnel 2", count.lost, count.sent)
	}
	return nil
}

func (s *story) restore(ctx context.Context) error {
	s.say("\nTunnel 1 is restored.\n")
	s.world.cable.cut(false)
	began := time.Now()
	if err := s.await(ctx, 8*time.Second, "tunnel 1 UP", func(c api.Connection) bool { return up(c, 0) }); err != nil {
		return err
	}
	s.say("It is up again after %s.", short(time.Since(began)))
	if err := s.await(ctx, 4*time.Second, "traffic on tunnel 1", func(c api.Connection) bool { return active(c) == "1" }); err != nil {
		return err
	}
	if err := pause(ctx, 300*time.Millisecond); err != nil {
		return err
	}
	count := s.world.traffic.mark()
	s.say(" It stayed up for a second, so traffic returned to it: %d of %d packets lost.\n\n", count.lost, count.sent)
	if count.lost > 0 {
		return fmt.Errorf("%d of %d packets were lost by the return", count.lost, count.sent)
	}
	return s.show(ctx)
}

// await polls the left gateway until its connection is as wanted.
func (s *story) await(ctx context.Context, within time.Duration, what string, wanted func(api.Connection) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		st, err := s.world.left.Status(ctx)
		if err != nil {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
		if wanted(st.Connections[0]) {
			return nil
		}
		if pause(ctx, 10*time.Millisecond) != nil {
			return fmt.Errorf("not within %s: %s\n%s", within, what, statusTable(st, false, false, time.Now()))
		}
	}
}

func (s *story) show(ctx context.Context) error {
	st, err := s.world.left.Status(ctx)
	if err != nil {
		return err
	}
	s.say("%s", statusTable(st, false, !s.noColor && isTerminal(s.out), time.Now()))
	return nil
}

func up(c api.Connection, tunnel int) bool { return c.Tunnels[tunnel].Status == "UP" }

func active(c api.Connection) string {
	if c.ActiveTunnel == nil {
		return ""
	}
	return *c.ActiveTunnel
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func short(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(time.Millisecond)
	}
	return d.Round(10 * time.Millisecond)
}
