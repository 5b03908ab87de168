package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// A tally counts tests. Its reader is the stream of go test -json (go doc test2json).
type tally struct {
	passed, failed int
	skipped        []skip
	clock          clock
}

// A skip is a test that left itself out, and why.
type skip struct{ name, why string }

type event struct {
	Action, Package, Test, Output string
	ImportPath                    string
	Elapsed                       float64 // seconds, without waiting for other tests
}

func (t *tally) add(u tally) {
	t.passed += u.passed
	t.failed += u.failed
	t.skipped = append(t.skipped, u.skipped...)
}

// read takes the stream to its end and copies the output of what failed to w.
func (t *tally) read(r io.Reader, w io.Writer) {
	output := map[string][]string{} // of tests that are still running
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Fprintln(w, lines.Text())
			continue
		}
		key := e.Package + " " + e.Test
		if e.Test != "" && (e.Action == "pass" || e.Action == "fail") {
			t.clock.add(e.Test, e.Elapsed)
		}
		switch e.Action {
		case "build-output":
			fmt.Fprint(w, e.Output)
		case "output":
			output[key] = append(output[key], e.Output)
		case "pass":
			if e.Test != "" {
				t.passed++
			}
			delete(output, key)
		case "fail":
			if e.Test != "" {
				t.failed++
			}
			for _, line := range output[key] {
				fmt.Fprint(w, line)
			}
			delete(output, key)
		case "skip":
			if e.Test != "" {
				t.skipped = append(t.skipped, skip{strings.TrimPrefix(e.Package, "twinbore/") + " " + e.Test, reason(output[key])})
			}
			delete(output, key)
		}
	}
}

// reason is what a test said before it left itself out.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "===") || strings.HasPrefix(line, "---") {
			continue
		}
		if _, after, found := strings.Cut(line, ".go:"); found { // file.go:12: reason
			if _, text, ok := strings.Cut(after, ": "); ok {
				line = text
			}
		}
		said = append(said, line)
	}
	return strings.Join(said, " ")
}

// report lists what was left out, grouped by reason, and says whether that is a failure: with strict, a missing peer is.
func (t *tally) report(w io.Writer, strict bool) (bad bool) {
	if len(t.skipped) == 0 {
		fmt.Fprintln(w, "left out: nothing")
		return false
	}
	fmt.Fprintln(w, "left out:")
	for _, s := range t.skipped {
		if strings.Contains(s.why, "root") && !strings.Contains(s.why, "to run it") {
			s.why += "; to run it: sudo make test"
		}
		fmt.Fprintf(w, "  %s: %s\n", s.name, s.why)
		if strict && strings.Contains(s.why, "make peers") {
			fmt.Fprintln(w, "    CI must have this peer")
			bad = true
		}
	}
	return bad
}
