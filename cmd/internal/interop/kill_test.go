//go:build interop

package interop

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

var (
	killRounds = flag.Int("kill-rounds", 200, "how often TestKill kills the gateway")
	killSeed   = flag.Uint64("kill-seed", 0, "what TestKill does when; 0: another each time")
)

// A wanted is what must be there of one connection that is made at run time.
type wanted struct {
	there    bool
	document string          // "" is: not known to the octet, text says enough
	text     string          // of its description
	added    map[string]bool // networks
	down     bool            // tunnel 1, by an operator
}

func (w wanted) clone() wanted {
	w.added = maps.Clone(w.added)
	return w
}

// A grave is a deletion that was acknowledged.
type grave struct {
	name, id    string
	sent, acked time.Time
}

// An operator makes, changes and deletes its own connections as fast as the gateway answers.
type operator struct {
	client *api.Client
	rnd    *rand.Rand
	names  []string
	wants  map[string]wanted
	open   map[string]wanted // what a question that was not answered would have led to, by name
	graves []grave
	done   int // acknowledged
}

// kills is what a run of TestKill is made of.
type kills struct {
	*lab
	t         *testing.T
	gateway   *gateway
	operators []*operator
}

// numberOf is a connection's number, which its addresses and networks come from.
func numberOf(name string) int {
	var n int
	fmt.Sscanf(name, "c%d", &n)
	return n
}

func (o *operator) document(name, text string) []byte {
	n := numberOf(name)
	return fmt.Appendf(nil, `{"name":%q,"description":%q,"routing":"static","remote_networks":["10.%d.0.0/16"],"tunnels":[{"remote":"198.51.100.%d"%s},{"remote":"203.0.113.%d"%s}]}`,
		name, text, 100+n, 10+n, `,"psk":{"generate":true}`, 10+n, `,"psk":{"generate":true}`)
}

// run goes on until the gateway does not answer any more.
func (o *operator) run(ctx context.Context) error {
	for n := 0; ; n++ {
		name := o.names[o.rnd.IntN(len(o.names))]
		err := o.step(ctx, name, fmt.Sprintf("version %d of %s", o.rnd.Uint32(), name))
		if errors.Is(err, api.ErrNotReachable) {
			return nil
		}
		if err != nil {
			return err
		}
		o.done++
	}
}

// step asks for one thing. What is wanted of the connection changes only with the answer.
func (o *operator) step(ctx context.Context, name, text string) error {
	now, next := o.wants[name], o.wants[name].clone()
	change := func(verb api.ObjectVerb, document []byte) error {
		o.open[name] = next
		sent := time.Now()
		done, _, err := o.client.ChangeObject(ctx, api.ObjectChange{Verb: verb, Kind: api.Connections, Name: name, Document: document})
		if err != nil {
			return err
		}
		next.document = compact(done.Object.Document)
		if verb == api.Delete {
			next.document = ""
			o.graves = append(o.graves, grave{name, *done.Object.ID, sent, time.Now()})
		}
		return nil
	}
	var err error
	switch pick := o.rnd.IntN(10); {
	case !now.there:
		next = wanted{there: true, text: text, added: map[string]bool{}}
		err = change(api.Create, o.document(name, text))
	case pick < 3:
		next = wanted{}
		err = change(api.Delete, nil)
	case pick < 6:
		next.text, next.document = text, ""
		err = change(api.Patch, fmt.Appendf(nil, `{"description":%q}`, text))
	case pick < 9:
		network := fmt.Sprintf("10.%d.%d.0/24", 150+numberOf(name), o.rnd.IntN(4))
		next.added[network] = !now.added[network]
		o.open[name] = next
		_, err = o.client.ChangeRoutes(ctx, api.RouteChange{Connection: name, Prefixes: []string{network}, Remove: now.added[network]})
	default:
		next.down = !now.down
		verb := api.Up
		if next.down {
			verb = api.Down
		}
		o.open[name] = next
		_, err = o.client.Act(ctx, api.Action{Verb: verb, Connection: name, Tunnel: "1"})
	}
	if err != nil {
		return err
	}
	o.wants[name] = next
	delete(o.open, name)
	return nil
}

func compact(document []byte) string {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return "no JSON: " + string(document)
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// check compares what the gateway says with what is wanted. What was not acknowledged is there or not, as a whole.
func (o *operator) check(k *kills, objects []api.Object, down map[string]bool, added map[string]map[string]bool) {
	there := map[string]api.Object{}
	graves := map[string]api.Object{}
	for _, obj := range objects {
		if obj.Deleted != nil {
			graves[deref(obj.ID)] = obj
		} else {
			there[obj.Name] = obj
		}
	}
	for _, name := range o.names {
		obj, is := there[name]
		got := wanted{there: is, added: added[name], down: down[name+"/1"]}
		if is {
			var doc struct{ Description string }
			if err := json.Unmarshal(obj.Document, &doc); err != nil {
				k.t.Errorf("%s: %v in %s", name, err, obj.Document)
			}
			got.text, got.document = doc.Description, compact(obj.Document)
		}
		open, unanswered := o.open[name]
		switch {
		case got.is(o.wants[name]):
		case unanswered && got.is(open):
		default:
			k.t.Errorf("%s is\n%+v\nand what was acknowledged is\n%+v\nunanswered (%v) was\n%+v", name, got, o.wants[name], unanswered, open)
		}
		if got.added == nil {
			got.added = map[string]bool{}
		}
		o.wants[name] = got
	}
	clear(o.open)
	now := time.Now()
	for _, g := range o.graves {
		obj, is := graves[g.id]
		switch {
		case !is:
			k.t.Errorf("R9: the deletion of %s (%s) %v ago is not listed", g.name, g.id, now.Sub(g.acked))
		case obj.Name != g.name || obj.Left == nil:
			k.t.Errorf("R9: %s is listed as %+v", g.id, obj)
		case *obj.Left < int64((time.Hour-now.Sub(g.sent))/time.Second)-2 || *obj.Left > int64((time.Hour-now.Sub(g.acked))/time.Second)+2:
			k.t.Errorf("R9: %s was deleted %v ago and is listed for %d s", g.id, now.Sub(g.acked), *obj.Left)
		}
		for _, obj := range there {
			if deref(obj.ID) == g.id {
				k.t.Errorf("R9: %s has the id of the deleted %s", obj.Name, g.name)
			}
		}
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func (w wanted) is(want wanted) bool {
	if !want.there {
		return !w.there && len(w.networks()) == 0 && !w.down
	}
	return w.there && w.text == want.text && (want.document == "" || w.document == want.document) && w.down == want.down && slices.Equal(w.networks(), want.networks())
}

// networks are those that are added.
func (w wanted) networks() []string {
	var out []string
	for n, is := range w.added {
		if is {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

const killConfig = `gateway:
  state_dir: %[1]s/state
  outside: {address: 192.0.2.1}
  networks: [10.1.0.0/16]
  secrets: {dir: %[1]s/secrets}
  api: {socket: %[1]s/a.sock, group: root}
connections:
  - name: office
    routing: static
    remote_networks: [10.9.0.0/16]
    tunnels: [{remote: 198.51.100.1, psk: {generate: true}}, {remote: 198.51.100.2, psk: {generate: true}}]
`

// The gateway is killed at random moments while operators make, change and delete connections, add and take away routes, and
// take tunnels down. Whatever it had acknowledged is there when it runs again, and nothing is half there; what was deleted is
// listed for its hour; the kernel's routes are what is configured; no key of a deleted connection is left.
func TestKill(t *testing.T) { // EV-03; hardening 5.1; R8, R9, R35
	t.Parallel()
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/twinbore is not built; run: make build")
	}
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-kill-seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	k := &kills{lab: newLab(t), t: t}
	client := api.NewClient(k.path("a.sock"))
	for i := range 2 {
		o := &operator{client: client, rnd: rand.New(rand.NewPCG(seed, uint64(i+1))), wants: map[string]wanted{}, open: map[string]wanted{}}
		for n := range 5 {
			o.names = append(o.names, fmt.Sprintf("c%d", 5*i+n))
		}
		k.operators = append(k.operators, o)
	}
	began, down := time.Now(), time.Duration(0)
	for round := range *killRounds {
		var err error
		start := time.Now()
		if k.gateway, err = k.startGateway("a", fmt.Sprintf(killConfig, k.dir)); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, k.gateway.output())
		}
		down += time.Since(start)
		k.check(client)
		if t.Failed() {
			t.Fatalf("in round %d; the gateway said\n%s", round, tail(k.gateway.output(), 20))
		}
		var all sync.WaitGroup
		for _, o := range k.operators {
			all.Go(func() {
				if err := o.run(t.Context()); err != nil {
					t.Errorf("round %d: %v", round, err)
				}
			})
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(150 * time.Millisecond))))
		k.gateway.cmd.Process.Kill()
		<-k.gateway.ended
		all.Wait()
	}
	total, graves := 0, 0
	for _, o := range k.operators {
		total, graves = total+o.done, graves+len(o.graves)
	}
	t.Logf("%d kills in %v: %d changes acknowledged, %d of them deletions; %v on average until it answers again", *killRounds, time.Since(began).Round(time.Second),
		total, graves, (down / time.Duration(*killRounds)).Round(time.Millisecond))
	if total < *killRounds {
		t.Errorf("only %d changes were acknowledged: too few to show anything", total)
	}
}

// check looks at everything after a start.
func (k *kills) check(client *api.Client) {
	ctx := k.t.Context()
	all, _, err := client.Objects(ctx, api.Connections)
	if err != nil {
		k.t.Error(err)
		return
	}
	routes, _, err := client.Routes(ctx, "")
	if err != nil {
		k.t.Error(err)
		return
	}
	st, _, err := client.Status(ctx)
	if err != nil {
		k.t.Error(err)
		return
	}
	added, down := map[string]map[string]bool{}, map[string]bool{}
	for _, r := range routes.Routes {
		if r.Source == "added" {
			if added[r.Connection] == nil {
				added[r.Connection] = map[string]bool{}
			}
			added[r.Connection][r.Prefix] = true
		}
	}
	for _, c := range st.Connections {
		for _, t := range c.Tunnels {
			down[c.Name+"/"+t.Name] = t.Admin == "down"
		}
	}
	for _, o := range k.operators {
		o.check(k, all.Objects, down, added)
	}
	if aside, _ := filepath.Glob(k.path("state/*.bad")); len(aside) > 0 {
		k.t.Errorf("the store was damaged: %v", aside)
	}
	networks, keys := []string{"10.9.0.0/16"}, []string{"office.1.psk", "office.2.psk"}
	for _, o := range k.operators {
		for name, w := range o.wants {
			if w.there {
				networks = append(append(networks, fmt.Sprintf("10.%d.0.0/16", 100+numberOf(name))), w.networks()...)
				keys = append(keys, name+".1.psk", name+".2.psk")
			}
		}
	}
	slices.Sort(networks)
	slices.Sort(keys)
	err = until(3*time.Second, func() error {
		if got := k.kernelRoutes(); !slices.Equal(got, networks) {
			return fmt.Errorf("the kernel has routes to %v, want %v", got, networks)
		}
		return nil
	})
	if err != nil {
		k.t.Error(err)
	}
	var kept []string
	files, _ := os.ReadDir(k.path("secrets"))
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), ".new-") { // a kill in the middle of making one leaves that, which nobody reads
			kept = append(kept, f.Name())
		}
	}
	if !slices.Equal(kept, keys) {
		k.t.Errorf("keys are kept as %v, want %v", kept, keys)
	}
}

// kernelRoutes are the destinations of our routes.
func (k *kills) kernelRoutes() []string {
	out, err := run(5*time.Second, "ip", "-n", k.ns("a"), "-j", "route", "show", "table", "all", "proto", "157")
	if err != nil {
		return []string{err.Error()}
	}
	var list []struct{ Dst string }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return []string{err.Error(), out}
	}
	var all []string
	for _, r := range list {
		all = append(all, r.Dst)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
