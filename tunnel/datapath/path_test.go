package datapath

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// A sink is a device and a socket that swallow what they are given, or hand datagrams on to a receiver.
type sink struct {
	packets, datagrams int // of frames and messages all that they hold
	next               *receiver
	offloads           tun.Offloads
	port               uint16 // of the socket
	record             bool
	got                []tun.Frame         // what the device was given, if record
	sent               []transport.Message // and the socket
	lost               uint64              // on the way to the device
}

func (*sink) Read(*tun.Frame) error         { return os.ErrClosed }
func (*sink) Poll(*tun.Frame) (bool, error) { return false, os.ErrClosed }
func (s *sink) Write(fs []tun.Frame) (int, error) {
	for i := range fs {
		if s.record {
			f := fs[i]
			f.Buf, f.At = bytes.Clone(f.Packet()), 0
			s.got = append(s.got, f)
		}
		s.packets++
		if f := &fs[i]; f.Kind != tun.Single {
			s.packets += (f.N-f.Head+f.Size-1)/f.Size - 1
		}
	}
	return len(fs), nil
}
func (s *sink) Offloads() tun.Offloads { return s.offloads }
func (s *sink) Lost() uint64           { return s.lost }
func (*sink) MTU() int                 { return 1500 }
func (*sink) Name() string             { return "sink" }
func (*sink) Close() error             { return nil }

type sinkSocket struct{ *sink }

func (sinkSocket) Read([]transport.Message) (int, error) { return 0, os.ErrClosed }
func (s sinkSocket) Write(ms []transport.Message) (int, error) {
	n := 0
	for i := range ms {
		n += ms[i].Datagrams()
		if s.record {
			m := ms[i]
			m.Buf = bytes.Clone(m.Buf[:m.N])
			s.sent = append(s.sent, m)
		}
	}
	s.datagrams += n
	if s.next != nil {
		s.next.begin(time.Now().UnixNano())
		for i := range ms {
			s.next.message(&ms[i])
		}
		s.next.end()
	}
	return n, nil
}
func (s sinkSocket) Port() uint16         { return s.port }
func (sinkSocket) Drops() transport.Drops { return transport.Drops{} }

func (sinkSocket) Offloads() transport.Offloads { return transport.Offloads{} }

// A bench is one gateway without goroutines: a test pushes batches through it.
type bench struct {
	*sink
	g    *Gateway
	id   esp.ChildID
	send *sender
	recv *receiver
	slot tun.Frame
	far  *esp.Outbound // seals what g opens
}

func newBench(t testing.TB, alg *protect.Algorithm) *bench {
	t.Helper()
	return newBenchOn(t, alg, 4500)
}

// newBenchOn is newBench with the port of both ends; 0 is without UDP.
func newBenchOn(t testing.TB, alg *protect.Algorithm, outer uint16) *bench {
	t.Helper()
	b := &bench{sink: &sink{offloads: tun.Offloads{TSO: true, USO: true}, port: outer}}
	sock := Socket{Socket: sinkSocket{b.sink}, Addr: netip.IPv4Unspecified()}
	g, err := New(Config{Device: b.sink, Sockets: []Socket{sock}, NATTPort: 4500})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.SetConnections(parisConnections()); err != nil {
		t.Fatal(err)
	}
	g.SetOwn([]netip.Addr{addr(gatewayItself)})
	spi := g.AllocSPI()
	in := esp.Params{SPI: spi, Algorithm: alg, Key: key(alg, 1), Window: 1024}
	out := esp.Params{SPI: 4711, Algorithm: alg, Key: key(alg, 2)}
	ch := esp.Child{ID: esp.ChildID(spi), Peer: "hq/1", In: in, Out: out, Local: anySelectors, Remote: anySelectors,
		Path: esp.Path{Local: netip.AddrPortFrom(addr("192.0.2.1"), outer), Remote: netip.AddrPortFrom(addr("198.51.100.1"), outer)}}
	if err := g.Install(ch); err != nil {
		t.Fatal(err)
	}
	if err := g.Activate(ch.ID); err != nil {
		t.Fatal(err)
	}
	if err := g.Choose("hq", "1"); err != nil {
		t.Fatal(err)
	}
	if b.far, err = esp.NewOutbound(in, esp.Limits{}, nil); err != nil {
		t.Fatal(err)
	}
	b.g, b.id, b.send, b.recv, b.slot = g, ch.ID, newSender(g, 0), newReceiver(g, g.sockets[0], 0), newArena(slotStride).frame()
	return b
}

// out takes one batch of n copies of a frame from the device to the socket.
func (b *bench) out(n int, f *tun.Frame) {
	b.send.begin(time.Now().UnixNano())
	for range n {
		b.put(f)
	}
	b.send.end()
}

// put takes a copy of a frame, in the midst of a batch.
func (b *bench) put(f *tun.Frame) {
	buf, at := b.slot.Buf, b.slot.At
	copy(buf[at:], f.Packet())
	b.slot = *f
	b.slot.Buf, b.slot.At = buf, at
	b.send.frame(&b.slot)
}

// alsoBy gives another tunnel a Child SA to send by, and returns what seals as its peer.
func (b *bench) alsoBy(name, outer string) *esp.Outbound {
	alg := protect.AES128GCM16
	in := esp.Params{SPI: b.g.AllocSPI(), Algorithm: alg, Key: key(alg, 3), Window: 1024}
	ch := esp.Child{ID: esp.ChildID(in.SPI), Peer: name, In: in, Out: esp.Params{SPI: 4712, Algorithm: alg, Key: key(alg, 4)},
		Local: anySelectors, Remote: anySelectors, Path: esp.Path{Local: netip.AddrPortFrom(addr("192.0.2.1"), b.port), Remote: netip.AddrPortFrom(addr(outer), b.port)}}
	err := b.g.Install(ch)
	if err == nil {
		err = b.g.Activate(ch.ID)
	}
	far, e := esp.NewOutbound(in, esp.Limits{}, nil)
	if err != nil || e != nil {
		panic(fmt.Sprint(err, e))
	}
	return far
}

// whole is a frame of one packet.
func whole(pkt []byte) *tun.Frame { return &tun.Frame{Buf: pkt, N: len(pkt)} }

// in seals one batch of copies of pkt as the far end and takes it from the socket to the device.
func (b *bench) in(messages []transport.Message, pkt []byte) error {
	for i := range messages {
		m := &messages[i]
		sealed, err := b.far.Seal(m.Buf[:0], pkt, esp.NextIPv4)
		if err != nil {
			return err
		}
		m.N = len(sealed)
	}
	b.recv.begin(time.Now().UnixNano())
	for i := range messages {
		b.recv.message(&messages[i])
	}
	b.recv.end()
	return nil
}

func messageSlots(n int) []transport.Message {
	messages := make([]transport.Message, n)
	for i, slot := range newArena(n * slotStride).slots(n) {
		messages[i].Buf = slot
	}
	return messages
}

func BenchmarkOutbound1400(b *testing.B) {
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.AES256GCM16, protect.ChaCha20Poly1305, protect.CBC(256, protect.HMACSHA256)} {
		b.Run(alg.Name, func(b *testing.B) {
			x, pkt := newBench(b, alg), udp(paris, hq, 1, 2, 1372)
			b.SetBytes(int64(len(pkt)))
			b.ReportAllocs()
			for i := 0; i < b.N; i += batchFrames {
				x.out(batchFrames, whole(pkt))
			}
		})
	}
}

func BenchmarkInbound1400(b *testing.B) {
	for _, alg := range []*protect.Algorithm{protect.AES128GCM16, protect.AES256GCM16, protect.ChaCha20Poly1305, protect.CBC(256, protect.HMACSHA256)} {
		b.Run(alg.Name, func(b *testing.B) {
			x, messages, pkt := newBench(b, alg), messageSlots(batchSize), udp(hq, paris, 2, 1, 1372)
			sealed := messageSlots(batchSize)
			b.SetBytes(int64(len(pkt)))
			b.ReportAllocs()
			for i := 0; i < b.N; i += len(messages) {
				b.StopTimer()
				for k := range sealed {
					whole, err := x.far.Seal(sealed[k].Buf[:0], pkt, esp.NextIPv4)
					if err != nil {
						b.Fatal(err)
					}
					messages[k].N = copy(messages[k].Buf, whole)
				}
				b.StartTimer()
				x.recv.begin(int64(i + 1))
				for k := range messages {
					x.recv.message(&messages[k])
				}
				x.recv.end()
			}
			if x.packets < b.N {
				b.Fatalf("%d of %d packets arrived", x.packets, b.N)
			}
		})
	}
}

// Memory to memory: what one gateway seals another opens, from device to device without a system call.
func BenchmarkLoop1400(b *testing.B) {
	alg := protect.AES256GCM16
	near, far := newBench(b, alg), newBench(b, alg)
	// The near gateway seals as the far one's peer: its child's outbound direction is that peer's.
	child := near.g.sad.lookup(uint32(near.id))
	child.out = far.far
	child.local, child.remote = child.remote, child.local
	near.next = far.recv
	if err := near.g.SetConnections(turned(parisConnections())); err != nil {
		b.Fatal(err)
	}
	pkt := udp(hq, paris, 1, 2, 1372)
	b.SetBytes(int64(len(pkt)))
	b.ReportAllocs()
	n := 0
	for ; n < b.N; n += batchFrames {
		near.out(batchFrames, whole(pkt))
	}
	if far.packets != n {
		b.Fatalf("%d of %d packets arrived", far.packets, n)
	}
}

// turned exchanges what is ours and what is the peer's.
func turned(conns []Connection) []Connection {
	conns[0].Networks, conns[0].Local = conns[0].Local, conns[0].Networks
	return conns[:1]
}

// Memory to memory as BenchmarkLoop1400, with superpackets of 44 segments: what a batch costs beside the system calls.
func BenchmarkLoopSuper(b *testing.B) {
	for _, load := range []struct {
		name string
		f    *tun.Frame
		each int // frames in a batch
	}{
		{"TCP", inSuper(44*1386, 1386, tcpACK, timestamps...), batchSupers},
		{"UDP200", whole(segments(b, superpacket(hq, paris, protoUDP, 172, 172, 0))[0]), batchFrames},
	} {
		b.Run(load.name, func(b *testing.B) {
			alg := protect.AES128GCM16
			near, far := newBench(b, alg), newBench(b, alg)
			child := near.g.sad.lookup(uint32(near.id))
			child.out = far.far
			child.local, child.remote = child.remote, child.local
			near.next = far.recv
			if err := near.g.SetConnections(turned(parisConnections())); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				near.out(load.each, load.f)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(far.packets), "ns/packet")
			if len(far.g.Drops()) != 0 {
				b.Fatal(far.g.Drops())
			}
		})
	}
}
