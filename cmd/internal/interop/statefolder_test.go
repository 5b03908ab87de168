//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
)

// A state folder without room, or that can only be read, refuses changes and loses nothing, and the gateway goes on.
func TestStateFolderInTrouble(t *testing.T) { // EV-24, hardening R24
	t.Parallel()
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/twinbore is not built; run: make build")
	}
	l := newLab(t)
	state := l.path("state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", state, "tmpfs", 0, "size=128k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(state, syscall.MNT_DETACH) })
	g, err := l.startGateway("a", fmt.Sprintf(killConfig, l.dir))
	if err != nil {
		t.Fatalf("%v\n%s", err, g.output())
	}
	client := api.NewClient(g.socket)
	change := func(verb api.ObjectVerb, name, document string) error {
		_, _, err := client.ChangeObject(t.Context(), api.ObjectChange{Verb: verb, Kind: api.CustomerGateways, Name: name, Document: []byte(document)})
		return err
	}
	notKept := func(err error) bool {
		p, ok := errors.AsType[*api.Problem](err)
		return ok && p.Reason == api.NotKept
	}
	listed := func() (names []string) {
		t.Helper()
		got, _, err := client.Objects(t.Context(), api.CustomerGateways)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range got.Objects {
			names = append(names, o.Name)
		}
		return names
	}

	// Without room.
	var made []string
	text := strings.Repeat("x", 250)
	for len(made) < 1000 {
		name := fmt.Sprintf("g%d", len(made))
		err := change(api.Create, name, fmt.Sprintf(`{name: %s, address: any, description: %s, tags: {a: %s, b: %s, c: %s, d: %s}}`, name, text, text, text, text, text))
		if err == nil {
			made = append(made, name)
			continue
		}
		if !notKept(err) || !strings.Contains(err.Error(), "no space left on device") {
			t.Errorf("without room: %v", err)
		}
		break
	}
	if len(made) == 0 || len(made) == 1000 {
		t.Fatalf("%d were made in 128 kB", len(made))
	}
	if got := listed(); strings.Join(got, " ") != strings.Join(made, " ") {
		t.Errorf("listed are %v, made were %v", got, made)
	}
	if _, err := client.Act(t.Context(), api.Action{Verb: api.Restart, Connection: "office"}); err != nil {
		t.Errorf("a command that keeps nothing: %v", err)
	}

	// Killed there, and started anew.
	restart := func() {
		t.Helper()
		g.cmd.Process.Kill()
		<-g.ended
		if g, err = l.startGateway("a", fmt.Sprintf(killConfig, l.dir)); err != nil {
			t.Fatalf("%v\n%s", err, g.output())
		}
		if got := listed(); strings.Join(got, " ") != strings.Join(made, " ") {
			t.Errorf("after a restart listed are %v, made were %v", got, made)
		}
	}
	restart()

	// For reading only.
	remount := func(flags uintptr, size string) {
		t.Helper()
		err := until(5*time.Second, func() error {
			return syscall.Mount("tmpfs", state, "tmpfs", syscall.MS_REMOUNT|flags, "size="+size+",mode=0700")
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	g.cmd.Process.Kill()
	<-g.ended
	remount(syscall.MS_RDONLY, "128k")
	restart()
	if err := change(api.Delete, made[0], ""); !notKept(err) || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("read only: %v", err)
	}
	if !strings.Contains(g.output(), "nothing can be made or changed at run time until this is mended") {
		t.Errorf("it is not said that nothing can be kept:\n%s", g.output())
	}

	// Mended.
	g.cmd.Process.Kill()
	<-g.ended
	remount(0, "4m")
	restart()
	if err := change(api.Delete, made[0], ""); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if err := change(api.Create, "after", "{name: after, address: any}"); err != nil {
		t.Errorf("with room again: %v", err)
	}
	if got := listed(); len(got) != len(made)+1 || got[len(got)-2] != "after" {
		t.Errorf("listed are %v", got)
	}
}
