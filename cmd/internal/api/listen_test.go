package api

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// CTL-01: the socket is 0660 in a directory of 0750, and is never wider before.
func TestSocketIsOpenToItsGroupOnly(t *testing.T) {
	dir := filepath.Join(shortDir(t), "run")
	socket := filepath.Join(dir, "s")
	l, err := Listen(socket, "")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, want := range map[string]os.FileMode{socket: 0o660, dir: 0o750} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	raw, err := bind(filepath.Join(dir, "raw"))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	if info, err := os.Stat(filepath.Join(dir, "raw")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("between bind and chmod the mode is %v, want 0600 (%v)", info.Mode().Perm(), err)
	}
}

// CTL-01: what stands in the socket's place.
func TestListenRefusesWhatIsInItsPlace(t *testing.T) {
	dir := shortDir(t)
	os.Chmod(dir, 0o755)
	file, link, live, stale := filepath.Join(dir, "file"), filepath.Join(dir, "link"), filepath.Join(dir, "live"), filepath.Join(dir, "stale")
	os.WriteFile(file, nil, 0o600)
	os.Symlink(file, link)
	first, err := Listen(live, "")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	dead, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	open := filepath.Join(dir, "open")
	os.Mkdir(open, 0o755)
	os.Chmod(open, 0o777)

	for path, want := range map[string]string{
		file:                           "not a socket",
		link:                           "not a socket",
		live:                           "listening on it already",
		filepath.Join(open, "s"):       "others may write",
		filepath.Join(file, "s"):       "not a directory",
		filepath.Join(dir, "no/no/no"): "no such file",
	} {
		l, err := Listen(path, "")
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", path, err, want)
		}
	}
	l, err := Listen(stale, "")
	if err != nil {
		t.Fatalf("a dead daemon's socket is in the way: %v", err)
	}
	l.Close()
	if _, err := Listen(filepath.Join(dir, "g"), "no-such-group"); !errors.Is(err, ErrNoGroup) {
		t.Errorf("got %v", err)
	}
}

// CTL-02: who may talk.
func TestMayTalk(t *testing.T) {
	groups := func(uid uint32) []string {
		if uid == 1001 {
			return []string{"100", "77"}
		}
		return nil
	}
	for _, row := range []struct {
		who         credential
		self, group int
		want        bool
	}{
		{credential{uid: 0, gid: 0}, 900, 77, true},
		{credential{uid: 900, gid: 5}, 900, 77, true},
		{credential{uid: 1000, gid: 77}, 900, 77, true},
		{credential{uid: 1001, gid: 100}, 900, 77, true},
		{credential{uid: 1002, gid: 100}, 900, 77, false},
		{credential{uid: 1001, gid: 100}, 900, -1, false},
	} {
		if got := mayTalk(row.who, row.self, row.group, groups); got != row.want {
			t.Errorf("%+v group %d: got %v", row.who, row.group, got)
		}
	}
}

// CTL-02: a stranger is kept out by the mode, and by SO_PEERCRED where somebody opened the mode.
func TestStrangersAreRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root: cannot become another user")
	}
	socket := serve(t, Config{})
	exe := filepath.Join(shortDir(t), "caller") // the test's own place may be closed to other users
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, self, 0o755); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Dir(exe), 0o755)
	as := func(attr *syscall.SysProcAttr) string {
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "API_TEST_CALLER="+socket, "GORACE=atexit_sleep_ms=0")
		cmd.Dir = "/"
		cmd.SysProcAttr = attr
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(bytes.TrimSpace(out))
	}
	asNobody := func() string {
		return as(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}})
	}
	run, top := filepath.Dir(socket), filepath.Dir(filepath.Dir(socket))
	for _, open := range []func() error{
		func() error { return nil },
		func() error { return errors.Join(os.Chmod(top, 0o755), os.Chmod(run, 0o755)) },
		func() error { return os.Chmod(socket, 0o666) },
	} {
		if err := open(); err != nil {
			t.Fatal(err)
		}
		if got := asNobody(); !strings.Contains(got, ErrPermission.Error()) {
			t.Errorf("got %q", got)
		}
	}
	// Root of another user namespace, as in a container, is whom it is mapped to; and its network is another one.
	inContainer := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 65534, Size: 1}}, GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 65534, Size: 1}},
		Credential: &syscall.Credential{Uid: 0, Gid: 0, NoSetGroups: true}}
	if err := exec.Command("unshare", "--user", "true").Run(); err != nil {
		t.Logf("no user namespaces here: %v", err)
	} else if got := as(inContainer); !strings.Contains(got, ErrPermission.Error()) {
		t.Errorf("root of a container: got %q", got)
	}
	// A member of the socket's group may talk, by its first group or by another.
	const group = 54321
	if err := errors.Join(os.Chmod(socket, 0o660), os.Chown(socket, 0, group)); err != nil {
		t.Fatal(err)
	}
	if got := as(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: group}}); got != "as another user: <nil>" {
		t.Errorf("a member of the group: got %q", got)
	}
	if got := asNobody(); !strings.Contains(got, ErrPermission.Error()) {
		t.Errorf("nobody, once the socket has a group: got %q", got)
	}
	if _, _, err := NewClient(socket).Status(t.Context()); err != nil {
		t.Errorf("the daemon's own user is refused: %v", err)
	}
}

// CTL-01: a folder of the socket that is a link is judged by what it leads to.
func TestListenInAFolderThatIsALink(t *testing.T) {
	dir := shortDir(t)
	open, link := filepath.Join(dir, "open"), filepath.Join(dir, "link")
	if err := errors.Join(os.Mkdir(open, 0o755), os.Chmod(open, 0o777), os.Symlink(open, link)); err != nil {
		t.Fatal(err)
	}
	if l, err := Listen(filepath.Join(link, "s"), ""); err == nil || !strings.Contains(err.Error(), "others may write") {
		l.Close()
		t.Errorf("got %v", err)
	}
}
