package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"twinbore/cmd/internal/api"
)

// serveAPI is a daemon that answers as cfg says, until the test ends.
func serveAPI(t *testing.T, cfg api.Config) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "s")
	l, err := api.Listen(socket, "")
	if err != nil {
		t.Skip("the temporary folder's name is too long for a socket: ", err)
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- api.New(cfg).Run(ctx, l) }()
	t.Cleanup(func() {
		end()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return socket
}

// twoRoutes is a gateway with two connections.
func twoRoutes(context.Context) (api.Status, error) {
	route := func(p string) []api.Route { return []api.Route{{Prefix: p}} }
	return api.Status{Connections: []api.Connection{{Name: "hq", Routes: route("10.0.0.0/8")}, {Name: "lab", Routes: route("10.9.0.0/16")}}}, nil
}

// pingAnswers are a daemon's, one after the other: the last stays.
func pingAnswers(asked *[]api.PingQuery, answers ...[]api.TunnelPinged) func(context.Context, api.PingQuery) (api.Pinged, error) {
	var mu sync.Mutex
	return func(_ context.Context, q api.PingQuery) (api.Pinged, error) {
		mu.Lock()
		defer mu.Unlock()
		*asked = append(*asked, q)
		out := api.Pinged{Connection: q.Connection, Target: q.Target.String(), Tunnels: answers[0]}
		if len(answers) > 1 {
			answers = answers[1:]
		}
		return out, nil
	}
}

func replied(tunnel string, rtt float64) api.TunnelPinged {
	return api.TunnelPinged{Tunnel: tunnel, Sent: 1, Received: 1, Answers: []api.PingAnswer{{Seq: 1, Verdict: "reply", From: "10.2.0.1", TTL: 63, RTTMillis: rtt}}}
}

func TestPingSaysWhatEachTunnelDoes(t *testing.T) { // R67
	var asked []api.PingQuery
	refused := func(a api.PingAnswer) api.TunnelPinged {
		return api.TunnelPinged{Tunnel: "2", Sent: 1, Answers: []api.PingAnswer{a}}
	}
	socket := serveAPI(t, api.Config{Ping: pingAnswers(&asked,
		[]api.TunnelPinged{replied("1", 20), {Tunnel: "2", Error: api.Ptr("the tunnel is down")}},
		[]api.TunnelPinged{replied("1", 10.04), {Tunnel: "2", Sent: 1}},
		[]api.TunnelPinged{replied("1", 30), refused(api.PingAnswer{Verdict: "too_big", From: "10.2.9.9", MTU: api.Ptr(1300)})},
		[]api.TunnelPinged{{Tunnel: "1", Sent: 1}, refused(api.PingAnswer{Verdict: "unreachable", From: "10.2.9.9"})},
	)})
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"ping", "--socket", socket, "-i", "hq", "-n", "4", "--interval", "10ms", "-s", "100", "10.2.0.1"}, nil, &out, &errs)
	want := `hq/1: 100 octets from 10.2.0.1 seq=1 ttl=63 time=20.0 ms
hq/2: seq=1 not sent: the tunnel is down
hq/1: 100 octets from 10.2.0.1 seq=2 ttl=63 time=10.0 ms
hq/2: seq=2 no answer
hq/1: 100 octets from 10.2.0.1 seq=3 ttl=63 time=30.0 ms
hq/2: seq=3 10.2.9.9 says too big, at most 1300 octets with headers
hq/1: seq=4 no answer
hq/2: seq=4 10.2.9.9 says unreachable
--- hq/1: 4 sent, 3 received, 25% lost, rtt min/avg/max 10.0/20.0/30.0 ms
--- hq/2: 3 sent, 0 received, 100% lost
`
	if out.String() != want || errs.Len() != 0 || code != 0 {
		t.Errorf("exit code %d, %s\n%s\nwant\n%s", code, &errs, &out, want)
	}
	if len(asked) != 4 || asked[0].Tunnel != "" || asked[0].Count != 1 || asked[0].Size != 100 || asked[0].Target != netip.MustParseAddr("10.2.0.1") {
		t.Errorf("asked %+v", asked)
	}
}

func TestPingWithoutAnAnswerFails(t *testing.T) {
	var asked []api.PingQuery
	socket := serveAPI(t, api.Config{Status: twoRoutes, Ping: pingAnswers(&asked, []api.TunnelPinged{{Tunnel: "1", Sent: 1, Answers: []api.PingAnswer{}}})})
	for _, args := range [][]string{{"-n", "1"}, {"-n", "1", "-o", "json"}, {"-n", "1", "-q"}} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), append([]string{"ping", "--socket", socket, "10.9.0.1"}, args...), nil, &out, &errs); code != exitError {
			t.Errorf("%v: exit code %d, %s%s", args, code, &out, &errs)
		}
		if args[len(args)-1] == "-q" && out.Len() != 0 {
			t.Errorf("-q wrote %s", &out)
		}
	}
	if asked[0].Connection != "lab" {
		t.Errorf("pinged through %q, want the connection with the longest route", asked[0].Connection)
	}
}

func TestPingAsJSONIsOneQuestion(t *testing.T) {
	var asked []api.PingQuery
	socket := serveAPI(t, api.Config{Status: twoRoutes, Ping: pingAnswers(&asked, []api.TunnelPinged{replied("1", 20)})})
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"ping", "--socket", socket, "-n", "7", "--from", "10.1.0.1", "-o", "json", "-i", "hq/1", "10.2.0.1"}, nil, &out, &errs)
	var got api.Pinged
	if err := json.Unmarshal(out.Bytes(), &got); err != nil || code != 0 || got.Tunnels[0].Received != 1 {
		t.Errorf("exit code %d, %v, %s%s", code, err, &out, &errs)
	}
	if len(asked) != 1 || asked[0].Count != 7 || asked[0].Tunnel != "1" || asked[0].From != netip.MustParseAddr("10.1.0.1") {
		t.Errorf("asked %+v", asked)
	}
}

func TestPingNeedsToKnowThroughWhat(t *testing.T) {
	socket := serveAPI(t, api.Config{Status: twoRoutes})
	var out, errs bytes.Buffer
	if code := run(t.Context(), []string{"ping", "--socket", socket, "192.0.2.1"}, nil, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), "hq, lab") {
		t.Errorf("exit code %d, %s", code, &errs)
	}
}
