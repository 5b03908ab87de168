//go:build interop

package interop

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var (
	contentOctets = flag.Int64("content", 512<<20, "octets that TestContent moves through each suite")
	contentRekey  = flag.Duration("content-rekey", 300*time.Millisecond, "how often TestContent renews the keys meanwhile")
)

const contentPort = "7009"

// contentSuites is one suite for each way that packets are protected.
var contentSuites = []string{"aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128-sha256", "aes256-sha512"}

// TestContent is EV-29: it moves known content through two gateways with each suite, while the keys are renewed all the time: every octet
// arrives as it was, TCP had nothing to send twice, no packet was dropped, and neither memory nor descriptors are lost.
func TestContent(t *testing.T) {
	needPeers(t)
	for _, suite := range contentSuites {
		t.Run(suite, func(t *testing.T) {
			l := newLab(t)
			daemons, err := l.twinbores(suite, "auto", "always", 1500)
			if err != nil {
				t.Fatal(err)
			}
			if err := l.reach("a", addrA, addrB); err != nil {
				t.Fatal(err)
			}
			first, err := l.pour(daemons, *contentOctets/2)
			if err != nil {
				t.Fatal(err)
			}
			second, err := l.pour(daemons, *contentOctets/2)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%v, then %v", first, second)
			for i, d := range daemons {
				if err := until(limitTool, func() error { // a control connection may be just closing
					if fds, memory, err := held(d.cmd.Process.Pid); err != nil || fds > first.fds[i] || memory > first.memory[i]+16<<20 {
						return fmt.Errorf("%s has %d descriptors and %d octets, and had %d and %d: %w", d.name, fds, memory, first.fds[i], first.memory[i], err)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// A poured is what one transfer came to: the segments that TCP sent again though none was lost, because an answer had to wait
// for the processor, how often keys were renewed, and what the daemons held after it.
type poured struct {
	took             time.Duration
	hurried, renewed int
	fds, memory      [2]int
}

func (p poured) String() string {
	return fmt.Sprintf("%.1f s, %d segments hurried, keys renewed %d times, %v descriptors, %v octets", p.took.Seconds(), p.hurried, p.renewed, p.fds, p.memory)
}

// pour moves octets from a to b and renews keys meanwhile.
func (l *lab) pour(daemons []*process, octets int64) (poured, error) {
	var out poured
	at := net.JoinHostPort(addrB, contentPort)
	drain, err := l.start("b", "drain", []string{roleEnv + "=drain " + at}, os.Args[0])
	if err != nil {
		return out, err
	}
	defer drain.stop(limitTool)
	if err := drain.ready(limitTool, func() error {
		if !strings.HasPrefix(drain.output(), "listening") {
			return errors.New(drain.output())
		}
		return nil
	}); err != nil {
		return out, err
	}
	begin := time.Now()
	pour, err := l.start("a", "pour", []string{fmt.Sprintf("%s=pour %s %d", roleEnv, at, octets)}, os.Args[0])
	if err != nil {
		return out, err
	}
	a := &gateway{process: daemons[1], socket: l.path("a.sock")}
	for limit := time.Now().Add(5 * time.Minute); pour.running(); {
		if time.Now().After(limit) {
			return out, errors.New("the transfer does not end")
		}
		select {
		case <-pour.ended:
		case <-time.After(*contentRekey):
			if _, err := a.command(limitTool, "rekey", "site", "--child"); err != nil {
				return out, err
			}
			out.renewed++
		}
	}
	out.took = time.Since(begin)
	if _, err := fmt.Sscanf(pour.output(), "right, %d hurried", &out.hurried); err != nil {
		return out, fmt.Errorf("the sender says %q, the receiver %q", pour.output(), drain.output())
	}
	var sent, got [2]string
	for i, host := range []string{"b", "a"} {
		g := &gateway{process: daemons[i], socket: l.path(host + ".sock")}
		st, err := g.status()
		if err != nil {
			return out, err
		}
		traffic := func(of string) string { return dig(st, []string{"connections", "0", "tunnels", "0", "traffic", of}) }
		sent[i], got[i] = traffic("tx_packets"), traffic("rx_packets")
		if drops := traffic("drops"); drops != "{}" {
			return out, fmt.Errorf("%s dropped: %s", host, drops)
		}
		if out.fds[i], out.memory[i], err = held(daemons[i].cmd.Process.Pid); err != nil {
			return out, err
		}
	}
	if sent[0] != got[1] || sent[1] != got[0] {
		return out, fmt.Errorf("of %s and %s packets %s and %s arrived", sent[1], sent[0], got[0], got[1])
	}
	return out, nil
}

// held returns how many descriptors a process has open, and how many octets of memory.
func held(pid int) (fds, memory int, err error) {
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return 0, 0, err
	}
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, 0, err
	}
	var size, resident int // pages (proc(5))
	_, err = fmt.Sscan(string(statm), &size, &resident)
	return len(open), resident * os.Getpagesize(), err
}

// content is the octets that pour sends and drain expects.
func content() *rand.ChaCha8 {
	return rand.NewChaCha8([32]byte([]byte("what goes in at one end comes out")))
}

// pour is the role that sends: "ADDR OCTETS". It prints "right, N hurried": the receiver had it all, nothing overtook anything,
// and TCP sent N segments again.
func pour(words string) error {
	addr, count, _ := strings.Cut(words, " ")
	left, err := strconv.ParseInt(count, 10, 64)
	if err != nil {
		return err
	}
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	conn := c.(*net.TCPConn)
	if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, io.LimitReader(content(), left), make([]byte, 256<<10)); err != nil {
		return err
	}
	if err := conn.CloseWrite(); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if want := fmt.Sprint("right ", left); string(answer) != want {
		return fmt.Errorf("got %q, want %q", answer, want)
	}
	info, err := tcpInfo(conn)
	if err != nil {
		return err
	}
	if info.Reord_seen > 0 {
		return fmt.Errorf("%d times a segment overtook another", info.Reord_seen)
	}
	fmt.Printf("right, %d hurried\n", info.Total_retrans)
	return nil
}

func tcpInfo(conn *net.TCPConn) (info *unix.TCPInfo, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var inner error
	err = raw.Control(func(fd uintptr) { info, inner = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	return info, errors.Join(err, inner)
}

// drain is the role that receives from one pour and compares.
func drain(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Println("listening")
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	want, got, expect := content(), make([]byte, 256<<10), make([]byte, 256<<10)
	var at int64
	for {
		n, err := c.Read(got)
		want.Read(expect[:n])
		if !bytes.Equal(got[:n], expect[:n]) {
			return fmt.Errorf("what arrived behind octet %d differs", at)
		}
		at += int64(n)
		if err == io.EOF {
			_, err := fmt.Fprint(c, "right ", at)
			return err
		}
		if err != nil {
			return err
		}
	}
}
