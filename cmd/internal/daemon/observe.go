package daemon

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/tunnel"
)

// wanted reports whether the loop has a use for an event: messages and drops are for the log alone.
func wanted(ev session.Event) bool {
	return (ev.Peer != "" || len(ev.Candidates) > 0) && ev.Kind != session.Message && ev.Kind != session.Dropped && ev.Kind != session.Weak
}

// observe notes what IKE says for the status, and tells the connection.
func (l *loop) observe(ctx context.Context, now time.Time, ev session.Event) {
	if ev.Peer == "" {
		l.candidates(ctx, now, ev)
		return
	}
	e := l.ends[ev.Peer]
	if e == nil {
		if e = l.parting[ev.Peer]; e != nil {
			e.note(ev)
			l.partWith(now)
		}
		return
	}
	e.note(ev)
	if failed(ev) {
		e.failure = showFailure(ev)
	}
	fact := tunnel.Event{Tunnel: e.index, Child: ev.Child.ID, Old: ev.Old, Reason: tunnel.Reason(ev.Reason), Hint: ev.Hint,
		Initiator: ev.IKE.Initiator}
	switch ev.Kind {
	case session.IKEUp:
		l.routes.pin(e.peer, ev.IKE.Path.Remote.Addr())
		l.settled(e)
		e.missed = netip.Addr{}
		fact.Kind = tunnel.IKEUp
	case session.IKEDown:
		fact.Kind = tunnel.IKEDown
	case session.ChildUp:
		fact.Kind = tunnel.ChildUp
	case session.ChildRekeyed:
		fact.Kind = tunnel.ChildRekeyed
	case session.ChildDown:
		fact.Kind = tunnel.ChildDown
	case session.ChildFailed:
		fact.Kind = tunnel.ChildFailed
	case session.Failed:
		fact.Kind = tunnel.Failed
	case session.Moved:
		l.routes.pin(e.peer, ev.IKE.Path.Remote.Addr())
		l.settled(e)
		return
	default:
		return
	}
	l.tell(ctx, now, e.conn, fact)
}

// candidates notes the failure of an answered peer that has not shown who it is: each tunnel that it could have been, and that
// is down, has failed. It says of each why it was not that one.
func (l *loop) candidates(ctx context.Context, now time.Time, ev session.Event) {
	for _, name := range ev.Candidates {
		e := l.ends[name]
		if e == nil || !failed(ev) || e.conn.logic.Report(now).Tunnels[e.index].Up {
			continue
		}
		e.failure = showFailure(ev)
		l.tell(ctx, now, e.conn, tunnel.Event{Kind: tunnel.Failed, Tunnel: e.index, Reason: tunnel.Reason(ev.Reason), Hint: ev.Hint})
	}
}

// note keeps what the status shows of SAs.
func (e *end) note(ev session.Event) {
	same := func(i session.IKEInfo) bool { return i.SPIi == ev.IKE.SPIi && i.SPIr == ev.IKE.SPIr }
	switch ev.Kind {
	case session.IKEUp:
		e.ikes = append(e.ikes, ev.IKE)
		e.path = ev.IKE.Path
	case session.IKERekeyed: // it has other SPIs than the one it replaces, which is nearly always the only one
		if len(e.ikes) > 0 {
			e.ikes = e.ikes[:len(e.ikes)-1]
		}
		e.ikes = append(e.ikes, ev.IKE)
		e.path = ev.IKE.Path
	case session.Moved, session.ChildMoved: // NAT detection may say something else, too
		if i := slices.IndexFunc(e.ikes, same); i >= 0 {
			e.ikes[i] = ev.IKE
		}
		e.path = ev.IKE.Path
		if i := slices.IndexFunc(e.children, func(c session.ChildInfo) bool { return c.ID == ev.Child.ID }); i >= 0 {
			e.children[i] = ev.Child
		}
	case session.IKEDown:
		i := slices.IndexFunc(e.ikes, same)
		if i < 0 && len(e.ikes) > 0 {
			i = 0
		}
		if i >= 0 {
			e.ikes = slices.Delete(e.ikes, i, i+1)
		}
		if len(e.ikes) == 0 {
			e.children = nil
		}
	case session.ChildUp:
		e.children = append(e.children, ev.Child)
	case session.ChildRekeyed:
		e.drop(ev.Old)
		e.children = append(e.children, ev.Child)
	case session.ChildDown:
		e.drop(ev.Child.ID)
	}
}

func (e *end) drop(id esp.ChildID) {
	e.children = slices.DeleteFunc(e.children, func(c session.ChildInfo) bool { return c.ID == id })
}

// record writes a change into the operator's timeline. The engine has its own lines for what happens to SAs.
func (l *loop) record(now time.Time, c *connection, ch tunnel.Change) {
	names := func(tunnels []int) string { return cmp.Or(strings.Join(c.names(tunnels), " "), "none") }
	l.recorder.change(now, c, ch)
	l.timeline.change(now, c, ch)
	switch ch.Kind {
	case tunnel.TunnelUp, tunnel.ProbeBack:
		l.log.Info(ch.Kind.String(), "peer", c.ends[ch.Tunnel].peer, "after", ch.After.Round(time.Millisecond))
	case tunnel.ProbeGone:
		l.log.Warn(ch.Kind.String(), "peer", c.ends[ch.Tunnel].peer, "hint", ch.Hint)
	case tunnel.TunnelDown:
		level := slog.LevelWarn
		if meant(ch.Reason) {
			level = slog.LevelInfo
		}
		l.log.Log(context.Background(), level, ch.Kind.String(), "peer", c.ends[ch.Tunnel].peer, "reason", string(ch.Reason),
			"hint", ch.Hint, "after", ch.After.Round(time.Millisecond))
	case tunnel.TunnelReason: // whoever found the reason has logged it
		l.log.Debug(ch.Kind.String(), "peer", c.ends[ch.Tunnel].peer, "reason", string(ch.Reason), "hint", ch.Hint)
	case tunnel.Switched:
		l.log.Info(ch.Kind.String(), "connection", c.shown.Name, "from", names(ch.From), "to", names(ch.To))
	case tunnel.StateChanged:
		l.log.Info(ch.Kind.String(), "connection", c.shown.Name, "state", ch.State.String())
	}
}
