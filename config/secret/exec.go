package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// execTimeout is how long a command may take to print a secret.
const execTimeout = 5 * time.Second

// run starts a command without a shell and returns what it printed. What it said on its standard error is not
// passed on: it may quote the secret.
func run(ctx context.Context, args []string) ([]byte, error) {
	if len(args) == 0 {
		return nil, errors.New("no command")
	}
	ctx, cancel := context.WithTimeout(ctx, execTimeout)
	defer cancel()
	out := &limited{room: readLimit}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stdout = out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // its children, too
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no answer: %w", ctx.Err())
	case out.full:
		return nil, fmt.Errorf("printed more than %d octets", readLimit)
	case err != nil:
		return nil, err
	}
	return out.kept.Bytes(), nil
}

var errTooLong = errors.New("too long")

// limited keeps what is written to it, up to a bound. The buffer is a field and not embedded, because io.Copy would
// find its ReadFrom and go past the bound.
type limited struct {
	kept bytes.Buffer
	room int
	full bool // more was written than there was room
}

func (l *limited) Write(b []byte) (int, error) {
	if l.kept.Len()+len(b) > l.room {
		l.full = true
		return 0, errTooLong
	}
	return l.kept.Write(b)
}
