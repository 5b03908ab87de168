package arch

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"twinbore/ike/suite"
)

// checkReadme compares the README's table of this name with what it should be, which is printed to be pasted.
func checkReadme(t *testing.T, name, want string) {
	t.Helper()
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- "+name+": checked by cmd/internal/arch -->\n")
	table, _, ended := strings.Cut(after, "<!-- end -->")
	if !found || !ended {
		t.Fatalf("the README has lost the marks around its table of %s", name)
	}
	if table != want {
		t.Errorf("the README's table of %s should be\n%s", name, want)
	}
}

// The README's table of algorithms is the table of ike/suite.
func TestReadmeListsTheAlgorithms(t *testing.T) {
	want := "| name | what | RFC | |\n|---|---|---|---|\n"
	for _, row := range suite.Table() {
		weak := ""
		if row.Weak != "" {
			weak = "weak "
		}
		want += fmt.Sprintf("| `%s` | %v | %s | %s|\n", row.Name, row.Kind, row.RFC, weak)
	}
	checkReadme(t, "algorithms", want)
}

// The README's table of RFCs is made of testdata/rfc: each list is a row, with what it leaves out and does otherwise.
func TestReadmeListsTheRFCs(t *testing.T) {
	want := "| RFC | about | left out on purpose, or done otherwise |\n|---|---|---|\n"
	for _, l := range lists(t) {
		var out []string
		for _, r := range l.items {
			if r.notDone != "" && !strings.HasPrefix(r.notDone, "as ") { // "as Q-01" has been said there
				out = append(out, fmt.Sprintf("%s (%s)", r.notDone, r.id))
			}
			if r.differs != "" {
				out = append(out, fmt.Sprintf("differs: %s (%s)", r.differs, r.id))
			}
		}
		want += fmt.Sprintf("| [%s](%s) | %s | %s |\n", strings.Join(l.rfcs, ", "), l.file, l.what, strings.Join(out, "<br>"))
	}
	checkReadme(t, "RFCs", want)
}
