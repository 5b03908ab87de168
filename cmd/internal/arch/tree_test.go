package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// module is the name in go.mod.
const module = "twinbore"

// A source is one Go file of the module.
type source struct {
	path string // from the root, with slashes
	dir  string // its package, from the root
	test bool
	file *ast.File
	fset *token.FileSet
	text []byte
}

// at names a place in s for a message.
func (s source) at(p token.Pos) string {
	pos := s.fset.Position(p)
	return fmt.Sprintf("%s:%d", s.path, pos.Line)
}

// root is the folder of go.mod: tests run in their package's folder.
var root = sync.OnceValue(func() string {
	dir, err := os.Getwd()
	if err != nil {
		panic("bug: no working directory: " + err.Error())
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			panic("bug: no go.mod above this package")
		}
	}
})

// read parses every Go file of the module once.
var read = sync.OnceValues(func() ([]source, error) {
	var out []source
	fset := token.NewFileSet()
	err := fs.WalkDir(os.DirFS(root()), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch base := path.Base(name); {
			case name == ".":
			case strings.HasPrefix(base, "."), base == "testdata", name == "bin", name == "build", isModule(name):
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root(), filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(fset, name, text, parser.ParseComments)
		if err != nil {
			return err
		}
		out = append(out, source{path: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), file: file, fset: fset, text: text})
		return nil
	})
	return out, err
})

// isModule reports whether a folder below the root is a module of its own: a generator, with libraries that are not ours.
func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(root(), filepath.FromSlash(dir), "go.mod"))
	return err == nil
}

// tree returns the sources, tests or not.
func tree(t *testing.T) []source {
	t.Helper()
	all, err := read()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 50 {
		t.Fatalf("only %d Go files under %s: this is not the whole module", len(all), root())
	}
	return all
}

// code returns the sources that are no tests.
func code(t *testing.T) []source {
	t.Helper()
	var out []source
	for _, s := range tree(t) {
		if !s.test {
			out = append(out, s)
		}
	}
	return out
}

// under reports whether dir is one of dirs or below one that ends in "/...".
func under(dir string, dirs ...string) bool {
	for _, d := range dirs {
		if base, below := strings.CutSuffix(d, "/..."); dir == d || below && (dir == base || strings.HasPrefix(dir, base+"/")) {
			return true
		}
	}
	return false
}

// call returns the package and the function of a call like time.Now(); both are empty for any other node.
func call(n ast.Node) (pkg, name string) {
	c, ok := n.(*ast.CallExpr)
	if !ok {
		return "", ""
	}
	return selected(c.Fun)
}

// selected returns the parts of an expression like time.Now.
func selected(e ast.Expr) (pkg, name string) {
	s, ok := e.(*ast.SelectorExpr)
	if !ok {
		return "", ""
	}
	if x, ok := s.X.(*ast.Ident); ok {
		return x.Name, s.Sel.Name
	}
	return "", ""
}
