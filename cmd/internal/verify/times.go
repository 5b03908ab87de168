package main

import (
	"cmp"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
)

// A clock adds up how long the parts of one test took: TestX/part and whatever is below it.
type clock struct {
	seconds map[string]float64 // by part
	parents map[string]bool    // tests that have others below them: their time is that of those
}

// add is told of each test that has ended. One ends after those below it.
func (c *clock) add(test string, seconds float64) {
	if c.seconds == nil {
		c.seconds, c.parents = map[string]float64{}, map[string]bool{}
	}
	c.parents[path.Dir(test)] = true
	if _, below, ok := strings.Cut(test, "/"); ok && !c.parents[test] {
		part, _, _ := strings.Cut(below, "/")
		c.seconds[part] += seconds
	}
}

const width = 110 // of a printed line

// report is a few lines with the parts, the longest first.
func (c *clock) report() string {
	parts := slices.SortedFunc(maps.Keys(c.seconds), func(a, b string) int {
		return cmp.Or(cmp.Compare(c.seconds[b], c.seconds[a]), cmp.Compare(a, b))
	})
	var lines []string
	line := "      seconds of each, several at once:"
	for _, p := range parts {
		word := fmt.Sprintf(" %s %.0f", p, c.seconds[p])
		if len(line)+len(word) > width {
			lines = append(lines, line)
			line = "     "
		}
		line += word
	}
	return strings.Join(append(lines, line), "\n")
}
