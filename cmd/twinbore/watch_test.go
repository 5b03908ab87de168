package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
)

// On a terminal each text is written over the one before it, and the cursor is there again at the end; elsewhere one text
// follows the other.
func TestWatchOnAScreen(t *testing.T) {
	for plain, want := range map[bool]string{
		true:  "one\ntwo\n\nthree\n",
		false: hideCursor + clearScreen + "one" + clearLine + "\r\ntwo" + clearLine + "\r\n" + clearBelow + goHome + "three" + clearLine + "\r\n" + clearBelow + showCursor,
	} {
		var out strings.Builder
		s := &screen{out: &out, plain: plain}
		for _, text := range []string{"one\ntwo\n", "three\n"} {
			if err := s.show(text); err != nil {
				t.Fatal(err)
			}
		}
		s.leave()
		if out.String() != want {
			t.Errorf("plain %v: got %q, want %q", plain, out.String(), want)
		}
	}
}

// A daemon that is not there at first is an error; one that goes later is waited for. The end of the context is no error.
func TestWatchWaitsForADaemonThatWasThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		a := &app{out: &out}
		gone := errors.New("the daemon is not reachable")
		if err := a.watch(t.Context(), time.Second, func(context.Context) (string, error) { return "", gone }); !errors.Is(err, gone) || out.Len() > 0 {
			t.Errorf("got %v, %q", err, out.String())
		}
		ctx, stop := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer stop()
		looks := 0
		err := a.watch(ctx, time.Second, func(context.Context) (string, error) {
			if looks++; looks == 2 {
				return "", gone
			}
			return "fine\n", nil
		})
		if want := "fine\n\nthe daemon is not reachable; trying again every 1s\n\nfine\n\nfine\n"; err != nil || out.String() != want {
			t.Errorf("got %v and %q, want %q", err, out.String(), want)
		}
	})
}

// A signal ends `status --watch` with exit code 0, and what was written is whole.
func TestWatchEndsWithASignal(t *testing.T) {
	socket := answering(t, api.Config{Status: func(context.Context) (api.Status, error) { return tableStatus(), nil }})
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	cmd.Args = []string{"twinbore", "--socket", socket, "status", "aws-prod", "--watch", "--interval", "100ms"}
	cmd.Env = append(os.Environ(), "TWINBORE_TEST_MAIN=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make([]byte, 1<<16)
	if n, err := out.Read(read); err != nil || !strings.HasPrefix(string(read[:n]), "GATEWAY paris-gw-1") {
		t.Errorf("got %q, %v", read[:n], err)
	}
	cmd.Process.Signal(syscall.SIGTERM)
	var rest bytes.Buffer
	rest.ReadFrom(out)
	if err := cmd.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if text := rest.String(); text != "" && !strings.HasSuffix(text, "\n") {
		t.Errorf("the last line is cut: %q", text)
	}
}
