//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// doStream begins a stream between la and lb, 1,000 packets a second each way.
func (s *scenario) doStream([]string) (err error) {
	s.stream, err = s.startStream(probeEvery)
	return err
}

// doStreamed ends the stream and judges a direction, "there" from la to lb or "back", or each of both: "lost" and "doubled" are
// packets, "percent" lost of the hundred, "gap" the longest silence.
func (s *scenario) doStreamed(args []string) error {
	there, back, err := s.stream.end()
	if err != nil {
		return err
	}
	s.t.Logf("there: %v; back: %v", there, back)
	for _, cond := range strings.Split(strings.Join(args, " "), " and ") {
		var which, what, limit string
		if _, err := fmt.Sscanf(cond, "%s %s <= %s", &which, &what, &limit); err != nil {
			return fmt.Errorf("%q: want there|back|both lost|doubled|percent|gap <= LIMIT", cond)
		}
		judged := map[string][]passage{"there": {there}, "back": {back}, "both": {there, back}}[which]
		if judged == nil {
			return fmt.Errorf("%q is no direction", which)
		}
		for _, p := range judged {
			if err := p.within(what, limit); err != nil {
				return fmt.Errorf("%s: %w", cond, err)
			}
		}
	}
	return nil
}

// within compares what became of a direction with a limit.
func (p passage) within(what, limit string) error {
	if p.Sent == p.Lost {
		return errors.New("nothing came at all")
	}
	if what == "gap" {
		d, err := time.ParseDuration(limit)
		if err != nil || p.Gap > d {
			return fmt.Errorf("nothing came for %v (%v)", p.Gap, err)
		}
		return nil
	}
	got, ok := map[string]float64{"lost": float64(p.Lost), "doubled": float64(p.Doubled), "percent": 100 * float64(p.Lost) / float64(p.Sent)}[what]
	if !ok {
		return fmt.Errorf("%q is not measured", what)
	}
	if most, err := strconv.ParseFloat(limit, 64); err != nil || got > most {
		return fmt.Errorf("got %.4g (%v): %v", got, err, p)
	}
	return nil
}

// doDescriptors bounds the files that twinbore may have open: to those that it has, or to as many as before.
func (s *scenario) doDescriptors(args []string) error {
	pid := s.gateway.cmd.Process.Pid
	var now unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &now); err != nil {
		return err
	}
	switch args[0] {
	case "none": // the lowest free number is what the next one would get
		for now.Cur = 0; ; now.Cur++ {
			if _, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", pid, now.Cur)); err != nil {
				break
			}
		}
	case "free":
		now.Cur = now.Max
	default:
		return fmt.Errorf("want none or free, not %q", args[0])
	}
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &now, nil)
}

// doTwinboreFails runs a subcommand that must not succeed, nor wait for long.
func (s *scenario) doTwinboreFails(args []string) error {
	if out, err := s.gateway.command(slow, args...); err == nil {
		return fmt.Errorf("it should fail: %s", out)
	}
	return nil
}
