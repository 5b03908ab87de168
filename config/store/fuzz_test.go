package store

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Whatever is in the file, opening it ends, without a panic or a fault, and what is kept afterwards is kept (EV-35). The library
// sees nothing that verify has not looked through.
func FuzzOpen(f *testing.F) {
	whole := filepath.Join(f.TempDir(), "state")
	s, err := Open(whole)
	if err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"{name: a, routing: static}", "{name: b, id: chosen}", "{name: c}"} {
		if err := s.Update(put(text)); err != nil {
			f.Fatal(err)
		}
	}
	if err := s.Update(remove("c")); err != nil {
		f.Fatal(err)
	}
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	seed, err := os.ReadFile(s.Path())
	if err != nil {
		f.Fatal(err)
	}
	// What is fuzzed is one change of a whole file: its checksums would be hard to guess.
	f.Add(uint32(0), []byte{}, uint32(len(seed)))
	f.Add(uint32(16), []byte("\xff\xff"), uint32(len(seed)))
	f.Add(uint32(4096), []byte{1}, uint32(8192))
	dir := filepath.Join(f.TempDir(), "fuzzed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, at uint32, with []byte, size uint32) {
		file := make([]byte, min(size, uint32(len(seed))))
		copy(file, seed)
		if int(at) < len(file) {
			copy(file[at:], with)
		}
		own := filepath.Join(dir, t.Name())
		if err := os.MkdirAll(own, 0o700); err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(own)
		path := filepath.Join(own, fileName)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		stuck := time.AfterFunc(10*time.Second, func() { panic("opening it does not end") })
		defer stuck.Stop()
		s, err := Open(own)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Update(put("{name: after}")); err != nil {
			t.Fatal(err)
		}
		if _, ok := reopen(t, s).State().Find("connections", "after"); !ok {
			t.Error("what was kept afterwards is not there")
		}
	})
}
