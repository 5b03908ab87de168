//go:build interop

package interop

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// needs are the commands that not every machine can carry.
var needs = map[string]func(*scenario, []string){"kernel-peer": needKernelPeer}

// doSignal stops a daemon, lets it go on or kills it, without a word to the other end.
func (s *scenario) doSignal(args []string) error {
	var p *process
	switch {
	case args[0] == "gateway" && s.gateway != nil:
		p = s.gateway.process
	case args[0] == "peer" && s.charon != nil:
		p = s.charon.process
	default:
		return fmt.Errorf("no daemon %q that can be signalled", args[0])
	}
	sig, ok := map[string]syscall.Signal{"STOP": syscall.SIGSTOP, "CONT": syscall.SIGCONT, "KILL": syscall.SIGKILL}[args[1]]
	if !ok {
		return fmt.Errorf("no signal %q", args[1])
	}
	if err := p.cmd.Process.Signal(sig); err != nil || sig != syscall.SIGKILL {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(limitTool):
		return errors.New("it does not end")
	}
}

// doTogether runs a subcommand of twinbore and one of swanctl at the same time.
func (s *scenario) doTogether(args []string) error {
	i := slices.Index(args, "and")
	if i < 0 {
		return errors.New("want ARG… and ARG…")
	}
	theirs := make(chan error, 1)
	go func() { theirs <- s.doSwanctl(args[i+1:]) }()
	return errors.Join(s.doTwinbore(args[:i]), <-theirs)
}
