//go:build interop

package interop

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The commands of this file wait until what they want is so.

func (s *scenario) doTunnel(args []string) error {
	return s.wantStatus("tunnels."+strconv.Itoa(tunnelIndex(args[0]))+"."+args[1], args[2:])
}

// tunnelIndex is the place of a tunnel that is named by its number.
func tunnelIndex(name string) int {
	n, err := strconv.Atoi(name)
	if err != nil {
		return -1 // found nowhere
	}
	return n - 1
}

func (s *scenario) doConnection(args []string) error { return s.wantStatus(args[0], args[1:]) }

// wantStatus asks for the status until a value of the only connection is as wanted.
func (s *scenario) wantStatus(path string, want []string) error {
	want, limit, err := within(want, limitStatus)
	if err != nil {
		return err
	}
	holds, err := judgement(want)
	if err != nil {
		return err
	}
	keys := append([]string{"connections", "0"}, strings.Split(path, ".")...)
	return until(limit, func() error {
		st, err := s.gateway.status()
		if err != nil {
			return err
		}
		if got := dig(st, keys); !holds(got) {
			return fmt.Errorf("got %q", got)
		}
		return nil
	})
}

// judgement is "= VALUE", "~ REGEXP", "is null" or "is set".
func judgement(words []string) (func(got string) bool, error) {
	if len(words) != 2 {
		return nil, errors.New("want = VALUE, ~ REGEXP, is null or is set")
	}
	switch words[0] + " " + words[1] {
	case "is null":
		return func(got string) bool { return got == "null" }, nil
	case "is set":
		return func(got string) bool { return got != "null" && got != "" }, nil
	}
	switch words[0] {
	case "=":
		return func(got string) bool { return got == words[1] }, nil
	case "~":
		re, err := regexp.Compile(words[1])
		if err != nil {
			return nil, err
		}
		return re.MatchString, nil
	}
	return nil, fmt.Errorf("no comparison %q", words[0])
}

func (s *scenario) doSAs(args []string) error {
	args, limit, err := within(args, limitStatus)
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	return until(limit, func() error {
		n, halfOpen, list, err := s.peer.ikeSAs()
		if err == nil && (n != want || halfOpen != 0) {
			err = fmt.Errorf("the peer has %d, %d of them half-open:\n%s", n, halfOpen, list)
		}
		return err
	})
}

func (s *scenario) doPeerLog(args []string) error { return s.wantLines(s.peer.story, args) }

func (s *scenario) doGatewayLog(args []string) error { return s.wantLines(s.gateway.output, args) }

// wantLines reads a log until it has so many lines that match.
func (s *scenario) wantLines(log func() string, args []string) error {
	args, limit, err := within(args, limitStatus)
	if err != nil {
		return err
	}
	re, err := regexp.Compile(args[0])
	if err != nil {
		return err
	}
	want, err := strconv.Atoi(args[2])
	if err != nil || args[1] != ">=" && args[1] != "<=" {
		return errors.New("want REGEXP >=|<= COUNT")
	}
	n := lines(log(), re)
	if args[1] == "<=" { // now, and whatever comes later
		if n > want {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	}
	err = until(limit, func() error {
		if n = lines(log(), re); n < want {
			return fmt.Errorf("%d lines", n)
		}
		return nil
	})
	s.t.Logf("%d lines of %q", n, args[0])
	return err
}

func (s *scenario) doRoutes(args []string) error {
	args, limit, err := within(args, limitStatus)
	if err != nil {
		return err
	}
	return until(limit, func() error {
		var all string
		for _, family := range []string{"-4", "-6"} {
			out, err := run(limitTool, "ip", "-n", s.ns("a"), family, "route", "show", "table", "all", "proto", "157")
			if err != nil {
				return err
			}
			all += out
		}
		if (all == "") != (args[0] == "none") {
			return fmt.Errorf("routes of protocol 157: %q", all)
		}
		return nil
	})
}
