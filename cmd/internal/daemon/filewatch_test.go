package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
)

// watch: true is a key like the others: from when it is taken the files are read again once they have changed and have come to
// rest, each change once, whatever came of it; a change that waits to be confirmed holds it up.
func TestWatchedFilesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _, write := filed(t, 1)
		watched := func(n int, change func(i int, text string) string) string {
			l, _ := pairs(n, change)
			return strings.Replace(l, "{name: left,", "{name: left, watch: true,", 1)
		}
		want := func(name string, after time.Duration, tunnels int, events string) {
			t.Helper()
			time.Sleep(after)
			var kinds []string
			for _, e := range left.configEvents() {
				kinds = append(kinds, strings.TrimPrefix(e.Kind, "config."))
			}
			if got := strings.Join(kinds, " "); len(left.allSPIs()) != tunnels || got != events {
				t.Errorf("%s: there are %d tunnels and the events %q, want %d and %q", name, len(left.allSPIs()), got, tunnels, events)
			}
		}
		write(watched(2, nil))
		want("not watched yet", time.Minute, 2, "")
		if _, err := left.configure(api.ConfigReload, api.ConfigRequest{}); err != nil {
			t.Fatal(err)
		}
		want("read by hand", time.Minute, 4, "reloaded")
		for i := range 5 {
			write(watched(2, nil) + "# still at it" + strings.Repeat(".", i))
			time.Sleep(700 * time.Millisecond)
		}
		write(watched(3, nil))
		want("in the middle of it", 500*time.Millisecond, 4, "reloaded")
		want("come to rest", 3*time.Second, 6, "reloaded reloaded")
		write("gateway: {nme: left}")
		want("wrong", time.Minute, 6, "reloaded reloaded rejected")
		write(watched(1, nil))
		want("right again", 10*time.Second, 2, "reloaded reloaded rejected reloaded")
		if _, err := left.configure(api.ConfigApply, api.ConfigRequest{ConfirmSeconds: 60}); err != nil {
			t.Fatal(err)
		}
		write(watched(2, nil))
		want("unconfirmed", 30*time.Second, 2, "reloaded reloaded rejected reloaded reloaded")
		want("gone back", 40*time.Second, 4, "reloaded reloaded rejected reloaded reloaded rolled_back reloaded")
		l, _ := pairs(1, nil)
		write(l)
		want("for the last time", 10*time.Second, 2, "reloaded reloaded rejected reloaded reloaded rolled_back reloaded reloaded")
		write(watched(2, nil))
		want("not watched any more", time.Minute, 2, "reloaded reloaded rejected reloaded reloaded rolled_back reloaded reloaded")
	})
}
