package secret

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// A generated secret is what every peer accepts: AWS takes 8 to 64 of these characters and no leading zero (R62).
const (
	generatedLen = 32
	alphabet     = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._"
)

// generate returns the secret kept under name, which it makes if there is none. Of two processes that make it at
// once both get the same one.
func (s Store) generate(name string) ([]byte, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return readFile(path, private)
	}
	text, err := draw(s.Rand)
	if err != nil {
		return nil, err
	}
	if err := keep(path, text); err != nil {
		return nil, fmt.Errorf("keeping a new secret: %w", plain(err))
	}
	return readFile(path, private)
}

// draw makes a secret from random octets. 64 characters divide 256, so that all are equally likely.
func draw(from io.Reader) ([]byte, error) {
	if from == nil {
		from = rand.Reader
	}
	text := make([]byte, generatedLen)
	for {
		if _, err := io.ReadFull(from, text); err != nil {
			return nil, err
		}
		for i, b := range text {
			text[i] = alphabet[b%64]
		}
		if text[0] != '0' {
			return text, nil
		}
	}
}

// keep writes a new file of mode 0600 that is there whole or not at all, and leaves one that is there already.
func keep(path string, text []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return inFolder(dir, func(dir string) error {
		f, err := os.CreateTemp(dir, ".new-*") // mode 0600
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		_, err = f.Write(append(text, '\n'))
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		// A link and not a rename: it refuses to replace what another process has just made.
		if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		return nil
	})
}
