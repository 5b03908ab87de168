package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"twinbore/config/secret"
)

// Sources is everything that a configuration is made of.
type Sources struct {
	FS    fs.FS
	Names []string // of files in FS. A folder stands for the .yaml, .yml and .json files in it, in the order of their names
	Env   Env      // looks up variables where a value of a file says ${env:NAME}; nil means that none is set

	Objects []Object // that were made at run time
}

// Load reads the named files of fsys and makes one configuration of them: Sources.Load without what was made at run time.
func Load(fsys fs.FS, env Env, names ...string) (*Config, error) {
	return Sources{FS: fsys, Names: names, Env: env}.Load()
}

// Load makes one configuration of all sources. The error is Problems and holds everything that is wrong, and the warnings as
// well. Secrets are not looked up.
func (s Sources) Load() (*Config, error) {
	r := &reader{env: s.Env, at: map[string]Pos{}, homes: homes()}
	c := &Config{Gateway: freshGateway(), at: r.at, texts: new(Texts), documents: map[string][]byte{}}
	files, problems := findFiles(s.FS, s.Names)
	r.problems, c.Files = problems, files
	if len(files) == 0 && len(problems) == 0 {
		r.add(Problem{Severity: Error, Text: "no configuration file in " + strings.Join(s.Names, " and ")})
	}
	whole := len(r.problems) == 0
	for _, file := range files {
		text, err := readFile(s.FS, file)
		if err != nil {
			r.add(Problem{Pos: Pos{File: file}, Severity: Error, Text: err.Error()})
			whole = false
			continue
		}
		*c.texts = append(*c.texts, Text{Name: file, Text: text})
		root, problems := parse(file, text)
		for _, p := range problems {
			r.add(p)
			whole = false
		}
		if root != nil {
			r.file = file
			documentKind.read(r, place{node: root}, c)
			c.keepDocuments(root)
		}
	}
	for _, o := range s.Objects {
		whole = o.read(r, c) && whole
	}
	if whole { // else much would seem to be missing that is only not read
		k := &checker{Config: c, r: r}
		k.complete()
		k.check()
	}
	sources := files
	for _, o := range s.Objects {
		sources = append(sources, o.String())
	}
	r.problems = r.problems.sorted(sources)
	if r.problems.Count(Error) > 0 {
		return nil, r.problems
	}
	c.Warnings = r.problems
	return c, nil
}

// findFiles replaces each folder by the configuration files in it.
func findFiles(fsys fs.FS, names []string) (files []string, problems Problems) {
	for _, name := range names {
		info, err := fs.Stat(fsys, name)
		if err != nil {
			problems = append(problems, Problem{Pos: Pos{File: name}, Severity: Error, Text: reason(err)})
			continue
		}
		if !info.IsDir() {
			files = append(files, name)
			continue
		}
		entries, err := fs.ReadDir(fsys, name)
		if err != nil {
			problems = append(problems, Problem{Pos: Pos{File: name}, Severity: Error, Text: reason(err)})
			continue
		}
		for _, e := range entries {
			switch path.Ext(e.Name()) {
			case ".yaml", ".yml", ".json":
				if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
					files = append(files, path.Join(name, e.Name()))
				}
			}
		}
	}
	return slices.Compact(files), problems
}

// readFile reads one file after judging it by its open descriptor (SEC-01): whoever can write it decides where
// traffic goes and, by exec:, what we run.
func readFile(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, errors.New(reason(err))
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, errors.New(reason(err))
	}
	if err := secret.CheckOwner(info); err != nil {
		return nil, fmt.Errorf("the file %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("the file has mode %04o: others can change it; chmod go-w", mode)
	}
	folder := path.Dir(name)
	if info, err := fs.Stat(fsys, folder); err == nil && info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return nil, fmt.Errorf("the file lies in %s, where anyone can replace it; chmod o-w that folder", folder)
	}
	return io.ReadAll(io.LimitReader(f, maxFileSize+1))
}

// reason is an error of the file system without the operation and the path, which stand before it anyway.
func reason(err error) string {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}
