package daemon

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
)

// ask pings from the left site.
func (s *site) ask(change func(*api.PingQuery)) (api.Pinged, error) {
	q := api.PingQuery{Connection: "hq", Target: netip.MustParseAddr("169.254.1.1"), Count: 3, Interval: time.Second, Timeout: time.Second, Size: 56}
	change(&q)
	return s.d.Ping(s.t.Context(), q)
}

func TestPingThroughEachTunnel(t *testing.T) { // R67
	synctest.Test(t, func(t *testing.T) {
		net, left, _ := world(t)
		left.want("1: UP UP", 2*time.Second)
		begun := time.Now()
		got, err := left.ask(func(q *api.PingQuery) { q.Tunnel = "1" })
		if err != nil || len(got.Tunnels) != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		if took := time.Since(begun); took < 2*time.Second || took > 2100*time.Millisecond {
			t.Errorf("three pings took %v, want 2 s and a round trip", took)
		}
		one := got.Tunnels[0]
		if one.Tunnel != "1" || *one.From != "169.254.1.2" || one.Sent != 3 || one.Received != 3 || one.Error != nil || len(one.Answers) != 3 {
			t.Fatalf("got %+v", one)
		}
		for i, a := range one.Answers {
			if a.Seq != i+1 || a.Verdict != "reply" || a.From != "169.254.1.1" || a.TTL != 64 || a.RTTMillis < 20 || a.RTTMillis > 25 || a.MTU != nil {
				t.Errorf("answer %d: %+v", i, a)
			}
		}

		net.BlackholeBoth(customer, cloud1)
		if got, err = left.ask(func(q *api.PingQuery) { q.Tunnel, q.Count = "1", 2; q.Interval = 10 * time.Millisecond }); err != nil {
			t.Fatal(err)
		}
		if one := got.Tunnels[0]; one.Sent != 2 || one.Received != 0 || len(one.Answers) != 0 || one.Error != nil {
			t.Errorf("over a dead path: %+v", one)
		}
		left.want("2: DOWN UP", 4*time.Second)
		if got, err = left.ask(func(q *api.PingQuery) { q.Target = netip.MustParseAddr("169.254.2.1") }); err != nil {
			t.Fatal(err)
		}
		down, up := got.Tunnels[0], got.Tunnels[1]
		if down.Sent != 0 || down.Error == nil {
			t.Errorf("a tunnel that is down: %+v", down)
		}
		if up.Received != 3 || up.Error != nil {
			t.Errorf("the tunnel that is up: %+v", up)
		}
	})
}

// A host behind the peer is behind each of its tunnels.
func TestPingAHostBehindThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		done := make(chan struct{})
		defer close(done)
		go right.answerPings(done)
		got, err := left.ask(func(q *api.PingQuery) { q.Target, q.Tunnel = netip.MustParseAddr("10.2.0.9"), "1" })
		if err != nil || got.Tunnels[0].Received != 3 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// answerPings is every host of the site, until done is closed.
func (s *site) answerPings(done <-chan struct{}) {
	for {
		select {
		case <-done:
			return
		case b := <-s.host.In:
			if b[9] == 1 && b[20] == 8 {
				s.host.Out <- echoReply(b)
			}
		}
	}
}

func TestPingsThatAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, _ := world(t)
		for name, tt := range map[string]struct {
			change func(*api.PingQuery)
			reason string
		}{
			"no such connection": {func(q *api.PingQuery) { q.Connection = "hg" }, api.NotFound},
			"no such tunnel":     {func(q *api.PingQuery) { q.Tunnel = "3" }, api.NotFound},
			"not our address":    {func(q *api.PingQuery) { q.From = netip.MustParseAddr("10.1.0.1") }, api.BadRequest},
		} {
			_, err := left.ask(tt.change)
			if p, ok := errors.AsType[*api.Problem](err); !ok || p.Reason != tt.reason {
				t.Errorf("%s: %v, want reason %s", name, err, tt.reason)
			}
		}
		left.want("1: UP UP", 2*time.Second)
		for target, why := range map[string]string{
			"8.8.8.8":     "not behind",
			"2001:db8::1": "no inside address of its family",
		} {
			got, err := left.ask(func(q *api.PingQuery) { q.Target = netip.MustParseAddr(target) })
			if err != nil || got.Tunnels[0].Error == nil || !strings.Contains(*got.Tunnels[0].Error, why) {
				t.Errorf("%s: %+v, %v, want an error with %q", target, got.Tunnels, err, why)
			}
		}
		got, err := left.ask(func(q *api.PingQuery) { q.Tunnel, q.Size, q.Count = "1", 2000, 1 })
		if err != nil || got.Tunnels[0].Error == nil || !strings.Contains(*got.Tunnels[0].Error, "do not fit") {
			t.Errorf("larger than the tunnel takes: %+v, %v", got, err)
		}
		if _, err := left.ask(func(q *api.PingQuery) { q.From = netip.MustParseAddr("169.254.1.2"); q.Tunnel = "1" }); err != nil {
			t.Errorf("from our inside address: %v", err)
		}
		if err := left.stop(); err != nil {
			t.Fatal(err)
		}
		_, err = left.ask(func(*api.PingQuery) {})
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Reason != api.ShuttingDown {
			t.Errorf("of a gateway that has ended: %v", err)
		}
	})
}
