//go:build interop

package interop

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// The inner networks: no packet from or to them may be seen outside.
const (
	inner4 = "10.0.0.0/8"
	inner6 = "fd00::/8"
)

// hosts are the namespaces of a lab, by the names that scripts use.
var hosts = []string{"la", "a", "r", "b", "lb"}

// A link is a cable, with the addresses of both ends.
type link struct {
	host, dev, peer, peerDev string
	addrs, peerAddrs         []string
}

// links are the cables of a lab.
var links = []link{
	{"la", "e0", "a", "lan", []string{"10.1.0.2/24", "10.1.1.2/24", "fd00:1::2/64"}, []string{"10.1.0.1/24", "10.1.1.1/24", "fd00:1::1/64"}},
	{"a", "wan", "r", "a0", []string{"192.0.2.1/24", "2001:db8:1::1/64"}, []string{"192.0.2.254/24", "2001:db8:1::fe/64"}},
	{"r", "b0", "b", "wan", []string{"198.51.100.254/24", "2001:db8:2::fe/64"}, []string{"198.51.100.1/24", "198.51.100.2/24", "2001:db8:2::1/64"}},
	{"b", "lan", "lb", "e0", []string{"10.2.0.1/24", "10.2.1.1/24", "fd00:2::1/64"}, []string{"10.2.0.2/24", "10.2.1.2/24", "fd00:2::2/64"}},
}

// gates are the default routes: whatever has no better route leaves by them, in clear, to r.
var gates = []struct{ host, via4, via6 string }{
	{"la", "10.1.0.1", "fd00:1::1"},
	{"a", "192.0.2.254", "2001:db8:1::fe"},
	{"b", "198.51.100.254", "2001:db8:2::fe"},
	{"lb", "10.2.0.1", "fd00:2::1"},
}

// A lab is the world of one test: namespaces, processes and a folder, gone when the test ends. Labs share nothing but
// the machine, so several can be at work at once.
type lab struct {
	t     testing.TB
	n     int32 // its number, from 1 on
	hosts []string
	dir   string // short, because unix sockets live in it
	procs []*process
	done  bool // closed
}

// made counts the labs of this process.
var made atomic.Int32

// newLab makes the namespaces and cables of doc.go's drawing.
func newLab(t testing.TB) *lab {
	t.Helper()
	dir, err := os.MkdirTemp("", "tbi-")
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, n: made.Add(1), dir: dir}
	t.Cleanup(l.close)
	for _, h := range hosts {
		l.host(h)
	}
	for _, c := range links {
		l.connect(c)
	}
	for _, g := range gates {
		l.must("ip", "-n", l.ns(g.host), "route", "add", "default", "via", g.via4)
		l.must("ip", "-n", l.ns(g.host), "route", "add", "default", "via", g.via6)
	}
	return l
}

// host makes the namespace of a host.
func (l *lab) host(h string) {
	l.t.Helper()
	l.must("ip", "netns", "add", l.ns(h))
	l.hosts = append(l.hosts, h)
	l.must("ip", "netns", "exec", l.ns(h), "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
		"net.ipv6.conf.default.accept_dad=0", "net.ipv4.ping_group_range=0 2147483647")
	l.must("ip", "-n", l.ns(h), "link", "set", "lo", "up")
}

// connect lays a cable.
func (l *lab) connect(c link) {
	l.t.Helper()
	l.must("ip", "link", "add", c.dev, "netns", l.ns(c.host), "type", "veth", "peer", "name", c.peerDev, "netns", l.ns(c.peer))
	l.address(c.host, c.dev, c.addrs)
	l.address(c.peer, c.peerDev, c.peerAddrs)
}

func (l *lab) address(host, dev string, addrs []string) {
	l.t.Helper()
	for _, a := range addrs {
		l.must("ip", "-n", l.ns(host), "addr", "add", a, "dev", dev)
	}
	l.must("ip", "-n", l.ns(host), "link", "set", dev, "up")
}

// ns is the network namespace of a host.
func (l *lab) ns(host string) string { return fmt.Sprintf("tbi-%d-%d-%s", os.Getpid(), l.n, host) }

// path is a file of this lab's folder.
func (l *lab) path(name string) string { return filepath.Join(l.dir, name) }

// close ends every process, last started first, and takes the namespaces away. A second call does nothing.
func (l *lab) close() {
	if l.done {
		return
	}
	l.done = true
	for i := len(l.procs) - 1; i >= 0; i-- {
		if err := l.procs[i].stop(5 * time.Second); err != nil {
			l.t.Logf("%s: %v", l.procs[i].name, err)
		}
	}
	for _, h := range l.hosts {
		if out, err := exec.Command("ip", "netns", "del", l.ns(h)).CombinedOutput(); err != nil {
			l.t.Logf("namespace of %s: %v: %s", h, err, out)
		}
	}
	if err := os.RemoveAll(l.dir); err != nil {
		l.t.Log(err)
	}
}

// on is a command line that runs in a host's namespace.
func (l *lab) on(host string, args ...string) []string {
	return append([]string{"ip", "netns", "exec", l.ns(host)}, args...)
}

// run runs a command to its end, which it must reach in the time given, and returns all that it printed.
func run(limit time.Duration, args ...string) (string, error) { return runWith(limit, nil, args...) }

func runWith(limit time.Duration, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = fmt.Errorf("not done in %v", limit)
	}
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}

// must runs a command that prepares the lab.
func (l *lab) must(args ...string) {
	l.t.Helper()
	if _, err := run(10*time.Second, args...); err != nil {
		l.t.Fatal(err)
	}
}

// until asks again and again until cond holds, and returns its last error when it does not hold in time.
func until(limit time.Duration, cond func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := cond()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}
