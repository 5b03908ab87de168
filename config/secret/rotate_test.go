package secret

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rotate replaces a secret and fails the test if that cannot be done.
func rotate(t *testing.T, s Store, ref Ref, next string, now, until time.Time) {
	t.Helper()
	if err := s.Rotate(t.Context(), ref, New([]byte(next)), now, until); err != nil {
		t.Fatal(err)
	}
}

// former are the secrets that are accepted beside the current one.
func former(t *testing.T, s Store, ref Ref, now time.Time) (list []string) {
	t.Helper()
	found, err := s.Former(t.Context(), ref, now)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		list = append(list, string(f.Secret.Reveal())+" until "+f.Until.Format(time.RFC3339))
	}
	return list
}

// SEC-04, SEC-07, R58: the secret before the current one stays beside it until its time is over, in files of ours alone,
// and nothing is left afterwards.
func TestRotateKeepsTheSecretBefore(t *testing.T) {
	dir, store := folder(t)
	for _, ref := range []Ref{{Kind: File, Name: "a.psk"}, {Kind: Generate, Name: "b.psk"}, {Kind: File, Name: "c.psk", Encoding: Hex}, {Kind: File, Name: "d.psk", Encoding: Base64}} {
		first := []byte(canary + "\n")
		if ref.Encoding != "" {
			text, err := encode([]byte(canary), ref.Encoding)
			if err != nil {
				t.Fatal(err)
			}
			first = append(text, '\n')
		}
		put(t, filepath.Join(dir, ref.Name), string(first), 0o600)
		rotate(t, store, ref, "the second one", noon, noon.Add(time.Hour))
		if got := resolve(t, store, ref); got != "the second one" {
			t.Errorf("%v: got %q", ref, got)
		}
		if got, want := former(t, store, ref, noon), []string{canary + " until 2026-11-22T13:00:00Z"}; !slices.Equal(got, want) {
			t.Errorf("%v: got %q, want %q", ref, got, want)
		}
		rotate(t, store, ref, "the third one", noon, noon.Add(2*time.Hour))
		if got := former(t, store, ref, noon); len(got) != 2 || !strings.HasPrefix(got[1], "the second one") {
			t.Errorf("%v: got %q", ref, got)
		}
		rotate(t, store, ref, "the fourth one", noon, noon) // the third one was wrong: it is not accepted
		if got := former(t, store, ref, noon); len(got) != 2 {
			t.Errorf("%v: got %q", ref, got)
		}
		if got := former(t, store, ref, noon.Add(time.Hour)); len(got) != 1 {
			t.Errorf("%v: got %q after the first one's time", ref, got)
		}
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 || strings.HasPrefix(e.Name(), ".") {
				t.Errorf("there is %s with mode %v (%v)", e.Name(), info.Mode(), err)
			}
		}
		if err := store.Forget(ref, noon.Add(2*time.Hour)); err != nil {
			t.Fatal(err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, ref.Name+"*")); len(left) != 1 {
			t.Errorf("%v: %q are left", ref, left)
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	dir, store := folder(t)
	put(t, filepath.Join(dir, "a.psk"), canary+"\n", 0o600)
	put(t, filepath.Join(dir, "open.psk"), canary+"\n", 0o644)
	if err := os.Symlink("a.psk", filepath.Join(dir, "link.psk")); err != nil {
		t.Fatal(err)
	}
	a := Ref{Kind: File, Name: "a.psk"}
	for _, c := range []struct {
		ref  Ref
		next string
		want string
	}{
		{Ref{Kind: Env, Name: "X"}, "another secret", "env X: is not kept in a file of this gateway"},
		{Ref{Kind: Inline, Value: New([]byte(canary))}, "another secret", "inline: is not kept in a file"},
		{Ref{Kind: File, Name: "link.psk"}, "another secret", "not a regular file"},
		{Ref{Kind: File, Name: "absent.psk"}, "another secret", "no such file"},
		{Ref{Kind: File, Name: "../x.psk"}, "another secret", "must stay inside"},
		{Ref{Kind: File, Name: "open.psk"}, "another secret", "others can read"},
		{a, "short", "file a.psk: the new secret is shorter than 8 octets"},
		{a, "two\nlines of it", "more than one line"},
		{a, strings.Repeat("x", MaxLen+1), "longer than"},
	} {
		err := store.Rotate(t.Context(), c.ref, New([]byte(c.next)), noon, noon.Add(time.Hour))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%v: got %v, want %q", c.ref, err, c.want)
		}
		if _, err := store.Place(c.ref); (c.ref.Kind != File) != errors.Is(err, ErrNotHere) {
			t.Errorf("%v: place gives %v", c.ref, err)
		}
	}
	for i := range MaxFormer {
		rotate(t, store, a, "another secret", noon, noon.Add(time.Duration(i+1)*time.Hour))
	}
	err := store.Rotate(t.Context(), a, New([]byte("one too many")), noon, noon.Add(5*time.Hour))
	if err == nil || !strings.Contains(err.Error(), "wait until 2026-11-22T13:00:00Z") {
		t.Errorf("got %v", err)
	}
	if got := resolve(t, store, a); got != "another secret" {
		t.Errorf("a refusal has changed the secret to %q", got)
	}
}

// Where the old secret cannot be put aside that is an error, and the secret is the old one.
func TestRotateWhereTheOldOneCannotStay(t *testing.T) {
	dir, store := folder(t)
	put(t, filepath.Join(dir, "a.psk"), canary+"\n", 0o600)
	a, until := Ref{Kind: File, Name: "a.psk"}, noon.Add(time.Hour)
	inTheWay := filepath.Join(dir, "a.psk"+untilMark+until.UTC().Format(untilStamp))
	if err := os.MkdirAll(filepath.Join(inTheWay, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := store.Rotate(t.Context(), a, New([]byte("another secret")), noon, until); err == nil {
		t.Error("done")
	}
	if got := resolve(t, store, a); got != canary {
		t.Errorf("the secret is %q", got)
	}
}
