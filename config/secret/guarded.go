package secret

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// ReadGuarded reads a file that is no secret and decides whom we believe, such as an authority's certificate: anybody may
// read it, nobody but root and us may change or replace it (SEC-01). It has at most limit octets.
func ReadGuarded(path string, limit int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // does not wait for a FIFO's writer
	if err != nil {
		return nil, plain(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, plain(err)
	}
	if err := CheckOwner(info); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return nil, fmt.Errorf("%s: has mode %04o: others can change it; chmod go-w", path, mode)
	}
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(b) > limit {
		return nil, fmt.Errorf("%s: is longer than %d octets", path, limit)
	}
	return b, nil
}
