package arch

import (
	"bufio"
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
//		not done: …
//
// It is met when its id stands in code or a test, or when what it says to see is there: a file, or a file and a text
// in it. What is missing, in whole or in part, has a reason.
type requirement struct {
	id, text string
	see      []string
	notDone  string
	at       string // file:line
}

var (
	idForm    = regexp.MustCompile(`\b[A-Z]-[0-9]{2}\b`)
	entryForm = regexp.MustCompile(`^([A-Z]-[0-9]{2})((?: §[0-9A-Z.]+)+): (\S.{15,})$`)
)

// requirements reads all lists.
func requirements(t *testing.T) []*requirement {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(root(), "testdata", "rfc", "*.txt"))
	if err != nil || len(names) == 0 {
		t.Fatalf("no lists in testdata/rfc: %v", err)
	}
	var out []*requirement
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
			reason, isReason := strings.CutPrefix(line, "\tnot done: ")
			entry := entryForm.FindStringSubmatch(line)
			switch {
			case line == "" || strings.HasPrefix(line, "#"):
			case entry != nil:
				out = append(out, &requirement{id: entry[1], text: entry[3], at: at})
			case isSee && len(out) > 0:
				out[len(out)-1].see = append(out[len(out)-1].see, see)
			case isReason && len(out) > 0 && len(reason) > 15:
				out[len(out)-1].notDone = reason
			default:
				t.Errorf("%s: %q is neither an entry nor what belongs to one", at, line)
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// citations returns where each id stands in code, tests and transcripts, the lists and this package aside.
func citations(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(root()), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(path.Base(name), ".") && name != "." || under(name, "testdata/rfc", "cmd/internal/arch", "bin", "build") {
				return fs.SkipDir
			}
			return nil
		}
		if ext := path.Ext(name); ext != ".go" && ext != ".txt" {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
		for _, id := range idForm.FindAllString(string(text), -1) {
			out[id] = name
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRequirements(t *testing.T) {
	cited := citations(t)
	known := map[string]string{}
	series := map[byte]bool{}
	done := 0
	for _, r := range requirements(t) {
		if other := known[r.id]; other != "" {
			t.Errorf("%s: %s is also at %s", r.at, r.id, other)
		}
		known[r.id] = r.at
		series[r.id[0]] = true
		for _, see := range r.see {
			if err := look(see); err != nil {
				t.Errorf("%s: %s: %v", r.at, r.id, err)
			}
		}
		switch {
		case cited[r.id] != "" || len(r.see) > 0:
			done++
		case r.notDone == "":
			t.Errorf("%s: %s (%s) is cited nowhere: cite it where it is done or shown, or say \"not done:\" and why", r.at, r.id, r.text)
		}
	}
	for id, name := range cited {
		if series[id[0]] && known[id] == "" {
			t.Errorf("%s cites %s, which no list has", name, id)
		}
	}
	t.Logf("%d of %d requirements are done or shown", done, len(known))
}

// look reports whether what an entry says to see is there: a path from the root, and after a blank the text in it.
func look(see string) error {
	name, text, _ := strings.Cut(see, " ")
	b, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
	if err != nil {
		return fmt.Errorf("see %s: there is no such file", name)
	}
	if !strings.Contains(string(b), text) {
		return fmt.Errorf("see %s: there is no %q in it", name, text)
	}
	return nil
}
