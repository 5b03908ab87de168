package ikev2

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	exploreDepth  = flag.Int("depth", 3, "how many steps TestEveryInterleaving decides; the rest goes by itself")
	exploreFaults = flag.Int("faults", 1, "how many of these steps may be faults of the network")
	replayScript  = flag.String("replay", "", "file with a script that TestReplay plays and judges")
)

// exploredOps are what either end may begin, at any moment.
var exploredOps = []string{"rekey-child", "delete-child", "rekey-ike", "probe", "close"}

// A walk is one order of events: what was decided at each step, out of how many, and the script that it comes to.
type walk struct {
	*lab
	todo   [2]string // what a and b have not begun yet
	faults int       // that may still happen
	taken  []string
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
	f := strings.Fields(step)
	switch f[0] {
	case "drop", "repeat", "late", "wait":
		w.faults--
	case "deliver":
	default:
		w.todo[strings.Index("ab", f[1])] = ""
	}
	if (f[0] == "delete-child" || f[0] == "rekey-child") && len(f) > 1 { // of what is there still
		g := map[string]*gateway{"a": w.a, "b": w.b}[f[1]]
		if s := g.sa(); s == nil || !slices.ContainsFunc(s.children, func(c *child) bool { return c.state == childUp }) {
			w.taken = w.taken[:len(w.taken)-1]
			return nil
		}
	}
	return w.command(f)
}

// fromTheStart is how every walk begins: liveness is checked only where the walk says so. toTheEnd is how every walk ends:
// without faults, and with time to heal.
const (
	fromTheStart = "set a dpd=0s\nset b dpd=0s\nestablished\n"
	toTheEnd     = "deliver all\nwait 90s\ntraffic\nwait 5s\n"
)

// text is what TestReplay and a file in testdata can play.
func (w *walk) text() string {
	return fromTheStart + strings.Join(w.taken, "\n") + "\n" + toTheEnd
}

// explore goes every way that own and other can meet, depth first, and returns how many there were.
func explore(t *testing.T, own, other string) (walks int) {
	var choices []int // of the walk at hand; beyond them the first step is taken
	for {
		w := &walk{lab: newLab(t), todo: [2]string{own, other}, faults: *exploreFaults}
		if err := w.script(fromTheStart); err != nil {
			t.Fatal(err)
		}
		var width []int
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
		}
		walks++
		for i, g := range []*gateway{w.a, w.b} {
			if w.todo[i] != "" {
				if err := w.take(w.todo[i] + " " + g.name); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.script(toTheEnd); err != nil {
			t.Fatal(err)
		}
		if problem := cmp.Or(w.disagreement(false), w.sound(w.a), w.sound(w.b)); problem != "" {
			t.Fatalf("%s; go test ./ike/ikev2 -run TestReplay -replay FILE, with this in FILE:\n%s\n%s", problem, w.text(), w.log.String())
		}
		choices = choices[:len(width)]
		for len(choices) > 0 && choices[len(choices)-1]+1 == width[len(choices)-1] {
			choices = choices[:len(choices)-1]
		}
		if len(choices) == 0 {
			return walks
		}
		choices[len(choices)-1]++
	}
}

// TestEveryInterleaving is hardening F10, systematically: whatever two operations the two ends begin, in whatever order their
// messages come, and whichever of them is lost, repeated, late or overtaken, both ends agree in the end, no key is used
// with one IV twice, and nothing is left over. For longer: -depth 6 -faults 2.
func TestEveryInterleaving(t *testing.T) {
	for _, own := range exploredOps {
		for _, other := range exploredOps {
			t.Run(own+" and "+other, func(t *testing.T) {
				t.Parallel()
				began := time.Now()
				t.Logf("%d ways in %v", explore(t, own, other), time.Since(began).Round(time.Millisecond))
			})
		}
	}
}

// TestReplay plays a script that a failed walk has printed.
func TestReplay(t *testing.T) {
	script := fromTheStart + "rekey-child a\ndrop a\n" + toTheEnd // without a file, a walk that ends well
	if *replayScript != "" {
		text, err := os.ReadFile(*replayScript)
		if err != nil {
			t.Fatal(err)
		}
		script, _, _ = strings.Cut(string(text), "----\n")
	}
	l := newLab(t)
	if err := l.script(script); err != nil {
		t.Fatal(err)
	}
	if problem := cmp.Or(l.disagreement(false), l.sound(l.a), l.sound(l.b)); problem != "" {
		t.Errorf("%s\n%s", problem, l.log.String())
	}
	if *replayScript != "" {
		fmt.Println(l.log.String())
	}
}
