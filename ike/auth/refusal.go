package auth

import (
	"errors"
	"fmt"
)

// What a refusal is about. Each error of this package that concerns a peer's proof is one of these by errors.Is; its text
// is for the operator of this gateway, says what to look at, and must not go to the peer (AUT-04).
var (
	// ErrCertificate is returned when a certificate, or the chain above it, cannot be trusted.
	ErrCertificate = errors.New("certificate not trusted")
	// ErrIdentity is returned when a trusted certificate does not name the identity that is claimed.
	ErrIdentity = errors.New("identity not in the certificate")
	// ErrSignature is returned when the proof in AUTH is not good, or of a kind that is not accepted.
	ErrSignature = errors.New("signature not accepted")
	// ErrNoSigner is returned when none of our certificates can be used with the peer now.
	ErrNoSigner = errors.New("no certificate of ours can be used")
)

// A refusal is one of the above in words that help.
type refusal struct {
	kind error
	text string
}

func (r *refusal) Error() string { return r.text }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind: kind, text: fmt.Sprintf(format, args...)}
}
