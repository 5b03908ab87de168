package arch

import (
	"bytes"
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

// cores are calculators: what happens in them follows from their arguments alone.
var cores = []string{"esp", "esp/protect", "esp/protect/gcm", "ike/wire/...", "ike/suite", "ike/auth", "ike/session", "ike/ikev2", "ike/ikev1", "tunnel", "routing", "routing/fib", "routing/policy"}

// A core reads no clock, waits for nothing and starts nothing.
func TestCoresHaveNoClock(t *testing.T) {
	clock := map[string]bool{"Now": true, "Since": true, "Until": true, "After": true, "AfterFunc": true, "NewTimer": true,
		"NewTicker": true, "Tick": true, "Sleep": true}
	for _, s := range code(t) {
		if !under(s.dir, cores...) {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if pkg, name := selected(n); pkg == "time" && clock[name] {
					t.Errorf("%s: time.%s in a core: take now as an argument", s.at(n.Pos()), name)
				}
			case *ast.GoStmt:
				t.Errorf("%s: a core starts no goroutine", s.at(n.Pos()))
			}
			return true
		})
	}
}

// Nothing but main ends the process, and nothing logs but to the logger that it was given.
func TestOnlyMainExits(t *testing.T) {
	global := map[string]bool{"Default": true, "SetDefault": true, "Debug": true, "Info": true, "Warn": true, "Error": true, "Log": true, "LogAttrs": true}
	for _, s := range code(t) {
		if under(s.dir, "cmd/twinbore/...") || s.file.Name.Name == "main" {
			continue
		}
		for _, spec := range s.file.Imports {
			if spec.Path.Value == `"log"` {
				t.Errorf("%s: package log is global: take a *slog.Logger", s.at(spec.Pos()))
			}
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch pkg, name := call(n); {
			case pkg == "os" && name == "Exit", pkg == "syscall" && name == "Exit":
				t.Errorf("%s: %s.Exit outside main: return an error", s.at(n.Pos()), pkg)
			case pkg == "slog" && global[name]:
				t.Errorf("%s: slog.%s is the global logger: take a *slog.Logger", s.at(n.Pos()), name)
			}
			return true
		})
	}
}

// A panic is for a bug in this program, and says so.
func TestPanicsAreBugs(t *testing.T) {
	for _, s := range code(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			c, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := c.Fun.(*ast.Ident); ok && f.Name == "panic" && !strings.HasPrefix(firstString(c), "bug: ") {
				t.Errorf("%s: panic without \"bug: \" in front: return an error, or say whose fault it is", s.at(n.Pos()))
			}
			return true
		})
	}
}

// firstString returns the first string literal below n, without its quotes.
func firstString(n ast.Node) (out string) {
	ast.Inspect(n, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && out == "" {
			out = strings.Trim(lit.Value, "\"`")
		}
		return out == ""
	})
	return out
}

// The version of a message decides which protocol gets it; after that nobody asks again. RFC 7296 §2.5, N-04.
func TestVersionsAreComparedInOnePlace(t *testing.T) {
	const place = "ike/version.go"
	found := false
	for _, s := range code(t) {
		if !under(s.dir, "ike/...") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			var sides []ast.Expr
			switch n := n.(type) {
			case *ast.BinaryExpr:
				switch n.Op {
				case token.EQL, token.NEQ, token.LSS, token.LEQ, token.GTR, token.GEQ:
					sides = []ast.Expr{n.X, n.Y}
				}
			case *ast.SwitchStmt:
				sides = []ast.Expr{n.Tag}
			case *ast.CaseClause:
				sides = n.List
			}
			for _, e := range sides {
				if !isVersion(e) {
					continue
				}
				if found = true; s.path != place {
					t.Errorf("%s: the version is compared in %s and nowhere else", s.at(n.Pos()), place)
				}
			}
			return true
		})
	}
	if !found {
		t.Errorf("%s compares no version: this test finds nothing", place)
	}
}

// isVersion reports whether e is a message's version, its major part, or the number of a version.
func isVersion(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		s, ok := e.Fun.(*ast.SelectorExpr)
		return ok && (s.Sel.Name == "Major" || isVersion(s))
	case *ast.SelectorExpr:
		pkg, name := selected(e)
		return e.Sel.Name == "Version" || pkg == "wire" && (name == "V1" || name == "V2")
	case *ast.Ident:
		return e.Name == "V1" || e.Name == "V2"
	}
	return false
}

// What a secret is compared with must not show by the time it takes.
func TestSecretsAreComparedInConstantTime(t *testing.T) {
	for _, s := range code(t) {
		if !under(s.dir, "esp/protect", "ike/auth", "config/secret") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if pkg, name := call(n); pkg == "bytes" && (name == "Equal" || name == "Compare") {
				t.Errorf("%s: bytes.%s where secrets are: use hmac.Equal or subtle.ConstantTimeCompare", s.at(n.Pos()), name)
			}
			return true
		})
	}
}

// Lists are literals: nothing registers itself.
func TestNoInit(t *testing.T) {
	for _, s := range code(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s: init(): write the list where it is used", s.at(f.Pos()))
			}
		}
	}
}

// A test that waits for real time is slow on a good day and fails on a bad one: it waits in a bubble. Only the tests
// against real peers have nobody to ask.
func TestSleepOnlyInBubbles(t *testing.T) {
	bubbles := map[string]bool{"cmd/internal/interop": true}
	for _, s := range tree(t) {
		if s.test && bytes.Contains(s.text, []byte(`"testing/synctest"`)) {
			bubbles[s.dir] = true
		}
	}
	for _, s := range tree(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			if pkg, name := call(n); s.test && !bubbles[s.dir] && pkg == "time" && name == "Sleep" {
				t.Errorf("%s: time.Sleep in a package without synctest", s.at(n.Pos()))
			}
			return true
		})
	}
}

// A file is one idea; past 500 lines there are two.
func TestFilesAreSmall(t *testing.T) {
	for _, s := range code(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > 500 {
			t.Errorf("%s has %d lines: look for the second idea", s.path, n)
		}
	}
}

// What is left for later is said in a doc.go under "Not done", where readers look, and not in the code.
func TestNoNotesToOurselves(t *testing.T) {
	for _, s := range tree(t) {
		if path.Dir(s.path) == "cmd/internal/arch" {
			continue
		}
		for _, g := range s.file.Comments {
			for _, c := range g.List {
				for _, word := range []string{"TODO", "FIXME", "XXX", "HACK"} {
					if strings.Contains(c.Text, word) {
						t.Errorf("%s: %s", s.at(c.Pos()), word)
					}
				}
			}
		}
	}
}
