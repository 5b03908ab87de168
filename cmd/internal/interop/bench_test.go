//go:build interop

package interop

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	benchRepeats = 3
	benchSeconds = "4"
	addrA, addrB = "10.1.0.1", "10.2.0.1" // inner addresses of a and b
	clockTicks   = 100                    // of /proc/PID/stat, USER_HZ
)

// A contender is a pair of gateways. start brings them up at a and b and returns the two daemons.
type contender struct {
	name  string
	start func(l *lab) (a, b *process, err error)
}

var contenders = []contender{
	{"twinbore aes128gcm16", func(l *lab) (a, b *process, err error) { return l.twinbores("aes128gcm16") }},
	{"twinbore chacha20poly1305", func(l *lab) (a, b *process, err error) { return l.twinbores("chacha20poly1305") }},
	{"wireguard-go", (*lab).wireguards},
	{"strongSwan libipsec aes128gcm16", func(l *lab) (a, b *process, err error) { return l.charons("aes128gcm16") }},
}

// A sample is one run: bits per second, and CPU seconds of both daemons for 10^9 bits.
type sample struct{ rate, cpu float64 }

// BenchmarkGateways compares TCP from a to b through two gateways of each kind. The contenders take turns, so that a
// change of the machine's mood meets all of them; the table shows medians.
func BenchmarkGateways(b *testing.B) {
	needPeers(b)
	if _, err := os.Stat(wireguard); err != nil {
		b.Skip("needs build/bin/wireguard; to run it: sudo make bench")
	}
	samples := map[string][]sample{}
	for range b.N * benchRepeats {
		for _, c := range contenders {
			s, err := measure(b, c)
			if err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
			samples[c.name] = append(samples[c.name], s)
		}
	}
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "gateways\tGbit/s\tto wireguard-go\tCPU s/Gbit\tto wireguard-go\t")
	base := middle(samples["wireguard-go"])
	for _, c := range contenders {
		m := middle(samples[c.name])
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t\n", c.name, m.rate/1e9, m.rate/base.rate, m.cpu, m.cpu/base.cpu)
		b.ReportMetric(m.rate/1e9, strings.ReplaceAll(c.name, " ", "-")+"-Gbit/s")
	}
	w.Flush()
}

// middle is the median of each of the two figures.
func middle(all []sample) sample {
	var rates, cpus []float64
	for _, s := range all {
		rates, cpus = append(rates, s.rate), append(cpus, s.cpu)
	}
	slices.Sort(rates)
	slices.Sort(cpus)
	return sample{rates[len(rates)/2], cpus[len(cpus)/2]}
}

func measure(b *testing.B, c contender) (s sample, err error) {
	l := newLab(b)
	defer l.close()
	one, two, err := c.start(l)
	if err != nil {
		return s, err
	}
	err = until(20*time.Second, func() error {
		_, err := run(limitTool, l.on("a", "ping", "-n", "-c", "1", "-W", "1", "-I", addrA, addrB)...)
		return err
	})
	if err != nil {
		return s, fmt.Errorf("%w\n%s\n%s", err, tail(one.output(), 20), tail(two.output(), 20))
	}
	before, err := cpuSeconds(one, two)
	if err != nil {
		return s, err
	}
	server, err := l.startIperf("b", addrB)
	if err != nil {
		return s, err
	}
	defer server.stop(limitTool)
	bits, rate, err := l.iperfOnce("a", addrB, benchSeconds, "-B", addrA)
	if err != nil {
		return s, err
	}
	after, err := cpuSeconds(one, two)
	return sample{rate, (after - before) / (bits / 1e9)}, err
}

// cpuSeconds is the time that processes have spent so far, in the program and in the kernel for it (proc(5)).
func cpuSeconds(procs ...*process) (sum float64, err error) {
	for _, p := range procs {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(b), ") ") // the name before it may hold spaces
		f := strings.Fields(rest)
		if len(f) < 13 {
			return 0, fmt.Errorf("/proc/%d/stat: %q", p.cmd.Process.Pid, b)
		}
		for _, ticks := range f[11:13] { // utime, stime
			n, err := strconv.ParseFloat(ticks, 64)
			if err != nil {
				return 0, err
			}
			sum += n / clockTicks
		}
	}
	return sum, nil
}

// benchFile is a file of testdata/interop/bench with its values put in.
func (l *lab) benchFile(name, esp string) (string, error) {
	b, err := os.ReadFile(scenarios + "/bench/" + name)
	return strings.NewReplacer("@DIR@", l.dir, "@ESP@", esp).Replace(string(b)), err
}

func (l *lab) twinbores(esp string) (a, b *process, err error) {
	var procs [2]*process
	for i, host := range []string{"b", "a"} { // b waits for a
		conf, err := l.benchFile(host+".yaml", esp)
		if err != nil {
			return nil, nil, err
		}
		g, err := l.startGateway(host, conf)
		if err != nil {
			return nil, nil, errors.Join(err, errors.New(tail(l.procs[len(l.procs)-1].output(), 20)))
		}
		procs[i] = g.process
	}
	return procs[1], procs[0], nil
}

func (l *lab) charons(esp string) (a, b *process, err error) {
	var both [2]*charon
	for i, host := range []string{"a", "b"} {
		conf, err := l.benchFile(host+".swanctl.conf", esp)
		if err != nil {
			return nil, nil, err
		}
		if both[i], err = l.startCharon(host, conf, ""); err != nil {
			return nil, nil, err
		}
	}
	_, err = both[0].swanctl(limitTool, "--initiate", "--child", "net", "--timeout", "5")
	return both[0].process, both[1].process, err
}
