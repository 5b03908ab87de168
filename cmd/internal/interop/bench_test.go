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
	benchRepeats = 5
	benchSeconds = "3"
	addrA, addrB = "10.1.0.1", "10.2.0.1" // inner addresses of a and b
	clockTicks   = 100                    // of /proc/PID/stat, USER_HZ
	anchor       = "wireguard-go"         // that the ratios are to
)

// A contender is a pair of gateways. start brings them up at a and b, with cables of an MTU of so many octets, and returns
// the daemons. loads are what it carries; more than the common ones only where it is told.
type contender struct {
	name  string
	start func(l *lab, mtu int) (daemons []*process, err error)
	loads []load
}

// A load is what goes through the gateways, from a to b, on cables of an MTU. run returns what arrived, in bits, and
// the rate, or the time that something took.
type load struct {
	name, unit string
	per        float64 // of the rate, in one unit
	mtu        int
	run        func(l *lab) (bits, rate float64, err error)
}

// ours is twinbore with a suite and offloads as the configuration has them, ESP in UDP; bare is twinbore with ESP without.
func ours(name, esp, offloads string, loads ...load) contender {
	return contender{name, func(l *lab, mtu int) ([]*process, error) { return l.twinbores(esp, offloads, "always", mtu) }, loads}
}

func bare(name, esp string, loads ...load) contender {
	return contender{name, func(l *lab, mtu int) ([]*process, error) { return l.twinbores(esp, "auto", "never", mtu) }, loads}
}

var (
	tcp1    = tcpLoad("TCP, 1 flow", "1", 1500)
	tcp4    = tcpLoad("TCP, 4 flows", "4", 1500)
	jumbo   = tcpLoad("TCP, 1 flow, MTU 9000", "1", 9000)
	udp200  = udpLoad(200)
	udp1300 = udpLoad(1300)

	whole    = []load{tcp1, tcp4, udp200, udp1300, latency, jumbo}
	gateways = []contender{
		ours("twinbore aes128gcm16", "aes128gcm16", "auto", whole...),
		ours("the same, peer without GRO", "aes128gcm16", "{udp_gro: off}", tcp1),
		ours("twinbore aes256gcm16", "aes256gcm16", "auto", tcp1),
		ours("twinbore chacha20poly1305", "chacha20poly1305", "auto", tcp1),
		ours("twinbore aes128-sha256", "aes128-sha256", "auto", tcp1),
		bare("twinbore aes128gcm16 without UDP", "aes128gcm16", tcp1, tcp4, udp200, udp1300),
		{anchor, (*lab).wireguards, whole},
		{"strongSwan libipsec aes128gcm16", func(l *lab, _ int) ([]*process, error) { return l.charons("aes128gcm16") }, []load{tcp1, tcp4}},
		{"no gateway", (*lab).plain, []load{tcp1, tcp4, jumbo}},
	}
	few     = []load{tcp1, udp200}
	without = []contender{
		ours("all offloads", "aes128gcm16", "auto", few...),
		ours("tun_tso off", "aes128gcm16", "{tun_tso: off}", few...),
		ours("tun_uso off", "aes128gcm16", "{tun_uso: off}", few...),
		ours("udp_gso off", "aes128gcm16", "{udp_gso: off}", few...),
		ours("udp_gro off", "aes128gcm16", "{udp_gro: off}", few...),
		ours("aes_kernel off", "aes128gcm16", "{aes_kernel: off}", few...),
		ours("none", "aes128gcm16", "none", few...),
		{anchor, (*lab).wireguards, few},
	}
)

// A sample is one run: a rate, and CPU seconds of both daemons for 10^9 bits.
type sample struct{ rate, cpu float64 }

// BenchmarkGateways compares gateways of each kind, and BenchmarkOffloads ours with one offload less each. The contenders take
// turns, so that a change of the machine's mood meets all of them; the tables show medians.
func BenchmarkGateways(b *testing.B) { compete(b, gateways, whole) }

func BenchmarkOffloads(b *testing.B) { compete(b, without, few) }

func compete(b *testing.B, contenders []contender, loads []load) {
	needPeers(b)
	if _, err := os.Stat(wireguard); err != nil {
		b.Skip("needs build/bin/wireguard; to run it: sudo make bench")
	}
	samples := map[string][]sample{}
	for range b.N * benchRepeats {
		for _, c := range contenders {
			for _, mtu := range mtusOf(c.loads) {
				if err := measure(b, c, mtu, samples); err != nil {
					b.Fatalf("%s, MTU %d: %v", c.name, mtu, err)
				}
			}
		}
	}
	var lines []line
	for _, load := range loads {
		base := middle(samples[load.name+anchor])
		for _, c := range contenders {
			if samples[load.name+c.name] == nil {
				continue
			}
			m := middle(samples[load.name+c.name])
			l := line{Gateways: c.name, Load: load.name, Rate: m.rate / load.per, Unit: load.unit, RateRatio: m.rate / base.rate, CPU: m.cpu}
			if m.cpu > 0 {
				l.CPURatio = base.cpu / m.cpu
			}
			lines = append(lines, l)
		}
	}
	report(b, lines)
}

// mtusOf returns the MTUs that loads want, each once.
func mtusOf(loads []load) []int {
	var out []int
	for _, load := range loads {
		if !slices.Contains(out, load.mtu) {
			out = append(out, load.mtu)
		}
	}
	return out
}

// A line of the table, and of the JSON file build/NAME.json. The ratios are to the anchor in the same run; more is better,
// but less is where the unit is a time. Without a daemon there is no CPU time, and no ratio to it.
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
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\t%.2f\t", l.Load, l.Gateways, l.Rate, l.Unit, l.RateRatio)
		if l.CPU > 0 {
			fmt.Fprintf(w, "%.3f\t%.2f", l.CPU, l.CPURatio)
		} else {
			fmt.Fprint(w, "\t")
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
	keepTable(b, lines)
}

// keepTable writes the lines of a benchmark's table to build/NAME.json.
func keepTable(b *testing.B, lines any) {
	const dir = "../../../build"
	text, err := json.MarshalIndent(lines, "", " ")
	if err == nil {
		err = errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(dir+"/"+b.Name()+".json", text, 0o644))
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

// measure brings a contender's gateways up and adds a sample of each of its loads for an MTU.
func measure(b *testing.B, c contender, mtu int, samples map[string][]sample) error {
	l := newLab(b)
	defer l.close()
	for _, end := range [][2]string{{"a", "wan"}, {"r", "a0"}, {"r", "b0"}, {"b", "wan"}} {
		l.must("ip", "-n", l.ns(end[0]), "link", "set", end[1], "mtu", strconv.Itoa(mtu))
	}
	daemons, err := c.start(l, mtu)
	if err != nil {
		return err
	}
	err = l.reach("a", addrA, addrB)
	if err != nil {
		for _, d := range daemons {
			err = fmt.Errorf("%w\n%s", err, tail(d.output(), 20))
		}
		return err
	}
	for _, load := range c.loads {
		if load.mtu != mtu {
			continue
		}
		before, err1 := cpuSeconds(daemons)
		bits, rate, err := load.run(l)
		after, err2 := cpuSeconds(daemons)
		if err := errors.Join(err1, err, err2); err != nil {
			return fmt.Errorf("%s: %w", load.name, err)
		}
		cpu := 0.0
		if len(daemons) > 0 && bits > 0 {
			cpu = (after - before) / (bits / 1e9)
		}
		samples[load.name+c.name] = append(samples[load.name+c.name], sample{rate, cpu})
	}
	return nil
}

// reach waits until a ping from an address of a host comes back.
func (l *lab) reach(host, from, to string) error {
	return until(20*time.Second, func() error {
		_, err := run(limitTool, l.on(host, "ping", "-n", "-c", "1", "-W", "1", "-I", from, to)...)
		return err
	})
}

func tcpLoad(name, flows string, mtu int) load {
	return load{name: name, unit: "Gbit/s", per: 1e9, mtu: mtu, run: func(l *lab) (bits, rate float64, err error) {
		server, err := l.startIperf("b", addrB)
		if err != nil {
			return 0, 0, err
		}
		defer server.stop(limitTool)
		return l.iperfOnce("a", addrB, benchSeconds, "-B", addrA, "-P", flows)
	}}
}

// cpuSeconds is the time that processes have spent so far, in the program and in the kernel for it (proc(5)).
func cpuSeconds(procs []*process) (sum float64, err error) {
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
func (l *lab) benchFile(name, esp, offloads, encap, tunMTU string) (string, error) {
	b, err := os.ReadFile(scenarios + "/bench/" + name)
	return strings.NewReplacer("@DIR@", l.dir, "@ESP@", esp, "@OFFLOADS@", offloads, "@ENCAP@", encap, "@MTU@", tunMTU).Replace(string(b)), err
}

func (l *lab) twinbores(esp, offloads, encap string, mtu int) (daemons []*process, err error) {
	tunMTU := "auto"
	if mtu != 1500 {
		tunMTU = strconv.Itoa(mtu - 62) // IPv4, UDP, ESP, IV, padding and tag of AES-GCM
	}
	for _, host := range []string{"b", "a"} { // b waits for a
		conf, err := l.benchFile(host+".yaml", esp, offloads, encap, tunMTU)
		if err != nil {
			return nil, err
		}
		g, err := l.startGateway(host, conf)
		if err != nil {
			return nil, errors.Join(err, errors.New(tail(l.procs[len(l.procs)-1].output(), 20)))
		}
		daemons = append(daemons, g.process)
	}
	return daemons, nil
}

func (l *lab) charons(esp string) (daemons []*process, err error) {
	var both [2]*charon
	for i, host := range []string{"a", "b"} {
		conf, err := l.benchFile(host+".swanctl.conf", esp, "", "", "")
		if err != nil {
			return nil, err
		}
		if both[i], err = l.startCharon(host, conf, ""); err != nil {
			return nil, err
		}
	}
	_, err = both[0].swanctl(limitTool, "--initiate", "--child", "net", "--timeout", "5")
	return []*process{both[0].process, both[1].process}, err
}

// plain is the way without any gateway: what the machine itself can carry.
func (l *lab) plain(int) ([]*process, error) {
	for _, way := range [][3]string{{"a", "10.2.0.0/24", "192.0.2.254"}, {"r", "10.2.0.0/24", "198.51.100.1"}, {"r", "10.1.0.0/24", "192.0.2.1"}, {"b", "10.1.0.0/24", "198.51.100.254"}} {
		l.must("ip", "-n", l.ns(way[0]), "route", "add", way[1], "via", way[2])
	}
	return nil, nil
}
