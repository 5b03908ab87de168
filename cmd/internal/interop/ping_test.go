//go:build interop

package interop

import (
	"fmt"
	"strings"
)

// pings are how many packets a ping sends.
const pings = 3

func (s *scenario) ping(args []string, more ...string) (string, error) {
	line := append([]string{"ping", "-n", "-c", fmt.Sprint(pings), "-i", "0.2"}, more...)
	if len(args) > 2 {
		line = append(line, "-I", args[2])
	}
	return run(limitTool, s.on(args[0], append(line, args[1])...)...)
}

// doPing wants an answer to each packet. With a deadline ping waits for as many answers as it was to send packets, and sends
// more meanwhile; without one it gives the last packet no more than twice the time that another took, which on a busy machine
// is too little.
func (s *scenario) doPing(args []string) error {
	out, err := s.ping(args, "-w", "4")
	return answered(out, err)
}

// answered says whether each of ping's first packets has an answer, whatever became of those that it sent while it waited.
func answered(out string, err error) error {
	for n := range pings {
		if !strings.Contains(out, fmt.Sprintf("icmp_seq=%d ttl=", n+1)) {
			return fmt.Errorf("no answer to packet %d (%v): %s", n+1, err, out)
		}
	}
	return nil
}

// doPingAgain is for peers in a guest: they say that an SA is there before their kernel has it, and on a busy machine
// the guest's devices drop a packet now and then.
func (s *scenario) doPingAgain(args []string) error {
	return until(limitTool, func() error { return s.doPing(args) })
}

// doNoPing wants no answer within a second after the last packet.
func (s *scenario) doNoPing(args []string) error {
	out, err := s.ping(args, "-W", "1")
	if err == nil || !strings.Contains(out, " 0 received") {
		return fmt.Errorf("the way should be closed: %s", out)
	}
	return nil
}
