package ikev2

import (
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

// cell is the script of one cell; lost is the number of the message that does not arrive, 0 for none.
func cell(own, peer string, lost int) string {
	section := "§2.25"
	switch {
	case own == peer && own == "rekey-child":
		section = "§2.8.1"
	case own == peer && own == "rekey-ike":
		section = "§2.8.2"
	}
	story, lose := "every message arrives", ""
	if lost > 0 {
		story, lose = fmt.Sprintf("message %d is lost", lost), fmt.Sprintf("lose %d\n", lost)
	}
	return fmt.Sprintf("# RFC 7296 %s: a %s while b %s; %s.\nset a dpd=0s\nset b dpd=0s\nestablished\n%s%s a | %s b\ndeliver all\nwait 90s\ntraffic\nwait 5s\n",
		section, doing[own], doing[peer], story, lose, own, peer)
}

// TestCollisionMatrix is SM-09: it plays the matrix, in order and with each message lost: both ends must agree in the end, and what
// happens in between is in testdata/collide-OWN-PEER[-lost-NUMBER].txt.
func TestCollisionMatrix(t *testing.T) {
	var names []string
	for _, own := range ownOps {
		for _, peer := range peerOps {
			for lost := range messagesBefore(own, peer, t) + 1 {
				name := "collide-" + own + "-" + peer
				if lost > 0 {
					name += fmt.Sprintf("-lost-%d", lost)
				}
				names = append(names, name)
				t.Run(name, func(t *testing.T) { holdCell(t, "testdata/"+name+".txt", own, cell(own, peer, lost)) })
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

// messagesBefore counts the messages of a cell until both have nothing more to say at once.
func messagesBefore(own, peer string, t *testing.T) int {
	l := newLab(t)
	before, _, _ := strings.Cut(cell(own, peer, 99), "wait")
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
	if problem := l.disagreement(own == "forget-child"); problem != "" {
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
