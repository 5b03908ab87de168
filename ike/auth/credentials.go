package auth

import (
	"slices"
	"time"
)

// Credentials are the secrets of this gateway. A value is made whole and not changed afterwards, so it may be shared
// between goroutines; new secrets make a new value.
type Credentials struct {
	Secrets      []Secret
	Certificates []CertifiedPeer // the peers that prove themselves by certificates; all others do by a secret
}

// A Secret is a pre-shared key with one peer. Several for one peer, valid at the same time, let a key be changed
// without an interruption.
type Secret struct {
	Peer      string    // "connection/tunnel"
	Name      string    // what status calls it, "current" or "previous"; it is no secret
	Key       []byte    // the octets themselves, any but none
	NotBefore time.Time // zero: always was
	NotAfter  time.Time // zero: always will be; at this instant it is over
}

// PSKs returns the secrets that are valid with peer at now, the one that began last first: that one is sent, and each may
// be what the peer used. Where several began at the same time the order is that of Secrets. The keys are not copies; the
// caller must not change them.
func (c Credentials) PSKs(peer string, now time.Time) []Secret {
	var valid []Secret
	for _, s := range c.Secrets {
		if s.Peer == peer && len(s.Key) > 0 && s.validAt(now) {
			valid = append(valid, s)
		}
	}
	slices.SortStableFunc(valid, func(a, b Secret) int { return b.NotBefore.Compare(a.NotBefore) })
	return valid
}

func (s Secret) validAt(now time.Time) bool {
	return !now.Before(s.NotBefore) && (s.NotAfter.IsZero() || now.Before(s.NotAfter))
}

// String keeps the key out of whatever prints a secret.
func (s Secret) String() string { return s.Peer + " [redacted]" }

// GoString does the same for %#v.
func (s Secret) GoString() string { return s.String() }

// MarshalText does the same for JSON and slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
