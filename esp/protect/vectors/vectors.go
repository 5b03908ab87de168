package vectors

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A Case is one vector: its fields by key, and where it stands.
type Case struct {
	Where  string // "esp-scapy.txt:12"
	fields map[string]string
}

// Name returns what the case calls itself (key "name"), or where it stands.
func (c Case) Name() string {
	if name, ok := c.fields["name"]; ok {
		return name
	}
	return c.Where
}

// Has reports whether the case has the key.
func (c Case) Has(key string) bool {
	_, ok := c.fields[key]
	return ok
}

// Text returns the value of key and ends the test when there is none.
func (c Case) Text(t testing.TB, key string) string {
	t.Helper()
	v, ok := c.fields[key]
	if !ok {
		t.Fatalf("%s: no %q", c.Where, key)
	}
	return v
}

// Hex returns the octets that key holds in hexadecimal; spaces between them are allowed.
func (c Case) Hex(t testing.TB, key string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(c.Text(t, key), " ", ""))
	if err != nil {
		t.Fatalf("%s: %s: %v", c.Where, key, err)
	}
	return b
}

// Uint returns the number that key holds, in decimal or with 0x.
func (c Case) Uint(t testing.TB, key string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(c.Text(t, key), 0, 64)
	if err != nil {
		t.Fatalf("%s: %s: %v", c.Where, key, err)
	}
	return n
}

// Load returns the cases of every file in testdata/vectors whose name matches pattern ("esp-*.txt", as path.Match
// has it), in the order of names. No file, or a file that cannot be read as vectors, ends the test.
func Load(t testing.TB, pattern string) []Case {
	t.Helper()
	dir, err := os.Getwd() // go test runs a test in its package's folder
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test: the vectors cannot be found")
		}
		dir = filepath.Dir(dir)
	}
	cases, err := Read(os.DirFS(filepath.Join(dir, "testdata", "vectors")), pattern)
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// Read returns the cases of every file of fsys whose name matches pattern. It is an error when none does, or when a
// line is neither a comment nor "key: value" nor the continuation of one, or when a case has a key twice.
func Read(fsys fs.FS, pattern string) ([]Case, error) {
	names, err := fs.Glob(fsys, pattern)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no vectors match %q", pattern)
	}
	var all []Case
	for _, name := range names {
		text, err := fs.ReadFile(fsys, name)
		if err != nil {
			return nil, err
		}
		cases, err := parse(name, string(text))
		if err != nil {
			return nil, err
		}
		all = append(all, cases...)
	}
	return all, nil
}

func parse(name, text string) ([]Case, error) {
	var (
		cases []Case
		open  bool   // the last case still takes lines
		last  string // the key that a continuation belongs to
	)
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("%s:%d", name, i+1)
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			open = false
		case line[0] == ' ' || line[0] == '\t':
			if !open {
				return nil, fmt.Errorf("%s: nothing to continue", where)
			}
			cases[len(cases)-1].fields[last] += strings.TrimSpace(line)
		default:
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				return nil, fmt.Errorf("%s: not \"key: value\"", where)
			}
			if !open {
				cases, open = append(cases, Case{Where: where, fields: map[string]string{}}), true
			}
			c := cases[len(cases)-1]
			if c.Has(key) {
				return nil, fmt.Errorf("%s: %q a second time in one case", where, key)
			}
			c.fields[key], last = strings.TrimSpace(value), key
		}
	}
	return cases, nil
}
