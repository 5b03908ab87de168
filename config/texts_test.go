package config

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

// What is read at one place and loaded at another is what would have been loaded there.
func TestTextsAreLoadedAsTheirFiles(t *testing.T) {
	fsys := fstest.MapFS{
		"main.yaml":       {Data: []byte("gateway: {name: here}\n"), Mode: 0o600},
		"conf.d/a.yaml":   {Data: []byte(strings.SplitN(base, "\n", 2)[1]), Mode: 0o644},
		"conf.d/.b.yaml":  {Data: []byte("not read"), Mode: 0o600},
		"conf.d/c.txt":    {Data: []byte("not read"), Mode: 0o600},
		"writable.yaml":   {Data: []byte("gateway: {}\n"), Mode: 0o666},
		"too-large.yaml":  {Data: make([]byte, maxFileSize+1), Mode: 0o600},
		"wrong/here.yaml": {Data: []byte("gateway:\n  nme: x\n"), Mode: 0o600},
	}
	texts, err := ReadTexts(fsys, "main.yaml", "conf.d")
	if err != nil || strings.Join(texts.Names(), " ") != "main.yaml conf.d/a.yaml" {
		t.Fatalf("got %v, %v", texts.Names(), err)
	}
	want, err := Load(fsys, nil, "main.yaml", "conf.d")
	if err != nil {
		t.Fatal(err)
	}
	got, err := Load(texts, nil, texts.Names()...)
	if err != nil || !Diff(want, got).Empty() || len(got.Connections) != 1 {
		t.Errorf("%v: %v", err, Diff(want, got))
	}
	if _, err := Load(texts, nil, "main.yaml", "elsewhere.yaml"); err == nil || !strings.Contains(err.Error(), "elsewhere.yaml: file does not exist") {
		t.Errorf("a file that was not sent: %v", err)
	}
	for name, want := range map[string]string{
		"writable.yaml":  "writable.yaml: the file has mode 0666",
		"too-large.yaml": "longer than 1048576 octets",
		"missing.yaml":   "missing.yaml: file does not exist",
	} {
		_, err := ReadTexts(fsys, "main.yaml", name)
		if _, ok := errors.AsType[Problems](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", name, err, want)
		}
	}
	texts, err = ReadTexts(fsys, "wrong")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = Load(texts, nil, texts.Names()...); err == nil || !strings.Contains(err.Error(), "wrong/here.yaml:2:3: ") {
		t.Errorf("got %v, want the place of the mistake", err)
	}
}
