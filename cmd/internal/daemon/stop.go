package daemon

import (
	"context"
	"time"
)

// deleteTime is how long peers have to answer our Deletes (EV-04). SIGTERM must be over in 2 s.
const deleteTime = 1200 * time.Millisecond

// end deletes every connection, waits for its peers as long as there is time, and ends all parts.
func (d *Daemon) end(ctx context.Context, cancel context.CancelFunc) {
	began := time.Now()
	grace, done := context.WithTimeout(context.WithoutCancel(ctx), deleteTime)
	defer done()
	d.mail.post(stop{})
	select {
	case <-d.loop.deleted:
	case <-d.ended:
	case <-grace.Done():
	}
	if err := d.engine.Shutdown(grace); err != nil {
		d.log.Warn("peers were left without a word", "err", err)
	}
	cancel()
	d.running.Wait()
	d.stack.Close()
	if d.host != nil {
		if err := d.host.Close(); err != nil {
			d.log.Warn("routes were left behind", "err", err)
		}
	}
	d.log.Info("gateway stopped", "took", time.Since(began).Round(time.Millisecond))
}
