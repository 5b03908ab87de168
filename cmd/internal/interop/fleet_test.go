//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"
)

// A fleet is the three gateways of second_test.go at work: a with tunnel 1 to b and tunnel 2 to c.
type fleet struct {
	*lab
	ours   *gateway // a, if it is twinbore
	theirs *charon  // or strongSwan
	atPeer *process // the daemon at b
}

// fleetFile is a file of testdata/interop/bench-failover with its values put in.
func (l *lab) fleetFile(name, dpd string) (string, error) {
	b, err := os.ReadFile(scenarios + "/bench-failover/" + name)
	return strings.NewReplacer("@DIR@", l.dir, "@DPD@", dpd).Replace(string(b)), err
}

// twinboreFleet starts our daemon at all three, and waits until both tunnels carry packets.
func (l *lab) twinboreFleet() (*fleet, error) {
	f := &fleet{lab: l}
	for _, host := range []string{"b", "c", "a"} { // a begins
		conf, err := l.fleetFile(host+".yaml", "")
		if err != nil {
			return nil, err
		}
		g, err := l.startGateway(host, conf)
		if err != nil {
			return nil, err
		}
		switch host {
		case "a":
			f.ours = g
		case "b":
			f.atPeer = g.process
		}
	}
	return f, errors.Join(f.carries("1", limitStatus), f.up("2", limitStatus), l.reach("la", "10.1.0.2", "10.2.0.2"))
}

// carries waits until our traffic goes by a tunnel.
func (f *fleet) carries(tunnel string, limit time.Duration) error {
	return f.status(limit, tunnel, "active_tunnel")
}

// up waits until a tunnel is UP.
func (f *fleet) up(tunnel string, limit time.Duration) error {
	return f.status(limit, "UP", "tunnels", fmt.Sprint(tunnelIndex(tunnel)), "status")
}

func (f *fleet) status(limit time.Duration, want string, path ...string) error {
	return until(limit, func() error {
		st, err := f.ours.status()
		if err != nil {
			return err
		}
		if got := dig(st, append([]string{"connections", "0"}, path...)); got != want {
			return fmt.Errorf("%s is %q, want %q", strings.Join(path, "."), got, want)
		}
		return nil
	})
}

// A patience is how charon finds out that a peer is gone: how often it asks, and its settings of retransmission.
type patience struct{ delay, settings string }

// charonFleet starts strongSwan at all three. What is for both tunnels goes by the one that came last, so tunnel 1 does.
func (l *lab) charonFleet(p patience) (*fleet, error) {
	f := &fleet{lab: l}
	for _, host := range []string{"b", "c", "a"} {
		conf, err := l.fleetFile(host+".swanctl.conf", p.delay)
		if err != nil {
			return nil, err
		}
		c, err := l.startCharon(host, conf, p.settings)
		if err != nil {
			return nil, err
		}
		switch host {
		case "a":
			f.theirs = c
		case "b":
			f.atPeer = c.process
		}
	}
	for _, child := range []string{"two", "one"} {
		if _, err := f.theirs.swanctl(limitTool, "--initiate", "--child", child, "--timeout", "5"); err != nil {
			return nil, err
		}
	}
	return f, l.reach("la", "10.1.0.2", "10.2.0.2")
}

// An outage is what happens to tunnel 1.
type outage struct {
	name string
	do   func(f *fleet) error
}

// cut lets r drop what goes to b, what comes from it, or both.
func cut(rules string) func(*fleet) error {
	return func(f *fleet) error {
		_, err := run(limitTool, f.on("r", "nft", "table ip cut { chain forward { type filter hook forward priority filter; "+rules+" }; }")...)
		return err
	}
}

func (f *fleet) heal() error {
	_, err := run(limitTool, f.on("r", "nft", "delete table ip cut")...)
	return err
}

// Of which tunnel 1 is the end at b.
var (
	toPeer   = "ip daddr 198.51.100.1 drop;"
	fromPeer = "ip saddr 198.51.100.1 drop;"
)

var outages = []outage{
	{"cut both ways", cut(toPeer + fromPeer)},
	{"cut from us to the peer", cut(toPeer)},
	{"cut from the peer to us", cut(fromPeer)},
	{"peer killed", func(f *fleet) error { return f.atPeer.cmd.Process.Kill() }},
	{"peer frozen", func(f *fleet) error { return f.atPeer.cmd.Process.Signal(syscall.SIGSTOP) }},
	{"our route removed", func(f *fleet) error { // an administrator's, and the kernel says at once that there is none
		_, err := run(limitTool, "ip", "-n", f.ns("a"), "route", "add", "unreachable", "198.51.100.1")
		return err
	}},
	{"ESP lost, IKE passes", cut("ip daddr 198.51.100.1 meta l4proto esp drop; ip daddr 198.51.100.1 udp dport 4500 @th,64,32 != 0 drop;" +
		"ip saddr 198.51.100.1 meta l4proto esp drop; ip saddr 198.51.100.1 udp sport 4500 @th,64,32 != 0 drop;")},
	{"peer's link down", func(f *fleet) error {
		_, err := run(limitTool, "ip", "-n", f.ns("r"), "link", "set", "b0", "down")
		return err
	}},
}
