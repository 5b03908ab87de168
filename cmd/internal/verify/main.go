// Command verify is what `make test` runs: everything that this machine can carry, one line for what passed, the whole
// output for what did not, and at the end, by name, what was left out and what would change that.
//
//	gofmt ─► go vet ─► staticcheck ─► unit tests with the race detector ─► interop with real peers
//
// A test leaves itself out by t.Skip with a reason that ends in "; to run it: COMMAND". With CI=true a test left out
// because a peer is missing is a failure: the machine was meant to have it.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A step is one part of the whole.
type step struct {
	name string
	args []string
	test bool // its output is that of go test -json
	long bool // and how long each part took is worth a line
	bad  func(output string) bool
}

func steps() []step {
	anyOutput := func(output string) bool { return strings.TrimSpace(output) != "" }
	return []step{
		{name: "format", args: []string{"gofmt", "-l", "cmd", "config", "esp", "ike", "routing", "tunnel"}, bad: anyOutput},
		{name: "vet", args: []string{"go", "vet", "-tags", "interop", "./..."}},
		{name: "staticcheck", args: []string{"go", "tool", "staticcheck", "-tags", "interop", "./..."}},
		{name: "unit tests, race detector", args: []string{"go", "test", "-json", "-race", "./..."}, test: true},
		{name: "interop", args: []string{"go", "test", "-json", "-count=1", "-timeout", "40m", "-parallel", "4", "-tags", "interop", "./cmd/internal/interop"}, test: true, long: true},
	}
}

func main() {
	var all tally
	failed := false
	for _, s := range steps() {
		begin := time.Now()
		ok, summary := s.run(&all)
		word := "ok  "
		if !ok {
			word, failed = "FAIL", true
		}
		fmt.Printf("%s  %-26s %6.1fs  %s\n", word, s.name, time.Since(begin).Seconds(), summary)
	}
	if all.report(os.Stdout, os.Getenv("CI") == "true") {
		failed = true
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", all.passed, all.failed, len(all.skipped))
	if failed {
		os.Exit(1)
	}
}

// run does one step and prints what went wrong in it.
func (s step) run(all *tally) (ok bool, summary string) {
	cmd := exec.Command(s.args[0], s.args[1:]...)
	cmd.Stderr = os.Stderr
	if !s.test {
		output, err := cmd.Output()
		if err != nil || s.bad != nil && s.bad(string(output)) {
			os.Stdout.Write(output)
			return false, strings.Join(s.args, " ")
		}
		return true, ""
	}
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return false, err.Error()
	}
	if err := cmd.Start(); err != nil {
		return false, err.Error()
	}
	var mine tally
	mine.read(pipe, os.Stdout)
	err = cmd.Wait()
	all.add(mine)
	summary = fmt.Sprintf("%d passed, %d failed, %d left out", mine.passed, mine.failed, len(mine.skipped))
	if s.long && len(mine.clock.seconds) > 0 {
		summary += "\n" + mine.clock.report()
	}
	return err == nil, summary
}
