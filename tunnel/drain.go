package tunnel

import "time"

// drainTime is how long a tunnel that is being drained waits for its peer to send by another one; drainQuiet, or two round
// trips, is the silence that shows that it does.
const (
	drainTime  = 15 * time.Second
	drainQuiet = time.Second
)

// drain takes a tunnel out of service, or puts it back. It is not chosen any more as soon as another tunnel can carry the
// traffic; what the peer still sends by it is taken, and when nothing comes any more its IKE SA is closed.
func (c *Connection) drain(now time.Time, t *facts, on bool) {
	switch {
	case on && !t.draining && !t.drained:
		t.draining, t.drainFrom = true, time.Time{}
		c.favour = -1
	case !on && (t.draining || t.drained):
		down := t.adminDown
		c.recall(now, t)
		if down {
			t.adminDown = true
			t.blame(AdminIsDown, "")
		}
	}
}

// drained ends a drain whose time has come, or that has nothing to wait for.
func (c *Connection) drained(now time.Time, i int) {
	t := &c.tunnels[i]
	if !t.draining || len(t.children) > 0 && !t.adminDown && (t.drainFrom.IsZero() || now.Before(t.drainEnds())) {
		return
	}
	t.draining, t.drained = false, true
	if !t.adminDown {
		t.blame(Drained, "")
	}
}

// drainEnds is when a drain ends unless something is heard.
func (t *facts) drainEnds() time.Time {
	quiet := t.drainFrom
	if t.heard.After(quiet) {
		quiet = t.heard
	}
	quiet = quiet.Add(max(drainQuiet, 2*t.health.rtt))
	if last := t.drainFrom.Add(drainTime); last.Before(quiet) {
		return last
	}
	return quiet
}
