package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// A PingQuery says what to ping, and by which tunnels (R67).
type PingQuery struct {
	Connection string
	Tunnel     string        // empty: each of the connection's
	Target     netip.Addr    // behind the peer, or the peer's inside address
	From       netip.Addr    // of ours; the zero Addr: our inside address of the tunnel, or this host's in the connection's networks
	Count      int           // how often, 1 to 100
	Interval   time.Duration // between two, 10 ms to 10 s
	Timeout    time.Duration // how long to wait for the answer to the last, 10 ms to 10 s
	Size       int           // octets of data, 0 to 65487
}

// Limits of a PingQuery.
const (
	MaxPings     = 100
	MaxPingSize  = 65487
	minPingTime  = 10 * time.Millisecond
	maxPingTime  = 10 * time.Second
	maxPingWhole = 60 * time.Second // for all of them
)

// Pinged is the answer to POST …/actions/ping.
type Pinged struct {
	Connection string         `json:"connection"`
	Target     string         `json:"target"`
	Tunnels    []TunnelPinged `json:"tunnels"`
}

// TunnelPinged is what one tunnel was asked and what came back.
type TunnelPinged struct {
	Tunnel   string       `json:"tunnel"`
	From     *string      `json:"from"` // our address; null: none was found
	Sent     int          `json:"sent"`
	Received int          `json:"received"` // replies of the target
	Answers  []PingAnswer `json:"answers"`  // as they came
	Error    *string      `json:"error"`    // why one could not be sent; null: all were
}

// PingAnswer is a reply of the target, or what somebody on the way had to say.
type PingAnswer struct {
	Seq       int     `json:"seq"`     // from 1
	Verdict   string  `json:"verdict"` // reply | unreachable | too_big | expired
	From      string  `json:"from"`
	TTL       int     `json:"ttl"`
	RTTMillis float64 `json:"rtt_ms"`
	MTU       *int    `json:"mtu"` // of too_big: octets of the largest packet; null: not said
}

// path is where the query is posted.
func (q PingQuery) path() string {
	v := url.Values{"target": {q.Target.String()}, "count": {strconv.Itoa(q.Count)}, "interval": {q.Interval.String()}, "timeout": {q.Timeout.String()},
		"size": {strconv.Itoa(q.Size)}}
	if q.From.IsValid() {
		v.Set("from", q.From.String())
	}
	return Action{Verb: "ping", Connection: q.Connection, Tunnel: q.Tunnel}.path() + "?" + v.Encode()
}

// readPingQuery reads a request. What it does not say is one echo request of 56 octets, with a second for the answer.
func readPingQuery(r *http.Request) (PingQuery, error) {
	q := PingQuery{Connection: r.PathValue("connection"), Tunnel: r.PathValue("tunnel"), Count: 1, Interval: time.Second, Timeout: time.Second, Size: 56}
	err := readQuery(r, map[string]func(string) error{
		"target": into(&q.Target, netip.ParseAddr), "from": into(&q.From, netip.ParseAddr), "count": into(&q.Count, strconv.Atoi),
		"size": into(&q.Size, strconv.Atoi), "interval": into(&q.Interval, time.ParseDuration), "timeout": into(&q.Timeout, time.ParseDuration),
	})
	if err != nil {
		return q, err
	}
	return q, q.Check()
}

// Check refuses what no daemon does.
func (q PingQuery) Check() error {
	switch {
	case !q.Target.IsValid():
		return fmt.Errorf("target is not set: the address to ping")
	case q.Count < 1 || q.Count > MaxPings:
		return fmt.Errorf("count %d is not between 1 and %d", q.Count, MaxPings)
	case q.Size < 0 || q.Size > MaxPingSize:
		return fmt.Errorf("size %d is not between 0 and %d", q.Size, MaxPingSize)
	case q.Interval < minPingTime || q.Interval > maxPingTime:
		return fmt.Errorf("interval %v is not between %v and %v", q.Interval, minPingTime, maxPingTime)
	case q.Timeout < minPingTime || q.Timeout > maxPingTime:
		return fmt.Errorf("timeout %v is not between %v and %v", q.Timeout, minPingTime, maxPingTime)
	case q.Whole() > maxPingWhole:
		return fmt.Errorf("%d pings every %v take longer than %v", q.Count, q.Interval, maxPingWhole)
	}
	return nil
}

// Whole is how long all of it takes at most.
func (q PingQuery) Whole() time.Duration { return time.Duration(q.Count-1)*q.Interval + q.Timeout }

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	q, err := readPingQuery(r)
	if err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	s.lasts(w, q.Whole())
	done, err := s.cfg.Ping(r.Context(), q)
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, done)
}

// lasts gives an answer that takes so long the time for it.
func (s *Server) lasts(w http.ResponseWriter, d time.Duration) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(d + s.http.WriteTimeout)); err != nil {
		s.cfg.Log.Debug("no deadline for an answer", "err", err)
	}
}

// Ping pings through tunnels. A *Problem is what the daemon refused it with.
func (c *Client) Ping(ctx context.Context, q PingQuery) (Pinged, error) {
	var done Pinged
	if err := q.Check(); err != nil {
		return done, err
	}
	return done, c.post(ctx, q.path(), &done)
}

// post asks for something and reads the answer.
func (c *Client) post(ctx context.Context, path string, into any) error {
	raw, err := c.do(ctx, http.MethodPost, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("daemon at %s: its answer is not a result: %w", c.socket, err)
	}
	return nil
}

// readQuery gives each parameter of a request to who reads it.
func readQuery(r *http.Request, readers map[string]func(string) error) error {
	for name, values := range r.URL.Query() {
		read := readers[name]
		if read == nil || len(values) != 1 {
			return fmt.Errorf("no parameter %q, or more than one", name)
		}
		if err := read(values[0]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// into reads a value with parse.
func into[T any](to *T, parse func(string) (T, error)) func(string) error {
	return func(text string) (err error) {
		*to, err = parse(text)
		return err
	}
}
