package secret

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// readLimit is more than the longest secret takes in any encoding.
const readLimit = 4 * MaxLen

// A trust says what a file's mode may be.
type trust uint8

const (
	private    trust = iota // readable by its owner, or by a group of ours (0600, 0400, 0440)
	credential              // made by systemd: 0400, or 0440 where an access list names us
)

// readFile reads a small file after judging its open descriptor (SEC-01).
func readFile(path string, how trust) ([]byte, error) {
	f, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := CheckOwner(info); err != nil {
		return nil, err
	}
	if err := checkMode(info, how); err != nil {
		return nil, err
	}
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, readLimit+1))
	if err != nil {
		return nil, err
	}
	if len(b) > readLimit {
		return nil, fmt.Errorf("is longer than %d octets", readLimit)
	}
	return b, nil
}

// open opens path without following a link and without waiting for a FIFO's writer. One link is followed: NAME ->
// ..data/NAME, which is how Kubernetes mounts secrets, and only inside its own folder.
func open(path string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK
	f, err := os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0)
	if !errors.Is(err, syscall.ELOOP) {
		return f, plain(err)
	}
	dir, name := filepath.Split(path)
	if target, err := os.Readlink(path); err != nil || target != filepath.Join("..data", name) {
		return nil, errors.New("is a symbolic link; name the file itself")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, plain(err)
	}
	defer root.Close()
	f, err = root.OpenFile(name, flags, 0)
	return f, plain(err)
}

// plain takes the system call and the path away from an error: the reference names the place already.
func plain(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %w", pathError.Path, pathError.Err)
	}
	return err
}

// CheckOwner refuses what is not a regular file, or belongs to someone other than root and us. Of a file system
// that has no owners only the first is checked.
func CheckOwner(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("is not a regular file but %s", kindOf(info.Mode()))
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d; it must belong to root or to user %d, who runs this", stat.Uid, os.Geteuid())
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a folder"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return mode.Type().String()
}

func checkMode(info fs.FileInfo, how trust) error {
	mode := info.Mode().Perm()
	switch {
	case mode&0o037 != 0:
		return fmt.Errorf("has mode %04o: others can read or change it; chmod 600", mode)
	case mode&0o040 != 0 && how == private && !groupIsOurs(info):
		return fmt.Errorf("has mode %04o: a group that is not ours can read it; chmod 600", mode)
	}
	return nil
}

func groupIsOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	groups, err := os.Getgroups()
	return int(stat.Gid) == os.Getegid() || err == nil && slices.Contains(groups, int(stat.Gid))
}

// checkFolder refuses a folder in which anyone may replace a file: writable by all, without the sticky bit.
func checkFolder(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return plain(err)
	}
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("lies in %s, where anyone can replace it; chmod o-w that folder", dir)
	}
	return nil
}
