package arch

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"twinbore/ike/suite"
)

// The README's table of algorithms is the table of ike/suite; what is missing is printed to be pasted.
func TestReadmeListsTheAlgorithms(t *testing.T) {
	text, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "<!-- algorithms: checked by cmd/internal/arch -->\n")
	table, _, ended := strings.Cut(after, "<!-- end -->")
	if !found || !ended {
		t.Fatal("the README has lost the marks around its table of algorithms")
	}
	want := "| name | what | RFC | |\n|---|---|---|---|\n"
	for _, row := range suite.Table() {
		weak := ""
		if row.Weak != "" {
			weak = "weak "
		}
		want += fmt.Sprintf("| `%s` | %v | %s | %s|\n", row.Name, row.Kind, row.RFC, weak)
	}
	if table != want {
		t.Errorf("the README's table of algorithms should be\n%s", want)
	}
}
