//go:build interop

package interop

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// startIperf runs iperf3's server.
func (l *lab) startIperf(host, addr string) (*process, error) {
	server, err := l.start(host, "iperf3", nil, "iperf3", "-s", "-B", addr, "--forceflush")
	if err != nil {
		return nil, err
	}
	return server, server.ready(limitTool, func() error {
		if !strings.Contains(server.output(), "listening") {
			return errors.New(server.output())
		}
		return nil
	})
}

// iperf runs TCP for so many seconds in each direction and returns bits per second.
func (l *lab) iperf(from, to, addr, seconds string) (there, back float64, err error) {
	server, err := l.startIperf(to, addr)
	if err != nil {
		return 0, 0, err
	}
	defer server.stop(limitTool)
	if _, there, err = l.iperfOnce(from, addr, seconds); err != nil {
		return 0, 0, err
	}
	err = until(limitTool, func() error { // the server may not have noticed yet that the first is over
		_, back, err = l.iperfOnce(from, addr, seconds, "-R")
		return err
	})
	return there, back, err
}

// iperfOnce runs iperf3's client and returns what the receiver got: bits, and bits per second.
func (l *lab) iperfOnce(from, addr, seconds string, more ...string) (bits, rate float64, err error) {
	out, err := run(60*time.Second, l.on(from, append([]string{"iperf3", "-J", "-c", addr, "-t", seconds}, more...)...)...)
	var report struct {
		Error string
		End   struct {
			SumReceived struct {
				Bytes         float64
				BitsPerSecond float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &report); jsonErr != nil {
		return 0, 0, errors.Join(err, jsonErr)
	}
	if report.Error != "" {
		return 0, 0, fmt.Errorf("iperf3: %s", report.Error)
	}
	return 8 * report.End.SumReceived.Bytes, report.End.SumReceived.BitsPerSecond, err
}
