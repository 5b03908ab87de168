package tunnel

import (
	"time"

	"twinbore/esp"
)

// facts is what is known of one tunnel, and what was decided for it.
type facts struct {
	adminDown bool
	barred    bool // IKE was told not to answer the peer
	cleared   bool // DeadPeer is Clear and the peer died: rest
	idle      bool // nothing was carried: rest
	called    bool // a packet has ended that rest, and waits for what becomes of it
	draining  bool // nothing more is sent by it, if another tunnel is there; what comes is taken
	drained   bool // and it was closed
	ikes      int  // live IKE SAs; more than one while both ends began at once
	children  map[esp.ChildID]bool
	attempt   bool // an Initiate has had no outcome yet
	asked     bool // the IKE SA was asked for another Child SA
	refused   bool // the peer refused a Child SA
	leaving   int  // IKE SAs and attempts that were told to close and have not gone yet
	failures  int  // in a row

	attemptUntil, leaveUntil, bareUntil, retryAt time.Time // each counts only in its phase
	drainFrom                                    time.Time // nothing has been sent since; zero: it is not being drained, or carries traffic still

	alive  bool // a Child SA lives and the operator allows it
	health health
	heard  time.Time // when an authentic packet was last told of

	up     bool
	since  time.Time // of up
	stable time.Time // from here on it may take traffic from another tunnel
	sure   bool      // and it has answered since, so that what it takes arrives
	proven bool      // was up before
	flaps  int       // how often in a row it was lost soon after it had come up
	reason Reason    // why it is not up; empty while up
	hint   string
	told   Reason // the reason that the last Change gave
}

// blame notes why the tunnel is DOWN, or is about to be. The same reason without a hint keeps the hint there was.
func (t *facts) blame(r Reason, hint string) {
	switch {
	case hint == "" && r == t.reason:
		return
	case hint == "":
		hint = r.Hint()
	}
	t.reason, t.hint = r, hint
}

// note takes a fact about one tunnel.
func (c *Connection) note(now time.Time, ev Event, out *Output) {
	t := &c.tunnels[ev.Tunnel]
	switch ev.Kind {
	case IKEUp:
		t.ikes++
		if ev.Initiator {
			t.attempt = false
		}
	case ChildUp:
		t.add(ev.Child)
	case ChildRekeyed:
		delete(t.children, ev.Old)
		t.add(ev.Child)
	case ChildDown:
		delete(t.children, ev.Child)
		c.judge(t, ev)
	case ChildFailed:
		t.refused, t.bareUntil = true, time.Time{}
		c.judge(t, ev)
	case IKEDown:
		c.ended(now, t, ev)
	case Failed:
		c.failed(now, t, ev)
	case Reachable:
		if !t.retryAt.IsZero() {
			t.retryAt, t.failures = now, 0
		}
	case Silent:
		c.suspect(now, t)
	case Doubted:
		c.doubt(now, t)
	case Heard:
		c.hear(now, ev.Tunnel, out)
	case PeerMoved:
		c.follow(now, ev.Tunnel)
	case PingAnswered:
		c.pingAnswered(now, ev, out)
	case IKEAnswered:
		c.ikeAnswered(now, ev.Tunnel, out)
	}
}

func (t *facts) add(id esp.ChildID) {
	if t.children == nil {
		t.children = map[esp.ChildID]bool{}
	}
	t.children[id] = true
}

// judge notes why the tunnel has, or will have, no Child SA. What happens to an IKE SA after it was told to close is
// no news.
func (c *Connection) judge(t *facts, ev Event) {
	if len(t.children) > 0 || t.adminDown || t.drained || t.idle || t.leaving > 0 && !t.alive {
		return
	}
	reason := ev.Reason
	if reason == "" {
		reason = PeerDeleted
	}
	t.blame(reason, ev.Hint)
	t.cleared = reason == DPDTimeout && c.cfg.DeadPeer == Clear
}

// ended takes the end of an IKE SA, which takes its Child SAs with it (RFC 7296 §1.4.1).
func (c *Connection) ended(now time.Time, t *facts, ev Event) {
	switch {
	case t.leaving > 0:
		t.leaving--
	case t.ikes > 0:
		t.ikes--
		if t.ikes == 0 {
			c.retry(now, t)
		}
	default:
		return // it was discarded before
	}
	if t.ikes == 0 {
		clear(t.children)
		c.judge(t, ev)
	}
}

// failed takes the end of a negotiation that made no IKE SA.
func (c *Connection) failed(now time.Time, t *facts, ev Event) {
	switch {
	case ev.Reason == RekeyFailed: // what was there before still lives
	case !ev.Initiator:
		// What a peer that nobody has authenticated did wrong is worth showing only where we do not ask ourselves.
		if c.cfg.Start == Wait && !t.alive {
			c.judge(t, ev)
		}
	case t.leaving > 0:
		t.leaving--
	case t.attempt:
		t.attempt = false
		if !t.alive {
			c.judge(t, ev)
			c.retry(now, t)
		}
	}
}

// retry plans the next attempt after a failure.
func (c *Connection) retry(now time.Time, t *facts) {
	t.failures++
	t.called = false
	t.retryAt = now.Add(c.cfg.Retry.wait(t.failures, c.rnd))
}
