package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A Pos is a place in a configuration file. Line and Column count from 1; 0 means unknown.
type Pos struct {
	File   string
	Line   int
	Column int
}

// String is "file:line:column", as far as it is known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// A Severity says whether a problem stops the configuration from being used.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
)

// A Problem is one thing that is wrong with a configuration, or that its author should know. No field of it ever
// holds a secret.
type Problem struct {
	Pos      Pos
	Severity Severity
	Path     string // of the key: "connections[0].dpd.interval"; "" for a whole file
	Text     string // what is wrong, the value included
	Want     string // what is allowed; "" when Text says it
	Hint     string // what was probably meant, or what to do; "" when there is no likely cause
}

// String is the whole problem on one line.
func (p Problem) String() string {
	var b strings.Builder
	if p.Pos != (Pos{}) {
		fmt.Fprintf(&b, "%v: ", p.Pos)
	}
	if p.Severity == Warning {
		b.WriteString("warning: ")
	}
	if p.Path != "" {
		fmt.Fprintf(&b, "%s: ", p.Path)
	}
	b.WriteString(p.Text)
	if p.Want != "" {
		fmt.Fprintf(&b, "; want %s", p.Want)
	}
	if p.Hint != "" {
		fmt.Fprintf(&b, "; %s", p.Hint)
	}
	return b.String()
}

// Problems is everything that is wrong with a configuration, errors and warnings in the order of the files. As an
// error it holds at least one problem of severity Error.
type Problems []Problem

// Error lists the errors, one a line.
func (ps Problems) Error() string {
	var lines []string
	for _, p := range ps {
		if p.Severity == Error {
			lines = append(lines, p.String())
		}
	}
	return strings.Join(lines, "\n")
}

// Count returns how many problems are of this severity.
func (ps Problems) Count(s Severity) int {
	n := 0
	for _, p := range ps {
		if p.Severity == s {
			n++
		}
	}
	return n
}

// sorted puts problems in the order in which a reader of the files meets them.
func (ps Problems) sorted(files []string) Problems {
	nth := func(file string) int {
		if i := slices.Index(files, file); i >= 0 {
			return i
		}
		return len(files) // of no file: last
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(
			cmp.Compare(nth(a.Pos.File), nth(b.Pos.File)),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return ps
}
