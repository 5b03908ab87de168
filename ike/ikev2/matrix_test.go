package ikev2

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"twinbore/esp"
)

// The collision matrix of hardening.md §5.3: what a does, against what b asks for at the same moment. a is the IKE SA's
// initiator.
var (
	ownOps  = []string{"rekey-child", "delete-child", "new-child", "rekey-ike", "close", "forget-child"}
	peerOps = []string{"rekey-child", "delete-child", "rekey-ike", "close", "new-child"}
)

// doing says what an operation is in a sentence.
var doing = map[string]string{"rekey-child": "rekeys the Child SA", "delete-child": "deletes the Child SA", "new-child": "asks for another Child SA",
	"rekey-ike": "rekeys the IKE SA", "close": "deletes the IKE SA", "forget-child": "has lost the Child SA"}

// What can be otherwise in a cell than that every message arrives in order.
type fate struct {
	lost int  // the number of the message that does not arrive; 0: none
	late bool // b's answer to a comes after all that follows from the rest, b's Deletes included
	seed int  // of b: what it draws decides who wins by the nonces; 0: that of the lab
}

func (f fate) suffix() string {
	switch {
	case f.lost > 0:
		return fmt.Sprintf("-lost-%d", f.lost)
	case f.seed > 0:
		return fmt.Sprintf("-late-%d", f.seed)
	case f.late:
		return "-late"
	}
	return ""
}

// cell is the script of one cell.
func cell(own, peer string, f fate) string {
	section := "§2.25"
	switch {
	case own == peer && own == "rekey-child":
		section = "§2.8.1"
	case own == peer && own == "rekey-ike":
		section = "§2.8.2"
	}
	story, before, after := "every message arrives", "", ""
	switch {
	case f.lost > 0:
		story, before = fmt.Sprintf("message %d is lost", f.lost), fmt.Sprintf("lose %d\n", f.lost)
	case f.late:
		story, before, after = "b's answer arrives after b's Delete", "hold b\n", "release\ndeliver all\n"
	}
	seed := ""
	if f.seed > 0 {
		seed = fmt.Sprintf(" seed=%d", f.seed)
	}
	return fmt.Sprintf("# RFC 7296 %s: a %s while b %s; %s.\nset a dpd=0s\nset b dpd=0s%s\nestablished\n%s%s a | %s b\ndeliver all\n%swait 90s\ntraffic\nwait 5s\n",
		section, doing[own], doing[peer], story, seed, before, own, peer, after)
}

// noLate says of a cell why b's answer cannot come after a Delete of b's; a cell that is not here has such a transcript.
var noLate = map[string]string{
	"rekey-child new-child":    "b deletes nothing",
	"rekey-child rekey-ike":    "a refuses, so that b has nothing to delete",
	"delete-child rekey-child": "a refuses, so that b has nothing to delete",
	"delete-child rekey-ike":   "a refuses, so that b has nothing to delete",
	"delete-child new-child":   "b deletes nothing",
	"new-child rekey-ike":      "a refuses, so that b has nothing to delete",
	"new-child new-child":      "b deletes nothing",
	"rekey-ike rekey-child":    "a refuses, so that b has nothing to delete",
	"rekey-ike new-child":      "a refuses, and b deletes nothing",
	"close rekey-child":        "a refuses, so that b has nothing to delete",
	"close rekey-ike":          "a refuses, so that b has nothing to delete",
	"close new-child":          "a refuses, and b deletes nothing",
}

// fates are what happens in a cell: nothing, each message lost, the answer late. Where the nonces decide, they do so
// both ways.
func fates(t *testing.T, own, peer string) []fate {
	list := []fate{{}}
	for lost := range messagesBefore(own, peer, t) {
		list = append(list, fate{lost: lost + 1})
	}
	if own == "forget-child" || noLate[own+" "+peer] != "" { // a has asked for nothing, or b deletes nothing
		return list
	}
	list = append(list, fate{late: true})
	if own == peer && (own == "rekey-child" || own == "rekey-ike") {
		list = append(list, fate{late: true, seed: 4})
	}
	return list
}

// TestCollisionMatrix is SM-09 and EV-31: it plays the matrix, in order, with each message lost and with the answer later than the peer's Delete:
// both ends must agree in the end, and what happens in between is in testdata/collide-OWN-PEER[-lost-NUMBER|-late].txt.
func TestCollisionMatrix(t *testing.T) {
	var names []string
	for _, own := range ownOps {
		for _, peer := range peerOps {
			for _, f := range fates(t, own, peer) {
				name := "collide-" + own + "-" + peer + f.suffix()
				names = append(names, name)
				t.Run(name, func(t *testing.T) { holdCell(t, "testdata/"+name+".txt", own, cell(own, peer, f)) })
			}
		}
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name, ours := strings.CutSuffix(f.Name(), ".txt"); ours && strings.HasPrefix(name, "collide-") && !slices.Contains(names, name) {
			t.Errorf("%s is of no cell: delete it", f.Name())
		}
	}
}

// TestLateAnswers: the answer of a late cell comes after a Delete of b's, and that of a cell without cannot.
func TestLateAnswers(t *testing.T) {
	for _, own := range ownOps {
		for _, peer := range peerOps {
			if own == "forget-child" {
				continue
			}
			l := newLab(t)
			before, _, _ := strings.Cut(cell(own, peer, fate{late: true}), "release")
			if err := l.script(before); err != nil {
				t.Fatal(err)
			}
			if len(l.held) != 1 {
				t.Errorf("%s × %s: no answer is held back\n%s", own, peer, l.log.String())
			}
			why := noLate[own+" "+peer]
			if deletes := strings.Contains(l.log.String(), "b → a  INFORMATIONAL request"); deletes != (why == "") {
				t.Errorf("%s × %s: b deletes something: %v, but it says %q\n%s", own, peer, deletes, why, l.log.String())
			}
		}
	}
}

// messagesBefore counts the messages of a cell until both have nothing more to say at once.
func messagesBefore(own, peer string, t *testing.T) int {
	l := newLab(t)
	before, _, _ := strings.Cut(cell(own, peer, fate{lost: 99}), "wait")
	if err := l.script(before); err != nil {
		t.Fatal(err)
	}
	return l.taken
}

// holdCell plays a cell and compares all of it, script and transcript, with its file.
func holdCell(t *testing.T, file, own, script string) {
	t.Parallel()
	l := newLab(t)
	if err := l.script(script); err != nil {
		t.Fatal(err)
	}
	if problem := cmp.Or(l.disagreement(own == "forget-child"), l.a.repeated(), l.b.repeated()); problem != "" {
		t.Errorf("%s\n%s", problem, l.log.String())
	}
	got := script + "----\n" + l.transcript()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != got {
		t.Errorf("%s (%v): it went otherwise (rewrite with go test ./ike/ikev2 -run CollisionMatrix -update, then read the difference)\n%s", file, err, got)
	}
}

// disagreement tells in what the two ends differ, or what one of them keeps of what is gone. With lost, b may have a Child
// SA that it has had no reason to miss yet.
func (l *lab) disagreement(lost bool) string {
	sa, sb := l.a.sa(), l.b.sa()
	if sa == nil || sb == nil {
		if sa != nil || sb != nil || len(l.a.children)+len(l.b.children) > 0 || len(l.a.alloc)+len(l.b.alloc) > 0 {
			return fmt.Sprintf("a has an IKE SA: %v, b has one: %v, with %d and %d Child SAs in the data path", sa != nil, sb != nil, len(l.a.children), len(l.b.children))
		}
		return ""
	}
	if sa.spiI != sb.spiI || sa.spiR != sb.spiR {
		return "they use different IKE SAs"
	}
	for _, g := range []*gateway{l.a, l.b} {
		there := l.other(g).sa()
		if len(g.sessions) != 1 || len(g.sa().p.sas) != 1 {
			return fmt.Sprintf("%s keeps %d sessions and %d IKE SAs", g.name, len(g.sessions), len(g.sa().p.sas))
		}
		if len(g.children) != len(g.sa().children) || len(g.alloc) != len(g.children) {
			return fmt.Sprintf("%s has %d Child SAs, %d in the data path, %d SPIs", g.name, len(g.sa().children), len(g.children), len(g.alloc))
		}
		for _, c := range g.sa().children {
			if there.childByOut(esp.SPI(c.id)) == nil && !(lost && g == l.b) {
				return fmt.Sprintf("%s has %v, and the other end does not", g.name, c.id)
			}
			if c.state != childUp || !g.children[c.id].active {
				return fmt.Sprintf("%s has %v, which is in state %d and active: %v", g.name, c.id, c.state, g.children[c.id].active)
			}
		}
	}
	return ""
}

// script does the lines of a script.
func (l *lab) script(text string) error {
	for number, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		for command := range strings.SplitSeq(line, "|") {
			if fields := strings.Fields(command); len(fields) > 0 {
				if err := l.command(fields); err != nil {
					return fmt.Errorf("line %d: %w", number+1, err)
				}
				if l.gapless && l.gapped == "" {
					if l.gapped = l.gap(); l.gapped != "" {
						l.gapped += ", after " + line
					}
				}
			}
		}
	}
	return nil
}
