package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxProblems is how many problems are collected; more help nobody.
const maxProblems = 100

// An Env looks up environment variables for ${env:NAME}; os.LookupEnv is one.
type Env func(name string) (value string, ok bool)

// A reader goes through the trees of all files and collects positions and problems. One goroutine.
type reader struct {
	file     string
	env      Env
	at       map[string]Pos      // of every value that was read, by its path
	homes    map[string][]string // of every key of the format, the mappings it belongs in
	problems Problems
	runtime  bool // inside an object that was made at run time
	hush     bool // inside a reference to a secret: what stands there may be the secret itself, so it is not repeated
}

// A place is a value in the tree: the node, its path, and which words are allowed there besides what a kind says.
type place struct {
	node *yaml.Node
	path string
	also string // "auto or "
}

func (p place) in(key string, node *yaml.Node) place {
	if p.path != "" {
		key = p.path + "." + key
	}
	return place{node: node, path: key}
}

func (p place) item(i int, node *yaml.Node) place {
	return place{node: node, path: p.path + "[" + strconv.Itoa(i) + "]"}
}

func (r *reader) pos(n *yaml.Node) Pos { return Pos{r.file, n.Line, n.Column} }

func (r *reader) add(p Problem) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, p)
	}
}

// full reports whether it is of no use to look for more problems.
func (r *reader) full() bool { return len(r.problems) >= maxProblems }

// refuse reports an error at p.
func (r *reader) refuse(p place, text, want, hint string) {
	if want != "" {
		want = p.also + want
	}
	r.add(Problem{Pos: r.pos(p.node), Severity: Error, Path: p.path, Text: text, Want: want, Hint: hint})
}

// shape names what kind of value stands in the file.
func shape(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	if n.Tag == "!!null" {
		return "nothing"
	}
	return "a single value"
}

// isNull reports whether there is a key without a value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

var (
	envMark  = regexp.MustCompile(`\$\{env:([^}]*)\}`)
	envName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	envStart = "${env:"
)

// marked reports whether the value is to be taken from the environment, wholly or in part.
func marked(n *yaml.Node) bool { return strings.Contains(n.Value, envStart) }

// text returns a scalar's text with ${env:NAME} replaced; nothing else is expanded. It reports what is no scalar,
// or names a variable that is not set, and then returns false.
func (r *reader) text(p place, want string) (string, bool) {
	if p.node.Kind != yaml.ScalarNode || isNull(p.node) {
		r.refuse(p, "found "+shape(p.node), want, "")
		return "", false
	}
	out, bad := r.expand(p.node)
	for _, name := range bad {
		text := fmt.Sprintf("the environment variable %q is not set", name)
		if r.runtime {
			text = "${env:…} is for files: the environment is the daemon's"
		}
		if !r.runtime && !envName.MatchString(name) {
			text = r.shown(p.node) + " does not name an environment variable as ${env:NAME}"
		}
		r.refuse(p, text, "", "")
	}
	return out, len(bad) == 0
}

// expand replaces each ${env:NAME} and returns the names for which that cannot be done.
func (r *reader) expand(n *yaml.Node) (out string, bad []string) {
	if !marked(n) {
		return n.Value, nil
	}
	out = envMark.ReplaceAllStringFunc(n.Value, func(mark string) string {
		name := envMark.FindStringSubmatch(mark)[1]
		if envName.MatchString(name) && r.env != nil && !r.runtime {
			if value, ok := r.env(name); ok {
				return value
			}
		}
		bad = append(bad, name)
		return ""
	})
	if strings.Contains(envMark.ReplaceAllString(n.Value, ""), envStart) {
		bad = append(bad, "") // no closing brace
	}
	return out, bad
}

// shown is how a value appears in a message: as it stands in the file, so that what came from the environment is
// not printed, and not at all where it may be a secret.
func (r *reader) shown(n *yaml.Node) string {
	if r.hush {
		return "a value (not shown)"
	}
	return strconv.Quote(clip(n.Value))
}

// clip bounds what a message repeats.
func clip(s string) string {
	const most = 64
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}
