//go:build interop

package interop

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const scenarios = "../../../testdata/interop"

// slow is what a step may take without being mentioned.
const slow = 2 * time.Second

// quiet are the scripts that count what is lost, and quietOnes how many of them run at once: their probes load a quarter of
// a processor each.
var quiet = regexp.MustCompile(`(?m)^quiet\b`)

const quietOnes = 3

// TestScenarios runs every folder of testdata/interop that has a script: first the quiet ones, few at once, then the rest,
// as many at once as -parallel says.
func TestScenarios(t *testing.T) {
	needPeers(t)
	scripts, err := filepath.Glob(scenarios + "/*/script.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scenario in %s: %v", scenarios, err)
	}
	var first, then []string
	for _, script := range scripts {
		text, err := os.ReadFile(script)
		if err != nil {
			t.Fatal(err)
		}
		if quiet.Match(text) {
			first = append(first, filepath.Dir(script))
		} else {
			then = append(then, filepath.Dir(script))
		}
	}
	next := make(chan string)
	var workers sync.WaitGroup
	for range quietOnes {
		workers.Go(func() {
			for dir := range next {
				runFolder(t, dir, func(*testing.T) {})
			}
		})
	}
	for _, dir := range first {
		next <- dir
	}
	close(next)
	workers.Wait()
	for _, dir := range then {
		runFolder(t, dir, (*testing.T).Parallel)
	}
}

// runFolder runs a folder's script once for each case of its matrix. Each of its tests begins with begin.
func runFolder(t *testing.T, dir string, begin func(*testing.T)) {
	t.Run(filepath.Base(dir), func(t *testing.T) {
		begin(t)
		cases, err := readMatrix(filepath.Join(dir, "matrix.txt"))
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cases {
			if c.name == "" {
				runScenario(t, dir, c.values)
				continue
			}
			t.Run(c.name, func(t *testing.T) {
				begin(t)
				runScenario(t, dir, c.values)
			})
		}
	})
}

// needPeers leaves a test out where it cannot run, and says what would change that.
func needPeers(t testing.TB) {
	if os.Geteuid() != 0 {
		t.Skip("needs root; to run it: sudo make test")
	}
	for _, tool := range []string{charonPath, "swanctl", "ip", "nft", "ping", "tcpdump", "tshark", "iperf3", "sysctl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s; to run it: sudo make peers && sudo make interop", tool)
		}
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		t.Skip("needs /dev/net/tun; to run it: sudo modprobe tun && sudo make interop")
	}
	if _, err := os.Stat(program); err != nil {
		t.Fatal("bin/twinbore is not built; run: make build")
	}
}

// A scenario is one run of a script.
type scenario struct {
	*lab
	dir     string
	values  map[string]string // of the matrix
	gateway *gateway
	charon  *charon      // or
	guest   *guestDaemon // with another kernel
	peer    peer         // whichever of the two
	capture *capture
	probe   *process
	stream  *twoWay
	relay   *process
	attacks []*process
	before  burden // before the first of them
}

// runScenario does what the script says, and then looks at the capture.
func runScenario(t *testing.T, dir string, values map[string]string) {
	s := &scenario{lab: newLab(t), dir: dir, values: values}
	s.values["DIR"] = s.lab.dir
	script, err := s.file("script.txt")
	if err != nil {
		t.Fatal(err)
	}
	steps, err := parseScript(script)
	if err != nil {
		t.Fatalf("script.txt: %v", err)
	}
	for _, st := range steps {
		if st.need != nil {
			st.need(s, st.args)
		}
	}
	s.watchLeaks("a0", "b0")
	if s.capture, err = s.startCapture(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // before the lab goes: cleanups run last first
		if t.Failed() {
			s.explain()
		}
	})
	for _, st := range steps {
		begin := time.Now()
		if err := st.do(s, st.args); err != nil {
			t.Fatalf("script.txt:%d: %s: %v", st.line, st.text, err)
		}
		if took := time.Since(begin); took > slow {
			t.Logf("script.txt:%d: %s: took %v", st.line, st.text, took.Round(100*time.Millisecond))
		}
	}
	v, err := s.capture.judge()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("outside: %d IKE packets, and %d ESP packets of those sampled", v.ike, v.esp)
	if v.ike == 0 {
		t.Error("the capture holds no IKE packet: it shows nothing")
	}
	for _, f := range v.faults {
		t.Error(f)
	}
	if n, err := s.leaked("a0"); err != nil || n != 0 {
		t.Errorf("%d packets of the inner networks left in clear (%v)", n, err)
	}
	if n, err := s.leaked("b0"); err != nil || n != 0 {
		t.Logf("the peer let %d packets out in clear (%v)", n, err)
	}
}

// file is a file of the scenario with its values put in.
func (s *scenario) file(name string) (string, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return "", err
	}
	text := string(b)
	for k, v := range s.values {
		text = strings.ReplaceAll(text, "@"+k+"@", v)
	}
	return text, nil
}

// optional is file for one that need not be there.
func (s *scenario) optional(name string) (string, error) {
	text, err := s.file(name)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return text, err
}

// explain shows the end of what both daemons have to say, and keeps all of it.
func (s *scenario) explain() {
	if s.gateway != nil {
		if out, err := s.gateway.command(limitStatus, "status", "-o", "json"); err == nil {
			s.t.Logf("twinbore status:\n%s", out)
		}
		s.t.Logf("twinbore:\n%s", tail(s.gateway.output(), 80))
	}
	if s.peer != nil {
		s.t.Logf("the peer:\n%s", tail(s.peer.story(), 80))
	}
	for _, h := range []string{"a", "b"} {
		if out, err := run(limitStatus, "ip", "-n", s.ns(h), "-4", "route", "show", "table", "all", "type", "unicast"); err == nil {
			s.t.Logf("routes of %s:\n%s", h, out)
		}
	}
	if err := s.keep(); err != nil {
		s.t.Log(err)
	}
}

// keep copies the logs and the capture to where the reader of a failed test finds them.
func (s *scenario) keep() error {
	dir := filepath.Join("build/interop", strings.ReplaceAll(s.t.Name(), "/", "-"))
	s.t.Logf("logs and capture: %s", dir)
	dir = filepath.Join("../../..", dir)
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	return os.CopyFS(dir, keepable{os.DirFS(s.lab.dir)})
}

// keepable is a folder without its sockets.
type keepable struct{ fs.FS }

func (k keepable) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(k.FS, name)
	return slices.DeleteFunc(all, func(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() }), err
}

// A matrixCase is one combination of a matrix's rows.
type matrixCase struct {
	name   string
	values map[string]string
}

// readMatrix reads blocks of rows, apart by blank lines. A row is a name and KEY=VALUE words; the cases are one row of
// each block in every combination, later blocks winning; a row named . adds no name. No file is one case without a name.
func readMatrix(name string) ([]matrixCase, error) {
	cases := []matrixCase{{values: map[string]string{}}}
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return cases, nil
	}
	if err != nil {
		return nil, err
	}
	for block := range strings.SplitSeq(string(b), "\n\n") {
		var next []matrixCase
		for row := range strings.Lines(block) {
			words, err := split(row)
			if err != nil {
				return nil, fmt.Errorf("%s: %q: %w", name, row, err)
			}
			if len(words) == 0 {
				continue
			}
			for _, c := range cases {
				merged := matrixCase{path.Join(c.name, words[0]), map[string]string{}}
				for k, v := range c.values {
					merged.values[k] = v
				}
				for _, w := range words[1:] {
					k, v, ok := strings.Cut(w, "=")
					if !ok {
						return nil, fmt.Errorf("%s: %q is not KEY=VALUE", name, w)
					}
					merged.values[k] = v
				}
				next = append(next, merged)
			}
		}
		if next != nil {
			cases = next
		}
	}
	return cases, nil
}
