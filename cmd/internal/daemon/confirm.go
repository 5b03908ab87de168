package daemon

import (
	"context"
	"fmt"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
)

// A promise is that a configuration comes back unless somebody confirms the one that replaced it: whoever has cut himself off by
// a change need not do anything. It is kept in memory alone: a daemon that starts anew begins with its files.
type promise struct {
	before *config.Config
	until  time.Time
}

// rollbackAgain is how long after a configuration could not be brought back that is tried again.
const rollbackAgain = 10 * time.Second

// promised is the promise that stands; nil: none does.
func (d *Daemon) promised() *promise { return d.promise.Load() }

// confirmUntil is for the status; nil: nothing waits to be confirmed.
func (d *Daemon) confirmUntil() *time.Time {
	if p := d.promised(); p != nil {
		return api.Ptr(api.Stamp(p.until))
	}
	return nil
}

// makePromise is called by who holds the token of changing.
func (d *Daemon) makePromise(p *promise) {
	d.promise.Store(p)
	token(d.promises)
}

// unconfirmed refuses another change while one waits to be confirmed: it would be undone with that one.
func (d *Daemon) unconfirmed() error {
	if p := d.promised(); p != nil {
		return api.Refuse(api.Conflict, fmt.Sprintf("the configuration waits to be confirmed until %s: twinbore confirm keeps it; nothing was applied", stamp(p.until)))
	}
	return nil
}

// Confirm keeps the configuration that was applied for a time. A refusal is an *api.Problem.
func (d *Daemon) Confirm(ctx context.Context) error {
	if err := d.begin(ctx); err != nil {
		return err
	}
	defer d.done()
	if d.promised() == nil {
		return api.Refuse(api.NotFound, "no configuration waits to be confirmed")
	}
	d.makePromise(nil)
	d.log.Info("configuration confirmed")
	d.timeline.put(time.Now(), "", happening{kind: "config.confirmed", message: "the configuration stays"})
	return nil
}

// keepPromises brings configurations back that nobody has confirmed in time, until ctx is done.
func (d *Daemon) keepPromises(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		due := (<-chan time.Time)(nil)
		if p := d.promised(); p != nil {
			timer.Reset(time.Until(p.until))
			due = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-d.promises:
		case <-due:
			d.rollBack(ctx)
		}
	}
}

// rollBack brings the configuration before back, unless it was confirmed at the last moment.
func (d *Daemon) rollBack(ctx context.Context) {
	if d.begin(ctx) != nil {
		return
	}
	defer d.done()
	p := d.promised()
	if p == nil || time.Now().Before(p.until) {
		return
	}
	d.log.Warn("nobody has confirmed the configuration: the one before comes back")
	report, err := d.bringTo(ctx, p.before, change{back: true})
	if err != nil {
		if ctx.Err() == nil {
			d.rejected(err)
			d.promise.Store(&promise{p.before, time.Now().Add(rollbackAgain)})
		}
		return
	}
	d.promise.Store(nil)
	d.took(p.before, report, time.Now(), "config.rolled_back")
}
