//go:build interop

package interop

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	limitStatus = 10 * time.Second // for a status to become what is wanted
	limitTool   = 10 * time.Second
)

// A command is one word of the scripts.
type command struct {
	usage string
	least int // words after the command's own
	do    func(s *scenario, args []string) error
}

// commands are all that a script can say. HOST is a name of doc.go's drawing. What waits for a state takes
// "within DURATION" at its end.
var commands = map[string]command{
	"quiet":          {"", 0, (*scenario).doQuiet},                                                             // few other scenarios run at the same time
	"gateway":        {"", 0, (*scenario).doGateway},                                                           // start twinbore on a
	"peer":           {"", 0, (*scenario).doPeer},                                                              // start charon on b
	"certificates":   {"KIND LIKE", 2, (*scenario).doCertificates},                                             // make them, before gateway and peer
	"kernel-peer":    {"KIND", 1, (*scenario).doKernelPeer},                                                    // start strongswan, libreswan or openiked, with a kernel of its own, as b
	"in-guest":       {"COMMAND…", 1, (*scenario).doInGuest},                                                   // must succeed there
	"in-guest-until": {"COMMAND…", 1, (*scenario).doInGuestUntil},                                              // does
	"impair":         {"HOW ours|theirs SEEN", 3, (*scenario).doImpair},                                        // let Libreswan misbehave, and behave again
	"signal":         {"gateway|peer SIGNAL", 2, (*scenario).doSignal},                                         // STOP, CONT, or KILL: then it has ended
	"together":       {"ARG… and ARG…", 3, (*scenario).doTogether},                                             // a subcommand of twinbore and one of swanctl, both at once
	"stop":           {"within DURATION", 2, (*scenario).doStop},                                               // end twinbore by SIGTERM
	"twinbore":       {"ARG…", 1, (*scenario).doTwinbore},                                                      // run a subcommand
	"twinbore-says":  {"REGEXP ARG…", 2, (*scenario).doTwinboreSays},                                           // run a subcommand whose output matches
	"swanctl":        {"ARG…", 1, (*scenario).doSwanctl},                                                       // run swanctl at b
	"swanctl-fails":  {"ARG…", 1, (*scenario).doSwanctlFails},                                                  // run swanctl at b, which must not succeed
	"tunnel":         {"NAME PATH =|~|is WANT", 4, (*scenario).doTunnel},                                       // what the status says of a tunnel
	"connection":     {"PATH =|~|is WANT", 3, (*scenario).doConnection},                                        // and of the connection
	"sas":            {"COUNT", 1, (*scenario).doSAs},                                                          // IKE SAs at b, none of them half-open
	"charon":         {"REGEXP >=|<= COUNT", 3, (*scenario).doPeerLog},                                         // lines of charon's log
	"peer-log":       {"REGEXP >=|<= COUNT", 3, (*scenario).doPeerLog},                                         // lines of another peer's log
	"twinbore-log":   {"REGEXP >=|<= COUNT", 3, (*scenario).doGatewayLog},                                      // and of ours
	"routes":         {"none|some", 1, (*scenario).doRoutes},                                                   // of ours in a's tables
	"ping":           {"HOST ADDR [FROM]", 2, (*scenario).doPing},                                              // none may be lost
	"noping":         {"HOST ADDR [FROM]", 2, (*scenario).doNoPing},                                            // none may come back
	"iperf":          {"HOST HOST ADDR SECONDS", 4, (*scenario).doIperf},                                       // TCP there and back
	"probe":          {"HOST HOST ADDR", 3, (*scenario).doProbe},                                               // begin 1,000 packets a second
	"probed":         {"lost|gap <= LIMIT [and …]", 3, (*scenario).doProbed},                                   // end them and judge
	"stream":         {"", 0, (*scenario).doStream},                                                            // begin 1,000 packets a second from la to lb, and as many back
	"streamed":       {"there|back|both lost|doubled|percent|gap <= LIMIT [and …]", 4, (*scenario).doStreamed}, // end them and judge each direction
	"relay":          {"", 0, (*scenario).doRelay},                                                             // disorder what is between a and b
	"relayed":        {"", 0, (*scenario).doRelayed},                                                           // end it: it must have had packets
	"descriptors":    {"none|free", 1, (*scenario).doDescriptors},                                              // bound the files that twinbore may open to those that it has, and not any more
	"twinbore-fails": {"ARG…", 1, (*scenario).doTwinboreFails},                                                 // run a subcommand, which must not succeed
	"attack":         {"KIND RATE", 2, (*scenario).doAttack},                                                   // begin to send so many datagrams a second to a, from as many addresses
	"attacked":       {">= COUNT", 2, (*scenario).doAttacked},                                                  // end all attacks, which have sent so many
	"burden":         {"<= MEGABYTES", 2, (*scenario).doBurden},                                                // what the gateway has grown by since the first attack
	"run":            {"DURATION", 1, (*scenario).doRun},                                                       // let it run so long
	"ping-again":     {"HOST ADDR [FROM]", 2, (*scenario).doPingAgain},                                         // until none is lost
	"exec":           {"HOST COMMAND…", 2, (*scenario).doExec},                                                 // must succeed
	"nft":            {"HOST RULE", 2, (*scenario).doNFT},                                                      // a command of nft
}

// doQuiet does nothing: TestScenarios looks for the word before it runs the script.
func (s *scenario) doQuiet([]string) error { return nil }

func (s *scenario) doGateway([]string) error {
	conf, err := s.file("twinbore.yaml")
	if err != nil {
		return err
	}
	s.gateway, err = s.startGateway("a", conf)
	return err
}

func (s *scenario) doPeer([]string) error {
	conf, err := s.file("swanctl.conf")
	if err != nil {
		return err
	}
	extra, err := s.optional("charon.conf")
	if err != nil {
		return err
	}
	c, err := s.startCharon("b", conf, extra)
	if err != nil {
		return err
	}
	s.charon, s.peer = c, c
	return nil
}

func (s *scenario) doStop(args []string) error {
	_, limit, err := within(args, 0)
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := s.gateway.stop(limit); err != nil {
		return err
	}
	s.t.Logf("ended %v after SIGTERM", time.Since(begin).Round(time.Millisecond))
	if code := s.gateway.cmd.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("exit code %d", code)
	}
	return nil
}

func (s *scenario) doTwinbore(args []string) error {
	_, err := s.gateway.command(limitTool, args...)
	return err
}

func (s *scenario) doTwinboreSays(args []string) error {
	want, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	out, err := s.gateway.command(2*limitTool, args[1:]...)
	if err == nil && !want.MatchString(out) {
		err = fmt.Errorf("it says %s", out)
	}
	return err
}

func (s *scenario) doSwanctl(args []string) error {
	_, err := s.swanctl(args)
	return err
}

// swanctl runs swanctl where the peer's charon is.
func (s *scenario) swanctl(args []string) (string, error) {
	if s.guest != nil {
		return s.guest.run(2*limitTool, swanctlInGuest(args...))
	}
	return s.charon.swanctl(limitTool, args...)
}

func (s *scenario) doSwanctlFails(args []string) error {
	if out, err := s.swanctl(args); err == nil {
		return fmt.Errorf("it should fail: %s", out)
	}
	return nil
}

// doIperf measures TCP there and back. What it wants is that traffic flows all the time.
func (s *scenario) doIperf(args []string) error {
	there, back, err := s.iperf(args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	s.t.Logf("TCP %s to %s: %.2f Gbit/s, back: %.2f Gbit/s", args[0], args[1], there/1e9, back/1e9)
	if min(there, back) < 1e6 {
		return errors.New("less than 1 Mbit/s")
	}
	return nil
}

func (s *scenario) doProbe(args []string) (err error) {
	s.probe, err = s.startProbe(args[0], args[1], args[2])
	return err
}

// doProbed ends the probe. "lost <= N" bounds the packets without an answer, "gap <= D" the longest silence.
func (s *scenario) doProbed(args []string) error {
	r, err := endProbe(s.probe)
	if err != nil {
		return err
	}
	s.t.Logf("probe: %v", r)
	if r.Received == 0 {
		return errors.New("no answer at all")
	}
	for _, cond := range strings.Split(strings.Join(args, " "), " and ") {
		var what, limit string
		if _, err := fmt.Sscanf(cond, "%s <= %s", &what, &limit); err != nil {
			return fmt.Errorf("%q: want lost|gap <= LIMIT", cond)
		}
		switch what {
		case "lost":
			n, err := strconv.Atoi(limit)
			if err != nil || r.Lost > n {
				return fmt.Errorf("%d lost, the first of them %v (%v)", r.Lost, r.FirstLost, err)
			}
		case "gap":
			d, err := time.ParseDuration(limit)
			if err != nil || r.Gap > d {
				return fmt.Errorf("no answer for %v, %v after the start (%v)", r.Gap, r.GapAt, err)
			}
		default:
			return fmt.Errorf("%q is not measured", what)
		}
	}
	return nil
}

func (s *scenario) doRun(args []string) error {
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	select {
	case <-time.After(d):
		return nil
	case <-s.gateway.ended:
		return errors.New("twinbore has ended")
	case <-s.peer.over():
		return errors.New("the peer has ended")
	}
}

func (s *scenario) doExec(args []string) error {
	_, err := run(limitTool, s.on(args[0], args[1:]...)...)
	return err
}

func (s *scenario) doNFT(args []string) error {
	_, err := run(limitTool, s.on(args[0], append([]string{"nft"}, args[1:]...)...)...)
	return err
}
