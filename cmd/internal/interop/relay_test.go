//go:build interop

package interop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"twinbore/tunnel/tun"
)

const (
	relayDevice = "relay"
	relayDelay  = 12 * time.Millisecond // a packet waits any time up to it
	relayDouble = 20                    // one of so many comes twice
)

// relay is the role "relay DEVICE": a router whose packets overtake each other, and of which some come twice. It makes the device,
// and gives back to the kernel later what that routes there.
func relay(name string) error {
	dev, err := tun.Open(tun.Config{Name: name, NoTSO: true, NoUSO: true})
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		dev.Close()
	}()
	fmt.Println("relaying")
	var mu sync.Mutex // one writer at a time
	read, doubled := 0, 0
	random := rand.New(rand.NewPCG(7, 7))
	for {
		f := tun.Frame{Buf: make([]byte, tun.Room+2048), At: tun.Room}
		if err := dev.Read(&f); errors.Is(err, os.ErrClosed) {
			fmt.Println(read, doubled)
			return nil
		} else if err != nil {
			return err
		}
		read++
		copies := 1
		if random.IntN(relayDouble) == 0 {
			copies, doubled = 2, doubled+1
		}
		for range copies {
			time.AfterFunc(time.Duration(random.Int64N(int64(relayDelay))), func() {
				mu.Lock()
				defer mu.Unlock()
				again := f
				again.Buf = append([]byte(nil), f.Buf...)
				dev.Write([]tun.Frame{again}) // a packet that the kernel refuses is a lost one
			})
		}
	}
}

// doRelay lets everything between a and b go through a relay at r.
func (s *scenario) doRelay([]string) error {
	p, err := s.start("r", "relay", []string{roleEnv + "=relay " + relayDevice}, os.Args[0])
	if err != nil {
		return err
	}
	if err := p.ready(limitTool, func() error {
		if !strings.Contains(p.output(), "relaying") {
			return errors.New(p.output())
		}
		return nil
	}); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", relayDevice, "up"},
		{"route", "add", "default", "dev", relayDevice, "table", "7"},
		{"rule", "add", "iif", "a0", "table", "7"},
		{"rule", "add", "iif", "b0", "table", "7"},
	} {
		if _, err := run(limitTool, append([]string{"ip", "-n", s.ns("r")}, args...)...); err != nil {
			return err
		}
	}
	s.relay = p
	return nil
}

// doRelayed ends the relay, which must have had something to do.
func (s *scenario) doRelayed([]string) error {
	if err := s.relay.stop(limitTool); err != nil {
		return err
	}
	var read, doubled int
	if _, err := fmt.Sscanf(s.relay.output(), "relaying\n%d %d", &read, &doubled); err != nil || doubled == 0 {
		return fmt.Errorf("the relay says %q (%v)", s.relay.output(), err)
	}
	s.t.Logf("%d packets relayed, %d of them twice", read, doubled)
	return nil
}
