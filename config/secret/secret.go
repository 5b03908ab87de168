package secret

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Redacted is what every formatter prints in place of a secret.
const Redacted = "[redacted]"

// A Secret holds octets that are never printed. The zero value is no secret. Copies share the octets.
type Secret struct {
	// The octets stand behind two pointers because fmt does not call methods on unexported fields: of a Secret
	// inside somebody's private struct it prints an address instead of the octets.
	held *held
}

type held struct{ octets *[]byte }

// New returns a secret of these octets. It keeps b; the caller must not change it.
func New(b []byte) Secret { return Secret{&held{&b}} }

// Reveal returns the octets themselves; the caller must not change, log or keep them. It is nil for no secret.
func (s Secret) Reveal() []byte {
	if s.held == nil {
		return nil
	}
	return *s.held.octets
}

// Len returns the number of octets.
func (s Secret) Len() int { return len(s.Reveal()) }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.Len() == 0 }

// Equal compares without telling by its duration how much of the two is the same.
func (s Secret) Equal(t Secret) bool { return subtle.ConstantTimeCompare(s.Reveal(), t.Reveal()) == 1 }

// Wipe overwrites the octets, for all copies of s.
func (s Secret) Wipe() { clear(s.Reveal()) }

// String returns [redacted].
func (s Secret) String() string { return Redacted }

// GoString returns [redacted].
func (s Secret) GoString() string { return Redacted }

// Format writes [redacted] for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, Redacted) }

// MarshalText returns [redacted]; encoding/json, encoding/xml and yaml use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Redacted), nil }

// LogValue returns [redacted].
func (s Secret) LogValue() slog.Value { return slog.StringValue(Redacted) }
