package api

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// An Event is one thing that happened, for programs that watch the gateway. It holds no secrets. Kinds are a contract:
//
//	tunnel.up, tunnel.down, tunnel.flap                                   what carries traffic
//	failover                                                              traffic moved from one tunnel to another
//	route.added, route.removed                                            the networks of a connection
//	ike.established, ike.rekeyed, ike.moved, ike.deleted                  IKE SAs
//	ike.failed, ike.auth_failed, proposal.mismatch, dpd.timeout           what went wrong with them
//	child.established, child.rekeyed, child.deleted, child.failed         Child SAs
//	child.moved                                                           ESP goes into UDP, or out of it
//	state.damaged, state.unavailable, object.refused                      what was made at run time is not all in effect
//	config.reloaded, config.rejected                                      another configuration runs, or was not taken
//	config.confirmed, config.rolled_back                                  what became of one that waited to be confirmed
//	weak_crypto                                                           a negotiated algorithm is weak
type Event struct {
	ID         uint64            `json:"id"` // one more for each event; grows over restarts of the daemon, too, which leave a gap
	Time       time.Time         `json:"time"`
	Kind       string            `json:"kind"`
	Severity   string            `json:"severity"` // info | warning
	Gateway    string            `json:"gateway"`
	Connection *string           `json:"connection"` // null: an answered peer that has not said who it is
	Tunnel     *string           `json:"tunnel"`
	Reason     *string           `json:"reason"` // stable code
	Message    string            `json:"message"`
	Attributes map[string]string `json:"attributes"`
}

// An EventQuery says which events to read. The zero EventQuery is every one that is kept.
type EventQuery struct {
	After  uint64    // nothing with an id up to this one
	Since  time.Time // nothing before
	Follow bool      // go on with what comes
}

// Limits of readers of events (CTL-04). A reader has no queue of its own: it reads what the daemon keeps, at its own pace,
// and is cut off when it takes longer over one write than writeTime or when what it has not read is not kept any more.
const (
	maxFollowers = 32
	writeTime    = 10 * time.Second
	stillThere   = 15 * time.Second // between two signs of life to a follower
)

func (q EventQuery) path() string {
	v := url.Values{}
	switch {
	case q.After != 0:
		v.Set("since", strconv.FormatUint(q.After, 10))
	case !q.Since.IsZero():
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if q.Follow {
		v.Set("follow", "1")
	}
	return strings.TrimSuffix("/v1/events?"+v.Encode(), "?")
}

// eventQuery reads what a request asks for. An EventSource that comes back says in a header what it read last.
func eventQuery(r *http.Request) (q EventQuery, err error) {
	v := r.URL.Query()
	since := v.Get("since")
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		since = last
	}
	if q.After, err = strconv.ParseUint(since, 10, 64); err != nil && since != "" {
		if q.Since, err = time.Parse(time.RFC3339, since); err != nil {
			return EventQuery{}, fmt.Errorf("since %q is neither the id of an event nor a time like 2026-11-21T10:00:00Z", since)
		}
	}
	switch follow := v.Get("follow"); follow {
	case "", "0":
	case "1":
		q.Follow = true
	default:
		return EventQuery{}, fmt.Errorf("follow %q is neither 0 nor 1", follow)
	}
	return q, nil
}

// events answers with JSON lines, or as an EventSource wants it if the request accepts that.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q, err := eventQuery(r)
	if err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	if q.Follow {
		select {
		case s.followers <- struct{}{}:
			defer func() { <-s.followers }()
		default:
			Refuse(Busy, fmt.Sprintf("%d programs follow the events already", maxFollowers)).write(w)
			return
		}
	}
	out := stream{w: w, control: http.NewResponseController(w), source: strings.Contains(r.Header.Get("Accept"), "text/event-stream")}
	if out.begin() != nil {
		return
	}
	s.feed(r.Context(), &out, q)
}

// feed writes events until nothing more is asked for or the reader is cut off.
func (s *Server) feed(ctx context.Context, out *stream, q EventQuery) {
	alive := time.NewTicker(stillThere)
	defer alive.Stop()
	for seen := false; ; {
		list, newer := s.cfg.Events(q.After)
		for _, e := range list {
			if seen && e.ID != q.After+1 { // what it has not read is gone
				return
			}
			q.After, seen = e.ID, true
			if e.Time.Before(q.Since) {
				continue
			}
			if out.write(e) != nil {
				return
			}
		}
		if out.flush() != nil || !q.Follow {
			return
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case <-s.ending:
				return
			case <-newer:
				waiting = false
			case <-alive.C:
				if out.alive() != nil {
					return
				}
			}
		}
	}
}

// A stream writes events in one of two forms.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	source  bool // for an EventSource
}

// begin takes away the limit of other requests: one that follows has its client there for as long as that likes.
func (o *stream) begin() error {
	kind := "application/x-ndjson"
	if o.source {
		kind = "text/event-stream"
	}
	o.w.Header().Set("Content-Type", kind)
	o.w.Header().Set("Cache-Control", "no-store")
	return o.control.SetReadDeadline(time.Time{})
}

func (o *stream) write(e Event) error {
	body, err := json.Marshal(e)
	if err != nil {
		panic("bug: an event does not marshal: " + err.Error())
	}
	if err := o.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if o.source {
		_, err = fmt.Fprintf(o.w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, body)
	} else {
		_, err = fmt.Fprintf(o.w, "%s\n", body)
	}
	return err
}

// alive writes what means nothing to a reader, so that one that is gone is found out.
func (o *stream) alive() error {
	if err := o.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	nothing := "\n"
	if o.source {
		nothing = ":\n\n"
	}
	if _, err := o.w.Write([]byte(nothing)); err != nil {
		return err
	}
	return o.flush()
}

func (o *stream) flush() error { return o.control.Flush() }

// Events reads events and gives each to take, until there are no more, take returns an error, which is then the result, or
// ctx is done, which is none. A *Problem is what the daemon refused it with. With Follow the daemon may cut off a reader
// that is too slow: then the end comes without an error, and reading goes on after the last id.
func (c *Client) Events(ctx context.Context, q EventQuery, take func(Event) error) error {
	resp, err := c.open(ctx, http.MethodGet, q.path())
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxBody)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return fmt.Errorf("daemon at %s: its answer is not an event: %w", c.socket, err)
		}
		if err := take(e); err != nil {
			return err
		}
	}
	return nil // however the connection ended
}
