package daemon

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/config/store"
	"twinbore/tunnel/simnet"
)

// filed is two gateways of which the left one has its configuration from a file that the test writes.
func filed(t *testing.T, n int) (left, right *site, write func(text string)) {
	t.Helper()
	net := simnet.New(1)
	t.Cleanup(net.Close)
	net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	l, r := pairs(n, nil)
	var file atomic.Pointer[string]
	file.Store(&l)
	right = open(t, net, r, nil)
	left = openWith(t, net, l, func(o *Options) {
		read := func(from fs.FS, objects []config.Object, names ...string) (*config.Config, error) {
			return config.Sources{FS: from, Names: names, Objects: objects}.Load()
		}
		kept, fault := store.Open(t.TempDir())
		t.Cleanup(func() { kept.Close() })
		o.Origin = &Origin{Store: kept, Fault: fault, Fingerprint: func() string { return *file.Load() },
			Files: func(objects []config.Object) (*config.Config, error) {
				return read(fstest.MapFS{"f.yaml": {Data: []byte(*file.Load()), Mode: 0o600}}, objects, "f.yaml")
			},
			Texts: func(files config.Texts, objects []config.Object) (*config.Config, error) {
				return read(files, objects, files.Names()...)
			}}
	})
	left.allUp(2 * n)
	return left, right, func(text string) { file.Store(&text) }
}

// configEvents returns the events that are about the configuration.
func (s *site) configEvents() (list []api.Event) {
	all, _ := s.d.Events(0)
	for _, e := range all {
		if strings.HasPrefix(e.Kind, "config.") {
			list = append(list, e)
		}
	}
	return list
}

func (s *site) configure(verb api.ConfigVerb, q api.ConfigRequest) (api.ConfigAnswer, error) {
	return s.d.Configure(s.t.Context(), verb, q)
}

// F6, EV-27: what the files say is checked, planned and applied; what is wrong with them is all said, and changes nothing.
func TestTheFilesAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _, write := filed(t, 2)
		mine := left.allSPIs()
		if got, err := left.configure(api.ConfigPlan, api.ConfigRequest{}); err != nil || !got.Plan.Empty() || got.Plan.Unchanged != 2 {
			t.Errorf("nothing has changed: got %+v, %v", got, err)
		}
		three, _ := pairs(3, nil)
		write(three)
		got, err := left.configure(api.ConfigPlan, api.ConfigRequest{})
		if err != nil || got.Plan.String() != "+ c3 (2 tunnels)\n" {
			t.Errorf("got %s, %v", got.Plan, err)
		}
		if now := left.allSPIs(); len(now) != 4 {
			t.Errorf("a plan was carried out: %v", now)
		}
		write(strings.ReplaceAll(three, "remote:", "remte:"))
		for _, verb := range []api.ConfigVerb{api.ConfigCheck, api.ConfigPlan, api.ConfigReload, api.ConfigApply} {
			_, err = left.configure(verb, api.ConfigRequest{})
			p, ok := err.(*api.Problem)
			if !ok || p.Reason != api.Invalid || strings.Count(p.Detail, "f.yaml:") != 6*2 || !strings.Contains(p.Detail, "did you mean") {
				t.Errorf("%s: got %v, want a line for each mistake", verb, err)
			}
		}
		write(strings.Replace(three, "{name: left,", "{name: left, state_dir: /elsewhere,", 1))
		_, err = left.configure(api.ConfigReload, api.ConfigRequest{})
		if p, ok := err.(*api.Problem); !ok || p.Reason != api.NeedsRestart || !strings.HasPrefix(p.Detail, "gateway.state_dir can only change with") {
			t.Errorf("got %v", err)
		}
		untouched(t, mine, left.allSPIs())
		write(three)
		got, err = left.configure(api.ConfigReload, api.ConfigRequest{})
		if err != nil || got.Plan.Count(config.Added) != 1 || got.ConfirmUntil != nil {
			t.Errorf("got %+v, %v", got, err)
		}
		left.allUp(6)
		untouched(t, mine, left.allSPIs())
		var told []string
		for _, e := range left.configEvents() {
			told = append(told, e.Kind)
		}
		if got := strings.Join(told, " "); got != "config.rejected config.rejected config.rejected config.reloaded" {
			t.Errorf("events %s", got)
		}
		last := left.configEvents()[3]
		if last.Attributes["added"] != "1" || last.Attributes["unchanged"] != "2" || last.Connection != nil {
			t.Errorf("got %+v", last)
		}
	})
}

// F6: a configuration that nobody confirms is gone when its time is over, whoever applied it, and meanwhile no other is taken.
func TestAnUnconfirmedConfigurationGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _, _ := filed(t, 2)
		mine := left.allSPIs()
		three, _ := pairs(3, func(i int, text string) string {
			if i == 2 {
				return strings.Replace(text, "prfsha256", "prfsha384", 1) // which the peer does not have
			}
			return text
		})
		files := []api.ConfigFile{{Name: "/sent.yaml", Text: three}}
		ctx, gone := context.WithCancel(t.Context())
		got, err := left.d.Configure(ctx, api.ConfigApply, api.ConfigRequest{Files: files, ConfirmSeconds: 120})
		gone() // the caller has lost his way to the gateway
		if err != nil || got.ConfirmUntil == nil {
			t.Fatalf("got %+v, %v", got, err)
		}
		if st, err := left.d.Status(t.Context()); err != nil || st.Gateway.ConfirmUntil == nil || !st.Gateway.ConfirmUntil.Equal(*got.ConfirmUntil) {
			t.Errorf("the status says %+v, %v", st.Gateway, err)
		}
		for _, verb := range []api.ConfigVerb{api.ConfigReload, api.ConfigApply} {
			if _, err := left.configure(verb, api.ConfigRequest{}); err == nil || err.(*api.Problem).Reason != api.Conflict {
				t.Errorf("%s while a change is unconfirmed: %v", verb, err)
			}
		}
		time.Sleep(119 * time.Second)
		left.allUp(4) // c1 and c3: c2 cannot with these proposals
		if now := left.allSPIs(); !strings.HasPrefix(now["c2/1"], "DOWN") || len(now) != 6 {
			t.Errorf("before its time is over there is %v", now)
		}
		time.Sleep(2 * time.Second)
		left.allUp(4)
		time.Sleep(time.Minute)
		now := left.allSPIs()
		if _, there := now["c3/1"]; there {
			t.Errorf("what was applied is still there: %v", now)
		}
		left.allUp(4)
		untouched(t, mine, now, "c2")
		if st, _ := left.d.Status(t.Context()); st.Gateway.ConfirmUntil != nil {
			t.Error("the status says that something is unconfirmed")
		}
		events := left.configEvents()
		if e := events[len(events)-1]; e.Kind != "config.rolled_back" || e.Severity != "warning" {
			t.Errorf("the last event is %+v", e)
		}
		if _, err := left.configure(api.ConfigConfirm, api.ConfigRequest{}); err == nil || err.(*api.Problem).Reason != api.NotFound {
			t.Errorf("confirming nothing: %v", err)
		}
	})
}

// F6: one that is confirmed stays.
func TestAConfirmedConfigurationStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _, write := filed(t, 1)
		two, _ := pairs(2, nil)
		write(two)
		if _, err := left.configure(api.ConfigApply, api.ConfigRequest{ConfirmSeconds: 60}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(59 * time.Second)
		if _, err := left.configure(api.ConfigConfirm, api.ConfigRequest{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		left.allUp(4)
		if _, err := left.configure(api.ConfigReload, api.ConfigRequest{}); err != nil {
			t.Error(err)
		}
	})
}

// A secret that has vanished since does not keep the configuration before from coming back: its tunnel is what it costs.
func TestGoingBackDoesWithoutASecretThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _, _ := filed(t, 2)
		dir := t.TempDir()
		place := dir + "/key"
		if err := os.WriteFile(place, []byte("the key of tunnel 1 of c2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		l, _ := pairs(2, func(i int, text string) string {
			return strings.Replace(text, `{inline: "the key of tunnel 1 of c2"}`, "{file: "+place+"}", 1)
		})
		left.reconfigure(l)
		left.allUp(4)
		one, _ := pairs(1, nil)
		if _, err := left.configure(api.ConfigApply, api.ConfigRequest{Files: []api.ConfigFile{{Name: "/one.yaml", Text: one}}, ConfirmSeconds: 5}); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(place); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		left.allUp(3)
		if now := left.allSPIs(); len(now) != 4 {
			t.Errorf("the configuration before has not come back: %v", now)
		}
	})
}

// A daemon that was not made of files has none to read again.
func TestADaemonWithoutFilesSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _ := two(t, 1)
		if _, err := left.configure(api.ConfigReload, api.ConfigRequest{}); err == nil || err.(*api.Problem).Reason != api.NotPossible {
			t.Errorf("got %v", err)
		}
	})
}
