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
	"time"
)

const (
	streamPort = 7010
	streamEnd  = time.Second // how long the last packets may be under way
)

// stream is the role "stream LOCAL REMOTE EVERY", at both ends of a way: from SIGUSR1 to SIGTERM it sends numbered packets, and
// then it says what has come from the other end. So what each direction lost is known apart.
func stream(words string) error {
	var local, remote, pace string
	if _, err := fmt.Sscan(words, &local, &remote, &pace); err != nil {
		return err
	}
	every, err := time.ParseDuration(pace)
	if err != nil {
		return err
	}
	to := &net.UDPAddr{IP: net.ParseIP(remote), Port: streamPort}
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(local), Port: streamPort}) // not connected: it hears of no ICMP error
	if err != nil {
		return err
	}
	if err := deepen(c); err != nil {
		return err
	}
	begin, stop := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(begin, syscall.SIGUSR1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("listening")
	<-begin
	start := time.Now()

	var mu sync.Mutex // guards arrivals
	arrivals := map[int][]time.Duration{}
	go func() {
		buf := make([]byte, 2*probeSize)
		for {
			n, _, err := c.ReadFromUDP(buf)
			if err != nil {
				return // the process ends
			}
			if n == probeSize {
				mu.Lock()
				i := int(binary.BigEndian.Uint64(buf))
				arrivals[i] = append(arrivals[i], time.Since(start))
				mu.Unlock()
			}
		}
	}()
	packet := make([]byte, probeSize)
	tick := time.NewTicker(every)
	defer tick.Stop()
	sent := 0
	for sending := true; sending; {
		select {
		case <-stop:
			sending = false
		case <-tick.C:
			due := int(time.Since(start) / every) // a late tick's debt is paid one more at a time, as in probe
			for range min(due-sent, 2) {
				binary.BigEndian.PutUint64(packet, uint64(sent))
				c.WriteToUDP(packet, to) // a packet that cannot leave is a lost one
				sent++
			}
		}
	}
	ended := time.Since(start)
	time.Sleep(streamEnd)
	mu.Lock()
	defer mu.Unlock()
	return json.NewEncoder(os.Stdout).Encode(hearing(sent, arrivals, ended))
}

// A heard is what one end of a stream has sent, and what it got from the other.
type heard struct {
	Sent, Received, Doubled int
	Gap                     time.Duration // the longest time in which nothing came
	Over                    bool          // and whether anything came after it
}

func hearing(sent int, arrivals map[int][]time.Duration, ended time.Duration) heard {
	h := heard{Sent: sent, Received: len(arrivals)}
	var times []time.Duration
	for _, at := range arrivals {
		h.Doubled += len(at) - 1
		times = append(times, at...)
	}
	slices.Sort(times)
	last := time.Duration(0)
	if len(times) > 0 {
		last = times[0]
	}
	for _, at := range times {
		if at-last > h.Gap {
			h.Gap = at - last
		}
		last = at
	}
	h.Over = true
	if ended-last > h.Gap {
		h.Gap, h.Over = ended-last, false
	}
	return h
}

// A passage is what became of one direction of a stream.
type passage struct {
	Sent, Lost, Doubled int
	Gap                 time.Duration
	Over                bool // the gap has ended
}

func (p passage) String() string {
	more := ""
	if !p.Over {
		more = " and more"
	}
	return fmt.Sprintf("%d of %d lost, longest gap %v%s", p.Lost, p.Sent, p.Gap.Round(time.Millisecond), more)
}

// A twoWay is a stream between la and lb, under way.
type twoWay struct{ la, lb *process }

// startStream begins to send numbered packets between la and lb, one each so often.
func (l *lab) startStream(every time.Duration) (*twoWay, error) {
	var s twoWay
	for _, end := range []struct {
		host, local, remote string
		p                   **process
	}{{"lb", "10.2.0.2", "10.1.0.2", &s.lb}, {"la", "10.1.0.2", "10.2.0.2", &s.la}} {
		p, err := l.start(end.host, "stream-"+end.host, []string{fmt.Sprintf("%s=stream %s %s %v", roleEnv, end.local, end.remote, every)}, os.Args[0])
		if err != nil {
			return nil, err
		}
		if err := p.ready(limitTool, func() error {
			if !strings.HasPrefix(p.output(), "listening") {
				return errors.New(p.output())
			}
			return nil
		}); err != nil {
			return nil, err
		}
		*end.p = p
	}
	err := s.la.cmd.Process.Signal(syscall.SIGUSR1)
	time.Sleep(100 * time.Millisecond) // then lb knows by which gateway packets come
	return &s, errors.Join(err, s.lb.cmd.Process.Signal(syscall.SIGUSR1))
}

// end stops a stream and returns what became of it, from la to lb and back.
func (s *twoWay) end() (there, back passage, err error) {
	var a, b heard
	if err := errors.Join(s.la.cmd.Process.Signal(syscall.SIGTERM), s.lb.cmd.Process.Signal(syscall.SIGTERM)); err != nil {
		return there, back, err
	}
	for p, h := range map[*process]*heard{s.la: &a, s.lb: &b} {
		if err := p.stop(streamEnd + limitTool); err != nil {
			return there, back, err
		}
		_, text, _ := strings.Cut(p.output(), "listening\n")
		if err := json.Unmarshal([]byte(text), h); err != nil {
			return there, back, fmt.Errorf("%s said %q: %w", p.name, p.output(), err)
		}
	}
	return passage{a.Sent, a.Sent - b.Received, b.Doubled, b.Gap, b.Over}, passage{b.Sent, b.Sent - a.Received, a.Doubled, a.Gap, a.Over}, nil
}
