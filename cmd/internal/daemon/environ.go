package daemon

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"twinbore/config/secret"
)

// An environment gives secrets that stand in environment variables, and takes each out of the environment when it is first
// asked for: neither /proc/PID/environ nor a program that is started shows it any more (SEC-02). It remembers what it took.
type environment struct {
	mu    sync.Mutex // guards what follows
	taken map[string]secret.Secret
}

// secretEnvironment is this process' own: the environment belongs to the process, as the umask does.
var secretEnvironment = &environment{taken: map[string]secret.Secret{}}

// take returns the secret in a variable. The error says that it can still be read in /proc, which is no reason not to use it.
func (e *environment) take(name string) (value string, ok bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if value, ok := os.LookupEnv(name); ok { // it may be a newer one, in a process that sets its own
		e.taken[name] = secret.New([]byte(value))
		if err = os.Unsetenv(name); err == nil {
			err = wipeEnviron(name)
		}
	}
	found, ok := e.taken[name]
	return string(found.Reveal()), ok, err
}

// wipeEnviron overwrites a variable where the kernel put it when the process began, which is what /proc/PID/environ shows.
// Go has its own copy, and the kernel's is nothing that it reads again.
func wipeEnviron(name string) error {
	stat, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return err
	}
	var begin, end int64
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third on
	if len(fields) < 49 {
		return errors.New("/proc/self/stat does not say where the environment is")
	}
	fmt.Sscan(fields[47], &begin) // proc(5): the 50th, env_start
	fmt.Sscan(fields[48], &end)
	if begin <= 0 || end <= begin {
		return errors.New("the kernel does not say where the environment is")
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer mem.Close()
	block := make([]byte, end-begin)
	defer clear(block)
	if _, err := mem.ReadAt(block, begin); err != nil {
		return err
	}
	at := 0
	for _, entry := range bytes.Split(block, []byte{0}) {
		if bytes.HasPrefix(entry, []byte(name+"=")) {
			if _, err := mem.WriteAt(make([]byte, len(entry)), begin+int64(at)); err != nil {
				return err
			}
		}
		at += len(entry) + 1
	}
	return nil
}
