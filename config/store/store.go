package store

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
)

// fileName is the store in the state folder.
const fileName = "objects.db"

// ErrLocked says that another process has the store open: nothing can be known of what is in it. End that process, or give this
// one a gateway.state_dir of its own.
var ErrLocked = errors.New("another process has it open")

// ErrUnavailable wraps every reason for which a change could not be kept: no space left, a folder that cannot be written, a
// damaged file. Nothing has changed.
var ErrUnavailable = errors.New("the change could not be kept")

// A Damage is a store that was put aside.
type Damage struct {
	Path string // where it is now
	Why  error
}

// A Store is the open store of one gateway. It is safe for concurrent use.
type Store struct {
	dir   string
	state atomic.Pointer[State]

	mu      sync.Mutex // guards the following, and is held while a change is made
	db      *bolt.DB   // nil: there is no file yet, or it cannot be written
	file    *os.File   // db's
	damage  *Damage
	maxSize int // octets of the file; 0: no bound
}

// Open reads what is kept in the folder dir. There may be none yet.
//
// With an error, the Store can be used all the same unless that is ErrLocked: State is what could be read, and every Update
// tries anew to open what there is. The error says why it could not be read, or cannot be written, now.
func Open(dir string) (*Store, error) {
	s := &Store{dir: dir}
	s.state.Store(emptyState())
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.openFile(false)
	if s.db != nil && len(s.state.Load().tombstones) > 0 {
		// What was left of each hour is counted from here on, whatever the wall clock was.
		err = s.update(func(tx *Tx) error { tx.touched = true; return nil })
	}
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	return s, err
}

// State is what is kept now.
func (s *Store) State() *State { return s.state.Load() }

// Damage says what was put aside since the store was opened; nil when nothing was.
func (s *Store) Damage() *Damage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.damage
}

// Path is where the store is, or would be.
func (s *Store) Path() string { return filepath.Join(s.dir, fileName) }

// Update makes a change. When it returns nil, the change is on the disk; otherwise nothing has changed: the error is that of
// change, or wraps ErrUnavailable. Changes wait for each other.
func (s *Store) Update(change func(*Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil || !s.inPlace() {
		err := s.closeFile()
		if err == nil {
			err = s.openFile(true)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	return s.update(change)
}

func (s *Store) update(change func(*Tx) error) error {
	tx := &Tx{state: s.state.Load().clone(), now: time.Now()}
	if err := change(tx); err != nil {
		return err
	}
	if tx.saveTombstones(); len(tx.writes) > 0 {
		err := guard(func() error { return s.db.Update(func(b *bolt.Tx) error { return apply(b, tx.writes) }) })
		if _, damaged := errors.AsType[*damagedError](err); damaged {
			s.drop() // the next change looks at it again
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrUnavailable, s.Path(), plain(err))
		}
	}
	s.state.Store(tx.state)
	return nil
}

// Close lets another process have the store. No Update may follow.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closeFile()
}

// Added returns the networks that were added to a connection.
func (s *Store) Added(connection string) []netip.Prefix { return s.State().Added[connection] }

// SetAdded makes networks those that were added to a connection. It is an Update.
func (s *Store) SetAdded(connection string, networks []netip.Prefix) error {
	return s.Update(func(tx *Tx) error {
		tx.SetAdded(connection, networks)
		return nil
	})
}
