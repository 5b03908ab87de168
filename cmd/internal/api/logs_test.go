package api

import (
	"errors"
	"net/http"
	"net/url"
	"testing"
	"time"
)

func TestLogsAreAskedFor(t *testing.T) {
	var got LogQuery
	c := NewClient(serve(t, Config{Logs: func(q LogQuery) (Logs, error) {
		got = q
		if q.Connection == "nowhere" {
			return Logs{}, Refuse(NotFound, "no connection")
		}
		return Logs{SchemaVersion: 1, Entries: []LogEntry{{ID: 7, Kind: "message", Message: &LogMessage{Octets: 296}}}, Last: 7}, nil
	}}))
	for _, want := range []LogQuery{
		{},
		{Connection: "a b&c", Tunnel: "x/y"},
		{Connection: "hq", Since: time.Date(2026, 11, 21, 10, 0, 0, 5, time.UTC), After: 1 << 60},
		{Level: "warn"},
	} {
		logs, err := c.Logs(t.Context(), want)
		if err != nil || got != want || logs.Last != 7 || logs.Entries[0].Message.Octets != 296 {
			t.Errorf("asked for %+v: the daemon saw %+v, answered %+v, %v", want, got, logs, err)
		}
	}
	for query, want := range map[string]string{"since=yesterday": BadRequest, "after=-1": BadRequest, "tunnel=1": BadRequest, "level=loud": BadRequest,
		"connection=nowhere": NotFound} {
		if _, err := url.ParseQuery(query); err != nil {
			t.Fatal(err)
		}
		_, err := c.do(t.Context(), http.MethodGet, "/v1/logs?"+query)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != want {
			t.Errorf("%s: got %v, want %s", query, err, want)
		}
	}
}
