package secret

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// SEC-01: who can change the file of an authority decides whom we believe. Links are followed: the system's own
// certificates are links.
func TestGuardedFiles(t *testing.T) {
	dir, _ := folder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	put(t, at("good"), "text", 0o644)
	put(t, at("group"), "text", 0o664)
	put(t, at("world"), "text", 0o646)
	if err := os.Symlink("good", at("link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"good", "link"} {
		if b, err := ReadGuarded(at(name), 4); err != nil || string(b) != "text" {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	for name, want := range map[string]string{"group": "chmod go-w", "world": "chmod go-w", "fifo": "a pipe", "absent": "no such file"} {
		if _, err := ReadGuarded(at(name), 4); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	if _, err := ReadGuarded(at("good"), 3); err == nil || !strings.Contains(err.Error(), "longer than 3") {
		t.Errorf("a file that is too long: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadGuarded(at("good"), 4); err == nil || !strings.Contains(err.Error(), "anyone can replace it") {
		t.Errorf("in a folder that anyone can write: %v", err)
	}
}

// A private key has several lines, is guarded like any secret, and comes back as it stands.
func TestTextOfSeveralLines(t *testing.T) {
	dir, store := folder(t)
	const text = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"
	put(t, filepath.Join(dir, "gw.key"), text, 0o600)
	put(t, filepath.Join(dir, "open.key"), text, 0o644)
	put(t, filepath.Join(dir, "gw.b64"), base64.StdEncoding.EncodeToString([]byte(text))[:40]+"\n"+base64.StdEncoding.EncodeToString([]byte(text))[40:]+"\n", 0o600)
	for _, ref := range []Ref{{Kind: File, Name: "gw.key"}, {Kind: File, Name: "gw.b64", Encoding: Base64}} {
		found, err := store.ResolveText(t.Context(), ref)
		if err != nil || string(found.Reveal()) != text {
			t.Errorf("%v: %q, %v", ref, found.Reveal(), err)
		}
	}
	for want, ref := range map[string]Ref{"chmod 600": {Kind: File, Name: "open.key"}, "can be generated": {Kind: Generate, Name: "x"},
		"not hexadecimal": {Kind: File, Name: "gw.key", Encoding: Hex}} {
		if _, err := store.ResolveText(t.Context(), ref); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", ref, err, want)
		}
	}
}
