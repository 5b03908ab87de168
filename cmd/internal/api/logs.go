package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A LogQuery says what of the flight recorder to read. The zero LogQuery is all of it.
type LogQuery struct {
	Connection string    // empty: all
	Tunnel     string    // of Connection; empty: all
	Since      time.Time // nothing before
	After      uint64    // nothing with an id up to this one: the Last of the answer before
	Level      string    // nothing less severe, one of Levels; empty: all
}

// Levels are how severe an entry of the log is, the least severe first: a message, a change, something that is wrong.
var Levels = []string{"debug", "info", "warn"}

// Logs is the answer to GET /v1/logs: the oldest entry first.
type Logs struct {
	SchemaVersion int        `json:"schemaVersion"`
	Entries       []LogEntry `json:"entries"`
	Last          uint64     `json:"last"` // id of the newest entry of all: ask for what comes after it
}

// A LogEntry is one IKE message or one change of state of a tunnel. It holds no secrets.
type LogEntry struct {
	ID         uint64      `json:"id"` // grows with each entry of the daemon; starts over with it
	Time       time.Time   `json:"time"`
	Connection string      `json:"connection"` // empty while an answered peer has not said who it is
	Tunnel     string      `json:"tunnel"`
	Level      string      `json:"level"`   // one of Levels
	Kind       string      `json:"kind"`    // message | dropped | ike up | tunnel down | operator: down | …
	Message    *LogMessage `json:"message"` // of the kinds message and dropped
	Reason     string      `json:"reason"`  // stable code
	Text       string      `json:"text"`    // what the message is for; what changed
	IKE        string      `json:"ike"`     // SPIs
	Local      string      `json:"local"`   // outer address:port
	Remote     string      `json:"remote"`
}

// A LogMessage is one IKE message as the recorder keeps it: what it is, never what is in it.
type LogMessage struct {
	Sent     bool   `json:"sent"` // false: received
	Answer   bool   `json:"answer"`
	Exchange string `json:"exchange"` // IKE_SA_INIT
	ID       uint32 `json:"id"`
	Payloads string `json:"payloads"` // SA KE Ni N(NAT_DETECTION_SOURCE_IP)
	Octets   int    `json:"octets"`
	Again    bool   `json:"again"` // repeated
}

func (q LogQuery) path() string {
	v := url.Values{}
	set := func(key, value string, wanted bool) {
		if wanted {
			v.Set(key, value)
		}
	}
	set("connection", q.Connection, q.Connection != "")
	set("tunnel", q.Tunnel, q.Tunnel != "")
	set("since", q.Since.UTC().Format(time.RFC3339Nano), !q.Since.IsZero())
	set("level", q.Level, q.Level != "")
	set("after", strconv.FormatUint(q.After, 10), q.After != 0)
	if len(v) == 0 {
		return "/v1/logs"
	}
	return "/v1/logs?" + v.Encode()
}

func logQuery(v url.Values) (q LogQuery, err error) {
	q.Connection, q.Tunnel, q.Level = v.Get("connection"), v.Get("tunnel"), v.Get("level")
	if q.Level != "" && !slices.Contains(Levels, q.Level) {
		return LogQuery{}, fmt.Errorf("no level %q: have %s", q.Level, strings.Join(Levels, ", "))
	}
	if text := v.Get("since"); text != "" {
		if q.Since, err = time.Parse(time.RFC3339, text); err != nil {
			return LogQuery{}, fmt.Errorf("since %q is not a time like 2026-11-21T10:00:00Z", text)
		}
	}
	if text := v.Get("after"); text != "" {
		if q.After, err = strconv.ParseUint(text, 10, 64); err != nil {
			return LogQuery{}, fmt.Errorf("after %q is not the id of an entry", text)
		}
	}
	if q.Tunnel != "" && q.Connection == "" {
		return LogQuery{}, fmt.Errorf("tunnel %q of which connection?", q.Tunnel)
	}
	return q, nil
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	q, err := logQuery(r.URL.Query())
	if err != nil {
		Refuse(BadRequest, err.Error()).write(w)
		return
	}
	logs, err := s.cfg.Logs(q)
	if err != nil {
		problem(err).write(w)
		return
	}
	answer(w, logs)
}

// Logs reads the flight recorder. A *Problem is what the daemon refused it with.
func (c *Client) Logs(ctx context.Context, q LogQuery) (Logs, error) {
	raw, err := c.do(ctx, http.MethodGet, q.path())
	if err != nil {
		return Logs{}, err
	}
	var logs Logs
	if err := json.Unmarshal(raw, &logs); err != nil {
		return Logs{}, fmt.Errorf("daemon at %s: its answer is not a log: %w", c.socket, err)
	}
	return logs, nil
}
