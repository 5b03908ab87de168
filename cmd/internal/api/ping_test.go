package api

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestPingsReachTheDaemon(t *testing.T) {
	var got PingQuery
	c := NewClient(serve(t, Config{Ping: func(_ context.Context, q PingQuery) (Pinged, error) {
		got = q
		return Pinged{Connection: q.Connection, Tunnels: []TunnelPinged{{Tunnel: "1", Sent: q.Count}}}, nil
	}}))
	for _, want := range []PingQuery{
		{Connection: "hq", Target: netip.MustParseAddr("10.2.0.1"), Count: 100, Interval: 10 * time.Millisecond, Timeout: time.Second},
		{Connection: "a b/c", Tunnel: "2", Target: netip.MustParseAddr("2001:db8::1"), From: netip.MustParseAddr("fd00::1"), Count: 1,
			Interval: 10 * time.Second, Timeout: 10 * time.Second, Size: MaxPingSize},
	} {
		done, err := c.Ping(t.Context(), want)
		if err != nil || got != want || done.Connection != want.Connection || done.Tunnels[0].Sent != want.Count {
			t.Errorf("asked for %+v: the daemon saw %+v, answered %+v, %v", want, got, done, err)
		}
		bad := want
		bad.Count = 101
		if _, err := c.Ping(t.Context(), bad); err == nil {
			t.Error("the client asked for more than a daemon does")
		}
	}
	raw, err := c.do(t.Context(), http.MethodPost, "/v1/connections/hq/actions/ping?target=10.2.0.1")
	if err != nil || !strings.Contains(string(raw), `"sent":1`) || got.Interval != time.Second || got.Timeout != time.Second || got.Size != 56 {
		t.Errorf("without parameters: %s, %v; the daemon saw %+v", raw, err, got)
	}
}

func TestPingsThatNoDaemonDoes(t *testing.T) { // CTL-03
	socket := serve(t, Config{Ping: func(context.Context, PingQuery) (Pinged, error) {
		return Pinged{}, Refuse(NotFound, "no connection")
	}})
	for query, want := range map[string]string{
		"target=10.2.0.1":                           NotFound,
		"":                                          BadRequest,
		"target=hq":                                 BadRequest,
		"target=10.2.0.1&target=10.2.0.2":           BadRequest,
		"target=10.2.0.1&count=0":                   BadRequest,
		"target=10.2.0.1&count=101":                 BadRequest,
		"target=10.2.0.1&count=many":                BadRequest,
		"target=10.2.0.1&interval=1ms":              BadRequest,
		"target=10.2.0.1&timeout=11s":               BadRequest,
		"target=10.2.0.1&size=-1":                   BadRequest,
		"target=10.2.0.1&size=65488":                BadRequest,
		"target=10.2.0.1&from=me":                   BadRequest,
		"target=10.2.0.1&speed=11":                  BadRequest,
		"target=10.2.0.1&count=100&interval=1s":     BadRequest,
		"target=10.2.0.1&count=100&interval=9000ns": BadRequest,
	} {
		_, err := NewClient(socket).do(t.Context(), http.MethodPost, "/v1/connections/hq/tunnels/1/actions/ping?"+query)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != want || p.Detail == "" {
			t.Errorf("%q: %v, want reason %s", query, err, want)
		}
	}
}

func TestMeasurementsReachTheDaemon(t *testing.T) {
	var got MTUQuery
	c := NewClient(serve(t, Config{MTU: func(_ context.Context, q MTUQuery) (Measured, error) {
		got = q
		return Measured{Connection: q.Connection}, nil
	}}))
	for _, want := range []MTUQuery{
		{Connection: "hq", Target: netip.MustParseAddr("10.2.0.1")},
		{Connection: "hq", Tunnel: "1", Target: netip.MustParseAddr("2001:db8::1"), From: netip.MustParseAddr("fd00::1")},
	} {
		if done, err := c.MTU(t.Context(), want); err != nil || got != want || done.Connection != "hq" {
			t.Errorf("asked for %+v: the daemon saw %+v, answered %+v, %v", want, got, done, err)
		}
	}
	if _, err := c.MTU(t.Context(), MTUQuery{Connection: "hq"}); err == nil {
		t.Error("the client asked for a measurement to nowhere")
	}
	for _, query := range []string{"", "target=hq", "target=10.2.0.1&size=1"} {
		_, err := c.do(t.Context(), http.MethodPost, "/v1/connections/hq/actions/mtu?"+query)
		if p, ok := errors.AsType[*Problem](err); !ok || p.Reason != BadRequest {
			t.Errorf("%q: %v, want reason %s", query, err, BadRequest)
		}
	}
}
