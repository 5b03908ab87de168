package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"twinbore/config/secret"
)

// lockTime is how long the process before this one has to end.
const lockTime = 3 * time.Second

// openFile opens the file and reads it. It makes one, of what is in memory, only if that is asked for.
func (s *Store) openFile(make bool) error {
	if err := s.checkFolder(make); err != nil {
		return err
	}
	if _, err := os.Lstat(s.Path()); errors.Is(err, fs.ErrNotExist) && make {
		if err := s.makeFile(); err != nil {
			return fmt.Errorf("%s: %w", s.Path(), plain(err))
		}
	}
	state, err := s.read(false)
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return s.readOnly(err)
	}
	if damaged, ok := errors.AsType[*damagedError](err); ok {
		if err := s.putAside(damaged.why); err != nil {
			return fmt.Errorf("%s: %w, and cannot be put aside: %w", s.Path(), damaged, plain(err))
		}
		if !make {
			return nil
		}
		return s.openFile(true)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", s.Path(), plain(err))
	}
	s.state.Store(state)
	return nil
}

// readOnly reads a file that cannot be written. why says that changes are refused.
func (s *Store) readOnly(why error) error {
	state, err := s.read(true)
	if err == nil {
		s.state.Store(state)
		err = s.closeFile()
	}
	return errors.Join(fmt.Errorf("%s: it can only be read: %w", s.Path(), plain(why)), err)
}

// read opens the file and reads all of it. Whatever it holds, that ends with an error at worst.
func (s *Store) read(readOnly bool) (*State, error) {
	flag, lock := os.O_RDWR, syscall.LOCK_EX
	if readOnly {
		flag, lock = os.O_RDONLY, syscall.LOCK_SH
	}
	f, err := openOwn(s.Path(), flag, 0)
	if err != nil {
		return nil, err
	}
	if err = waitLock(f, lock); err == nil {
		err = verify(f)
	}
	if err != nil {
		f.Close() // the first error counts
		return nil, err
	}
	options := &bolt.Options{ReadOnly: readOnly, MaxSize: s.maxSize, OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f, nil }}
	var state *State
	err = guard(func() (err error) {
		if s.db, err = bolt.Open(s.Path(), 0, options); err != nil { // with the lock, which belongs to f
			return err
		}
		return s.db.View(func(tx *bolt.Tx) (err error) {
			if state, err = readAll(tx, time.Now()); err != nil {
				return &damagedError{err}
			}
			return nil
		})
	})
	if s.file = f; err != nil {
		s.drop()
		return nil, err
	}
	return state, nil
}

// waitLock waits until no other process has the file, for the lockTime. The lock ends with the descriptor.
func waitLock(f *os.File, how int) error {
	for until := time.Now().Add(lockTime); ; time.Sleep(lockTime / 100) {
		err := syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		switch {
		case !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case time.Now().After(until):
			return ErrLocked
		}
	}
}

// closeFile lets another process have the file.
func (s *Store) closeFile() error {
	if s.db == nil {
		return nil
	}
	db := s.db
	s.db, s.file = nil, nil
	return db.Close()
}

// drop lets go of a file that is damaged. The library's own Close waits for what may never end once it has panicked.
func (s *Store) drop() {
	if s.file != nil {
		s.file.Close() // for the lock; it may be closed already
	}
	s.db, s.file = nil, nil
}

// inPlace reports whether the open file is still the one that the next start would find.
func (s *Store) inPlace() bool {
	open, err := s.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Lstat(s.Path())
	return err == nil && os.SameFile(open, there)
}

// A damagedError says that a file is not to be used.
type damagedError struct{ why error }

func (e *damagedError) Error() string { return "it is damaged: " + e.why.Error() }
func (e *damagedError) Unwrap() error { return e.why }

// guard runs f, which reads mapped memory that may not hold what it should: a panic of the library or a fault is an error.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = &damagedError{fmt.Errorf("reading it ended with: %v", r)}
		}
	}()
	return f()
}

// makeFile makes a store of what is in memory, usually nothing. It is there whole or not at all.
func (s *Store) makeFile() error {
	fresh := s.Path() + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	db, err := bolt.Open(fresh, 0o600, &bolt.Options{MaxSize: s.maxSize, OpenFile: openOwn})
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range buckets {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return apply(tx, append(s.state.Load().writes(time.Now()), write{metaBucket, schemaKey, schema}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	// A link and not a rename: it refuses to replace what another process has just made.
	if err := os.Link(fresh, s.Path()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return errors.Join(os.Remove(fresh), syncFolder(s.dir))
}

// putAside renames the file, which is not overwritten: who made it may know how to read it.
func (s *Store) putAside(why error) error {
	to := filepath.Join(s.dir, "objects-"+time.Now().UTC().Format("20060102T150405.000")+".bad")
	if err := os.Rename(s.Path(), to); err != nil {
		return err
	}
	s.damage = &Damage{Path: to, Why: why}
	return syncFolder(s.dir)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// openOwn opens a file of ours that is no link (SEC-01), judged by its descriptor.
func openOwn(path string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW, mode)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("is a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = secret.CheckOwner(info)
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("has mode %04o: others can read or change it; chmod 600", info.Mode().Perm())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkFolder refuses a folder in which others could put something in the place of ours (SEC-07), and makes one if asked to.
func (s *Store) checkFolder(make bool) error {
	info, err := os.Lstat(s.dir)
	if errors.Is(err, fs.ErrNotExist) && make {
		if err := os.MkdirAll(s.dir, 0o700); err != nil {
			return plain(err)
		}
		info, err = os.Lstat(s.dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", s.dir, plain(err))
	case !info.IsDir():
		return fmt.Errorf("%s: is not a folder", s.dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("%s: has mode %04o: others can look into it; chmod 700", s.dir, info.Mode().Perm())
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("%s: belongs to user %d; it must belong to root or to user %d, who runs this", s.dir, stat.Uid, os.Geteuid())
	}
	return nil
}

// plain takes the system call and the path away from an error: the path stands before it.
func plain(err error) error {
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return pathError.Err
	}
	return err
}
