package vectors

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestReadJoinsLinesAndSplitsCases(t *testing.T) {
	cases, err := Read(fstest.MapFS{
		"a.txt": {Data: []byte("# about\nname: first\nkey: 00 01\n  0203\nseq: 0x10\n\n\nexpect: ok\n")},
		"b.txt": {Data: []byte("expect: bad-icv\n")},
		"c.md":  {Data: []byte("not a vector")},
	}, "*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if len(cases) != 3 {
		t.Fatalf("%d cases, want 3", len(cases))
	}
	if got := cases[0].Hex(t, "key"); string(got) != "\x00\x01\x02\x03" {
		t.Errorf("key is %x, want 00010203", got)
	}
	if got := cases[0].Uint(t, "seq"); got != 16 {
		t.Errorf("seq is %d, want 16", got)
	}
	if got := cases[0].Name(); got != "first" {
		t.Errorf("name is %q, want the key's value", got)
	}
	if got := cases[1].Name(); got != "a.txt:8" {
		t.Errorf("name is %q, want where the case stands", got)
	}
	if got := cases[2].Text(t, "expect"); got != "bad-icv" {
		t.Errorf("expect is %q, want that of the second file", got)
	}
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"  0011\n":     "nothing to continue",
		"key 00\n":     "not \"key: value\"",
		"a: 1\na: 2\n": "second time",
	} {
		_, err := Read(fstest.MapFS{"v.txt": {Data: []byte(text)}}, "*.txt")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	if _, err := Read(fstest.MapFS{}, "*.txt"); err == nil {
		t.Error("no file at all is not an error: a test of a misspelt pattern would pass")
	}
}
