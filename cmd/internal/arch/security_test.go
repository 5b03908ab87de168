package arch

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// rows says how many hostile inputs each group of testdata/security has, and how many events testdata/reliability (EV), so that
// none is left out by leaving it out of its list as well.
var rows = map[string]int{"EV": 38, "MAL": 25, "SM": 24, "DOS": 19, "CRY": 16, "AUT": 14, "TS": 10, "RPL": 11, "ESP": 8, "SEC": 8, "CTL": 7}

var (
	rowID     = regexp.MustCompile(`\b(?:EV|MAL|SM|DOS|CRY|AUT|TS|RPL|ESP|SEC|CTL)-[0-9]{2}\b`)
	rowForm   = regexp.MustCompile(`^((EV|MAL|SM|DOS|CRY|AUT|TS|RPL|ESP|SEC|CTL)-([0-9]{2})): (\S.{15,}) -> (\S.{3,})$`)
	shownForm = regexp.MustCompile(`^(\S+_test\.go) ((?:Test|Fuzz|Benchmark)\w+)$`)
)

// A row is an entry of testdata/security: what a hostile peer or network does, and what happens then. Or one of
// testdata/reliability: what goes wrong around the gateway.
//
//	MAL-03: on port 4500: one 0xFF, a marker with 27 octets -> a keepalive proves nothing, the others are dropped
//		see: tunnel/transport/classify_test.go TestClassify
//		differs: …
//		not here: …
//
// It is shown by each test that it says to see: the function is there, and its file names the id. A row that another
// version of IKE is about, or that concerns something we do not have, says so; where we do otherwise than the row's
// first form wanted, it says why.
type row struct {
	id, group string
	number    int
	see       []string
	notHere   string
	at        string // file:line
}

// allRows reads the lists of both folders.
func allRows(t *testing.T) []*row {
	t.Helper()
	var names []string
	for _, folder := range []string{"security", "reliability"} {
		in, err := filepath.Glob(filepath.Join(root(), "testdata", folder, "*.txt"))
		if err != nil || len(in) == 0 {
			t.Fatalf("no lists in testdata/%s: %v", folder, err)
		}
		names = append(names, in...)
	}
	var out []*row
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		lines := bufio.NewScanner(f)
		for n := 1; lines.Scan(); n++ {
			at := fmt.Sprintf("%s:%d", filepath.Base(name), n)
			line := lines.Text()
			see, isSee := strings.CutPrefix(line, "\tsee: ")
			reason, isReason := strings.CutPrefix(line, "\tnot here: ")
			differs, isDiffers := strings.CutPrefix(line, "\tdiffers: ")
			entry := rowForm.FindStringSubmatch(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case entry != nil:
				r := &row{id: entry[1], group: entry[2], at: at}
				fmt.Sscan(strings.TrimLeft(entry[3], "0"), &r.number)
				out = append(out, r)
			case isSee && len(out) > 0:
				out[len(out)-1].see = append(out[len(out)-1].see, see)
			case isReason && len(out) > 0 && len(reason) > 4:
				out[len(out)-1].notHere = reason
			case isDiffers && len(out) > 0 && len(differs) > 15:
			default:
				t.Errorf("%s: %q is neither a row nor what belongs to one", at, line)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestHostileInputsAndEventsAreShown(t *testing.T) {
	known, last := map[string]bool{}, map[string]int{}
	shown := 0
	for _, r := range allRows(t) {
		if known[r.id] || r.number != last[r.group]+1 {
			t.Errorf("%s: %s after %s-%02d: rows come once, in their order and without a gap", r.at, r.id, r.group, last[r.group])
		}
		known[r.id], last[r.group] = true, r.number
		for _, see := range r.see {
			if err := shows(see, r.id); err != nil {
				t.Errorf("%s: %s: %v", r.at, r.id, err)
			}
		}
		switch {
		case len(r.see) > 0:
			shown++
		case r.notHere == "":
			t.Errorf("%s: %s is shown by no test: name one, or say \"not here:\" and why", r.at, r.id)
		}
	}
	for group, n := range rows {
		if last[group] != n {
			t.Errorf("group %s ends with row %d, want %d", group, last[group], n)
		}
	}
	for group := range last {
		if rows[group] == 0 {
			t.Errorf("group %s: say how many rows it has", group)
		}
	}
	for _, s := range tree(t) {
		for _, id := range rowID.FindAllString(string(s.text), -1) {
			if group, _, _ := strings.Cut(id, "-"); rows[group] > 0 && !known[id] {
				t.Errorf("%s cites %s, which no list has", s.path, id)
			}
		}
	}
	t.Logf("%d of %d hostile inputs and events are shown", shown, len(known))
}

// shows reports whether what a row says to see shows it: a test in a file that names the row, or another file with a
// text in it.
func shows(see, id string) error {
	m := shownForm.FindStringSubmatch(see)
	if m == nil {
		return look(see)
	}
	b, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(m[1])))
	switch text := string(b); {
	case err != nil:
		return fmt.Errorf("see %s: there is no such file", m[1])
	case !strings.Contains(text, "\nfunc "+m[2]+"("):
		return fmt.Errorf("see %s: there is no %s in it", m[1], m[2])
	case !strings.Contains(text, id):
		return fmt.Errorf("see %s: it does not name %s", m[1], id)
	}
	return nil
}
