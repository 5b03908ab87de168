//go:build interop

package interop

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// childUp is our log line for a Child SA that is there.
var childUp = regexp.MustCompile(`msg="child up"`)

// doImpair lets Libreswan misbehave in a way that it has for tests (whack --impair help, several joined by +) and begins
// anew, or lets it begin: our log must get a line like SEEN. Then Libreswan behaves, and the same must succeed.
func (s *scenario) doImpair(args []string) error {
	how, who := args[0], args[1]
	seen, err := regexp.Compile(args[2])
	if err != nil {
		return err
	}
	impair := "whack --impair " + strings.ReplaceAll(how, "+", " && whack --impair ")
	if err := s.adds(seen, func() error { return s.beginAnew(who, impair) }); err != nil {
		return err
	}
	if err := s.adds(childUp, func() error { return s.beginAnew(who, "whack --impair none") }); err != nil {
		return fmt.Errorf("and without it: %w", err)
	}
	if strings.Contains(s.gateway.output(), "fault in this program") {
		return errors.New("a fault in this program")
	}
	return nil
}

// beginAnew changes Libreswan and closes what there is, in the order in which the change has a part in that; then the one
// asked for begins.
func (s *scenario) beginAnew(who, change string) error {
	switch who {
	case "ours":
		_, err := s.guest.run(limitTool, change)
		return errors.Join(err, s.doTwinbore([]string{"restart", "site"}))
	case "theirs":
		_, err := s.guest.run(limitTool, "whack --terminate --name net; "+change+" && whack --asynchronous --initiate --name net")
		return err
	}
	return fmt.Errorf("%q begins nothing", who)
}

// adds waits until our log has a line more that matches than before do.
func (s *scenario) adds(re *regexp.Regexp, do func() error) error {
	before := lines(s.gateway.output(), re)
	if err := do(); err != nil {
		return err
	}
	return until(limitStatus, func() error {
		if lines(s.gateway.output(), re) <= before {
			return fmt.Errorf("no line more like %q", re)
		}
		return nil
	})
}

// lines counts the lines of a text that match.
func lines(text string, re *regexp.Regexp) (n int) {
	for line := range strings.Lines(text) {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}
