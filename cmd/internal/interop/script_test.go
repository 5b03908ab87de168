//go:build interop

package interop

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// A step is one line of a script: a command and its words.
type step struct {
	line int
	text string
	args []string
	do   func(*scenario, []string) error
	need func(*scenario, []string) // leaves the scenario out where the command cannot run
}

// parseScript reads a script whole, before anything of it is done. '#' begins a comment; ' holds words together.
func parseScript(text string) ([]step, error) {
	var steps []step
	n := 0
	for line := range strings.Lines(text) {
		n++
		words, err := split(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if len(words) == 0 {
			continue
		}
		c, ok := commands[words[0]]
		if !ok {
			return nil, fmt.Errorf("line %d: no command %q", n, words[0])
		}
		if len(words)-1 < c.least {
			return nil, fmt.Errorf("line %d: want %s %s", n, words[0], c.usage)
		}
		steps = append(steps, step{n, strings.TrimSpace(line), words[1:], c.do, needs[words[0]]})
	}
	return steps, nil
}

// split cuts a line into words.
func split(line string) (words []string, err error) {
	var word strings.Builder
	in, quoted := false, false
	for _, r := range line {
		switch {
		case r == '\'':
			quoted, in = !quoted, true
		case quoted:
			word.WriteRune(r)
		case r == '#' && !in:
			return words, nil
		case r == ' ' || r == '\t' || r == '\n':
			if in {
				words = append(words, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(r)
			in = true
		}
	}
	if quoted {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		words = append(words, word.String())
	}
	return words, nil
}

// within takes "within DURATION" off the end of args.
func within(args []string, otherwise time.Duration) ([]string, time.Duration, error) {
	if n := len(args); n >= 2 && args[n-2] == "within" {
		d, err := time.ParseDuration(args[n-1])
		return args[:n-2], d, err
	}
	return args, otherwise, nil
}

func TestScriptsAreReadWhole(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"ping la 10.2.0.2 # from there", []string{"ping", "la", "10.2.0.2"}},
		{"nft r 'add table ip x' # y", []string{"nft", "r", "add table ip x"}},
		{"X='' Y='a b'", []string{"X=", "Y=a b"}},
		{" \n", nil},
	} {
		if got, err := split(c.line); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, %v, want %q", c.line, got, err, c.want)
		}
	}
	for _, bad := range []string{"fly a", "ping la", "nft r 'x"} {
		if steps, err := parseScript(bad); err == nil {
			t.Errorf("%q: got %v, want an error", bad, steps)
		}
	}
}
