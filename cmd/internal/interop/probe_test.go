//go:build interop

package interop

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// roleEnv makes the test program one of the two ends of a probe, in the namespace it was started in:
// "echo ADDR" answers, "probe ADDR" sends 1,000 numbered packets a second until SIGTERM and then says what came back. For
// benchmarks "flood" sends and "sink" counts, see flood_test.go; "pour" and "drain" compare what they move, see content_test.go;
// "attack" forges, see attack_test.go; "stream" sends and counts at the same time, see
// stream_test.go; "relay" disorders, see relay_test.go.
const roleEnv = "TWINBORE_INTEROP_ROLE"

func TestMain(m *testing.M) {
	role, addr, _ := strings.Cut(os.Getenv(roleEnv), " ")
	var err error
	switch role {
	case "echo":
		err = echo(addr)
	case "probe":
		err = probe(addr)
	case "flood":
		err = flood(addr)
	case "sink":
		err = sink(addr)
	case "pour":
		err = pour(addr)
	case "drain":
		err = drain(addr)
	case "stream":
		err = stream(addr)
	case "relay":
		err = relay(addr)
	case "attack":
		err = attack(addr)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

const (
	probePort  = "7007"
	probeEvery = time.Millisecond
	probeSize  = 256
	linger     = 2 * time.Second // how long the last answers may take
)

// echo answers every packet until it is killed.
func echo(addr string) error {
	c, err := net.ListenPacket("udp", addr)
	if err != nil {
		return err
	}
	if err := deepen(c.(*net.UDPConn)); err != nil {
		return err
	}
	fmt.Println("listening")
	buf := make([]byte, 2*probeSize)
	for {
		n, from, err := c.ReadFrom(buf)
		if err != nil {
			return err
		}
		c.WriteTo(buf[:n], from) // unreachable for a while: the probe counts it
	}
}

// A result is what a probe has seen.
type result struct {
	Sent, Received, Lost, Doubled int
	Gap                           time.Duration // the longest time without an answer
	GapAt                         time.Duration // since the start
	FirstLost                     []int         // numbers, at most ten
}

func (r result) String() string {
	return fmt.Sprintf("%d sent, %d answered, %d lost, %d doubled, longest gap %v at %v", r.Sent, r.Received, r.Lost, r.Doubled,
		r.Gap.Round(time.Millisecond), r.GapAt.Round(time.Millisecond))
}

// probe sends until it is told to end, waits for the last answers and prints a result.
func probe(addr string) error {
	c, err := net.Dial("udp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := deepen(c.(*net.UDPConn)); err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)

	start := time.Now()
	var mu sync.Mutex // guards arrivals
	arrivals := map[int][]time.Duration{}
	go func() {
		buf := make([]byte, 2*probeSize)
		for {
			n, err := c.Read(buf)
			if err != nil {
				if isRefused(err) {
					continue
				}
				return
			}
			if n == probeSize {
				i := int(binary.BigEndian.Uint64(buf))
				mu.Lock()
				arrivals[i] = append(arrivals[i], time.Since(start))
				mu.Unlock()
			}
		}
	}()
	fmt.Println("probing")
	packet := make([]byte, probeSize)
	sent := 0
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
sending:
	for {
		select {
		case <-stop:
			break sending
		case <-tick.C:
			// What a late tick owes is sent one more at a time: a burst would measure the queues on the way.
			due := int(time.Since(start) / probeEvery)
			for range min(due-sent, 2) {
				binary.BigEndian.PutUint64(packet, uint64(sent))
				c.Write(packet) // a packet that cannot leave is a lost one
				sent++
			}
		}
	}
	until(linger, func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(arrivals) < sent {
			return fmt.Errorf("%d answers of %d", len(arrivals), sent)
		}
		return nil
	}) // what has not come by now is lost
	mu.Lock()
	defer mu.Unlock()
	return json.NewEncoder(os.Stdout).Encode(judgeProbe(sent, arrivals))
}

func judgeProbe(sent int, arrivals map[int][]time.Duration) result {
	r := result{Sent: sent, Received: len(arrivals)}
	var times []time.Duration
	for i := range sent {
		at := arrivals[i]
		if len(at) == 0 {
			r.Lost++
			if len(r.FirstLost) < 10 {
				r.FirstLost = append(r.FirstLost, i)
			}
			continue
		}
		r.Doubled += len(at) - 1
		times = append(times, at...)
	}
	slices.Sort(times)
	for i := 1; i < len(times); i++ {
		if gap := times[i] - times[i-1]; gap > r.Gap {
			r.Gap, r.GapAt = gap, times[i-1]
		}
	}
	return r
}

// isRefused is an ICMP error that a connected socket reports once: the way was closed for a moment.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.EHOSTUNREACH) ||
		errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EACCES)
}

// startProbe begins to send numbered packets from one host to another.
func (l *lab) startProbe(from, to, addr string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	at := net.JoinHostPort(addr, probePort)
	e, err := l.start(to, "echo", []string{roleEnv + "=echo " + at}, self)
	if err != nil {
		return nil, err
	}
	says := func(p *process, word string) func() error {
		return func() error {
			if !strings.HasPrefix(p.output(), word) {
				return fmt.Errorf("%s says: %s", p.name, p.output())
			}
			return nil
		}
	}
	if err := e.ready(5*time.Second, says(e, "listening")); err != nil {
		return nil, err
	}
	p, err := l.start(from, "probe", []string{roleEnv + "=probe " + at}, self)
	if err != nil {
		return nil, err
	}
	return p, p.ready(5*time.Second, says(p, "probing"))
}

// endProbe stops a probe and returns what it has seen.
func endProbe(p *process) (result, error) {
	var r result
	if err := p.stop(linger + 5*time.Second); err != nil {
		return r, err
	}
	_, text, _ := strings.Cut(p.output(), "probing\n")
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("the probe said %q: %w", p.output(), err)
	}
	return r, nil
}
