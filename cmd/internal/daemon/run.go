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
	failed := make(chan struct{}, 3)
	var errs [3]error // the data path's first: when it ends, the others fail for want of it
	part := func(i int, name string, run func(context.Context) error) {
		d.running.Go(func() {
			if err := run(inner); err != nil {
				errs[i] = fmt.Errorf("%s: %w", name, err)
				failed <- struct{}{}
			}
		})
	}
	part(0, "data path", d.gateway.Run)
	part(1, "ike", d.engine.Run)
	if d.api != nil {
		part(2, "control socket", func(ctx context.Context) error { return d.api.Run(ctx, d.control) })
	}
	d.running.Go(func() { d.routes.run(inner) })
	d.running.Go(func() { d.keeper.run(inner) })
	d.running.Go(func() { d.keepPromises(inner) })
	if o := d.opts.Origin; o != nil && o.Fingerprint != nil {
		d.running.Go(func() { d.watchFiles(inner) })
	}
	if d.watch != nil {
		d.running.Go(func() { d.watch(inner) })
	}
	conns := len(d.loop.conns) // they are the loop's from here on
	d.running.Go(func() {
		defer close(d.ended)
		d.loop.run(inner)
	})
	d.mail.post(begin{})
	d.log.Info("gateway started", "connections", conns)

	select {
	case <-ctx.Done():
	case <-failed:
		d.log.Error("a part of the gateway failed")
	}
	d.end(ctx, cancel)
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
