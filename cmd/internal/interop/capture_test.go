//go:build interop

package interop

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// seen is what tcpdump keeps: everything but ESP, and of ESP, plain or in UDP, every 64th sequence number, beginning with
// the first packet of each SA. So a run of gigabits leaves a small file in which nothing in clear is missed.
const seen = `(not esp and not (udp port 4500 and (udp[8:4] != 0 or ip6[48:4] != 0)))
 or (udp port 4500 and (udp[15] & 63 = 1 or ip6[55] & 63 = 1))
 or (ip proto 50 and ip[27] & 63 = 1)`

// A capture is a record of the link between a and r.
type capture struct {
	*process
	file string
}

func (l *lab) startCapture() (*capture, error) {
	file := l.path("outer.pcap")
	p, err := l.start("r", "tcpdump", nil, "tcpdump", "--immediate-mode", "-U", "-n", "-Z", "root", "-i", "a0", "-w", file, seen)
	if err != nil {
		return nil, err
	}
	return &capture{p, file}, p.ready(10*time.Second, func() error {
		if !strings.Contains(p.output(), "listening on") {
			return fmt.Errorf("tcpdump does not listen: %s", p.output())
		}
		return nil
	})
}

// A verdict is what tshark makes of a capture.
type verdict struct {
	ike, esp int      // packets seen
	faults   []string // one line each
}

// judge ends the capture and lets tshark read it: packets that it cannot dissect, and packets of the inner networks.
func (c *capture) judge() (v verdict, err error) {
	if err := c.stop(5 * time.Second); err != nil {
		return v, err
	}
	fields := []string{"frame.number", "frame.protocols", "_ws.expert.severity", "_ws.expert.message", "_ws.col.Info",
		"ip.src", "ip.dst", "ipv6.src", "ipv6.dst"}
	args := []string{"tshark", "-n", "-r", c.file, "-T", "fields", "-E", "separator=|", "-E", "occurrence=a", "-E", "aggregator=,"}
	for _, f := range fields {
		args = append(args, "-e", f)
	}
	out, err := run(2*time.Minute, args...)
	if err != nil {
		return v, err
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		f := strings.Split(line, "|")
		if len(f) < len(fields) {
			continue // a line of tshark itself
		}
		protocols, addrs := f[1], f[len(f)-4:]
		switch {
		case strings.Contains(protocols, "isakmp"):
			v.ike++
		case strings.Contains(protocols, "esp"):
			v.esp++
		}
		switch {
		case strings.Contains(protocols, "_ws.malformed"), hasError(f[2]):
			v.faults = append(v.faults, "malformed: "+line)
		case isInner(addrs):
			v.faults = append(v.faults, "in clear: "+line)
		}
	}
	return v, nil
}

// hasError says whether one of tshark's severities is an error (8388608) or worse.
func hasError(severities string) bool {
	for s := range strings.SplitSeq(severities, ",") {
		if n, err := strconv.Atoi(s); err == nil && n >= 8388608 {
			return true
		}
	}
	return false
}

// isInner says whether one of the addresses belongs to an inner network.
func isInner(fields []string) bool {
	for _, f := range fields {
		for a := range strings.SplitSeq(f, ",") {
			addr, err := netip.ParseAddr(a)
			if err == nil && (netip.MustParsePrefix(inner4).Contains(addr) || netip.MustParsePrefix(inner6).Contains(addr)) {
				return true
			}
		}
	}
	return false
}
