package config

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// A told is one case of testdata/messages: a configuration and everything that is said of it.
//
//	conn> start: allways
//		f:3:12: connections[0].start: "allways" does not fit; want …
//
// gate>, conn> and tun> write one key into an otherwise valid file (see gate, conn and tun); file> is a line of a whole
// file; \0 in it is a NUL that is no UTF-8 either, \1 a control character. With it may stand: long> so many octets of
// comment; more> a line of a second file, g; mode> the mode of the first; names> what to load; env> a variable.
// made> and customer> make a connection and a customer gateway at run time, change> and set> change the last of them; the file is base then.
type told struct {
	input  []string // as it stands there
	output []string
}

// readTold takes a golden file apart; head is its comment.
func readTold(t *testing.T, name string) (head []string, cases []told) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimRight(line, "\n")
		output, isOutput := strings.CutPrefix(line, "\t")
		switch last := len(cases) - 1; {
		case line == "":
		case strings.HasPrefix(line, "#") && cases == nil:
			head = append(head, line)
		case isOutput && last >= 0:
			cases[last].output = append(cases[last].output, output)
		case !isOutput && (last < 0 || len(cases[last].output) > 0):
			cases = append(cases, told{input: []string{line}})
		case !isOutput:
			cases[last].input = append(cases[last].input, line)
		}
	}
	return head, cases
}

// say loads the input of a case and returns what is said of it.
func (c told) say(t *testing.T) (lines []string) {
	t.Helper()
	var file, more strings.Builder
	mode, names, env := os.FileMode(0o644), []string{"f"}, map[string]string{}
	var objects []Object
	refused := func(err error) []string {
		for _, p := range err.(Problems) {
			lines = append(lines, p.String())
		}
		return lines
	}
	for _, line := range c.input {
		word, rest, ok := strings.Cut(line, ">")
		rest = strings.TrimPrefix(rest, " ")
		switch {
		case !ok:
			t.Fatalf("%q is not an input", line)
		case word == "gate":
			file.WriteString(gate(rest))
		case word == "conn":
			file.WriteString(conn(rest))
		case word == "tun":
			file.WriteString(tun(rest))
		case word == "file":
			file.WriteString(strings.NewReplacer(`\0`, "\xff\x00", `\1`, "\x01").Replace(rest) + "\n")
		case word == "long":
			n, err := strconv.Atoi(rest)
			if err != nil {
				t.Fatal(err)
			}
			file.WriteString(strings.Repeat("#\n", n/2))
		case word == "more":
			more.WriteString(rest + "\n")
			names = []string{"f", "g"}
		case word == "mode":
			n, err := strconv.ParseUint(rest, 8, 32)
			if err != nil {
				t.Fatal(err)
			}
			mode = os.FileMode(n)
		case word == "made", word == "customer":
			kind := map[string]ObjectKind{"made": ConnectionObject, "customer": CustomerGatewayObject}[word]
			o, err := ParseObject(kind, []byte(rest))
			if err != nil {
				return refused(err)
			}
			objects = append(objects, o)
		case word == "change":
			o, err := objects[len(objects)-1].Patch([]byte(rest))
			if err != nil {
				return refused(err)
			}
			objects[len(objects)-1] = o
		case word == "set":
			key, value, _ := strings.Cut(rest, "=")
			o, err := objects[len(objects)-1].With(strings.Split(key, "."), value)
			if err != nil {
				return refused(err)
			}
			objects[len(objects)-1] = o
		case word == "names":
			names = strings.Fields(rest)
		case word == "env":
			name, value, _ := strings.Cut(rest, "=")
			env[name] = value
		default:
			t.Fatalf("%q is not an input", line)
		}
	}
	if file.Len() == 0 && objects != nil {
		file.WriteString(base)
	}
	tree := fstest.MapFS{"f": {Data: []byte(file.String()), Mode: mode}, "g": {Data: []byte(more.String()), Mode: 0o644},
		"none/readme.txt": {Mode: 0o644}, "pipe": {Mode: os.ModeNamedPipe | 0o644},
		"open": {Mode: os.ModeDir | 0o777}, "open/f": {Data: []byte(file.String()), Mode: mode}, "tmp": {Mode: os.ModeDir | os.ModeSticky | 0o777}, "tmp/f": {Data: []byte(file.String()), Mode: mode}}
	config, err := Sources{FS: tree, Names: names, Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }, Objects: objects}.Load()
	found, _ := errors.AsType[Problems](err)
	if config != nil {
		found = config.Warnings
	}
	for _, p := range found {
		lines = append(lines, p.String())
	}
	if lines == nil {
		lines = []string{"nothing"}
	}
	return lines
}

// R16, R70: everything that reading and checking a configuration can say, word for word, with the input that makes it say
// so. Names, places and hints are a contract with people who search for them.
func TestMessages(t *testing.T) {
	for _, name := range messageFiles(t) {
		head, cases := readTold(t, name)
		var out strings.Builder
		fmt.Fprintln(&out, strings.Join(head, "\n"))
		for _, c := range cases {
			got := c.say(t)
			fmt.Fprintf(&out, "\n%s\n\t%s\n", strings.Join(c.input, "\n"), strings.Join(got, "\n\t"))
			if !*update && !slices.Equal(got, c.output) {
				t.Errorf("%s:\n%s\n\t%s\nwant\n\t%s", name, strings.Join(c.input, "\n"), strings.Join(got, "\n\t"), strings.Join(c.output, "\n\t"))
			}
		}
		if *update {
			if err := os.WriteFile(name, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func messageFiles(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/messages/*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no testdata/messages: %v", err)
	}
	return names
}

// A message in the source that no case makes appear fails this: each text with a space in it that may become one.
func TestEveryMessageHasACase(t *testing.T) {
	var said strings.Builder
	for _, name := range messageFiles(t) {
		_, cases := readTold(t, name)
		for _, c := range cases {
			said.WriteString(strings.Join(c.output, "\n") + "\n")
		}
	}
	for _, text := range messagesIn(t, ".") {
		if !pattern(text.value).MatchString(said.String()) {
			t.Errorf("%s: no case in testdata/messages says %q: add one, and rewrite with -update", text.at, text.value)
		}
	}
}

// verb is one of fmt's.
var verb = regexp.MustCompile(`%[-+#0-9]*[a-zA-Z]`)

// pattern matches what comes of a format.
func pattern(format string) *regexp.Regexp {
	parts := verb.Split(strings.ReplaceAll(format, "%%", "%"), -1)
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(strings.Join(parts, ".*"))
}

// A literal is a text in the source.
type literal struct{ value, at string }

// messagesIn returns the texts in a package that may be said to a user: all with a space in them, but for what describes a
// key to an editor, what is wrong with this program, and the plan of a change, which is no check.
func messagesIn(t *testing.T, dir string) (list []literal) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") || slices.Contains([]string{"diff.go", "plan.go", "schema.go"}, filepath.Base(name)) {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		var look func(n ast.Node) bool
		look = func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				args := call.Args
				switch calledName(call) {
				case "panic":
					return false
				case "at": // its last argument describes the key
					args = args[:len(args)-1]
				case "service": // its second one, the service
					args = slices.Delete(slices.Clone(args), 1, 2)
				default:
					return true
				}
				for _, arg := range args {
					ast.Inspect(arg, look)
				}
				return false
			}
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			value, err := strconv.Unquote(lit.Value)
			if err == nil && strings.Contains(strings.Trim(value, " ;:,"), " ") && !strings.HasPrefix(value, "^") {
				list = append(list, literal{value, files.Position(lit.Pos()).String()})
			}
			return true
		}
		ast.Inspect(file, look)
	}
	return list
}

func calledName(c *ast.CallExpr) string {
	if id, ok := c.Fun.(*ast.Ident); ok {
		return id.Name
	}
	return ""
}
