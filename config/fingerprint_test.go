package config

import (
	"os"
	"path/filepath"
	"testing"
)

// Whatever is done to the files, the fingerprint is another one; without anything it is the same. The last is how Kubernetes
// replaces the files of a ConfigMap: a link to a folder is swapped.
func TestFingerprintChangesWithTheFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	write := func(name, text string) { t.Helper(); must(os.WriteFile(at(name), []byte(text), 0o600)) }
	for _, d := range []string{"conf.d", "..1", "..2"} {
		must(os.Mkdir(at(d), 0o700))
	}
	write("..1/linked.yaml", "same")
	write("..2/linked.yaml", "same")
	must(os.Symlink("..1", at("..data")))
	must(os.Symlink("..data/linked.yaml", at("linked.yaml")))
	write("main.yaml", "one")
	print := func() string { return Fingerprint(os.DirFS(dir), "main.yaml", "conf.d", "linked.yaml") }
	before := print()
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"another text of the same length", func() { write("main.yaml.new", "two"); must(os.Rename(at("main.yaml.new"), at("main.yaml"))) }},
		{"another mode", func() { must(os.Chmod(at("main.yaml"), 0o640)) }},
		{"a file more", func() { write("conf.d/a.yaml", "") }},
		{"a file less", func() { must(os.Remove(at("conf.d/a.yaml"))) }},
		{"no file", func() { must(os.Remove(at("main.yaml"))) }},
		{"a link that leads elsewhere", func() {
			must(os.Symlink("..2", at("..data_tmp")))
			must(os.Rename(at("..data_tmp"), at("..data")))
		}},
	} {
		if again := print(); again != before {
			t.Errorf("before %s: nothing was done, and it changed from %q to %q", step.name, before, again)
		}
		step.do()
		after := print()
		if after == before {
			t.Errorf("%s: still %q", step.name, after)
		}
		before = after
	}
	write("conf.d/notes.txt", "not read")
	if print() != before {
		t.Error("a file that is not read counts")
	}
}
