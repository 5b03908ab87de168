//go:build interop

package interop

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// outerA is a's address on the cable to r.
const outerA = "192.0.2.1"

// attacks are what a stranger on r, who forges his address anew for each datagram, can send to a. Each makes one datagram: the port
// it goes to and what is in it.
var attacks = map[string]func(n uint32) (port uint16, payload []byte){
	"first-requests": func(n uint32) (uint16, []byte) { return 500, strangersRequest(n) },
	"esp": func(n uint32) (uint16, []byte) { // of SPIs that are nobody's
		return 4500, append(binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, 0x0badf00d+n), n), randomOctets(120)...)
	},
	"ike": func(n uint32) (uint16, []byte) { // of IKE SAs that are nobody's
		h := wire.Header{SPIi: uint64(n)<<32 | 0xdead, SPIr: uint64(n)<<32 | 0xbeef, Version: wire.V2, Exchange: wire.IKEAuth, Flags: wire.FlagInitiator, MessageID: 1}
		msg, _ := wire.BeginSK(h, wire.TypeIDi, 8, 200)
		return 4500, append(make([]byte, 4), append(msg, randomOctets(208)...)...)
	},
}

func randomOctets(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// strangersRequest is a first message that a could well answer.
func strangersRequest(n uint32) []byte {
	p, err := suite.ParseIKE("aes128gcm16-prfsha256-curve25519")
	if err != nil {
		panic(err)
	}
	m := wire.Message{Header: wire.Header{SPIi: uint64(n)<<32 | 0xa77ac, Version: wire.V2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator},
		Payloads: []wire.Payload{&wire.SA{Proposals: suite.Offer([]suite.Proposal{p}, wire.ProtoIKE, nil, suite.WithGroups)},
			&wire.KE{Group: 31, Data: randomOctets(32)}, &wire.Nonce{Data: randomOctets(32)}}}
	return m.Marshal()
}

// attack is the role that sends them: "KIND RATE". It says how many when it is told to end.
func attack(words string) error {
	var kind string
	var rate int
	if _, err := fmt.Sscan(words, &kind, &rate); err != nil {
		return err
	}
	next, to := attacks[kind], netip.MustParseAddr(outerA).As4()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	fmt.Println("sending")
	sent := uint32(0)
	for start := time.Now(); ; time.Sleep(time.Millisecond) {
		select {
		case <-stop:
			fmt.Println(sent, time.Since(start).Seconds())
			return nil
		default:
		}
		for due := uint32(time.Since(start).Seconds() * float64(rate)); sent < due; sent++ {
			port, payload := next(sent)
			if err := unix.Sendto(fd, spoofed(sent, to, port, payload), 0, &unix.SockaddrInet4{Addr: to}); err != nil && !errors.Is(err, unix.ENOBUFS) {
				return err
			}
		}
	}
}

// spoofed is a UDP datagram from the n-th of many addresses that nobody has. The kernel fills in the header's checksum.
func spoofed(n uint32, to [4]byte, port uint16, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, unix.IPPROTO_UDP, 0, 0, 100, 64 + byte(n>>16)&0x3f, byte(n >> 8), byte(n)}
	b = append(b, to[:]...)
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, 4500), port)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	b = append(append(b, 0, 0), payload...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

func (s *scenario) doAttack(args []string) error {
	if attacks[args[0]] == nil {
		return fmt.Errorf("no attack %q", args[0])
	}
	if s.before == (burden{}) {
		var err error
		if s.before, err = s.burden(); err != nil {
			return err
		}
	}
	p, err := s.start("r", "attack-"+args[0], []string{roleEnv + "=attack " + args[0] + " " + args[1]}, os.Args[0])
	if err != nil {
		return err
	}
	s.attacks = append(s.attacks, p)
	return p.ready(limitTool, func() error {
		if !strings.Contains(p.output(), "sending") {
			return errors.New(p.output())
		}
		return nil
	})
}

// doAttacked ends all attacks: together they must have sent so many datagrams.
func (s *scenario) doAttacked(args []string) error {
	want, err := strconv.Atoi(args[1])
	if err != nil || args[0] != ">=" {
		return errors.New("want >= COUNT")
	}
	total := 0
	for _, p := range s.attacks {
		if err := p.stop(limitTool); err != nil {
			return err
		}
		var sent int
		var took float64
		if _, err := fmt.Sscanf(p.output(), "sending\n%d %g", &sent, &took); err != nil {
			return fmt.Errorf("%s: %w: %s", p.name, err, p.output())
		}
		s.t.Logf("%s: %d datagrams in %.1f s", p.name, sent, took)
		total += sent
	}
	if s.attacks = nil; total < want {
		return fmt.Errorf("only %d datagrams", total)
	}
	return nil
}

// A burden is what the gateway's process costs its host.
type burden struct {
	memory      int // resident, kB
	descriptors int
}

func (s *scenario) burden() (b burden, err error) {
	dir := fmt.Sprintf("/proc/%d/", s.gateway.cmd.Process.Pid)
	text, err := os.ReadFile(dir + "status")
	if err != nil {
		return b, err
	}
	_, after, _ := strings.Cut(string(text), "VmRSS:")
	if _, err := fmt.Sscan(after, &b.memory); err != nil {
		return b, fmt.Errorf("%sstatus: %w", dir, err)
	}
	open, err := os.ReadDir(dir + "fd")
	b.descriptors = len(open)
	return b, err
}

// doBurden compares with before the first attack: the memory may have grown by so many MB, and no descriptor is left open.
func (s *scenario) doBurden(args []string) error {
	limit, err := strconv.Atoi(args[1])
	if err != nil || args[0] != "<=" {
		return errors.New("want <= MEGABYTES")
	}
	now, err := s.burden()
	if err != nil {
		return err
	}
	s.t.Logf("memory: %d kB, it was %d; descriptors: %d, there were %d", now.memory, s.before.memory, now.descriptors, s.before.descriptors)
	if now.memory > s.before.memory+limit<<10 || now.descriptors > s.before.descriptors {
		return errors.New("it has grown")
	}
	return nil
}
