package daemon

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// CTL-04: a hundred operators at once, who take tunnels up and down, drain, rekey, restart, rotate keys, reload and look, all
// get an answer, and the gateway is well afterwards.
func TestAHundredOperatorsAtOnce(t *testing.T) {
	dir := t.TempDir()
	text := keyed(t, dir, leftConfig)
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, net, rightConfig, nil)
		left := open(t, net, text, nil)
		left.want("1: UP UP", 2*time.Second)
		verbs := []api.Verb{api.Up, api.Down, api.Restart, api.Rekey, api.Drain, api.Undrain, "status", "rotate", "reload"}
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				for j := range 10 {
					var err error
					switch verb := verbs[(i+j)%len(verbs)]; verb {
					case "status":
						_, err = left.d.Status(t.Context())
					case "reload":
						_, err = left.d.Reconfigure(t.Context(), left.d.cfg.Load())
					case "rotate": // refused when too many keys are accepted, and answered in any case
						left.d.keeper.rotate(t.Context(), api.Rotation{Connection: "hq", Tunnel: "1", Secret: fmt.Appendf(nil, "the key number %d-%d", i, j), GraceSeconds: 60})
					default:
						_, err = left.d.Act(t.Context(), api.Action{Verb: verb, Connection: "hq", Tunnel: fmt.Sprint(1 + i%2)})
					}
					if refused, ok := err.(*api.Problem); err != nil && !(ok && refused.Reason == api.NotUp) {
						t.Errorf("%d: %v", i, err)
					}
					time.Sleep(time.Duration(i%7) * time.Millisecond)
				}
			})
		}
		all.Wait()
		for _, verb := range []api.Verb{api.Up, api.Undrain} {
			if _, err := left.d.Act(t.Context(), api.Action{Verb: verb, Connection: "hq"}); err != nil {
				t.Fatal(err)
			}
		}
		left.want("2: DOWN UP", time.Minute) // the peer has not heard of the new keys
		writeKey(t, filepath.Join(dir, "one.psk"), "the key of tunnel one")
		left.want("1: UP UP", 10*time.Minute)
	})
}
