// Package memory looks for secrets in the memory of this process, for the tests of any package. It is not part of the
// program.
//
// Start reading at Mark.
package memory

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// A Mark knows a secret without holding it in clear, so that it does not find itself.
type Mark []byte

// mask makes of octets what does not look like them.
const mask = 0x5a

// Of marks a secret, of 16 octets or more so that nothing equals it by chance.
func Of(secret []byte) Mark {
	m := make(Mark, len(secret))
	for i, b := range secret {
		m[i] = b ^ mask
	}
	return m
}

// Holds reports how often the octets of each mark stand in what this process can write: heap, stacks and data. What nobody can
// reach any more is collected first. It skips the test where a process is not shown its memory. Marks of a secret that
// another test had as well find what that one has left. It is not for the race detector, whose memory has no end.
func Holds(t testing.TB, marks ...Mark) []int {
	t.Helper()
	collect()
	mem, err := os.Open("/proc/self/mem")
	if err != nil {
		t.Skip("needs /proc/self/mem; to run it: make test on a system that shows a process its memory")
	}
	defer mem.Close()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	longest := 0
	for _, m := range marks {
		longest = max(longest, len(m))
	}
	found := make([]int, len(marks))
	chunk := make([]byte, 1<<20)
	lines := bufio.NewScanner(bytes.NewReader(maps))
	for lines.Scan() {
		var from, to int64
		var mode string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); err != nil || !strings.HasPrefix(mode, "rw") {
			continue
		}
		for at := from; at < to; at += int64(len(chunk) - longest) { // the next begins with the end of this
			n, err := mem.ReadAt(chunk[:min(int64(len(chunk)), to-at)], at)
			if err != nil && n == 0 {
				break // a page that is not there
			}
			for i := range chunk[:n] {
				chunk[i] ^= mask
			}
			for i, m := range marks {
				found[i] += bytes.Count(chunk[:n], m)
			}
			clear(chunk) // it is looked at as well, and must hold nothing of what was there before
			if at+int64(n) >= to {
				break
			}
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		t.Fatal(err)
	}
	return found
}

// collect frees what nobody can reach and runs what its finalizers and clean-ups have to do.
func collect() {
	for range 3 { // they run after a collection, and what they let go of goes with the next
		ran := make(chan struct{})
		runtime.SetFinalizer(&struct{ octets [64]byte }{}, func(any) { close(ran) })
		runtime.GC()
		<-ran
	}
}
