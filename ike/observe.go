package ike

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime/debug"
	"time"

	"twinbore/ike/session"
)

// words is the one place where an event becomes a log line and a metric, so that both say the same everywhere.
// A line's message is the Kind's own text.
var words = [...]struct {
	level    slog.Level
	limited  bool   // a peer, or anybody, can make it happen at will: a bounded number of lines
	series   string // Prometheus series that it counts in; empty: none
	byReason bool   // one series for each reason: series is its name
	attrs    func(session.Event) []slog.Attr
}{
	session.Message:      {level: slog.LevelDebug, attrs: messageAttrs}, // counted where it is sent or received
	session.IKEUp:        {level: slog.LevelInfo, series: `twinbore_ike_negotiations_total{result="up"}`, attrs: ikeAttrs},
	session.IKERekeyed:   {level: slog.LevelInfo, series: `twinbore_ike_rekeys_total{kind="ike"}`, attrs: ikeAttrs},
	session.IKEDown:      {level: slog.LevelInfo, series: `twinbore_ike_down_total`, byReason: true, attrs: downAttrs},
	session.ChildUp:      {level: slog.LevelInfo, series: `twinbore_ike_children_total{result="up"}`, attrs: childAttrs},
	session.ChildRekeyed: {level: slog.LevelInfo, series: `twinbore_ike_rekeys_total{kind="child"}`, attrs: childAttrs},
	session.ChildDown:    {level: slog.LevelInfo, series: `twinbore_ike_children_down_total`, byReason: true, attrs: childDownAttrs},
	session.ChildFailed:  {level: slog.LevelWarn, limited: true, series: `twinbore_ike_children_total{result="failed"}`, attrs: reasonAttrs},
	session.Failed:       {level: slog.LevelWarn, limited: true, series: `twinbore_ike_errors_total`, byReason: true, attrs: downAttrs},
	session.Moved:        {level: slog.LevelInfo, series: `twinbore_ike_moves_total`, attrs: ikeAttrs},
	session.Weak:         {level: slog.LevelWarn, series: `twinbore_ike_weak_total`, attrs: reasonAttrs},
	session.ChildMoved:   {level: slog.LevelInfo, series: `twinbore_ike_encap_changes_total`, attrs: childMovedAttrs},
	session.Dropped:      {}, // a drop like the engine's own: dropSession
}

// dropWords names the drops. The level says who should look: debug is the noise of the network, info and above may be
// a setup that is wrong or an attack.
var dropWords = [drops]struct {
	name  string
	level slog.Level
}{
	dropMalformed:   {"malformed", slog.LevelDebug},
	dropVersion:     {"version", slog.LevelDebug},
	dropUnknownSPI:  {"unknown_spi", slog.LevelDebug},
	dropUnexpected:  {"unexpected", slog.LevelDebug},
	dropUnknownPeer: {"unknown_peer", slog.LevelInfo},
	dropBarred:      {"admin_down", slog.LevelDebug},
	dropSourceRate:  {"source_rate", slog.LevelWarn},
	dropAnswerRate:  {"answer_rate", slog.LevelWarn},
	dropHalfOpen:    {"half_open_limit", slog.LevelWarn},
	dropInboxFull:   {"inbox_full", slog.LevelWarn},
	dropClosing:     {"closing", slog.LevelDebug},
	dropSession:     {"protocol", slog.LevelDebug},
	dropPanic:       {"fault", slog.LevelError},
}

// observe makes ev known: the counters, the log, then whoever observes.
func (e *Engine) observe(ev session.Event) {
	if ev.Kind == session.Dropped {
		e.dropped(ev.Time, dropSession, ev.IKE.Remote(), slog.String("peer", ev.Peer), slog.String("story", ev.Story))
	} else {
		e.record(ev)
	}
	if e.cfg.Observe != nil {
		e.cfg.Observe(ev)
	}
}

func (e *Engine) record(ev session.Event) {
	w := words[ev.Kind]
	if w.series != "" {
		series := w.series
		if w.byReason {
			series = fmt.Sprintf("%s{reason=%q}", w.series, string(ev.Reason))
		}
		e.count.addTo(e.count.events, series)
	}
	level := w.level
	if ev.Reason == session.AdminDown { // the operator wanted it, or the end of the daemon did
		level = min(level, slog.LevelInfo)
	}
	if !e.log.Enabled(context.Background(), level) {
		return
	}
	attrs := append([]slog.Attr{slog.String("peer", ev.Peer)}, w.attrs(ev)...)
	if w.limited {
		write, skipped := e.count.mayLog(ev.Time, ev.Peer+" "+string(ev.Reason))
		if !write {
			return
		}
		if skipped > 0 {
			attrs = append(attrs, slog.Int("unlogged", skipped))
		}
	}
	e.log.LogAttrs(context.Background(), level, ev.Kind.String(), attrs...)
}

// dropped counts a received message that changed nothing, and logs it at a bounded rate.
func (e *Engine) dropped(now time.Time, d drop, remote netip.AddrPort, more ...slog.Attr) {
	e.count.add(&e.count.drops[d])
	w := dropWords[d]
	if !e.log.Enabled(context.Background(), w.level) {
		return
	}
	write, skipped := e.count.mayLog(now, w.name)
	if !write {
		return
	}
	attrs := append([]slog.Attr{slog.String("reason", w.name), slog.String("remote", remote.String())}, more...)
	if skipped > 0 {
		attrs = append(attrs, slog.Int("unlogged", skipped))
	}
	e.log.LogAttrs(context.Background(), w.level, "message dropped", attrs...)
}

// fault counts and logs a panic: its stack, and never the message that led to it.
func (e *Engine) fault(where string, peer string, cause any) {
	e.count.add(&e.count.panics)
	e.log.Error("fault in this program", "reason", where, "peer", peer, "err", fmt.Sprint(cause), "stack", string(debug.Stack()))
}

func messageAttrs(ev session.Event) []slog.Attr {
	direction := "in"
	if ev.Sent {
		direction = "out"
	}
	return []slog.Attr{slog.String("direction", direction), slog.String("exchange", ev.Exchange),
		slog.Uint64("msgid", uint64(ev.MessageID)), slog.String("payloads", ev.Payloads), slog.String("story", ev.Story),
		ikeAttr(ev.IKE), slog.String("remote", ev.IKE.Remote().String())}
}

func ikeAttrs(ev session.Event) []slog.Attr {
	role := "responder"
	if ev.IKE.Initiator {
		role = "initiator"
	}
	return []slog.Attr{ikeAttr(ev.IKE), slog.String("role", role), slog.String("local", ev.IKE.Path.Local.String()),
		slog.String("remote", ev.IKE.Remote().String()), slog.String("suite", ev.IKE.Suite)}
}

func downAttrs(ev session.Event) []slog.Attr {
	return append(reasonAttrs(ev), ikeAttr(ev.IKE), slog.String("remote", ev.IKE.Remote().String()))
}

func childAttrs(ev session.Event) []slog.Attr {
	return []slog.Attr{slog.String("child", ev.Child.ID.String()), slog.String("suite", ev.Child.Suite), ikeAttr(ev.IKE)}
}

func childMovedAttrs(ev session.Event) []slog.Attr {
	return append(childAttrs(ev), slog.Bool("udp", ev.Child.Encap))
}

func childDownAttrs(ev session.Event) []slog.Attr {
	return append(reasonAttrs(ev), slog.String("child", ev.Child.ID.String()))
}

func reasonAttrs(ev session.Event) []slog.Attr {
	return []slog.Attr{slog.String("reason", string(ev.Reason)), slog.String("hint", ev.Hint)}
}

func ikeAttr(i session.IKEInfo) slog.Attr {
	return slog.String("ike", fmt.Sprintf("%016x_i %016x_r", i.SPIi, i.SPIr))
}
