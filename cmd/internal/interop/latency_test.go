//go:build interop

package interop

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// latency is how long a ping takes, there and back, while one TCP flow fills the way: the 99th of a hundred. What a gateway
// puts in queues shows here.
var latency = load{name: "ping beside TCP, p99", unit: "ms", per: 1e-3, mtu: 1500, run: func(l *lab) (bits, p99 float64, err error) {
	server, err := l.startIperf("b", addrB)
	if err != nil {
		return 0, 0, err
	}
	defer server.stop(limitTool)
	pings := make(chan error, 1)
	var out string
	go func() {
		time.Sleep(500 * time.Millisecond) // TCP has grown by then
		var err error
		out, err = run(limitTool, l.on("a", "ping", "-n", "-c", "1000", "-i", "0.002", "-W", "1", "-I", addrA, addrB)...)
		pings <- err
	}()
	bits, _, err = l.iperfOnce("a", addrB, "4", "-B", addrA)
	if err = errors.Join(err, <-pings); err != nil {
		return 0, 0, err
	}
	p99, err = p99OfPings(out)
	return bits, p99, err
}}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// p99OfPings returns the 99th percentile, in seconds, of the times that ping printed.
func p99OfPings(out string) (float64, error) {
	var times []float64
	for _, m := range pingTime.FindAllStringSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			return 0, err
		}
		times = append(times, ms/1e3)
	}
	if len(times) < 900 {
		return 0, fmt.Errorf("only %d of 1000 pings were answered:\n%s", len(times), tail(out, 3))
	}
	slices.Sort(times)
	return times[len(times)*99/100], nil
}
