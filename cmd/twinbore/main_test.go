package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"twinbore/config"
)

func TestMain(m *testing.M) {
	if os.Getenv("TWINBORE_TEST_MAIN") != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"twinbore": main})
}

// What a user sees, as scripts. `exits CODE command` wants an exit code.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector waits a second at each end of a process
			return filepath.Walk(e.WorkDir, func(path string, info os.FileInfo, err error) error {
				if err != nil || info.IsDir() {
					return err
				}
				return os.Chmod(path, 0o600) // whatever the umask
			})
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command that must end with this exit code; its output is for stdout and stderr as after exec.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [argument]...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		got = fmt.Sprint(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit code %s, want %s", got, args[0])
	}
}

// The sample that init prints is a valid configuration without a warning.
func TestSampleIsValid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "twinbore.yaml")
	if err := os.WriteFile(path, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(hostFS{}, nil, path)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) != 0 || len(c.Connections) != 1 || len(c.Connections[0].Tunnels) != 2 {
		t.Errorf("%d connections, warnings %v", len(c.Connections), c.Warnings)
	}
}

// Every line of the sample that is commented out is right as well: with all of them in, it loads.
func TestSampleIsValidWithItsCommentsTakenIn(t *testing.T) {
	var text strings.Builder
	for line := range strings.Lines(sample) {
		before, rest, ok := strings.Cut(line, "# ")
		key, _, isKey := strings.Cut(rest, ":")
		if ok && strings.TrimSpace(before) == "" && isKey && strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_ ") == "" && !strings.Contains(strings.TrimSpace(key), " ") {
			line = before + rest
		}
		text.WriteString(line)
	}
	path := filepath.Join(t.TempDir(), "twinbore.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(hostFS{}, nil, path)
	if err != nil {
		t.Fatalf("%v\n%s", err, text.String())
	}
	if c.Gateway.Name != "paris-gw-1" || !c.Connections[0].Tunnels[0].Inside.IsValid() {
		t.Errorf("the comments were not taken in:\n%s", text.String())
	}
}

// Every subcommand can say what it is for, and has a name of its own.
func TestEverySubcommandHasHelp(t *testing.T) {
	seen := map[string]bool{}
	for _, newCommand := range commands {
		cmd := newCommand(&app{})
		if cmd.Short == "" || seen[cmd.Name()] {
			t.Errorf("%q has no help, or stands twice in the list", cmd.Name())
		}
		seen[cmd.Name()] = true
		var out, errs bytes.Buffer
		if code := run(t.Context(), []string{cmd.Name(), "--help"}, nil, &out, &errs); code != 0 || !strings.Contains(out.String(), "twinbore "+cmd.Name()) {
			t.Errorf("%s --help: exit code %d, %s%s", cmd.Name(), code, &out, &errs)
		}
	}
}
