package arch

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A requirement is an entry of testdata/rfc:
//
//	N-21 §2.1 §2.4: an initiator asks again with the same octets, ever more slowly
//		see: ike/ikev2/testdata/silent-peer.txt
//		see: ike/ikev2/again_test.go TestRequestsComeAgainAsTheyWere
//		not done: …
//		differs: …
//
// It is shown when its id stands in a test or in test data, or when what it says to see is there: a file, a file and a
// text in it, or a test. That code says of itself that it meets a requirement shows nothing. What is missing, in whole or in part, has a
// reason; so has what is done otherwise than the document says.
type requirement struct {
	id, text string
	see      []string
	notDone  string
	differs  string
	at       string // file:line
}

// wanted says which requirements there are in each series, so that none is left out by leaving it out of its list as well.
var wanted = map[string][][2]int{
	"N": {{1, 13}, {20, 34}, {40, 41}, {50, 55}, {60, 67}}, // RFC 7296
	"A": {{1, 5}}, "B": {{1, 4}}, "D": {{1, 5}},            // RFC 8247, 8221, 6989
	"P": {{1, 9}}, "E": {{1, 8}}, "U": {{1, 5}}, // RFC 4301, 4303, 3948
	"F": {{1, 9}}, "G": {{1, 5}}, "K": {{1, 4}}, "H": {{1, 6}}, "W": {{1, 9}}, // RFC 7383, 7427, 8784, 9370, 4555
	"C": {{1, 3}}, "Q": {{1, 4}}, "R": {{1, 1}}, "S": {{1, 1}}, // RFC 6023, 6290, 5685, 5723
	"X": {{1, 5}}, // RFC 9611
}

// A list is one file of testdata/rfc. Its first line names the documents and what they are about.
type list struct {
	file  string   // from the root
	rfcs  []string // "7427"
	what  string
	items []*requirement
}

var (
	idForm    = regexp.MustCompile(`\b[A-Z]-[0-9]{2}\b`)
	titleForm = regexp.MustCompile(`^# RFC ([0-9]{4}(?:, [0-9]{4})*): (\S.{4,})$`)
	entryForm = regexp.MustCompile(`^([A-Z]-[0-9]{2})((?: §[0-9A-Z.]+)+): (\S.{15,})$`)
	testForm  = regexp.MustCompile(`^(?:Test|Fuzz|Benchmark)\w+$`)
)

// lists reads all lists, in the order of their names.
func lists(t *testing.T) []*list {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(), "testdata", "rfc", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no lists in testdata/rfc: %v", err)
	}
	var out []*list
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		first, rest, _ := strings.Cut(string(text), "\n")
		title := titleForm.FindStringSubmatch(first)
		if title == nil || !strings.HasPrefix(filepath.Base(name), "rfc"+title[1][:4]) {
			t.Errorf("%s: the first line %q does not say \"# RFC number: what it is about\"", filepath.Base(name), first)
			continue
		}
		l := &list{file: path.Join("testdata/rfc", filepath.Base(name)), rfcs: strings.Split(title[1], ", "), what: title[2]}
		for n, line := range strings.Split(strings.TrimSuffix(rest, "\n"), "\n") {
			if at := fmt.Sprintf("%s:%d", filepath.Base(name), n+2); !l.read(line, at) {
				t.Errorf("%s: %q is neither an entry nor what belongs to one", at, line)
			}
		}
		out = append(out, l)
	}
	return out
}

// read takes one line and reports whether it is one of a list.
func (l *list) read(line, at string) bool {
	if line == "" || strings.HasPrefix(line, "#") {
		return true
	}
	if entry := entryForm.FindStringSubmatch(line); entry != nil {
		l.items = append(l.items, &requirement{id: entry[1], text: entry[3], at: at})
		return true
	}
	if len(l.items) == 0 {
		return false
	}
	r := l.items[len(l.items)-1]
	if see, ok := strings.CutPrefix(line, "\tsee: "); ok {
		r.see = append(r.see, see)
		return true
	}
	for word, into := range map[string]*string{"\tnot done: ": &r.notDone, "\tdiffers: ": &r.differs} {
		if reason, ok := strings.CutPrefix(line, word); ok && len(reason) > 15 && *into == "" {
			*into = reason
			return true
		}
	}
	return false
}

// citations returns which files name each id: tests and test data, which show it, and other code, which only says so. The lists
// and this package are left out.
func citations(t *testing.T) (shown, said map[string][]string) {
	t.Helper()
	shown, said = map[string][]string{}, map[string][]string{}
	err := fs.WalkDir(os.DirFS(root()), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(path.Base(name), ".") && name != "." || under(name, "testdata/rfc", "testdata/security", "cmd/internal/arch", "bin", "build") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".go" && ext != ".txt" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
		into := said
		if shows := strings.HasSuffix(name, "_test.go") || strings.Contains("/"+name, "/testdata/"); shows {
			into = shown
		}
		for _, id := range idForm.FindAllString(string(text), -1) {
			into[id] = append(into[id], name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return shown, said
}

func TestRequirements(t *testing.T) {
	shown, said := citations(t)
	known, series := map[string]string{}, map[byte]string{}
	all, met := 0, 0
	for _, l := range lists(t) {
		for _, r := range l.items {
			if other := known[r.id]; other != "" {
				t.Errorf("%s: %s is also at %s", r.at, r.id, other)
			}
			known[r.id] = r.at
			if other := series[r.id[0]]; other != "" && other != l.what {
				t.Errorf("%s: %s has the letter of the list about %s", r.at, r.id, other)
			}
			series[r.id[0]] = l.what
			for _, see := range r.see {
				if err := look(see); err != nil {
					t.Errorf("%s: %s: %v", r.at, r.id, err)
				}
			}
			all++
			switch {
			case len(shown[r.id])+len(r.see) > 0:
				met++
			case r.notDone != "":
			case len(said[r.id]) > 0:
				t.Errorf("%s: %s (%s) is named by code alone, %v, which shows nothing: write a test that names it", r.at, r.id, r.text, said[r.id])
			default:
				t.Errorf("%s: %s (%s) is shown nowhere: name it in the test that shows it, or say \"not done:\" and why", r.at, r.id, r.text)
			}
		}
	}
	for _, cited := range []map[string][]string{shown, said} {
		for id, names := range cited {
			if series[id[0]] != "" && known[id] == "" {
				t.Errorf("%s cites %s, which no list has", names[0], id)
			}
		}
	}
	for letter, ranges := range wanted {
		for _, r := range ranges {
			for n := r[0]; n <= r[1]; n++ {
				if id := fmt.Sprintf("%s-%02d", letter, n); known[id] == "" {
					t.Errorf("%s is in no list", id)
				}
				all--
			}
		}
	}
	if all != 0 {
		t.Errorf("%d requirements more than this test knows of: mend wanted", all)
	}
	t.Logf("%d of %d requirements are shown, in whole or in part", met, len(known))
}

// look reports whether what a list says to see is there: a path from the root, and after a blank the text in it; of a test
// the name of its function; of code that is no test, always a text.
func look(see string) error {
	name, text, _ := strings.Cut(see, " ")
	b, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
	switch {
	case err != nil:
		return fmt.Errorf("see %s: there is no such file", name)
	case strings.HasSuffix(name, "_test.go") && !testForm.MatchString(text):
		return fmt.Errorf("see %s: name a test, not %q", name, text)
	case strings.HasSuffix(name, "_test.go") && !strings.Contains(string(b), "\nfunc "+text+"("):
		return fmt.Errorf("see %s: there is no %s in it", name, text)
	case strings.HasSuffix(name, ".go") && text == "":
		return fmt.Errorf("see %s: say which text in it", name)
	case !strings.Contains(string(b), text):
		return fmt.Errorf("see %s: there is no %q in it", name, text)
	}
	return nil
}
