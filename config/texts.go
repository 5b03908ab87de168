package config

import (
	"bytes"
	"fmt"
	"io/fs"
	"slices"
	"time"
)

// A Text is one configuration file, read.
type Text struct {
	Name string
	Text []byte
}

// Texts are configuration files for Load that are not in a file system: who read them has judged who owns them.
type Texts []Text

// ReadTexts reads the files that Load would read for the same names, and judges them as Load does. The error is Problems.
func ReadTexts(fsys fs.FS, names ...string) (Texts, error) {
	var out Texts
	files, problems := findFiles(fsys, names)
	for _, file := range files {
		text, err := readFile(fsys, file)
		if err == nil && len(text) > maxFileSize {
			err = fmt.Errorf("the file is longer than %d octets", maxFileSize)
		}
		if err != nil {
			problems = append(problems, Problem{Pos: Pos{File: file}, Severity: Error, Text: err.Error()})
			continue
		}
		out = append(out, Text{Name: file, Text: text})
	}
	if problems != nil {
		return nil, Problems(problems)
	}
	return out, nil
}

// Texts returns the files that a configuration was read from, as they were then.
func (c *Config) Texts() Texts { return *c.texts }

// Names returns the names of all.
func (t Texts) Names() []string {
	var out []string
	for _, f := range t {
		out = append(out, f.Name)
	}
	return out
}

// Open implements fs.FS. Names are taken as they are: an absolute path is one, too.
func (t Texts) Open(name string) (fs.File, error) {
	i := slices.IndexFunc(t, func(f Text) bool { return f.Name == name })
	if i < 0 {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return openText{text: &t[i], Reader: bytes.NewReader(t[i].Text)}, nil
}

// An openText is an open Text, and what Stat says of it.
type openText struct {
	text *Text
	*bytes.Reader
}

func (f openText) Stat() (fs.FileInfo, error) { return f, nil }
func (f openText) Close() error               { return nil }
func (f openText) Name() string               { return f.text.Name }
func (f openText) Size() int64                { return int64(len(f.text.Text)) }
func (f openText) Mode() fs.FileMode          { return 0o400 }
func (f openText) ModTime() time.Time         { return time.Time{} }
func (f openText) IsDir() bool                { return false }
func (f openText) Sys() any                   { return nil }
