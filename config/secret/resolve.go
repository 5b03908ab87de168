package secret

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// Lengths of a pre-shared key in octets: what is shorter or longer is refused. Weakness judges the rest.
const (
	MinLen = 8
	MaxLen = 4096
)

// A Store is where references are looked up. It has no state; copies are equal.
type Store struct {
	Dir            string                      // folder of relative file names and of generated secrets
	CredentialsDir string                      // $CREDENTIALS_DIRECTORY; "" when systemd passed no credentials
	LookupEnv      func(string) (string, bool) // nil: no variable is set
	Rand           io.Reader                   // for generated secrets; nil means crypto/rand
}

// Resolve fetches the secret. A generated one that does not exist yet is made and kept. The error names the place
// and what to look at, never the octets. A secret that is missing today may be there later: callers may try again.
func (s Store) Resolve(ctx context.Context, ref Ref) (Secret, error) {
	raw, err := s.fetch(ctx, ref)
	if err != nil {
		return Secret{}, fmt.Errorf("%v: %w", ref, err)
	}
	octets, err := decode(raw, ref.Encoding)
	if err != nil {
		return Secret{}, fmt.Errorf("%v: %w", ref, err)
	}
	return New(octets), nil
}

// ResolveText fetches a secret of several lines, such as a private key in PEM: its octets as they stand, at most 16 KiB.
func (s Store) ResolveText(ctx context.Context, ref Ref) (Secret, error) {
	if ref.Kind == Generate {
		return Secret{}, fmt.Errorf("%v: only a pre-shared key can be generated", ref)
	}
	raw, err := s.fetch(ctx, ref)
	if err == nil && ref.Encoding != "" && ref.Encoding != Text {
		raw, err = undo(bytes.Join(bytes.Fields(raw), nil), ref.Encoding) // they are often cut into lines
	}
	if err != nil {
		return Secret{}, fmt.Errorf("%v: %w", ref, err)
	}
	return New(raw), nil
}

// Check is Resolve as far as it goes without running a command or making a generated secret: then there is an error or
// none, and no secret.
func (s Store) Check(ctx context.Context, ref Ref) (Secret, error) {
	switch ref.Kind {
	case Exec:
		if len(ref.Args) == 0 {
			return Secret{}, fmt.Errorf("%v: no command", ref)
		}
		if _, err := exec.LookPath(ref.Args[0]); err != nil {
			return Secret{}, fmt.Errorf("%v: %w", ref, err)
		}
		return Secret{}, nil
	case Generate:
		path, err := s.path(ref.Name)
		if err != nil {
			return Secret{}, fmt.Errorf("%v: %w", ref, err)
		}
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return Secret{}, nil
		}
		ref.Kind = File
	}
	return s.Resolve(ctx, ref)
}

func (s Store) fetch(ctx context.Context, ref Ref) ([]byte, error) {
	switch ref.Kind {
	case File:
		path, err := s.path(ref.Name)
		if err != nil {
			return nil, err
		}
		return readFile(path, private)
	case Credential:
		if s.CredentialsDir == "" {
			return nil, errors.New("$CREDENTIALS_DIRECTORY is not set (systemd sets it for a unit with LoadCredential=)")
		}
		if ref.Name != filepath.Base(ref.Name) || !filepath.IsLocal(ref.Name) {
			return nil, errors.New("the name of a credential has no folder in it")
		}
		return readFile(filepath.Join(s.CredentialsDir, ref.Name), credential)
	case Env:
		if s.LookupEnv != nil {
			if value, ok := s.LookupEnv(ref.Name); ok {
				return []byte(value), nil
			}
		}
		return nil, errors.New("the variable is not set")
	case Inline:
		return bytes.Clone(ref.Value.Reveal()), nil
	case Exec:
		return run(ctx, ref.Args)
	case Generate:
		return s.generate(ref.Name)
	}
	return nil, errors.New("not supported yet")
}

// path returns where a file is: absolute, or inside the secrets folder and nowhere else.
func (s Store) path(name string) (string, error) {
	if filepath.IsAbs(name) {
		return filepath.Clean(name), nil
	}
	if !filepath.IsLocal(name) {
		return "", errors.New("a relative name must stay inside the secrets folder")
	}
	if s.Dir == "" {
		return "", errors.New("a relative name needs gateway.secrets.dir")
	}
	return filepath.Join(s.Dir, name), nil
}

// decode takes the trailing newline away, undoes the encoding and checks the length. It may overwrite raw.
func decode(raw []byte, as Encoding) ([]byte, error) {
	raw = bytes.TrimSuffix(raw, []byte("\n"))
	raw = bytes.TrimSuffix(raw, []byte("\r"))
	if bytes.ContainsAny(raw, "\r\n") {
		return nil, errors.New("has more than one line; a secret is one line")
	}
	if head := bytes.ToLower(raw[:min(len(raw), len("<!doctype"))]); bytes.HasPrefix(head, []byte("<!doctype")) || bytes.HasPrefix(head, []byte("<html")) {
		return nil, errors.New("is a web page, such as a service answers when it has an error")
	}
	out, err := undo(raw, as)
	switch {
	case err != nil:
		return nil, err
	case len(out) == 0:
		return nil, errors.New("is empty")
	case len(out) < MinLen:
		return nil, fmt.Errorf("is shorter than %d octets", MinLen)
	case len(out) > MaxLen:
		return nil, fmt.Errorf("is longer than %d octets", MaxLen)
	}
	return out, nil
}

// undo takes an encoding away.
func undo(raw []byte, as Encoding) ([]byte, error) {
	switch as {
	case "", Text:
		return raw, nil
	case Hex:
		out := make([]byte, hex.DecodedLen(len(raw)))
		if _, err := hex.Decode(out, raw); err != nil {
			return nil, errors.New("is not hexadecimal, as encoding: hex says")
		}
		return out, nil
	case Base64:
		out := make([]byte, base64.StdEncoding.DecodedLen(len(raw)))
		n, err := base64.StdEncoding.Decode(out, raw)
		if err != nil {
			return nil, errors.New("is not base64 with padding, as encoding: base64 says")
		}
		return out[:n], nil
	}
	return nil, fmt.Errorf("unknown encoding %q", as)
}
