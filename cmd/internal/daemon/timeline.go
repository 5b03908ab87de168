package daemon

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/ike/session"
	"twinbore/tunnel"
)

// keptEvents is how many events are kept for who asks for them later.
const keptEvents = 4096

// again is how long after an event that strangers, or a peer that fails again and again, could bring about at will there is
// no other of its kind for the same tunnel: they must not wash out what matters.
const again = time.Minute

// A tunnel flaps when its status has changed so often in so long.
const (
	flaps      = 7
	flapsSince = time.Hour
)

// A timeline keeps the last events of the gateway, for programs. It is written by the engine's shards and by the loop, and
// read by clients of the API; nobody waits in it. What it is told holds no secrets.
type timeline struct {
	gateway string

	mu     sync.Mutex // guards the following
	events []api.Event
	oldest int    // index into events, once there are keptEvents
	last   uint64 // id of the newest
	newer  chan struct{}
	quiet  map[string]*silence // by tunnel and kind
}

// A silence is what came of one kind while none was told of.
type silence struct {
	until  time.Time
	untold int
}

// newTimeline begins with ids that no timeline before now had, so that a program that has read up to one of them goes on
// with what is new after a restart.
func newTimeline(gateway string, now time.Time) *timeline {
	return &timeline{gateway: gateway, last: uint64(now.UnixMilli()) * 1000, newer: make(chan struct{}), quiet: map[string]*silence{}}
}

// A happening is an event before it is kept. Of the pairs of attributes those without a value are left out.
type happening struct {
	kind    string
	warn    bool
	limited bool // one a minute
	reason  string
	message string
	attrs   []string // name, value, …
}

// put keeps what happened to peer, "connection/tunnel", or "connection" for all of its tunnels; empty: not known whose.
func (l *timeline) put(now time.Time, peer string, h happening) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if h.limited && !l.mayTell(now, peer+" "+h.kind, &h) {
		return
	}
	conn, tun, _ := strings.Cut(peer, "/")
	l.last++
	e := api.Event{ID: l.last, Time: api.Stamp(now), Kind: h.kind, Severity: "info", Gateway: l.gateway, Connection: api.Ptr(conn),
		Tunnel: api.Ptr(tun), Reason: api.Ptr(h.reason), Message: h.message, Attributes: map[string]string{}}
	if h.warn {
		e.Severity = "warning"
	}
	for i := 0; i < len(h.attrs); i += 2 {
		if h.attrs[i+1] != "" {
			e.Attributes[h.attrs[i]] = h.attrs[i+1]
		}
	}
	if len(l.events) < keptEvents {
		l.events = append(l.events, e)
	} else {
		l.events[l.oldest] = e
		l.oldest = (l.oldest + 1) % keptEvents
	}
	close(l.newer)
	l.newer = make(chan struct{})
}

// mayTell reports whether an event of this key may be kept, and adds to h how many were not.
func (l *timeline) mayTell(now time.Time, key string, h *happening) bool {
	s := l.quiet[key]
	if s == nil {
		s = new(silence)
		l.quiet[key] = s
	}
	if now.Before(s.until) {
		s.untold++
		return false
	}
	if s.untold > 0 {
		h.attrs = append(h.attrs, "untold", fmt.Sprint(s.untold))
	}
	*s = silence{until: now.Add(again)}
	return true
}

// forget lets go of what is remembered of a tunnel, but for its events.
func (l *timeline) forget(peer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.quiet, func(key string, _ *silence) bool { return strings.HasPrefix(key, peer+" ") })
}

// read is api.Config.Events.
func (l *timeline) read(after uint64) (list []api.Event, newer <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after < l.last {
		n := len(l.events)
		skip := n - int(min(uint64(n), l.last-after))
		list = make([]api.Event, 0, n-skip)
		for i := skip; i < n; i++ {
			list = append(list, l.events[(l.oldest+i)%n])
		}
	}
	return list, l.newer
}

// observe keeps what the engine says, except of messages.
func (l *timeline) observe(ev session.Event) {
	for _, h := range happenings(ev) {
		l.put(ev.Time, ev.Peer, h)
	}
}

// happenings are the events that one event of the engine is for a program.
func happenings(ev session.Event) []happening {
	one := happening{reason: string(ev.Reason), message: tell(ev), attrs: ikeAttributes(ev.IKE)}
	as := func(kind string, warn, limited bool) happening {
		h := one
		h.kind, h.warn, h.limited = kind, warn && ev.Reason != session.AdminDown, limited
		return h
	}
	switch ev.Kind {
	case session.IKEUp:
		return []happening{as("ike.established", false, false)}
	case session.IKERekeyed:
		return []happening{as("ike.rekeyed", false, false)}
	case session.Moved:
		h := as("ike.moved", false, false)
		h.message = fmt.Sprintf("the path is %v to %v now", ev.IKE.Path.Local, ev.IKE.Path.Remote)
		return []happening{h}
	case session.IKEDown:
		if ev.Reason == session.DPDTimeout {
			return []happening{as("dpd.timeout", true, false), as("ike.deleted", true, false)}
		}
		return []happening{as("ike.deleted", false, false)}
	case session.Failed:
		return []happening{as(failureKind(ev.Reason), true, true)}
	case session.Weak:
		return []happening{as("weak_crypto", true, true)}
	}
	one.attrs = childAttributes(ev)
	switch ev.Kind {
	case session.ChildUp:
		return []happening{as("child.established", false, false)}
	case session.ChildRekeyed:
		return []happening{as("child.rekeyed", false, false)}
	case session.ChildMoved:
		return []happening{as("child.moved", false, false)}
	case session.ChildDown:
		return []happening{as("child.deleted", false, false)}
	case session.ChildFailed:
		if kind := failureKind(ev.Reason); kind != "ike.failed" {
			return []happening{as("child.failed", true, true), as(kind, true, true)}
		}
		return []happening{as("child.failed", true, true)}
	}
	return nil
}

// failureKind is the kind of a negotiation that failed.
func failureKind(r session.Reason) string {
	switch r {
	case session.AuthFailed, session.IDMismatch:
		return "ike.auth_failed"
	case session.NoProposalIKE, session.NoProposalESP, session.InvalidKELoop:
		return "proposal.mismatch"
	}
	return "ike.failed"
}

func ikeAttributes(i session.IKEInfo) []string {
	attrs := []string{"suite", i.Suite, "local_id", i.LocalID, "remote_id", i.RemoteID}
	if i.SPIi != 0 {
		attrs = append(attrs, "spi_initiator", fmt.Sprintf("%016x", i.SPIi), "spi_responder", fmt.Sprintf("%016x", i.SPIr))
	}
	if i.Path.Remote.IsValid() {
		attrs = append(attrs, "local", i.Path.Local.String(), "remote", i.Path.Remote.String())
	}
	return attrs
}

func childAttributes(ev session.Event) []string {
	attrs := []string{"suite", ev.Child.Suite}
	if ev.Child.SPIIn != 0 {
		attrs = append(attrs, "spi_in", ev.Child.SPIIn.String(), "spi_out", ev.Child.SPIOut.String())
	}
	if ev.Old != 0 {
		attrs = append(attrs, "replaces", ev.Old.String())
	}
	return attrs
}

// change keeps what changed for an operator.
func (l *timeline) change(now time.Time, c *connection, ch tunnel.Change) {
	switch ch.Kind {
	case tunnel.TunnelUp:
		e := c.ends[ch.Tunnel]
		l.put(now, e.peer, happening{kind: "tunnel.up", message: "the tunnel carries traffic", attrs: []string{"down_for", since(ch.After)}})
		l.flap(now, e)
	case tunnel.TunnelDown:
		e := c.ends[ch.Tunnel]
		l.put(now, e.peer, happening{kind: "tunnel.down", warn: !meant(ch.Reason), reason: string(ch.Reason), message: ch.Hint,
			attrs: []string{"up_for", since(ch.After)}})
		l.flap(now, e)
	case tunnel.Switched:
		if len(ch.From) > 0 && len(ch.To) > 0 {
			from, to := strings.Join(c.names(ch.From), " "), strings.Join(c.names(ch.To), " ")
			l.put(now, c.shown.Name, happening{kind: "failover", warn: true, message: "traffic moved from tunnel " + from + " to tunnel " + to,
				attrs: []string{"from", from, "to", to}})
		}
	case tunnel.ProbeGone:
		l.put(now, c.ends[ch.Tunnel].peer, happening{kind: "probe.lost", warn: true, reason: string(ch.Reason), message: ch.Hint})
	case tunnel.ProbeBack:
		l.put(now, c.ends[ch.Tunnel].peer, happening{kind: "probe.restored", message: "packets pass the tunnel again", attrs: []string{"lost_for", since(ch.After)}})
	}
}

// flap says so when a tunnel comes and goes.
func (l *timeline) flap(now time.Time, e *end) {
	if e.changed = append(e.changed, now); len(e.changed) < flaps {
		return
	}
	if first := e.changed[0]; now.Sub(first) < flapsSince {
		l.put(now, e.peer, happening{kind: "tunnel.flap", warn: true, message: fmt.Sprintf("the tunnel came or went %d times in %s", flaps, since(now.Sub(first)))})
		e.changed = e.changed[:0]
		return
	}
	e.changed = append(e.changed[:0], e.changed[1:]...)
}

// routed keeps that a connection's networks can be reached now, or cannot any more.
func (l *timeline) routed(now time.Time, c *connection) {
	list := slices.Concat(c.networks, c.added)
	if len(list) == 0 {
		return
	}
	h := happening{kind: "route.removed", message: "the connection carries no traffic: its networks are unreachable", attrs: []string{"prefixes", written(list)}}
	if c.up {
		h.kind, h.message = "route.added", "packets to the networks of the connection are taken"
	}
	l.put(now, c.shown.Name, h)
}

// rerouted keeps that an operator gave networks to a connection, or took them away.
func (l *timeline) rerouted(now time.Time, c *connection, prefixes []netip.Prefix, remove bool) {
	h := happening{kind: "route.added", message: "an operator has added networks to the connection", attrs: []string{"prefixes", written(prefixes)}}
	if remove {
		h.kind, h.message = "route.removed", "an operator has taken networks from the connection"
	}
	l.put(now, c.shown.Name, h)
}

func since(d time.Duration) string { return d.Round(time.Millisecond).String() }
