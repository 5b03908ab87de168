package main

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"twinbore/cmd/internal/api"
)

// ask gives do a client of the daemon and the time that one question may take, and finds the exit code of what went
// wrong.
func (a *app) ask(ctx context.Context, do func(context.Context, *api.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timeout)
	defer cancel()
	return asExit(do(ctx, api.NewClient(a.socket)))
}

func asExit(err error) error {
	switch {
	case errors.Is(err, api.ErrNotReachable):
		return failure(exitUnreachable, err)
	case errors.Is(err, api.ErrPermission):
		return failure(exitPermission, err)
	}
	return err
}

// target is "connection" or "connection/tunnel".
func target(arg string) (conn, tunnel string, err error) {
	conn, tunnel, one := strings.Cut(arg, "/")
	if conn == "" || one && tunnel == "" || strings.Contains(tunnel, "/") {
		return "", "", usage("%q is not connection or connection/tunnel", arg)
	}
	return conn, tunnel, nil
}

// isTerminal reports whether w is one.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}
