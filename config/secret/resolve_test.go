package secret

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// folder makes a secrets folder and a Store that looks there.
func folder(t *testing.T) (string, Store) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "secrets")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir, Store{Dir: dir, LookupEnv: func(string) (string, bool) { return "", false }}
}

// put writes a file with exactly this mode, whatever the umask.
func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func resolve(t *testing.T, s Store, ref Ref) string {
	t.Helper()
	found, err := s.Resolve(t.Context(), ref)
	if err != nil {
		t.Fatalf("resolving %v: %v", ref, err)
	}
	if checked, err := s.Check(t.Context(), ref); err != nil || !checked.IsZero() && !checked.Equal(found) {
		t.Errorf("Check of %v gives something else: %v", ref, err)
	}
	return string(found.Reveal())
}

func refuse(t *testing.T, s Store, ref Ref, want string) {
	t.Helper()
	_, err := s.Resolve(t.Context(), ref)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("resolving %v: got %v, want an error with %q", ref, err, want)
	}
	if err != nil && strings.Contains(err.Error(), canary) {
		t.Errorf("the error shows the secret: %v", err)
	}
}

// SEC-01: what others can read, change or replace is refused, and the message says what to do.
func TestFilesOthersCanTouchAreRefused(t *testing.T) {
	dir, store := folder(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, mode := range map[string]os.FileMode{
		"world-readable": 0o644, "world-only": 0o604, "group-writable": 0o620, "world-writable": 0o602, "all": 0o777,
	} {
		put(t, at(name), canary, mode)
		refuse(t, store, Ref{Kind: File, Name: name}, "chmod 600")
	}

	put(t, at("good"), canary+"\n", 0o600)
	if err := os.Symlink("good", at("link")); err != nil {
		t.Fatal(err)
	}
	refuse(t, store, Ref{Kind: File, Name: "link"}, "symbolic link")

	if err := syscall.Mkfifo(at("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	refuse(t, store, Ref{Kind: File, Name: "fifo"}, "a pipe") // and does not wait for a writer
	if err := os.Mkdir(at("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	refuse(t, store, Ref{Kind: File, Name: "folder"}, "a folder")
	refuse(t, store, Ref{Kind: File, Name: "absent"}, "no such file")
	refuse(t, store, Ref{Kind: File, Name: "../secrets/good"}, "inside the secrets folder")

	if os.Geteuid() == 0 {
		put(t, at("foreign"), canary, 0o600)
		if err := os.Chown(at("foreign"), 12345, 0); err != nil {
			t.Fatal(err)
		}
		refuse(t, store, Ref{Kind: File, Name: "foreign"}, "belongs to user 12345")
		put(t, at("foreign-group"), canary, 0o440)
		if err := os.Chown(at("foreign-group"), 0, 12345); err != nil {
			t.Fatal(err)
		}
		refuse(t, store, Ref{Kind: File, Name: "foreign-group"}, "a group that is not ours")
	}

	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	refuse(t, store, Ref{Kind: File, Name: "good"}, "anyone can replace it")
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if got := resolve(t, store, Ref{Kind: File, Name: "good"}); got != canary {
		t.Errorf("with the sticky bit on the folder: got %q", got)
	}
}

func TestFilesForUsAreRead(t *testing.T) {
	dir, store := folder(t)
	for name, mode := range map[string]os.FileMode{"a": 0o600, "b": 0o400, "c": 0o440} {
		put(t, filepath.Join(dir, name), canary+"\r\n", mode)
		if got := resolve(t, store, Ref{Kind: File, Name: name}); got != canary {
			t.Errorf("%s: got %q, want %q", name, got, canary)
		}
	}
	if got := resolve(t, Store{}, Ref{Kind: File, Name: filepath.Join(dir, "a")}); got != canary {
		t.Errorf("by absolute path: got %q", got)
	}
	refuse(t, Store{}, Ref{Kind: File, Name: "a"}, "gateway.secrets.dir")
}

// A Kubernetes volume is NAME -> ..data/NAME and ..data -> a dated folder. That link is followed; one that leads out
// of the folder by the same shape is not.
func TestKubernetesLinkIsFollowedInsideItsFolderOnly(t *testing.T) {
	dir, store := folder(t)
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "..2026", "psk"), canary, 0o400)
	link := func(target, name string) {
		t.Helper()
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("..2026", "..data")
	link("..data/psk", "psk")
	if got := resolve(t, store, Ref{Kind: File, Name: "psk"}); got != canary {
		t.Errorf("got %q, want %q", got, canary)
	}
	outside := t.TempDir()
	put(t, filepath.Join(outside, "psk"), canary, 0o600)
	if err := os.Remove(filepath.Join(dir, "..data")); err != nil {
		t.Fatal(err)
	}
	link(outside, "..data")
	refuse(t, store, Ref{Kind: File, Name: "psk"}, "escapes")
}

func TestOtherPlaces(t *testing.T) {
	dir, store := folder(t)
	put(t, filepath.Join(dir, "cred"), canary, 0o440)
	store.CredentialsDir = dir
	store.LookupEnv = func(name string) (string, bool) { return canary, name == "PSK" }
	for _, ref := range []Ref{
		{Kind: Credential, Name: "cred"},
		{Kind: Env, Name: "PSK"},
		{Kind: Inline, Value: New([]byte(canary))},
		{Kind: Inline, Value: New([]byte("63616e6172792d374871322e736563726574")), Encoding: Hex},
		{Kind: Inline, Value: New([]byte("Y2FuYXJ5LTdIcTIuc2VjcmV0")), Encoding: Base64},
		{Kind: Exec, Args: []string{"printf", "%s\\n", canary}},
	} {
		if got := resolve(t, store, ref); got != canary {
			t.Errorf("%v: got %q, want %q", ref, got, canary)
		}
	}
	// SEC-04: what is missing is an error of that reference, and says where to look.
	refuse(t, store, Ref{Kind: Credential, Name: "absent"}, "no such file")
	refuse(t, store, Ref{Kind: Credential, Name: "../cred"}, "no folder")
	refuse(t, Store{}, Ref{Kind: Credential, Name: "cred"}, "CREDENTIALS_DIRECTORY")
	refuse(t, store, Ref{Kind: Env, Name: "ABSENT"}, "not set")
	refuse(t, Store{}, Ref{Kind: Env, Name: "PSK"}, "not set")
	refuse(t, store, Ref{Kind: Vault}, "not supported yet")
	refuse(t, store, Ref{}, "not supported yet")
}

// AUT-01, RFC 7296 §2.15: a secret is octets, in text, hexadecimal or base64; what is none is refused and not repeated.
func TestContentIsChecked(t *testing.T) {
	inline := func(text string, as Encoding) Ref {
		return Ref{Kind: Inline, Value: New([]byte(text)), Encoding: as}
	}
	for _, c := range []struct {
		ref  Ref
		want string
	}{
		{inline("", Text), "empty"},
		{inline("1234567", Text), "shorter than 8"},
		{inline(strings.Repeat("x", MaxLen+1), Text), "longer than 4096"},
		{inline("<html>\n"+canary+"\n</html>", Text), "more than one line"}, // SEC-04: a page instead of a secret
		{inline(canary, Hex), "hexadecimal"},
		{inline(canary, Base64), "base64"},
		{inline(canary, "rot13"), "unknown encoding"},
	} {
		refuse(t, Store{}, c.ref, c.want)
	}
}

// SEC-04: a command that fails, talks too much or never ends is an error in bounded time, and what it said on its
// standard error is not repeated.
func TestCommandsAreBounded(t *testing.T) {
	command := func(args ...string) Ref { return Ref{Kind: Exec, Args: args} }
	refuse(t, Store{}, command("sh", "-c", "echo "+canary+" >&2; exit 3"), "exit status 3")
	refuse(t, Store{}, command("sh", "-c", "head -c 100000 /dev/zero"), "more than")
	refuse(t, Store{}, command("/nonexistent/twinbore-helper"), "no such file")
	refuse(t, Store{}, command(), "no command")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (Store{}).Resolve(ctx, command("sleep", "60")); err == nil {
		t.Error("a command outlived its context")
	}
	for _, ref := range []Ref{command("/nonexistent/twinbore-helper"), command()} {
		if _, err := (Store{}).Check(t.Context(), ref); err == nil {
			t.Errorf("%v passed the check", ref.Args)
		}
	}
	ran := filepath.Join(t.TempDir(), "ran")
	if _, err := (Store{}).Check(t.Context(), command("touch", ran)); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("Check ran the command")
	}
}

// CTL-07, SEC-04: a command is a fixed list of words and no shell looks at them.
func TestCommandsHaveNoShell(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	word := "$(touch " + ran + "); `touch " + ran + "` | touch " + ran + " && ${HOME} 'x"
	if got := resolve(t, Store{}, Ref{Kind: Exec, Args: []string{"printf", "%s", word}}); got != word {
		t.Errorf("got %q, want %q", got, word)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a shell has looked at it")
	}
}

// R62: a generated secret is made once, is what every peer accepts, and is kept where only its owner reads it.
func TestGeneratedSecretIsMadeOnce(t *testing.T) {
	dir, store := folder(t)
	store.Dir = filepath.Join(dir, "new", "folder")
	ref := Ref{Kind: Generate, Name: "office.1.psk"}
	if _, err := store.Check(t.Context(), ref); err != nil {
		t.Errorf("checking before it is made: %v", err)
	}
	if _, err := os.Stat(store.Dir); err == nil {
		t.Error("Check made something")
	}
	first := resolve(t, store, ref)
	if len(first) != 32 || first[0] == '0' || strings.Trim(first, alphabet) != "" {
		t.Errorf("made %q, want 32 characters of %s, the first not 0", first, alphabet)
	}
	if again := resolve(t, store, ref); again != first {
		t.Error("the second look found another secret")
	}
	if other := resolve(t, store, Ref{Kind: Generate, Name: "office.2.psk"}); other == first {
		t.Error("two tunnels have the same secret")
	}
	info, err := os.Stat(filepath.Join(store.Dir, ref.Name))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("kept as %v (%v), want mode 0600", info.Mode(), err)
	}
	entries, err := os.ReadDir(store.Dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder holds %v, want the two secrets and nothing half-written", entries)
	}
	if err := keep(filepath.Join(store.Dir, ref.Name), []byte("another, later one")); err != nil {
		t.Fatal(err)
	}
	if again := resolve(t, store, ref); again != first {
		t.Error("a secret that was there was replaced")
	}
}

func TestGeneratedSecretNeverStartsWithZero(t *testing.T) {
	zeros, later := make([]byte, generatedLen), bytes.Repeat([]byte{1}, generatedLen)
	text, err := draw(io.MultiReader(bytes.NewReader(zeros), bytes.NewReader(later)))
	if err != nil || string(text) != strings.Repeat("1", generatedLen) {
		t.Errorf("drew %q, %v", text, err)
	}
	if _, err := draw(bytes.NewReader(zeros)); err == nil {
		t.Error("a source of randomness that ends gave a secret")
	}
}

func TestRefNamesItsPlace(t *testing.T) {
	for want, ref := range map[string]Ref{
		"no secret":              {},
		"file a.psk":             {Kind: File, Name: "a.psk"},
		"env PSK":                {Kind: Env, Name: "PSK"},
		"inline":                 {Kind: Inline, Value: New([]byte(canary))},
		"exec vault":             {Kind: Exec, Args: []string{"vault", canary}},
		"generated office.1.psk": {Kind: Generate, Name: "office.1.psk"},
		"azure_keyvault":         {Kind: AzureKeyVault},
	} {
		if got := ref.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if (Ref{Kind: File}).Remote() || !(Ref{Kind: AWSSSM}).Remote() {
		t.Error("Remote does not tell services from this machine")
	}
}
