package arch

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
)

// Every package tells its purpose and where to start; the long ones in a doc.go.
func TestPackagesTellTheirStory(t *testing.T) {
	story := map[string]int{}
	files := map[string]int{}
	for _, s := range code(t) {
		files[s.dir]++
		if s.file.Doc != nil {
			story[s.dir]++
			if files[s.dir] > 3 && path.Base(s.path) != "doc.go" && s.file.Name.Name != "main" {
				t.Errorf("%s: the story of a package is in its doc.go", s.path)
			}
		}
	}
	for dir := range files {
		if story[dir] != 1 {
			t.Errorf("%s: %d files have a package comment, want 1", dir, story[dir])
		}
	}
}

// selfEvident methods have the meaning of the interface that asks for them.
var selfEvident = map[string]bool{"String": true, "GoString": true, "Error": true, "Unwrap": true, "Is": true, "As": true,
	"Len": true, "Less": true, "Swap": true, "Push": true, "Pop": true, "MarshalText": true, "UnmarshalText": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "MarshalYAML": true, "UnmarshalYAML": true, "LogValue": true, "Format": true, "ServeHTTP": true}

// Every exported name has a sentence: its own, that of its group, or, for the values of a type, the type's.
func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range code(t) {
		if s.file.Name.Name == "main" {
			continue
		}
		var before *ast.FuncDecl
		for _, d := range s.file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if !documented(s, d, before) {
					t.Errorf("%s: %s has no comment", s.at(d.Pos()), d.Name.Name)
				}
				before = d
			case *ast.GenDecl:
				undocumented(s, d, func(p token.Pos, name string) { t.Errorf("%s: %s has no comment", s.at(p), name) })
				before = nil
			}
		}
	}
}

// documented reports whether a function needs no comment, has one, or stands right below one that names it as well.
func documented(s source, d, before *ast.FuncDecl) bool {
	if !d.Name.IsExported() || d.Doc != nil || d.Recv != nil && (selfEvident[d.Name.Name] || !ast.IsExported(receiver(d))) {
		return true
	}
	return before != nil && s.fset.Position(before.End()).Line+1 == s.fset.Position(d.Pos()).Line &&
		before.Doc != nil && strings.Contains(before.Doc.Text(), d.Name.Name)
}

// receiver returns the name of the type that a method is of.
func receiver(d *ast.FuncDecl) string {
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}

// undocumented reports the exported names of a declaration that nothing says anything about.
func undocumented(s source, d *ast.GenDecl, report func(token.Pos, string)) {
	typed := false // the group holds the values of a named type, which has its own comment
	for _, spec := range d.Specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Name.IsExported() && d.Doc == nil && spec.Doc == nil && spec.Comment == nil {
				report(spec.Pos(), spec.Name.Name)
			}
		case *ast.ValueSpec:
			if id, ok := spec.Type.(*ast.Ident); ok && d.Tok == token.CONST && id.IsExported() {
				typed = true
			}
			if d.Doc != nil || spec.Doc != nil || spec.Comment != nil || typed {
				continue
			}
			for _, name := range spec.Names {
				if name.IsExported() {
					report(name.Pos(), name.Name)
				}
			}
		}
	}
}
