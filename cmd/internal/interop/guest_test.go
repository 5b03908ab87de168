//go:build interop

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const (
	umlKernel = "linux.uml"
	umlMemory = "mem=256M"
	limitBoot = 60 * time.Second
)

// umlFolder holds what runs in a guest, trees the peers that are unpacked and not installed.
var (
	umlFolder, _ = filepath.Abs(scenarios + "/uml")
	trees, _     = filepath.Abs("../../../build/peers")
	umlShim      = filepath.Join(trees, "uml-xstate.so") // see uml/xstate.c
)

// A guest is a Linux kernel in User-Mode Linux that stands in for a host of the lab: it has the host's addresses, and
// its kernel does ESP. It takes commands by files of its folder (init.sh).
type guest struct {
	*process
	dir string
	n   int // commands so far
}

// needGuest leaves a test out where no guest can run, or where the tree that is to be laid over its root is missing.
func needGuest(t testing.TB, tree string) {
	if _, err := exec.LookPath(umlKernel); err != nil {
		t.Skipf("needs %s (User-Mode Linux); to run it: sudo make peers && sudo make interop", umlKernel)
	}
	for _, name := range []string{filepath.Base(umlShim), tree} {
		if _, err := os.Stat(filepath.Join(trees, name)); err != nil {
			t.Skipf("needs build/peers/%s; to run it: sudo make peers && sudo make interop", name)
		}
	}
}

// startGuest boots a kernel in place of a host, with files in its folder, and gives it the host's addresses and routes.
func (l *lab) startGuest(host, tree string, files map[string]string) (*guest, error) {
	g := &guest{dir: l.path("guest-" + host)}
	if err := os.Mkdir(g.dir, 0o700); err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(g.dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	line := []string{"env", "LD_PRELOAD=" + umlShim, umlKernel, umlMemory, "umid=" + l.ns(host), "uml_dir=" + l.dir, "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro",
		"init=" + umlFolder + "/init.sh", "con=null", "con0=null,fd:1", "quiet", "guest.dir=" + g.dir}
	if tree != "" {
		line = append(line, "guest.tree="+filepath.Join(trees, tree))
	}
	network := []string{"sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1"}
	for i, c := range l.cables(host) {
		if err := l.bridge(host, c.dev); err != nil {
			return nil, err
		}
		dev := fmt.Sprintf("vec%d", i)
		line = append(line, fmt.Sprintf("%s:transport=tap,ifname=tap-%s,depth=64,gro=1", dev, c.dev))
		for _, a := range c.addrs {
			network = append(network, fmt.Sprintf("ip addr add %s dev %s", a, dev))
		}
		network = append(network, fmt.Sprintf("ip link set %s up", dev))
	}
	for _, gate := range gates {
		if gate.host == host {
			network = append(network, "ip route add default via "+gate.via4, "ip route add default via "+gate.via6)
		}
	}
	var err error
	if g.process, err = l.start(host, "guest-"+host+"-console", nil, line...); err != nil {
		return nil, err
	}
	if err := g.ready(limitBoot, func() error { _, err := os.Stat(g.dir + "/ready"); return err }); err != nil {
		return nil, fmt.Errorf("the guest does not boot: %w\n%s", err, tail(g.output(), 20))
	}
	_, err = g.run(limitBoot, "set -e\nsysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.vec0.accept_dad=0 net.ipv6.conf.vec1.accept_dad=0\n"+
		strings.Join(network, "\n"))
	return g, err
}

// A cable is one end of a link.
type cable struct {
	dev   string
	addrs []string
}

// cables are the ends of links at a host.
func (l *lab) cables(host string) (all []cable) {
	for _, k := range links {
		if k.host == host {
			all = append(all, cable{k.dev, k.addrs})
		}
		if k.peer == host {
			all = append(all, cable{k.peerDev, k.peerAddrs})
		}
	}
	return all
}

// bridge takes a device's addresses away and joins it to a new tap-DEVICE.
func (l *lab) bridge(host, dev string) error {
	tap, bridge := "tap-"+dev, "br-"+dev
	for _, args := range [][]string{
		{"addr", "flush", "dev", dev},
		{"tuntap", "add", tap, "mode", "tap"},
		{"link", "add", bridge, "type", "bridge"},
		{"link", "set", dev, "master", bridge},
		{"link", "set", tap, "master", bridge, "up"},
		{"link", "set", bridge, "up"},
	} {
		if _, err := run(limitTool, append([]string{"ip", "-n", l.ns(host)}, args...)...); err != nil {
			return err
		}
	}
	return nil
}

// run runs a script of bash in the guest to its end, and returns all that it printed.
func (g *guest) run(limit time.Duration, script string) (string, error) {
	g.n++
	file := func(end string) string { return fmt.Sprintf("%s/%d.%s", g.dir, g.n, end) }
	if err := os.WriteFile(file("new"), []byte(script+"\n"), 0o600); err != nil {
		return "", err
	}
	if err := os.Rename(file("new"), file("do")); err != nil {
		return "", err
	}
	var code []byte
	err := g.ready(limit, func() (err error) { code, err = os.ReadFile(file("code")); return err })
	out, _ := os.ReadFile(file("out")) // none, when it has not begun
	if err == nil && strings.TrimSpace(string(code)) != "0" {
		err = fmt.Errorf("exit code %s", code)
	}
	if err != nil {
		return string(out), fmt.Errorf("in the guest: %s: %w: %s", tail(script, 1), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
