package daemon

import (
	"context"
	"fmt"
)

// Run runs the gateway until ctx is done or a part of it fails, ends everything in order (see stop.go) and returns when
// no goroutine is left. The error says which part failed; it is nil if ctx ended it.
func (d *Daemon) Run(ctx context.Context) error {
	inner, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	failed := make(chan error, 4) // one for each part that can
	part := func(name string, run func(context.Context) error) {
		d.running.Go(func() {
			if err := run(inner); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
			}
		})
	}
	part("data path", d.gateway.Run)
	part("ike", d.engine.Run)
	if d.api != nil {
		part("control socket", func(ctx context.Context) error { return d.api.Run(ctx, d.control) })
	}
	d.running.Go(func() { d.routes.run(inner) })
	d.running.Go(func() {
		defer close(d.ended)
		d.loop.run(inner)
	})
	d.mail.post(begin{})
	d.log.Info("gateway started", "connections", len(d.loop.conns))

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		d.log.Error("gateway failed", "err", err)
	}
	d.end(ctx, cancel)
	return err
}
