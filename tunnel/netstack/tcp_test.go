package netstack

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/header"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/tun/tuntest"
)

// A gateway is a data path and the stack in its tunnels. None of it is in a synctest bubble: gVisor's goroutines wait in
// ways that a bubble does not know.
type gateway struct {
	*datapath.Gateway
	stack *Stack
	host  *tuntest.Fake
	outer netip.Addr
}

// newGateway has two connections, which have the same inside addresses.
func newGateway(t *testing.T, under *simnet.Net, outer, inside, insidePeer string) *gateway {
	t.Helper()
	g := &gateway{host: tuntest.New(1500), outer: addr(outer)}
	g.stack = New(Config{Send: func(peer string, b []byte) error { return g.Send(peer, b) }, MTU: func(peer string) int { return g.MTU(peer) }})
	var err error
	if g.Gateway, err = datapath.New(datapath.Config{Device: g.host.Device(), NATTPort: 4500, Control: g.stack.Control,
		Sockets: []datapath.Socket{{Socket: under.Listen(netip.AddrPortFrom(g.outer, 4500)), Addr: g.outer}}}); err != nil {
		t.Fatal(err)
	}
	var conns []datapath.Connection
	var voices []Tunnel
	for _, name := range []string{"one", "two"} {
		conns = append(conns, datapath.Connection{Name: name, Tunnels: []datapath.Tunnel{{Name: "1", Inside: addr(inside), InsidePeer: addr(insidePeer)}}})
		voices = append(voices, Tunnel{name + "/1", addr(inside)})
	}
	if err := g.SetConnections(conns); err != nil {
		t.Fatal(err)
	}
	g.stack.SetTunnels(voices)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		g.stack.Close()
	})
	return g
}

// twoGateways are joined by the two tunnels.
func twoGateways(t *testing.T) (a, b *gateway) {
	under := simnet.New(1)
	t.Cleanup(under.Close)
	a, b = newGateway(t, under, "192.0.2.1", ours, theirs), newGateway(t, under, "198.51.100.1", theirs, ours)
	for i, peer := range []string{"one/1", "two/1"} {
		params := func(spi esp.SPI, seed byte) esp.Params {
			return esp.Params{SPI: spi, Algorithm: protect.AES128GCM16, Key: bytes.Repeat([]byte{seed + byte(i)}, protect.AES128GCM16.KeyLen), Window: 1024}
		}
		toA, toB := params(a.AllocSPI(), 10), params(b.AllocSPI(), 20)
		a.install(t, peer, toA, toB, b.outer)
		b.install(t, peer, toB, toA, a.outer)
	}
	return a, b
}

func (g *gateway) install(t *testing.T, peer string, in, out esp.Params, to netip.Addr) {
	t.Helper()
	var any []esp.Selector
	for _, p := range []string{"0.0.0.0/0", "::/0"} {
		any = append(any, esp.SelectorFor(netip.MustParsePrefix(p)))
	}
	id := esp.ChildID(in.SPI)
	if err := errors.Join(g.Install(esp.Child{ID: id, Peer: peer, In: in, Out: out, Local: any, Remote: any,
		Path: esp.Path{Local: netip.AddrPortFrom(g.outer, 4500), Remote: netip.AddrPortFrom(to, 4500)}}), g.Activate(id)); err != nil {
		t.Fatal(err)
	}
}

// serve answers with its name, then with what it is told, until the listener is closed.
func (g *gateway) serve(t *testing.T, peer string) net.Listener {
	t.Helper()
	l, err := g.stack.ListenTCP(peer, 179)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, peer)
			io.Copy(c, c)
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l
}

func (g *gateway) dial(t *testing.T, peer string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := g.stack.DialTCP(ctx, peer, netip.AddrPortFrom(addr(theirs), 179))
	if err != nil {
		t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// Decision 2: BGP's transport. Both connections have the same two addresses and the same port, and each gets its own peer.
func TestTCPInTwoTunnelsWithTheSameAddresses(t *testing.T) {
	a, b := twoGateways(t)
	b.serve(t, "one/1")
	b.serve(t, "two/1")
	said := make([]byte, 100_000)
	for i := range said {
		said[i] = byte(rand.Uint32())
	}
	one, two := a.dial(t, "one/1"), a.dial(t, "two/1")
	for peer, c := range map[string]net.Conn{"one/1": one, "two/1": two} {
		go func() { c.Write(said) }()
		got := make([]byte, len(peer)+len(said))
		if _, err := io.ReadFull(c, got); err != nil {
			t.Fatalf("%s: %v", peer, err)
		}
		if string(got[:len(peer)]) != peer || !bytes.Equal(got[len(peer):], said) {
			t.Errorf("by tunnel %s somebody else answered, %q, or not what was said", peer, got[:len(peer)])
		}
		if c.LocalAddr().(*net.TCPAddr).IP.String() != ours || c.RemoteAddr().String() != theirs+":179" {
			t.Errorf("%s: between %v and %v", peer, c.LocalAddr(), c.RemoteAddr())
		}
		c.Close()
	}
	for _, g := range []*gateway{a, b} {
		for len(g.host.In) > 0 { // the last words of a connection that is closed here may be the host's, which does not know it either
			p, _ := parseIP(<-g.host.In)
			if seg := header.TCP(p.upper); seg.Flags()&header.TCPFlagSyn != 0 || len(seg) > int(seg.DataOffset()) {
				t.Errorf("the host at %v saw %v of it, with %d octets", g.outer, seg.Flags(), len(seg)-int(seg.DataOffset()))
			}
		}
	}
}

// A port that nobody here listens on is the host's: BGP may be spoken by another program.
func TestTCPForTheHost(t *testing.T) {
	a, b := twoGateways(t)
	b.serve(t, "one/1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := a.stack.DialTCP(ctx, "two/1", netip.AddrPortFrom(addr(theirs), 179))
		failed <- err
	}()
	syn := <-b.host.In
	if p, ok := parseIP(syn); !ok || p.proto != header.TCPProtocolNumber || header.TCP(p.upper).Flags() != header.TCPFlagSyn {
		t.Errorf("the host got % x, want a SYN", syn)
	}
	b.host.Out <- icmpError(theirs, ours, 3, 1, [4]byte{}, syn[:28]) // it says "host unreachable"
	cancel()
	if err := <-failed; err == nil {
		t.Error("connected to nobody")
	}
}

// An ICMP error about a connection of ours ends the attempt at once (RFC 1122 §4.2.3.9).
func TestTCPHearsOfErrors(t *testing.T) {
	w := newWire(t, ours)
	defer w.stack.Close()
	var syn atomic.Pointer[[]byte]
	w.carry = func(peer string, b []byte) {
		if peer == "hq/1" && syn.CompareAndSwap(nil, &b) {
			go w.stack.Control(peer, icmpError("10.2.0.254", ours, 3, 1, [4]byte{}, b[:28]))
		}
	}
	begun := time.Now()
	_, err := w.stack.DialTCP(t.Context(), "hq/1", netip.AddrPortFrom(addr("10.2.0.1"), 179))
	if err == nil || time.Since(begun) > 900*time.Millisecond { // the SYN is repeated after a second
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	for name, b := range map[string][]byte{
		"an error about nobody's packet": icmpError("10.2.0.254", ours, 3, 1, [4]byte{}, (*syn.Load())[:28]),
		"a packet to nobody":             (*syn.Load()),
	} {
		if w.stack.Control("hq/1", bytes.Clone(b)) || w.stack.Control("other/1", bytes.Clone(b)) {
			t.Errorf("%s was taken", name)
		}
	}
}

func TestTCPThatCannotBe(t *testing.T) {
	w := newWire(t, ours)
	to := netip.AddrPortFrom(addr(theirs), 179)
	for _, peer := range []string{"hq/9", "plain/1"} {
		if _, err := w.stack.ListenTCP(peer, 179); err == nil {
			t.Errorf("listens in %s", peer)
		}
		if _, err := w.stack.DialTCP(t.Context(), peer, to); err == nil {
			t.Errorf("dialled in %s", peer)
		}
	}
	if _, err := w.stack.DialTCP(t.Context(), "hq/1", netip.AddrPortFrom(addr(theirs6), 179)); err == nil {
		t.Error("connected to another family")
	}
	l, err := w.stack.ListenTCP("hq/1", 179)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.stack.ListenTCP("hq/1", 179); err == nil {
		t.Error("two listen on one port")
	}
	l.Close()
	w.stack.Close()
	w.stack.Close()
	if _, err := w.stack.ListenTCP("hq/1", 179); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A tunnel that goes, or gets another address, ends what is open in it and nothing else.
func TestTCPEndsWithItsTunnel(t *testing.T) {
	a, b := twoGateways(t)
	listener := b.serve(t, "one/1")
	b.serve(t, "two/1")
	one, two := a.dial(t, "one/1"), a.dial(t, "two/1")
	defer one.Close()
	defer two.Close()
	name := make([]byte, 5)
	for _, c := range []net.Conn{one, two} {
		if _, err := io.ReadFull(c, name); err != nil {
			t.Fatal(err)
		}
	}
	a.stack.SetTunnels([]Tunnel{{"one/1", addr("169.254.1.9")}, {"two/1", addr(ours)}})
	if _, err := one.Read(name); err == nil {
		t.Error("a connection lives on from an address that is gone")
	}
	if _, err := io.WriteString(two, "hello"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(two, name); err != nil || string(name) != "hello" {
		t.Errorf("the other tunnel's: %q, %v", name, err)
	}
	b.stack.SetTunnels(nil)
	if c, err := listener.Accept(); err == nil {
		t.Errorf("accepted %v in a tunnel that is gone", c.RemoteAddr())
	}
}
