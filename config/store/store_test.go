package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/config"
)

// open opens the store in dir and closes it with the test.
func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen is what a restart does.
func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.dir)
}

func must(t *testing.T, s *Store, change func(*Tx) error) {
	t.Helper()
	if err := s.Update(change); err != nil {
		t.Fatal(err)
	}
}

func doc(kind config.ObjectKind, text string) config.Object {
	o, err := config.ParseObject(kind, []byte(text))
	if err != nil {
		panic(err)
	}
	return o
}

func put(text string) func(*Tx) error {
	return func(tx *Tx) error { _, err := tx.Put(doc(config.ConnectionObject, text)); return err }
}

func remove(name string) func(*Tx) error {
	return func(tx *Tx) error { return tx.Delete(config.ConnectionObject, name) }
}

// shown is a State in words, to compare two.
func shown(s *State) string {
	var b strings.Builder
	for _, o := range s.Objects {
		fmt.Fprintln(&b, o.Kind, o.Name, o.ID, o.Created.UnixNano(), o.Modified.UnixNano(), string(o.Text))
	}
	for _, d := range s.Deleted(time.Now()) {
		fmt.Fprintln(&b, "deleted", d.Kind, d.Name, d.ID, d.DeletedAt.UnixNano())
	}
	fmt.Fprintln(&b, s.Added, s.Down, s.spent, s.next, s.Leftovers())
	return b.String()
}

// fill makes one of everything.
func fill(t *testing.T, s *Store) {
	t.Helper()
	must(t, s, put("{name: a, routing: static}"))
	must(t, s, put("{name: b, id: chosen, tags: {env: prod}}"))
	must(t, s, put("{name: c}"))
	must(t, s, func(tx *Tx) error {
		_, err := tx.Put(doc(config.CustomerGatewayObject, "{name: a, address: any}"))
		tx.SetAdded("a", []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
		tx.SetAdded("c", []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")})
		tx.SetDown("a/1", true)
		tx.SetDown("c/2", true)
		return err
	})
	must(t, s, func(tx *Tx) error { return tx.Delete(config.ConnectionObject, "c", "c.1.psk") })
	must(t, s, put("{name: b, id: chosen, tags: {env: test}}"))
	must(t, s, put("{name: d, id: spent-one}"))
	must(t, s, remove("d"))
}

func TestEverythingIsThereAfterARestart(t *testing.T) { // hardening 5.1
	s := open(t, filepath.Join(t.TempDir(), "state"))
	if _, err := os.Lstat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a folder before there is something to keep: %v", err)
	}
	fill(t, s)
	want := shown(s.State())
	s = reopen(t, s)
	if got := shown(s.State()); got != want {
		t.Errorf("after a restart\n%s\nbefore\n%s", got, want)
	}
	state := s.State()
	if len(state.Objects) != 3 || state.Objects[1].Name != "b" || !strings.Contains(string(state.Objects[1].Text), "test") {
		t.Errorf("objects %v", state.Objects)
	}
	if len(state.Added) != 1 || len(state.Down) != 1 || !state.Down["a/1"] {
		t.Errorf("of what was deleted remains %v %v", state.Added, state.Down)
	}
	if got := state.Leftovers(); !slices.Equal(got, []string{"c.1.psk"}) {
		t.Errorf("leftovers %v", got)
	}
	must(t, s, func(tx *Tx) error { tx.Cleared(); return nil })
	if got := reopen(t, s).State().Leftovers(); got != nil {
		t.Errorf("cleared leftovers %v", got)
	}
}

func TestFilesAreForUsAlone(t *testing.T) { // SEC-07, SEC-01
	base := t.TempDir()
	s := open(t, filepath.Join(base, "state"))
	fill(t, s)
	for path, want := range map[string]os.FileMode{s.dir: 0o700 | os.ModeDir, s.Path(): 0o600} {
		if info, err := os.Lstat(path); err != nil || info.Mode() != want {
			t.Errorf("%s: %v %v, want %v", path, info.Mode(), err, want)
		}
	}
	if names, _ := filepath.Glob(filepath.Join(s.dir, "*")); len(names) != 1 {
		t.Errorf("in the folder are %v", names)
	}
	want := shown(s.State())
	s.Close()

	for _, c := range []struct {
		why, want string
		do, undo  func() error
	}{
		{"a folder that others look into", "mode 0755", func() error { return os.Chmod(s.dir, 0o755) }, func() error { return os.Chmod(s.dir, 0o700) }},
		{"a file that others read", "mode 0644", func() error { return os.Chmod(s.Path(), 0o644) }, func() error { return os.Chmod(s.Path(), 0o600) }},
		{"a link", "symbolic link", func() error {
			return errors.Join(os.Rename(s.Path(), s.Path()+"2"), os.Symlink(s.Path()+"2", s.Path()))
		}, func() error { return os.Rename(s.Path()+"2", s.Path()) }},
		{"a folder that is a link", "not a folder", func() error {
			return errors.Join(os.Rename(s.dir, s.dir+"2"), os.Symlink(s.dir+"2", s.dir))
		}, func() error { return errors.Join(os.Remove(s.dir), os.Rename(s.dir+"2", s.dir)) }},
		{"a pipe", "a pipe", func() error {
			return errors.Join(os.Rename(s.Path(), s.Path()+"2"), syscall.Mkfifo(s.Path(), 0o600))
		}, func() error { return os.Rename(s.Path()+"2", s.Path()) }},
	} {
		if err := c.do(); err != nil {
			t.Fatal(err)
		}
		refused, err := Open(s.dir)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(refused.State().Objects) != 0 {
			t.Errorf("%s: opened with %v", c.why, err)
		}
		if err := refused.Update(put("{name: x}")); !errors.Is(err, ErrUnavailable) || len(refused.State().Objects) != 0 {
			t.Errorf("%s: changed with %v", c.why, err)
		}
		if err := c.undo(); err != nil {
			t.Fatal(err)
		}
		must(t, refused, func(*Tx) error { return nil }) // now that it is well again
		if got := shown(refused.State()); got != want {
			t.Errorf("%s: when it is mended\n%s\nwant\n%s", c.why, got, want)
		}
		refused.Close()
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(s.Path(), 12345, -1); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(s.dir); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("a stranger's file is opened with %v", err)
		}
	}
}

func TestOneProcessAtATime(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	synctest.Test(t, func(t *testing.T) { // for the time that it waits
		if _, err := Open(s.dir); !errors.Is(err, ErrLocked) {
			t.Errorf("a second one opens it with %v", err)
		}
	})
}

func TestIDs(t *testing.T) { // R1, R9
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	first, _ := s.State().Find(config.ConnectionObject, "a")
	if !made(first.ID) || !strings.HasPrefix(first.ID, "vpn-") || !strings.Contains(string(first.Text), first.ID) {
		t.Errorf("id %q in %s", first.ID, first.Text)
	}
	if g, _ := s.State().Find(config.CustomerGatewayObject, "a"); !made(g.ID) || !strings.HasPrefix(g.ID, "cgw-") {
		t.Errorf("id %q", g.ID)
	}
	must(t, s, put("{name: a, routing: bgp}"))
	if again, _ := s.State().Find(config.ConnectionObject, "a"); again.ID != first.ID || again.Created != first.Created {
		t.Errorf("replaced it has the id %q, it had %q", again.ID, first.ID)
	}
	for _, c := range []struct {
		text string
		want error
	}{
		{"{name: a, id: other}", ErrOtherID},
		{"{name: e, id: spent-one}", ErrSpent},
		{"{name: e, id: " + first.ID + "}", ErrSpent}, // of the store's own form: it may have been given
		{"{name: e, id: vpn-00000000ffffff}", nil},    // another form
	} {
		if err := s.Update(put(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.text, err, c.want)
		}
	}
	must(t, s, remove("a"))
	s = reopen(t, s)
	must(t, s, put("{name: a}"))
	if again, _ := s.State().Find(config.ConnectionObject, "a"); again.ID == first.ID || again.ID[12:] == first.ID[12:] {
		t.Errorf("the id %q after %q was deleted", again.ID, first.ID)
	}
	synctest.Test(t, func(t *testing.T) { // the tombstones are gone, what was chosen is remembered
		s := open(t, filepath.Join(t.TempDir(), "state"))
		fill(t, s)
		time.Sleep(2 * time.Hour)
		must(t, s, put("{name: f}"))
		s = reopen(t, s)
		if err := s.Update(put("{name: e, id: spent-one}")); !errors.Is(err, ErrSpent) {
			t.Errorf("after the hour: %v", err)
		}
		s.Close()
	})
}

func TestSameDocumentIsNoChange(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	before := shown(s.State())
	must(t, s, put("{name: b, id: chosen, tags: {env: test}}"))
	if got := shown(s.State()); got != before {
		t.Errorf("after\n%s\nbefore\n%s", got, before)
	}
}

func TestRefusedChangeChangesNothing(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	before := shown(s.State())
	no := errors.New("no")
	err := s.Update(func(tx *Tx) error {
		tx.SetDown("a/2", true)
		tx.Delete(config.ConnectionObject, "a")
		tx.Put(doc(config.ConnectionObject, "{name: z}"))
		return no
	})
	if err != no {
		t.Errorf("refused with %v", err)
	}
	if err := s.Update(remove("nobody")); !errors.Is(err, ErrNotFound) {
		t.Errorf("deleting what is not there: %v", err)
	}
	if got := shown(s.State()); got != before {
		t.Errorf("after\n%s\nbefore\n%s", got, before)
	}
	if got := shown(reopen(t, s).State()); got != before {
		t.Errorf("after a restart\n%s\nbefore\n%s", got, before)
	}
}

// A disk that is full refuses changes and loses nothing.
func TestFullDisk(t *testing.T) { // EV-24
	s := open(t, filepath.Join(t.TempDir(), "state"))
	s.maxSize = 64 << 10
	fill(t, s)
	long := strings.Repeat("x", 8000)
	made := 0
	for ; made < 100; made++ {
		before := shown(s.State())
		if err := s.Update(put(fmt.Sprintf("{name: n%d, description: %s}", made, long))); err != nil {
			if !errors.Is(err, ErrUnavailable) {
				t.Errorf("full: %v", err)
			}
			if shown(s.State()) != before {
				t.Error("a change that failed has changed something")
			}
			break
		}
	}
	if made == 0 || made == 100 {
		t.Fatalf("made %d", made)
	}
	want := shown(s.State())
	s.maxSize = 0
	s = reopen(t, s)
	if got := shown(s.State()); got != want {
		t.Errorf("after a restart\n%s\nbefore\n%s", got, want)
	}
	must(t, s, put("{name: again}"))
}

// A file that goes away under a running gateway is made again of what it knows.
func TestFileTakenAway(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	if err := os.Remove(s.Path()); err != nil {
		t.Fatal(err)
	}
	must(t, s, put("{name: after}"))
	want := shown(s.State())
	if got := shown(reopen(t, s).State()); got != want || !strings.Contains(got, "after") {
		t.Errorf("after a restart\n%s\nbefore\n%s", got, want)
	}
}

// Whatever happens to the file, it is either read as it was or put aside, and the program lives. Of two places that say which
// change was the last, damage to the newer one looks like a change that a power cut has torn: then the change before counts.
func TestDamage(t *testing.T) { // EV-35
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	must(t, s, func(tx *Tx) error { // so many that there are pages of all kinds, and one that is longer than a page
		for i := range 60 {
			text := fmt.Sprintf("{name: n%d, description: %s}", i, strings.Repeat("x", 100+i/59*9000))
			if _, err := tx.Put(doc(config.ConnectionObject, text)); err != nil {
				return err
			}
		}
		return nil
	})
	before := shown(s.State())
	must(t, s, func(tx *Tx) error { tx.SetDown("b/1", true); return nil })
	want := shown(s.State())
	s.Close()
	whole, err := os.ReadFile(s.Path())
	if err != nil {
		t.Fatal(err)
	}
	aside := 0
	try := func(why string, file []byte) {
		t.Helper()
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fileName), file, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(dir)
		if err != nil {
			t.Fatalf("%s: %v", why, err)
		}
		defer s.Close()
		damage := s.Damage()
		if damage == nil {
			if got := shown(s.State()); got != want && got != before {
				t.Errorf("%s: it was read as\n%s", why, got)
			}
			return
		}
		aside++
		if kept, err := os.ReadFile(damage.Path); err != nil || string(kept) != string(file) || !strings.HasSuffix(damage.Path, ".bad") {
			t.Errorf("%s: %s does not hold what there was: %v", why, damage.Path, err)
		}
		if len(s.State().Objects) != 0 {
			t.Errorf("%s: damaged, and read as\n%s", why, shown(s.State()))
		}
		must(t, s, put("{name: after}"))
	}
	for _, n := range []int{1, 15, 16, 100, 4095, 4096, 8191, 8192, 12288, 16384, 20480, len(whole) / 2, len(whole) - 4096, len(whole) - 1} {
		try(fmt.Sprintf("cut to %d", n), whole[:n])
	}
	try("other things", []byte(strings.Repeat("no database ", 5000)))
	try("nothing but zeros", make([]byte, len(whole)))
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		file := slices.Clone(whole)
		at := random.IntN(len(file))
		for i := range 1 + random.IntN(8) {
			file[min(at+i, len(file)-1)] ^= byte(1 + random.IntN(255))
		}
		try(fmt.Sprintf("changed at %d", at), file)
	}
	for range 8 {
		file := slices.Clone(whole)
		page := random.IntN(len(file)/4096) * 4096
		for i := range 4096 {
			file[page+i] = byte(random.IntN(256))
		}
		try(fmt.Sprintf("noise in the page at %d", page), file)
	}
	if aside < 10 {
		t.Errorf("only %d were put aside", aside)
	}
}

func TestNewerVersion(t *testing.T) { // EV-35
	s := open(t, filepath.Join(t.TempDir(), "state"))
	fill(t, s)
	must(t, s, func(tx *Tx) error { tx.put(metaBucket, schemaKey, schema+1); return nil })
	s = reopen(t, s)
	if d := s.Damage(); d == nil || !strings.Contains(d.Why.Error(), "newer version") || len(s.State().Objects) != 0 {
		t.Errorf("damage %v, state\n%s", d, shown(s.State()))
	}
}
