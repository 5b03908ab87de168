package daemon

import (
	"net/netip"
	"slices"
	"time"

	"twinbore/ike/session"
)

// lookEvery is how often the routes to the peers are asked whether our own address has changed (R12, R14).
const lookEvery = time.Second

// roams reports whether an end's own address may change while the gateway runs: nothing names it, the route does.
func (l *loop) roams() bool {
	for _, e := range l.ends {
		if !e.local.IsValid() {
			return true
		}
	}
	return false
}

// look tells IKE where the route to a peer has come to leave with another address than before.
func (l *loop) look() {
	for _, e := range l.ends {
		if e.local.IsValid() || len(e.ikes) == 0 || !e.path.Remote.IsValid() {
			continue
		}
		before := e.leaves
		own, err := l.finder.route(e.path.Remote.Addr())
		if err != nil || own == before {
			continue // without a route there is nothing to change to
		}
		e.leaves = own
		used := e.path.Local.Addr()
		if !relocated(used, before, own, ownAddresses) {
			continue
		}
		l.log.Info("our outside address has changed", "peer", e.peer, "local", own.String(), "was", used.String())
		l.engine.Do(e.peer, session.PathChanged{Local: own})
	}
}

// relocated reports whether what was sent from used must now be sent from own, which the route says and which was before
// until now. A peer may have found us at another address than the route's: as long as that is ours, it is good.
func relocated(used, before, own netip.Addr, ours func() []netip.Addr) bool {
	switch used {
	case own:
		return false
	case before:
		return true
	}
	return !slices.Contains(ours(), used)
}
