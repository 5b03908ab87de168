package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// A threshold of 0 half-open IKE SAs asks everybody for a cookie, the first one too (RFC 7296 §2.6).
func TestCookieThresholdZeroAsksAlways(t *testing.T) {
	for threshold, want := range map[string]bool{"0": true, "50": false} {
		synctest.Test(t, func(t *testing.T) {
			net := simnet.New(1)
			t.Cleanup(net.Close)
			net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
			open(t, net, strings.Replace(rightConfig, "gateway:\n", "gateway:\n  limits: {cookie_threshold: "+threshold+"}\n", 1), nil)
			left := open(t, net, leftConfig, nil)
			left.want("1: UP UP", 2*time.Second)
			logs, err := left.d.Logs(api.LogQuery{Connection: "hq", Tunnel: "1"})
			if err != nil {
				t.Fatal(err)
			}
			asked := false
			for _, e := range logs.Entries {
				asked = asked || e.Message != nil && !e.Message.Sent && strings.Contains(e.Message.Payloads, "N(COOKIE)")
			}
			if asked != want {
				t.Errorf("cookie_threshold %s: asked for a cookie: %v, want %v", threshold, asked, want)
			}
		})
	}
}

// What is given up because the operator wants it is no failure: no warning, nothing to compare.
func TestGivingUpOnPurposeIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		left := open(t, net, leftConfig, nil)
		time.Sleep(100 * time.Millisecond)
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Down, Connection: "hq"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, tun := range left.connection().Tunnels {
			if tun.Reason != "ADMIN_DOWN" || tun.Failure != nil {
				t.Errorf("tunnel %s: %s, failure %+v", tun.Name, tun.Reason, tun.Failure)
			}
		}
		if log := left.log.String(); strings.Contains(log, "level=WARN msg=failed") || !strings.Contains(log, "level=INFO msg=failed peer=hq/1 reason=ADMIN_DOWN") {
			t.Errorf("the log:\n%s", log)
		}
	})
}
