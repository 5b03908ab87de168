package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/tunnel/simnet"
)

// The two ends prefer different tunnels. What one of them asks by its own is answered there, until that tunnel is lost.
func TestAnswersFollowThePeer(t *testing.T) { // F1
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, strings.Replace(rightConfig, "{preempt_after", "{prefer: 2, preempt_after", 1), nil)
		left := open(t, net, leftConfig, nil)
		left.want("1: UP UP", 2*time.Second)
		right.want("2: UP UP", 2*time.Second)
		answered := func(by string, number uint32) {
			t.Helper()
			before := right.d.gateway.Signs("branch/" + by).Tx
			if !left.send(right, number) || !right.send(left, number+1) {
				t.Fatal("no traffic")
			}
			if got := right.d.gateway.Signs("branch/" + by).Tx; got != before+1 {
				t.Errorf("packet %d was not answered by tunnel %s", number, by)
			}
		}
		answered("1", 1)
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 4*time.Second)
		right.want("2: DOWN UP", 4*time.Second)
		answered("2", 3)
	})
}
