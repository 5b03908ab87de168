package ikev2

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"math/rand/v2"

	"twinbore/esp"
	"twinbore/ike/session"
)

var replayScript = flag.String("replay", "", "file with a script that TestReplay plays and judges")

// toReplay stands before the script of what has failed.
const toReplay = "to see it again: go test ./ike/ikev2 -run TestReplay -v -replay FILE, with this in FILE:\n"

// judged says what is wrong at the end of a script.
func (l *lab) judged() string {
	return cmp.Or(l.disagreement(false), l.sound(l.a), l.sound(l.b), l.a.repeated(), l.b.repeated(), l.gapped)
}

// repeated says which rekey g tells of twice.
func (g *gateway) repeated() string {
	told := map[[2]esp.ChildID]bool{}
	for _, e := range filter(g.events, session.ChildRekeyed) {
		pair := [2]esp.ChildID{e.Old, e.Child.ID}
		if told[pair] {
			return fmt.Sprintf("%s tells twice that %v replaces %v", g.name, e.Child.ID, e.Old)
		}
		told[pair] = true
	}
	return ""
}

// gap says which end sends packets on an SA that the other does not receive on (EV-29).
func (l *lab) gap() string {
	for _, g := range []*gateway{l.a, l.b} {
		if len(g.ready) == 0 {
			return g.name + " has nothing to send on"
		}
		if out := g.children[g.ready[0]].Out.SPI; l.other(g).children[esp.ChildID(out)] == nil {
			return fmt.Sprintf("%s sends on %v, and the other end does not have that", g.name, out)
		}
	}
	return ""
}

// replay plays a script that a failed walk or life has printed, with its transcript behind it or without.
func replay(t testing.TB, script string, tamper func(*gateway, *session.Output)) {
	script, _, _ = strings.Cut(script, "----\n")
	l := newLab(t)
	l.strict, l.tamper = true, tamper
	if err := l.script(script); err != nil {
		t.Fatalf("%v\n%s", err, l.log.String())
	}
	if problem := l.judged(); problem != "" {
		t.Fatalf("%s\n%s", problem, l.log.String())
	}
	t.Logf("it ends well:\n%s", l.log.String())
}

// TestReplay plays the file of -replay; without, a walk that ends well.
func TestReplay(t *testing.T) {
	script := fromTheStart + "rekey-child a\ndrop a\n" + toTheEnd
	if *replayScript != "" {
		text, err := os.ReadFile(*replayScript)
		if err != nil {
			t.Fatal(err)
		}
		script = string(text)
	}
	replay(t, script, nil)
}

// A witness stands in for the test in what is meant to fail.
type witness struct {
	testing.TB
	failed bool
	told   strings.Builder
}

func (w *witness) Helper()                           {}
func (w *witness) Failed() bool                      { return w.failed }
func (w *witness) Logf(format string, args ...any)   { fmt.Fprintf(&w.told, format+"\n", args...) }
func (w *witness) Errorf(format string, args ...any) { w.failed = true; w.Logf(format, args...) }
func (w *witness) Fatalf(format string, args ...any) { w.Errorf(format, args...); runtime.Goexit() }
func (w *witness) Fatal(args ...any)                 { w.Fatalf("%s", fmt.Sprint(args...)) }

// witnessed plays what is meant to fail, to its end or to its first fatal failure.
func witnessed(t testing.TB, play func(testing.TB)) *witness {
	w, over := &witness{TB: t}, make(chan struct{})
	go func() {
		defer close(over)
		play(w)
	}()
	<-over
	return w
}

// TestBrokenRulesAreNoticed: the simulations are worth something only if they fail where they should, and if what they print
// then leads there again. b breaks one rule of each, on purpose.
func TestBrokenRulesAreNoticed(t *testing.T) {
	rules := map[string]struct {
		breaks       func(*gateway, *session.Output)
		walks, lives bool // who notices
	}{
		"what is over leaves the data path": {func(g *gateway, out *session.Output) {
			out.Child = slices.DeleteFunc(out.Child, func(c session.ChildOp) bool { return c.Op == session.Remove })
		}, true, true},
		"a peer's Child SA is sent on only when the peer has shown it": {func(g *gateway, out *session.Output) {
			for i, op := range out.Child {
				if op.Op == session.Install {
					out.Child = slices.Insert(out.Child, i+1, session.ChildOp{Op: session.Activate, ID: op.ID})
					return
				}
			}
		}, true, false},
		"no key comes twice": {func(g *gateway, out *session.Output) {
			for i := range out.Child {
				for _, c := range g.children {
					out.Child[i].Child.In.Key = slices.Clone(c.In.Key)
				}
			}
		}, true, true},
	}
	for name, rule := range rules {
		t.Run(name, func(t *testing.T) {
			tamper := func(g *gateway, out *session.Output) {
				if g.name == "b" && len(g.children) > 0 { // not before the first is up
					rule.breaks(g, out)
				}
			}
			walks := func(t testing.TB) {
				explore(t, route{"rekey-child", "probe", fromTheStart + "gapless\n", toTheEnd}, tamper)
			}
			lives := func(t testing.TB) {
				for seed := uint64(1); seed < 20; seed++ {
					life(t, fmt.Sprint(seed), rand.NewPCG(seed, 1), tamper)
				}
			}
			for _, sim := range []struct {
				name    string
				play    func(testing.TB)
				notices bool
			}{{"walks", walks, rule.walks}, {"lives", lives, rule.lives}} {
				if !sim.notices {
					continue
				}
				w := witnessed(t, sim.play)
				_, script, printed := strings.Cut(w.told.String(), toReplay)
				if !w.failed || !printed {
					t.Errorf("%s: not noticed, or no script: failed %v", sim.name, w.failed)
					continue
				}
				if again := witnessed(t, func(t testing.TB) { replay(t, script, tamper) }); !again.failed {
					t.Errorf("%s: the script that was printed ends well:\n%s", sim.name, script)
				}
			}
		})
	}
}
