package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// A tunnel that its operator took down does not answer a peer that comes back at once and for ever: no handshake is made to
// be deleted again. The other tunnel is not touched, and up brings both ends back together.
func TestTunnelThatIsDownDoesNotAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		s := &scene{t: t, net: net, left: open(t, net, leftConfig, nil), right: open(t, net, strings.Replace(rightConfig, "start: wait", "start: always", 1), nil)}
		time.Sleep(20 * time.Second)
		ups := func() int { return strings.Count(s.right.log.String(), `msg="ike up" peer=branch/1`) }
		s.order(s.left, api.Down)
		before := ups()
		time.Sleep(10 * time.Minute)
		if n := ups() - before; n != 0 {
			t.Errorf("%d handshakes with a tunnel that is down", n)
		}
		at := s.right.connection()
		if at.Tunnels[0].Status != "DOWN" || at.Tunnels[0].Reason != "NO_RESPONSE" || at.Tunnels[1].Status != "UP" {
			t.Errorf("the peer sees %s %s and %s", at.Tunnels[0].Status, at.Tunnels[0].Reason, at.Tunnels[1].Status)
		}
		if drops := s.left.d.engine.Counters().Drops["admin_down"]; drops == 0 {
			t.Error("nothing of the peer's was dropped as admin_down: it never asked")
		}
		s.order(s.left, api.Up)
		time.Sleep(5 * time.Second)
		for _, end := range []*site{s.left, s.right} {
			if at := end.connection().Tunnels[0]; at.Status != "UP" {
				t.Errorf("after up one end is %s, %s", at.Status, at.Reason)
			}
		}
	})
}
