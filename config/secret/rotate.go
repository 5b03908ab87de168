package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Beside a file whose secret was replaced lies the one before it, as long as it is accepted. Its name says until when, so
// that a restart knows it and whoever lists the folder does, too:
//
//	office.1.psk
//	office.1.psk.until-20261123T020000Z
const (
	untilMark  = ".until-"
	untilStamp = "20060102T150405Z"
)

// MaxFormer is how many secrets before the current one are accepted at most: a peer's proof is compared with each.
const MaxFormer = 3

// ErrNotHere says that a secret is not kept in a file of ours, so that only whoever keeps it can replace it.
var ErrNotHere = errors.New("is not kept in a file of this gateway")

// A Former is a secret that was replaced and is still accepted.
type Former struct {
	Secret Secret
	Until  time.Time
}

// Place returns the file that a reference leads to; ErrNotHere if it leads to none.
func (s Store) Place(ref Ref) (string, error) {
	if ref.Kind != File && ref.Kind != Generate {
		return "", fmt.Errorf("%v: %w", ref, ErrNotHere)
	}
	path, err := s.path(ref.Name)
	if err != nil {
		return "", fmt.Errorf("%v: %w", ref, err)
	}
	return path, nil
}

// Rotate writes next where ref says and keeps what was there as a Former until the time given, which is cut to the second;
// one that is not after now keeps nothing. Whenever it is interrupted, there is a whole secret in the file, and the old one
// is not lost before the new one is there. The file must be a regular one of ours, in a folder that we can write to.
func (s Store) Rotate(ctx context.Context, ref Ref, next Secret, now, until time.Time) error {
	path, err := s.Place(ref)
	if err != nil {
		return err
	}
	if err := s.rotate(ctx, path, ref, next, now, until); err != nil {
		return fmt.Errorf("%v: %w", ref, plain(err))
	}
	return nil
}

func (s Store) rotate(ctx context.Context, path string, ref Ref, next Secret, now, until time.Time) error {
	if info, err := os.Lstat(path); err != nil {
		return err
	} else if !info.Mode().IsRegular() {
		return fmt.Errorf("is not a regular file but %s: replace the secret where it comes from", kindOf(info.Mode()))
	}
	text, err := encode(next.Reveal(), ref.Encoding)
	if err != nil {
		return err
	}
	old, err := readFile(path, private)
	if err != nil {
		return err
	}
	defer clear(old)
	if until.After(now) {
		former, err := s.Former(ctx, ref, now)
		if err != nil {
			return err
		}
		if len(former) >= MaxFormer {
			return fmt.Errorf("%d secrets before this one are still accepted, which is the limit: wait until %s, or delete what the peer does not use (%s%s*)",
				len(former), former[0].Until.UTC().Format(time.RFC3339), filepath.Base(path), untilMark)
		}
		if err := replace(path+untilMark+until.UTC().Format(untilStamp), old); err != nil {
			return err
		}
	}
	return replace(path, append(text, '\n'))
}

// Former returns the secrets before the one that ref leads to that are still accepted at now, the first to end first.
func (s Store) Former(_ context.Context, ref Ref, now time.Time) ([]Former, error) {
	path, err := s.Place(ref)
	if err != nil {
		return nil, err
	}
	var out []Former
	for name, until := range formerFiles(path) {
		if !until.After(now) {
			continue
		}
		raw, err := readFile(name, private)
		if err == nil {
			raw, err = decode(raw, ref.Encoding)
		}
		if err != nil {
			return nil, fmt.Errorf("file %s: %w", name, err)
		}
		out = append(out, Former{New(raw), until})
	}
	slices.SortFunc(out, func(a, b Former) int { return a.Until.Compare(b.Until) })
	return out[:min(len(out), MaxFormer)], nil
}

// Forget deletes the secrets before the one that ref leads to that are not accepted any more at now.
func (s Store) Forget(ref Ref, now time.Time) error {
	path, err := s.Place(ref)
	if err != nil {
		return err
	}
	var errs []error
	for name, until := range formerFiles(path) {
		if !until.After(now) {
			errs = append(errs, os.Remove(name))
		}
	}
	return errors.Join(errs...)
}

// formerFiles returns the files beside path that keep former secrets, and until when those are accepted. A folder that
// cannot be read has none.
func formerFiles(path string) map[string]time.Time {
	entries, _ := os.ReadDir(filepath.Dir(path))
	out := map[string]time.Time{}
	for _, e := range entries {
		stamp, ok := strings.CutPrefix(e.Name(), filepath.Base(path)+untilMark)
		if until, err := time.Parse(untilStamp, stamp); ok && err == nil {
			out[filepath.Join(filepath.Dir(path), e.Name())] = until
		}
	}
	return out
}

// Draw makes a new secret of 32 characters that every peer accepts.
func (s Store) Draw() (Secret, error) {
	text, err := draw(s.Rand)
	return New(text), err
}

// encode is the reverse of decode.
func encode(octets []byte, as Encoding) ([]byte, error) {
	var text []byte
	switch as {
	case "", Text:
		if bytes.ContainsAny(octets, "\r\n") {
			return nil, errors.New("the new secret has more than one line; a secret is one line")
		}
		text = bytes.Clone(octets)
	case Hex:
		text = hex.AppendEncode(nil, octets)
	case Base64:
		text = base64.StdEncoding.AppendEncode(nil, octets)
	default:
		return nil, fmt.Errorf("unknown encoding %q", as)
	}
	if _, err := decode(bytes.Clone(text), as); err != nil {
		return nil, fmt.Errorf("the new secret %w", err)
	}
	return text, nil
}

// replace writes a file of mode 0600 that is the old one or the new one, and nothing in between, whenever it is read.
func replace(path string, text []byte) error {
	return inFolder(filepath.Dir(path), func(dir string) error {
		f, err := os.CreateTemp(dir, ".new-*") // mode 0600
		if err != nil {
			return err
		}
		defer os.Remove(f.Name())
		_, err = f.Write(text)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		return os.Rename(f.Name(), path)
	})
}

// inFolder does something to the entries of a folder and makes that last.
func inFolder(dir string, do func(dir string) error) error {
	if err := do(dir); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// Discard deletes a generated secret and the ones before it; nobody may need it any more. One that is not there is no error.
func (s Store) Discard(ref Ref) error {
	if ref.Kind != Generate {
		return fmt.Errorf("%v: only what was generated here is deleted here", ref)
	}
	path, err := s.Place(ref)
	if err != nil {
		return err
	}
	errs := []error{os.Remove(path)}
	if errors.Is(errs[0], fs.ErrNotExist) {
		errs = nil
	}
	for name := range formerFiles(path) {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}
