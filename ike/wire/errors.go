package wire

import (
	"errors"
	"fmt"
)

// An Error is a message that does not follow the format: INVALID_SYNTAX to a peer that is authenticated, a drop
// otherwise. It never holds octets of the message.
type Error struct {
	Offset int    // octets from the start of what was parsed
	Field  string // "proposal length"
	What   string // "7, must be at least 8"
}

func (e *Error) Error() string { return fmt.Sprintf("octet %d: %s: %s", e.Offset, e.Field, e.What) }

// ErrUnsupportedCritical is wrapped by every CriticalError.
var ErrUnsupportedCritical = errors.New("unsupported critical payload")

// A CriticalError is a well-formed message with a critical payload of a type that is not known. The message must not
// be acted on; a request is answered with UNSUPPORTED_CRITICAL_PAYLOAD, whose data is the one octet Type
// (RFC 7296 §2.5).
type CriticalError struct{ Type PayloadType }

func (e *CriticalError) Error() string { return fmt.Sprintf("%v %d", ErrUnsupportedCritical, e.Type) }

// Unwrap returns ErrUnsupportedCritical.
func (e *CriticalError) Unwrap() error { return ErrUnsupportedCritical }
