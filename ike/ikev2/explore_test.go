package ikev2

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/ike/session"
)

var (
	exploreDepth  = flag.Int("depth", 5, "how many steps TestEveryInterleaving decides; the rest goes by itself")
	exploreFaults = flag.Int("faults", 1, "how many of these steps may be faults of the network")
)

// exploredOps are what either end may begin, at any moment.
var exploredOps = []string{"rekey-child", "delete-child", "rekey-ike", "probe", "close"}

// A walk is one order of events: what was decided at each step, out of how many, and the script that it comes to.
type walk struct {
	*lab
	route
	todo   [2]string // what a and b have not begun yet
	faults int       // that may still happen
	taken  []string
}

// place is where a walk is: what has come to each end and when, what is on its way, and what may still happen. Walks that
// meet in one place go on alike: most orders differ only in which end was first to do what the other does not notice yet.
func (w *walk) place() [sha256.Size]byte {
	digest := sha256.New()
	for i, g := range []*gateway{w.a, w.b} {
		fmt.Fprintf(digest, "%x %s %d ", g.past, w.todo[i], len(g.queue))
		for _, d := range g.queue {
			fmt.Fprintf(digest, "%d ", len(d.Bytes))
			digest.Write(d.Bytes)
		}
	}
	fmt.Fprintf(digest, "%v %d %d", w.now.UnixNano(), w.faults, len(w.taken))
	return [sha256.Size]byte(digest.Sum(nil))
}

// steps are what can happen next. The first is what happens when nothing goes wrong.
func (w *walk) steps() []string {
	var good, bad []string
	for i, g := range []*gateway{w.a, w.b} {
		if w.todo[i] != "" {
			good = append(good, w.todo[i]+" "+g.name)
		}
		if len(g.queue) > 0 {
			good = append(good, "deliver "+g.name)
			bad = append(bad, "drop "+g.name, "repeat "+g.name)
		}
		if len(g.queue) > 1 {
			bad = append(bad, "late "+g.name)
		}
	}
	if len(w.a.queue)+len(w.b.queue) > 0 {
		bad = append(bad, "wait 600ms hold") // the first repetition of a request comes before the message
	}
	if w.faults == 0 {
		return good
	}
	return append(good, bad...)
}

// take does one step.
func (w *walk) take(step string) error {
	w.taken = append(w.taken, step)
	switch f := strings.Fields(step); f[0] {
	case "drop", "repeat", "late", "wait":
		w.faults--
	case "deliver":
	default:
		g := map[string]*gateway{"a": w.a, "b": w.b}[f[1]]
		w.todo[strings.Index("ab", f[1])] = ""
		w.meets(g, []byte(step))
		if f[0] == "delete-child" || f[0] == "rekey-child" { // of what is there still
			if s := g.sa(); s == nil || !slices.ContainsFunc(s.children, func(c *child) bool { return c.state == childUp }) {
				w.taken[len(w.taken)-1] = "# no Child SA for " + step
				return nil
			}
		}
	}
	return w.script(step)
}

// How a walk begins and ends. Between two that are up liveness is checked only where the walk says so; they end without faults
// and with time to heal. Where they must find each other, a does at the end what the connection logic would.
const (
	fromTheStart   = "set a dpd=0s\nset b dpd=0s\nestablished\n"
	toTheEnd       = "deliver all\nwait 90s\ntraffic\nwait 5s\n"
	fromNothing    = "set a initial-contact=yes\nset b initial-contact=yes\n"
	toTheSameAgain = "deliver all\nwait 10s\ntraffic\nlet-go\nwant-if-none a\n"
)

// A route is what two ends begin, and where.
type route struct {
	own, other string
	begin, end string
}

// routes are all that is explored.
func routes() (all []route) {
	for _, own := range exploredOps {
		for _, other := range exploredOps {
			r := route{own, other, fromTheStart, toTheEnd}
			if gives := []string{"close", "delete-child"}; !slices.Contains(gives, own) && !slices.Contains(gives, other) {
				r.begin += "gapless\n" // nobody gives up a Child SA
			}
			all = append(all, r)
		}
	}
	healed := strings.Repeat(toTheSameAgain, 8) + toTheEnd + "one-pair\n"
	all = append(all, route{"want", "want", fromNothing, healed})
	for _, own := range []string{"restart", "restart-and-want"} {
		for _, other := range []string{"restart-and-want", "rekey-child", "rekey-ike", "close", "probe"} {
			all = append(all, route{own, other, fromNothing + "established\n", healed})
		}
	}
	return all
}

// text is what TestReplay and a file in testdata can play.
func (w *walk) text() string {
	return w.begin + strings.Join(w.taken, "\n") + "\n" + w.route.end
}

// explore goes every way that two operations can meet, depth first, but from each place only once. It returns how many walks
// there were, and how many of them came to a place where another had been.
func explore(t testing.TB, r route, tamper func(*gateway, *session.Output)) (walks, met int) {
	var choices []int // of the walk at hand; beyond them the first step is taken
	been := map[[sha256.Size]byte]bool{}
	var w *walk
	defer func() {
		if t.Failed() {
			t.Logf("%s%s", toReplay, w.text())
		}
	}()
	for {
		w = &walk{lab: newLab(t), route: r, todo: [2]string{r.own, r.other}, faults: *exploreFaults}
		w.strict, w.tamper = true, tamper
		if err := w.script(w.begin); err != nil {
			t.Fatal(err)
		}
		var width []int
		again := false
		for depth := range *exploreDepth {
			steps := w.steps()
			if len(steps) == 0 {
				break
			}
			if depth == len(choices) {
				choices = append(choices, 0)
			}
			width = append(width, len(steps))
			if err := w.take(steps[choices[depth]]); err != nil {
				t.Fatal(err)
			}
			if depth == len(choices)-1 { // new: those before it are on the way of the walk before
				if here := w.place(); been[here] {
					again = true
					break
				} else {
					been[here] = true
				}
			}
		}
		walks++
		if again {
			met++
		} else {
			w.finish()
		}
		choices = choices[:len(width)]
		for len(choices) > 0 && choices[len(choices)-1]+1 == width[len(choices)-1] {
			choices = choices[:len(choices)-1]
		}
		if len(choices) == 0 {
			return walks, met
		}
		choices[len(choices)-1]++
	}
}

// finish ends a walk and judges it.
func (w *walk) finish() {
	for i, g := range []*gateway{w.a, w.b} {
		if w.todo[i] != "" {
			if err := w.take(w.todo[i] + " " + g.name); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	if err := w.script(w.route.end); err != nil {
		w.t.Fatal(err)
	}
	if problem := w.judged(); problem != "" {
		w.t.Fatalf("%s\n%s", problem, w.log.String())
	}
}

// TestEveryInterleaving is hardening F10, systematically: whatever two operations the two ends begin, in whatever order their
// messages come, and whichever of them is lost, repeated, late or overtaken, both ends agree in the end, no key is used
// with one IV twice, and nothing is left over. Where nobody gives up a Child SA, each end has at every moment one to send on
// that the other receives on, so that no packet is lost (EV-29). Both begin at once from nothing, and start anew at any moment (EV-05).
// It decides five steps, one of which may be a fault. For longer,
// as `make lives` does: -depth 6 -faults 2.
func TestEveryInterleaving(t *testing.T) {
	for _, r := range routes() {
		t.Run(r.own+" and "+r.other, func(t *testing.T) {
			t.Parallel()
			began := time.Now()
			walks, met := explore(t, r, nil)
			t.Logf("%d ways, %d of them to where another had led, in %v", walks, met, time.Since(began).Round(time.Millisecond))
		})
	}
}
