package main

import (
	"errors"
	"fmt"
)

// The exit codes. Scripts depend on them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitConfig      = 3  // the configuration is invalid
	exitUnreachable = 4  // no daemon answers on the socket
	exitDegraded    = 5  // a tunnel of a connection is down, the service still works
	exitDown        = 6  // a selected connection has no tunnel up
	exitTimeout     = 7  // waited too long
	exitChanges     = 8  // diff found changes
	exitPermission  = 9  // permission denied
	exitRefused     = 10 // refused for safety; needs --yes
)

// An exitFailure is an error with an exit code of its own. A nil err prints nothing: all was said already.
type exitFailure struct {
	code int
	err  error
}

func (f *exitFailure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit code %d", f.code)
	}
	return f.err.Error()
}

func (f *exitFailure) Unwrap() error { return f.err }

// failure is err with an exit code; a nil err exits silently.
func failure(code int, err error) error { return &exitFailure{code, err} }

// usage is a mistake in how the command was called.
func usage(format string, args ...any) error { return failure(exitUsage, fmt.Errorf(format, args...)) }

// exitCode finds the code of what a subcommand returned.
func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if f, ok := errors.AsType[*exitFailure](err); ok {
		return f.code
	}
	return exitError
}
