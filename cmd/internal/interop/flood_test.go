//go:build interop

package interop

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

const (
	floodPort   = 7008
	floodBurst  = 32 // datagrams in one call
	floodTime   = time.Second
	floodLoss   = 0.05 // at most, for a rate to count
	floodFirst  = 20_000
	floodGrowth = 1.2
	floodTries  = 4 // rates in a row that are too high: the last is twice the best
	floodTop    = 1_500_000
)

// udpLoad finds the highest rate of UDP packets, of which size octets are inner packet, that arrives with less than one in twenty
// lost. Each rate is tried for a second, and floodTries in a row that are too high end it: a second may be a bad one.
func udpLoad(size int) load {
	return load{name: fmt.Sprintf("UDP, %d octets", size), unit: "k packets/s", per: 1e3, mtu: 1500, run: func(l *lab) (bits, rate float64, err error) {
		for _, first := range []float64{floodFirst, floodFirst / 20} { // the second for those that cannot do the first
			for offered, failed := first, 0; offered < floodTop && failed < floodTries; offered *= floodGrowth {
				sent, got, took, err := l.flood(size, int(offered))
				if err != nil {
					return 0, 0, err
				}
				bits += float64(got * size * 8)
				failed++
				if reached := float64(got) / took; float64(got) >= (1-floodLoss)*float64(sent) && reached > rate {
					rate, failed = reached, 0
				}
			}
			if rate > 0 {
				return bits, rate, nil
			}
		}
		return bits, 0, fmt.Errorf("not even %d packets a second arrived", floodFirst/20)
	}}
}

// flood sends from a to b for floodTime and returns how many packets left, how many arrived, and the seconds that the
// sender took.
func (l *lab) flood(size, rate int) (sent, got int, took float64, err error) {
	at := fmt.Sprintf("%s:%d", addrB, floodPort)
	sink, err := l.start("b", "sink", []string{roleEnv + "=sink " + at}, os.Args[0])
	if err != nil {
		return 0, 0, 0, err
	}
	if err := sink.ready(limitTool, func() error {
		if !strings.Contains(sink.output(), "listening") {
			return errors.New(sink.output())
		}
		return nil
	}); err != nil {
		return 0, 0, 0, err
	}
	out, err := runWith(limitTool, []string{fmt.Sprintf("%s=flood %s %s %d %d", roleEnv, addrA, at, size, rate)}, l.on("a", os.Args[0])...)
	if err != nil {
		return 0, 0, 0, err
	}
	time.Sleep(200 * time.Millisecond) // what is under way
	if err := sink.stop(limitTool); err != nil {
		return 0, 0, 0, err
	}
	_, err1 := fmt.Sscan(out, &sent, &took)
	_, err2 := fmt.Sscanf(sink.output(), "listening\n%d", &got)
	return sent, got, took, errors.Join(err1, err2)
}

// flood is the role that sends: "LOCAL REMOTE SIZE RATE".
func flood(words string) error {
	var local, remote string
	var size, rate int
	if _, err := fmt.Sscan(words, &local, &remote, &size, &rate); err != nil {
		return err
	}
	sock, err := transport.Listen(transport.Config{Addr: netip.AddrPortFrom(netip.MustParseAddr(local), 0), NoGSO: true, NoGRO: true})
	if err != nil {
		return err
	}
	ms := make([]transport.Message, floodBurst)
	for i := range ms {
		ms[i] = transport.Message{Buf: make([]byte, size-28), N: size - 28, Path: esp.Path{Remote: netip.MustParseAddrPort(remote)}}
	}
	sent, start := 0, time.Now()
	for {
		past := time.Since(start)
		if past >= floodTime {
			fmt.Println(sent, past.Seconds())
			return nil
		}
		due := int(past.Seconds() * float64(rate))
		for sent < due && time.Since(start) < floodTime {
			now := ms[:min(floodBurst, due-sent)]
			for i := range now {
				binary.BigEndian.PutUint64(now[i].Buf, uint64(sent+i))
			}
			if _, err := sock.Write(now); err != nil {
				return err
			}
			sent += len(now)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// sink is the role that counts what arrives until SIGTERM.
func sink(addr string) error {
	sock, err := transport.Listen(transport.Config{Addr: netip.MustParseAddrPort(addr), NoGRO: true})
	if err != nil {
		return err
	}
	fmt.Println("listening")
	got := 0
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	go func() {
		<-stop
		sock.Close()
	}()
	ms := make([]transport.Message, 64)
	for i := range ms {
		ms[i].Buf = make([]byte, 2048)
	}
	for {
		n, err := sock.Read(ms)
		got += n
		if errors.Is(err, net.ErrClosed) {
			fmt.Println(got)
			return nil
		}
		if err != nil {
			return err
		}
	}
}
