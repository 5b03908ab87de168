package daemon

import (
	"context"
	"time"
)

// lookEvery is how often the files of a configuration with watch: true are looked at. A change is taken when nothing more has
// changed for as long: who writes several files, or one in several pieces, is not read in the middle of it. Looking, unlike
// being told by the kernel, needs no watch on each folder on the way, of which any may be a link that is swapped.
const lookEvery = time.Second

// watchFiles reloads when the files have changed, until ctx is done. What was wrong with them once is not read again before they
// change again.
func (d *Daemon) watchFiles(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := ""
	for {
		var due <-chan time.Time
		if d.cfg.Load().Gateway.Watch {
			due = tick.C
		}
		select {
		case <-ctx.Done():
			return
		case <-d.taken:
		case <-due:
			now := d.opts.Origin.Fingerprint()
			settled := now == last
			last = now
			if settled && d.opts.Origin.unread(now) && d.promised() == nil {
				d.log.Info("a file of the configuration has changed")
				d.Reload(ctx) // which says what came of it
			}
		}
	}
}

// unread reports whether the files were others when they were last read.
func (o *Origin) unread(fingerprint string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return fingerprint != o.lastRead
}

// reading notes as what the files are about to be read.
func (o *Origin) reading() {
	if o.Fingerprint == nil {
		return
	}
	now := o.Fingerprint()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lastRead = now
}
