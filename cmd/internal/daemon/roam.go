package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"twinbore/ike/session"
	"twinbore/routing/kernel"
	"twinbore/tunnel"
)

// watchAgain is how long after a watch of the host's network has failed it is tried again. Each try looks at the
// network, so that a host that tells nothing is asked.
const watchAgain = time.Second

// rest is how many times as long as looking took nobody looks again: a host whose routes never stand still must not keep us
// from all else.
const rest = 10

// watchHost tells the loop and the routes of changes of the host's network, until ctx is done. Routes of protocol are ours.
func (d *Daemon) watchHost(ctx context.Context, protocol int) {
	for tries := 0; ; tries++ {
		w, err := kernel.NewWatch(protocol)
		d.stirred()
		if err == nil {
			err = w.Run(ctx, d.stirred)
		}
		if ctx.Err() != nil {
			return
		}
		if tries == 0 {
			d.log.Warn("the host does not tell of changes of its network: it is asked every second", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchAgain):
		}
	}
}

// stirred says that the host's network has changed.
func (d *Daemon) stirred() {
	d.mail.post(stirred{})
	d.routes.stir()
}

// look finds out what a change of the host's network means for each tunnel: that our packets leave with another address
// (EV-12, EV-14), or that the way to the peer, which was cut, is there again (EV-13).
func (l *loop) look(ctx context.Context, now time.Time) {
	begun := time.Now()
	carriers, err := l.carriers()
	if err != nil {
		l.log.Warn("cannot look at the host's network", "err", err)
		return
	}
	news := slices.ContainsFunc(carriers, func(a netip.Addr) bool { return !slices.Contains(l.carried, a) })
	l.carried = carriers
	for _, c := range l.conns {
		had := make([]bool, len(c.ends))
		for i, e := range c.ends {
			had[i] = !e.cut
			l.lookAt(ctx, now, e, news)
		}
		if slices.ContainsFunc(c.ends, func(e *end) bool { return !e.cut }) {
			l.cutOff(ctx, now, c, had)
		}
	}
	l.lookedUntil = now.Add(rest * time.Since(begun))
}

// lookAt looks at one tunnel. With news this host has an address that it had not.
func (l *loop) lookAt(ctx context.Context, now time.Time, e *end, news bool) {
	remote := e.path.Remote.Addr()
	if !remote.IsValid() {
		if news && e.lost != "" { // the peer's name could not be found; now it may be
			l.revive(ctx, now, e)
		}
		return
	}
	own, err := l.finder.route(remote)
	if err == nil && len(e.ikes) > 0 && l.move(e, own) {
		return
	}
	used := e.path.Local.Addr()
	if len(e.ikes) == 0 && !e.local.IsValid() {
		used = own // the next attempt is made from there
	}
	was := e.cut
	if e.cut = err != nil || !slices.Contains(l.carried, used); was && !e.cut {
		l.revive(ctx, now, e)
	}
}

// cutOff makes a connection doubt those of its tunnels whose way to the peer this host had before and has no more, while another
// tunnel has its own. What the peer sends may still arrive. With no way at all there is nothing to move to.
func (l *loop) cutOff(ctx context.Context, now time.Time, c *connection, had []bool) {
	for i, e := range c.ends {
		if e.cut && had[i] {
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Doubted, Tunnel: i})
		}
	}
}

// revive asks at once what would be asked when its time has come: whether the peer is alive, or for a tunnel.
func (l *loop) revive(ctx context.Context, now time.Time, e *end) {
	l.log.Info("the way to the peer is there again", "peer", e.peer)
	l.recorder.note(e, now, "reachable", "", "this host's network can reach the peer again")
	l.engine.Do(e.peer, session.Probe{})
	l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.Reachable, Tunnel: e.index})
}

// move tells IKE when packets to the peer have come to leave with own, which they did not before, and reports whether
// that makes a difference.
func (l *loop) move(e *end, own netip.Addr) bool {
	before := e.leaves
	if e.local.IsValid() || own == before {
		return false
	}
	e.leaves = own
	used := e.path.Local.Addr()
	if !relocated(used, before, own, l.carried) {
		return false
	}
	l.log.Info("our outside address has changed", "peer", e.peer, "local", own.String(), "was", used.String())
	l.engine.Do(e.peer, session.PathChanged{Local: own})
	return true
}

// settled notes by which of our addresses the host's routes lead to a peer that has just come up, or has moved: a later
// change is one against that. The peer may have found us at another.
func (l *loop) settled(e *end) {
	if e.local.IsValid() || l.carriers == nil {
		return
	}
	if own, err := l.finder.route(e.path.Remote.Addr()); err == nil {
		e.leaves = own
	}
}

// relocated reports whether what was sent from used must now be sent from own, which the route says and which was before
// until now. A peer may have found us at another address than the route's: as long as that is ours, it is good.
func relocated(used, before, own netip.Addr, ours []netip.Addr) bool {
	switch used {
	case own:
		return false
	case before:
		return true
	}
	return !slices.Contains(ours, used)
}
