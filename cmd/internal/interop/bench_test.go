//go:build interop

package interop

import (
	"encoding/json"
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
	benchSeconds = "3"
	addrA, addrB = "10.1.0.1", "10.2.0.1" // inner addresses of a and b
	clockTicks   = 100                    // of /proc/PID/stat, USER_HZ
	anchor       = "wireguard-go"         // that the ratios are to
)

// A contender is a pair of gateways. start brings them up at a and b and returns the two daemons.
type contender struct {
	name  string
	start func(l *lab) (a, b *process, err error)
}

// A load is what goes through the gateways, from a to b. run returns what arrived: bits, and a rate.
type load struct {
	name, unit string
	per        float64 // of the rate, in one unit
	run        func(l *lab) (bits, rate float64, err error)
}

// ours is twinbore with a suite and offloads as the configuration has them, ESP in UDP; bare is twinbore with ESP without.
func ours(name, esp, offloads string) contender {
	return contender{name, func(l *lab) (a, b *process, err error) { return l.twinbores(esp, offloads, "always") }}
}

func bare(name, esp string) contender {
	return contender{name, func(l *lab) (a, b *process, err error) { return l.twinbores(esp, "auto", "never") }}
}

var (
	tcp1    = tcpLoad("TCP, 1 flow", "1")
	tcp4    = tcpLoad("TCP, 4 flows", "4")
	udp200  = udpLoad(200)
	udp1300 = udpLoad(1300)

	gateways = []contender{
		ours("twinbore aes128gcm16", "aes128gcm16", "auto"),
		ours("twinbore chacha20poly1305", "chacha20poly1305", "auto"),
		bare("twinbore aes128gcm16 without UDP", "aes128gcm16"),
		{anchor, (*lab).wireguards},
		{"strongSwan libipsec aes128gcm16", func(l *lab) (a, b *process, err error) { return l.charons("aes128gcm16") }},
	}
	without = []contender{
		ours("all offloads", "aes128gcm16", "auto"),
		ours("tun_tso off", "aes128gcm16", "{tun_tso: off}"),
		ours("tun_uso off", "aes128gcm16", "{tun_uso: off}"),
		ours("udp_gso off", "aes128gcm16", "{udp_gso: off}"),
		ours("udp_gro off", "aes128gcm16", "{udp_gro: off}"),
		ours("aes_kernel off", "aes128gcm16", "{aes_kernel: off}"),
		ours("none", "aes128gcm16", "none"),
		{anchor, (*lab).wireguards},
	}
)

// A sample is one run: a rate, and CPU seconds of both daemons for 10^9 bits.
type sample struct{ rate, cpu float64 }

// BenchmarkGateways compares gateways of each kind, and BenchmarkOffloads ours with one offload less each. The contenders take
// turns, so that a change of the machine's mood meets all of them; the tables show medians.
func BenchmarkGateways(b *testing.B) { compete(b, gateways, tcp1, tcp4, udp200, udp1300) }

func BenchmarkOffloads(b *testing.B) { compete(b, without, tcp1, udp200) }

func compete(b *testing.B, contenders []contender, loads ...load) {
	needPeers(b)
	if _, err := os.Stat(wireguard); err != nil {
		b.Skip("needs build/bin/wireguard; to run it: sudo make bench")
	}
	samples := map[string][]sample{}
	for range b.N * benchRepeats {
		for _, c := range contenders {
			if err := measure(b, c, loads, samples); err != nil {
				b.Fatalf("%s: %v", c.name, err)
			}
		}
	}
	var lines []line
	for _, load := range loads {
		base := middle(samples[load.name+anchor])
		for _, c := range contenders {
			m := middle(samples[load.name+c.name])
			lines = append(lines, line{c.name, load.name, m.rate / load.per, load.unit, m.rate / base.rate, m.cpu, base.cpu / m.cpu})
		}
	}
	report(b, lines)
}

// A line of the table, and of the JSON file build/NAME.json. The ratios are to the anchor in the same run; more is better.
type line struct {
	Gateways, Load string
	Rate           float64
	Unit           string
	RateRatio      float64
	CPU            float64 // seconds of both daemons for each Gbit
	CPURatio       float64
}

func report(b *testing.B, lines []line) {
	fmt.Println()
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "load\tgateways\trate\t\tto %s\tCPU s/Gbit\tGbit/CPU s to %s\t\n", anchor, anchor)
	for _, l := range lines {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t%.2f\t%.3f\t%.2f\t\n", l.Load, l.Gateways, l.Rate, l.Unit, l.RateRatio, l.CPU, l.CPURatio)
	}
	w.Flush()
	text, err := json.MarshalIndent(lines, "", " ")
	if err == nil {
		err = os.WriteFile("../../../build/"+b.Name()+".json", text, 0o644)
	}
	if err != nil {
		b.Error(err)
	}
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

// measure brings a contender's gateways up and adds a sample of each load.
func measure(b *testing.B, c contender, loads []load, samples map[string][]sample) error {
	l := newLab(b)
	defer l.close()
	one, two, err := c.start(l)
	if err != nil {
		return err
	}
	err = until(20*time.Second, func() error {
		_, err := run(limitTool, l.on("a", "ping", "-n", "-c", "1", "-W", "1", "-I", addrA, addrB)...)
		return err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s\n%s", err, tail(one.output(), 20), tail(two.output(), 20))
	}
	for _, load := range loads {
		before, err1 := cpuSeconds(one, two)
		bits, rate, err := load.run(l)
		after, err2 := cpuSeconds(one, two)
		if err := errors.Join(err1, err, err2); err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		samples[load.name+c.name] = append(samples[load.name+c.name], sample{rate, (after - before) / (bits / 1e9)})
	}
	return nil
}

func tcpLoad(name, flows string) load {
	return load{name, "Gbit/s", 1e9, func(l *lab) (bits, rate float64, err error) {
		server, err := l.startIperf("b", addrB)
		if err != nil {
			return 0, 0, err
		}
		defer server.stop(limitTool)
		return l.iperfOnce("a", addrB, benchSeconds, "-B", addrA, "-P", flows)
	}}
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
func (l *lab) benchFile(name, esp, offloads, encap string) (string, error) {
	b, err := os.ReadFile(scenarios + "/bench/" + name)
	return strings.NewReplacer("@DIR@", l.dir, "@ESP@", esp, "@OFFLOADS@", offloads, "@ENCAP@", encap).Replace(string(b)), err
}

func (l *lab) twinbores(esp, offloads, encap string) (a, b *process, err error) {
	var procs [2]*process
	for i, host := range []string{"b", "a"} { // b waits for a
		conf, err := l.benchFile(host+".yaml", esp, offloads, encap)
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
		conf, err := l.benchFile(host+".swanctl.conf", esp, "", "")
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
