//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// A process is a program that runs while the scenario goes on. Its output goes to a file.
type process struct {
	name  string
	log   string // path
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has ended
}

// start runs a program in a host's namespace. It ends with the test program at the latest, and goes ahead of whatever
// else runs on this machine: a measurement that waits for the processor measures that.
func (l *lab) start(host, name string, env []string, args ...string) (*process, error) {
	args = l.on(host, append([]string{"nice", "-n", "-10"}, args...)...)
	p := &process{name: name, log: l.path(name + ".out"), cmd: exec.Command(args[0], args[1:]...), ended: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setsid: true}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	// Where the scheduler groups by session, niceness counts within one only, and this is what counts between them
	// (sched(7)). Elsewhere there is no such file.
	os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", p.cmd.Process.Pid), []byte("-10"), 0)
	go func() {
		p.cmd.Wait() // how it ended is in ProcessState
		close(p.ended)
	}()
	l.procs = append(l.procs, p)
	return p, nil
}

func (p *process) running() bool {
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// stop asks the process to end, and kills it when it has not in the time given, which is an error.
func (p *process) stop(limit time.Duration) error {
	if !p.running() {
		return nil
	}
	p.cmd.Process.Signal(syscall.SIGTERM) // one that has just ended is stopped
	select {
	case <-p.ended:
		return nil
	case <-time.After(limit):
	}
	p.cmd.Process.Kill()
	<-p.ended
	return fmt.Errorf("still running %v after SIGTERM", limit)
}

// output is what the process printed.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// ready waits until cond holds, or the process has ended.
func (p *process) ready(limit time.Duration, cond func() error) error {
	var ended error
	err := until(limit, func() error {
		if !p.running() {
			ended = fmt.Errorf("%s has ended: %v", p.name, p.cmd.ProcessState)
			return nil
		}
		return cond()
	})
	return errors.Join(ended, err)
}

// tail is the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
