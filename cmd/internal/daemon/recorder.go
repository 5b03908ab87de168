package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/ike/session"
	"twinbore/tunnel"
)

// A recorder is the flight recorder (F12): of each tunnel the last IKE messages and, in a ring of their own so that no
// flood of messages washes them out, the last changes of state. What it keeps is bounded by the number of configured
// tunnels. It is written by the engine's shards and by the loop, and read by clients of the API; nobody waits in it.
//
// Nothing secret comes in: events hold none.
type recorder struct {
	mu    sync.Mutex // guards everything below
	last  uint64     // id
	tapes map[string]*tape
}

// How much is kept of a tunnel.
const (
	keptMessages = 256
	keptChanges  = 64
)

// A tape is one tunnel's part. The one with empty names is of answered peers that have not said who they are.
type tape struct {
	conn, tunnel      string
	messages, changes ring
}

// A ring keeps the last entries, as many as it may.
type ring struct {
	entries []api.LogEntry
	oldest  int
}

func (r *ring) put(e api.LogEntry, limit int) {
	if len(r.entries) < limit {
		r.entries = append(r.entries, e)
		return
	}
	r.entries[r.oldest] = e
	r.oldest = (r.oldest + 1) % limit
}

func newRecorder() *recorder {
	r := &recorder{tapes: map[string]*tape{}}
	r.tapes[""] = &tape{}
	return r
}

// add makes room for a tunnel. What comes from tunnels that were not added is not kept.
func (r *recorder) add(conn, tunnel string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tapes[conn+"/"+tunnel] = &tape{conn: conn, tunnel: tunnel}
}

// forget lets go of a tunnel and of what was kept of it.
func (r *recorder) forget(peer string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tapes, peer)
}

// put keeps one entry of a peer, "connection/tunnel".
func (r *recorder) put(peer string, message bool, e api.LogEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.tapes[peer]
	if t == nil {
		return
	}
	r.last++
	e.ID, e.Connection, e.Tunnel, e.Time = r.last, t.conn, t.tunnel, api.Stamp(e.Time)
	if message {
		t.messages.put(e, keptMessages)
		return
	}
	t.changes.put(e, keptChanges)
}

// observe keeps an event of the engine.
func (r *recorder) observe(ev session.Event) {
	e := api.LogEntry{Time: ev.Time, Kind: ev.Kind.String(), Reason: string(ev.Reason), Text: ev.Story}
	if ev.IKE.Path.Remote.IsValid() {
		e.Local, e.Remote = ev.IKE.Path.Local.String(), ev.IKE.Path.Remote.String()
	}
	if ev.IKE.SPIi != 0 {
		e.IKE = fmt.Sprintf("%016x_i %016x_r", ev.IKE.SPIi, ev.IKE.SPIr)
	}
	if ev.Kind == session.Message || ev.Kind == session.Dropped {
		e.Level = debug
		e.Message = &api.LogMessage{Sent: ev.Sent, Answer: ev.Answer, Exchange: ev.Exchange, ID: ev.MessageID, Payloads: ev.Payloads,
			Octets: ev.Size, Again: ev.Again}
		r.put(ev.Peer, true, e)
		return
	}
	e.Text, e.Level = tell(ev), info
	switch ev.Kind {
	case session.Failed, session.ChildFailed, session.Weak:
		e.Level = blame(ev.Reason == session.AdminDown)
	}
	r.put(ev.Peer, false, e)
}

// The levels of entries.
const (
	debug = "debug"
	info  = "info"
	warn  = "warn"
)

// blame is the level of what is wrong unless somebody meant it.
func blame(meant bool) string {
	if meant {
		return info
	}
	return warn
}

// tell is a change of an SA in one line.
func tell(ev session.Event) string {
	switch ev.Kind {
	case session.IKEUp, session.IKERekeyed:
		role := "answered"
		if ev.IKE.Initiator {
			role = "begun by us"
		}
		text := fmt.Sprintf("%s, %s === %s, %s, nat %s", ev.IKE.Suite, ev.IKE.LocalID, ev.IKE.RemoteID, role, ev.IKE.NAT)
		if ev.IKE.PPK != "" {
			text += fmt.Sprintf(", ppk %q", ev.IKE.PPK)
		}
		return text
	case session.ChildUp, session.ChildRekeyed:
		text := fmt.Sprintf("%s, spi in %v out %v, %s === %s", ev.Child.Suite, ev.Child.SPIIn, ev.Child.SPIOut,
			strings.Join(showSelectors(ev.Child.Local), " "), strings.Join(showSelectors(ev.Child.Remote), " "))
		if ev.Kind == session.ChildRekeyed {
			text += fmt.Sprintf(", after %v", ev.Old)
		}
		return text
	case session.ChildMoved:
		if ev.Child.Encap {
			return fmt.Sprintf("spi in %v: ESP goes in UDP now, nat %s", ev.Child.SPIIn, ev.IKE.NAT)
		}
		return fmt.Sprintf("spi in %v: ESP goes without UDP now, nat %s", ev.Child.SPIIn, ev.IKE.NAT)
	case session.ChildDown:
		return strings.TrimSuffix(fmt.Sprintf("spi in %v: %s", ev.Child.SPIIn, ev.Hint), ": ")
	}
	return ev.Hint
}

// note keeps a line of the loop about one tunnel. One that has a reason is about something wrong, unless that is what the
// operator wanted.
func (r *recorder) note(e *end, now time.Time, kind, reason, text string) {
	level := info
	if reason != "" {
		level = blame(meant(tunnel.Reason(reason)))
	}
	r.put(e.peer, false, api.LogEntry{Time: now, Level: level, Kind: kind, Reason: reason, Text: text})
}

// meant reports whether a tunnel is DOWN because the operator wants it so.
func meant(r tunnel.Reason) bool {
	return r == tunnel.AdminIsDown || r == tunnel.Drained || r == tunnel.Idled
}

// change keeps what changed for an operator, with each tunnel that it concerns.
func (r *recorder) change(now time.Time, c *connection, ch tunnel.Change) {
	switch ch.Kind {
	case tunnel.TunnelUp, tunnel.ProbeBack:
		r.note(c.ends[ch.Tunnel], now, ch.Kind.String(), "", fmt.Sprintf("after %s", ch.After.Round(time.Millisecond)))
	case tunnel.TunnelDown, tunnel.TunnelReason, tunnel.ProbeGone:
		r.note(c.ends[ch.Tunnel], now, ch.Kind.String(), string(ch.Reason), ch.Hint)
	case tunnel.Switched:
		for i, e := range c.ends {
			switch was, is := slices.Contains(ch.From, i), slices.Contains(ch.To, i); {
			case was && !is:
				r.note(e, now, ch.Kind.String(), "", "away from this tunnel")
			case is && !was:
				r.note(e, now, ch.Kind.String(), "", "to this tunnel")
			}
		}
	case tunnel.StateChanged:
		for _, e := range c.ends {
			r.note(e, now, ch.Kind.String(), "", "the connection is "+ch.State.String())
		}
	}
}

// read answers a query, the oldest first. The refusal of a name that is not configured is an *api.Problem.
func (r *recorder) read(q api.LogQuery) (api.Logs, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := api.Logs{SchemaVersion: api.SchemaVersion, Entries: []api.LogEntry{}, Last: r.last}
	known, least := q.Connection == "", slices.Index(api.Levels, q.Level)
	for _, t := range r.tapes {
		if q.Connection != "" && t.conn != q.Connection || q.Tunnel != "" && t.tunnel != q.Tunnel {
			continue
		}
		known = true
		for _, e := range slices.Concat(t.messages.entries, t.changes.entries) {
			if e.ID > q.After && !e.Time.Before(q.Since) && slices.Index(api.Levels, e.Level) >= least {
				out.Entries = append(out.Entries, e)
			}
		}
	}
	if !known {
		return api.Logs{}, api.Refuse(api.NotFound, "no "+strings.TrimSuffix("connection or tunnel "+q.Connection+"/"+q.Tunnel, "/"))
	}
	slices.SortFunc(out.Entries, func(a, b api.LogEntry) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
