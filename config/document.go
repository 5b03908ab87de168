package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Bounds of one file (SEC-05).
const (
	maxFileSize = 1 << 20 // octets
	maxDepth    = 32      // nested lists and mappings; the grammar itself needs 6
)

// parse makes a tree of one file's text: one document, at most maxFileSize long, without anchors, aliases, merge
// keys and tags of its own. It returns nil for a file that holds nothing, and the reasons when it refuses.
func parse(file string, text []byte) (*yaml.Node, []Problem) {
	refuse := func(line, column int, format string, args ...any) (*yaml.Node, []Problem) {
		return nil, []Problem{{Pos: Pos{file, line, column}, Severity: Error, Text: fmt.Sprintf(format, args...)}}
	}
	if len(text) > maxFileSize {
		return refuse(0, 0, "the file is longer than %d octets", maxFileSize)
	}
	if line, column, what := badCharacter(text); what != "" {
		return refuse(line, column, "%s", what)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := decoder.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		line, what := syntaxError(err)
		return refuse(line, 0, "%s", what)
	}
	switch err := decoder.Decode(&more); {
	case err == nil:
		return refuse(more.Line, more.Column, "a second document; a file holds one")
	case !errors.Is(err, io.EOF):
		line, what := syntaxError(err)
		return refuse(line, 0, "%s", what)
	}
	root := doc.Content[0]
	if problem := plainTree(file, root, 1); problem != nil {
		return nil, []Problem{*problem}
	}
	return root, nil
}

// badCharacter finds the first place that is not UTF-8 or is a control character, which the YAML library would
// refuse without a line number.
func badCharacter(text []byte) (line, column int, what string) {
	line, column = 1, 1
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return line, column, "the text is not UTF-8"
		case r == '\n':
			line, column = line+1, 0
		case r < ' ' && r != '\t' && r != '\r', r == 0x7f:
			return line, column, fmt.Sprintf("a control character (U+%04X)", r)
		}
		i, column = i+size, column+1
	}
	return 0, 0, ""
}

var yamlError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// syntaxError takes the YAML library's error apart. What it says of anchors quotes the text, which may be a secret
// that somebody did not put in quotes, so that is said in other words.
func syntaxError(err error) (line int, what string) {
	what = err.Error()
	if parts := yamlError.FindStringSubmatch(what); parts != nil {
		line, _ = strconv.Atoi(parts[1])
		what = parts[2]
	}
	if strings.Contains(what, "anchor") {
		what = noAnchors
	}
	return line, "not YAML: " + what
}

const noAnchors = "anchors and aliases (& and *) are not part of this format; put text that starts with one in quotes"

// plainTree refuses what could make the tree larger than its text, or mean something else than it says.
func plainTree(file string, n *yaml.Node, depth int) *Problem {
	refuse := func(format string, args ...any) *Problem {
		return &Problem{Pos: Pos{file, n.Line, n.Column}, Severity: Error, Text: fmt.Sprintf(format, args...)}
	}
	switch {
	case depth > maxDepth:
		return refuse("nested deeper than %d levels", maxDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return refuse(noAnchors)
	case n.Style&yaml.TaggedStyle != 0:
		return refuse("tags (!) are not part of this format; put text that starts with one in quotes")
	case n.Tag == "!!merge":
		return refuse("merge keys (<<) are not part of this format; use crypto_profiles for what connections share")
	}
	for _, child := range n.Content {
		if problem := plainTree(file, child, depth+1); problem != nil {
			return problem
		}
	}
	return nil
}
