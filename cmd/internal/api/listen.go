package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNoGroup says that the group of a socket does not exist. Listening without a group is then the stricter choice.
var ErrNoGroup = errors.New("no such group")

// Listen makes the control socket: 0660 root:group in a directory of 0750, with no moment of a wider mode (CTL-01). An
// empty group leaves the caller's. A socket that nobody listens on any more is replaced; anything else at path is
// refused, and so is a directory that others may write to.
func Listen(path, group string) (net.Listener, error) {
	gid := -1
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("control socket %s: %w: %q (hint: create it, or name another in gateway.api.group)", path, ErrNoGroup, group)
		}
		gid, err = strconv.Atoi(g.Gid)
		if err != nil {
			return nil, fmt.Errorf("control socket %s: group %q has the id %q", path, group, g.Gid)
		}
	}
	if err := prepareDir(filepath.Dir(path), gid); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if err := clearStale(path); err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	l, err := bind(path)
	if err != nil {
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	if gid >= 0 {
		err = os.Lchown(path, -1, gid)
	}
	if err == nil {
		err = os.Chmod(path, 0o660)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket %s: %w", path, err)
	}
	return l, nil
}

// prepareDir makes dir, or checks one that is there. A directory that this call made gets the group.
func prepareDir(dir string, gid int) error {
	err := os.Mkdir(dir, 0o750)
	if err == nil {
		if gid >= 0 {
			return os.Chown(dir, -1, gid)
		}
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	switch {
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("others may write to %s: chmod o-w it, or choose another place in gateway.api.socket", dir)
	}
	return nil
}

// clearStale removes a socket that a dead daemon left.
func clearStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something that is not a socket is in its place")
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return errors.New("a daemon is listening on it already")
	}
	if !errors.Is(err, unix.ECONNREFUSED) {
		return err
	}
	return os.Remove(path)
}

var umask sync.Mutex // the umask belongs to the process

// bind makes the socket with mode 0600: it is opened to the group only once it has the right group.
func bind(path string) (net.Listener, error) {
	umask.Lock()
	defer umask.Unlock()
	old := unix.Umask(0o177)
	defer unix.Umask(old)
	return net.Listen("unix", path)
}

// limited lets so many clients in at once; further ones wait in the kernel's queue.
type limited struct {
	net.Listener
	free chan struct{}
	done chan struct{}
	once sync.Once
}

func newLimited(l net.Listener, n int) *limited {
	return &limited{Listener: l, free: make(chan struct{}, n), done: make(chan struct{})}
}

func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.free <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.free })}, nil
}

func (l *limited) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
