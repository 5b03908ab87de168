package datapath

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"

	"twinbore/esp"
	"twinbore/esp/protect"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// A wire is a group of sockets that keeps what is sent by any of them, in the order of their calls.
type wire struct {
	mu   sync.Mutex
	sent [][]byte
	hold chan struct{} // if not nil, each Write takes one first

	forget bool // keep nothing
}

func (*wire) Read([]transport.Message) (int, error) { return 0, net.ErrClosed }
func (*wire) Port() uint16                          { return 4500 }
func (*wire) Drops() transport.Drops                { return transport.Drops{} }
func (*wire) Offloads() transport.Offloads          { return transport.Offloads{} }
func (*wire) Close() error                          { return nil }

func (w *wire) Write(ms []transport.Message) (n int, err error) {
	if w.hold != nil {
		<-w.hold
	}
	if w.forget {
		for i := range ms {
			n += ms[i].Datagrams()
		}
		return n, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range ms {
		for d := range ms[i].Datagrams() {
			w.sent = append(w.sent, bytes.Clone(ms[i].Datagram(d)))
			n++
		}
		runtime.Gosched() // so that others come in between, if they can
	}
	return n, nil
}

// crowd is a gateway with as many queues and sockets as workers, and one child each of some connections, 10.100+i.0.0/16.
func crowd(t testing.TB, workers, children int) (*Gateway, *wire, []esp.ChildID) {
	t.Helper()
	w, cfg := new(wire), Config{NATTPort: 4500}
	for range workers {
		fake := tuntest.New(1500)
		fake.Offload(tun.Offloads{TSO: true, USO: true})
		if cfg.Device == nil {
			cfg.Device = fake.Device()
		} else {
			cfg.Queues = append(cfg.Queues, fake.Device())
		}
		cfg.Sockets = append(cfg.Sockets, Socket{Socket: w, Addr: netip.IPv4Unspecified()})
	}
	g, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var conns []Connection
	for i := range children {
		conns = append(conns, Connection{Name: fmt.Sprint(i), Networks: prefixes(fmt.Sprintf("10.%d.0.0/16", 100+i)), Tunnels: []Tunnel{{Name: "1"}}})
	}
	if err := g.SetConnections(conns); err != nil {
		t.Fatal(err)
	}
	alg := protect.AES128GCM16
	var ids []esp.ChildID
	for i := range children {
		spi := g.AllocSPI()
		ch := esp.Child{ID: esp.ChildID(spi), Peer: fmt.Sprint(i, "/1"), Local: anySelectors, Remote: anySelectors,
			In: esp.Params{SPI: spi, Algorithm: alg, Key: key(alg, byte(i)), Window: 4096}, Out: crowdParams(i),
			Path: esp.Path{Local: port("192.0.2.1:4500"), Remote: netip.AddrPortFrom(addr(fmt.Sprintf("198.51.100.%d", i)), 4500)}}
		if err := g.Install(ch); err != nil {
			t.Fatal(err)
		}
		if err := g.Activate(ch.ID); err != nil {
			t.Fatal(err)
		}
		if err := g.Choose(fmt.Sprint(i), "1"); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, ch.ID)
	}
	return g, w, ids
}

// crowdParams are of the SA to peer i; its replay window shows nothing, for the test looks at the numbers themselves.
func crowdParams(i int) esp.Params {
	return esp.Params{SPI: esp.SPI(0x1000 + i), Algorithm: protect.AES128GCM16, Key: key(protect.AES128GCM16, byte(100+i)), Window: 64}
}

// numbered is a packet of a flow to the network of child i, with its place in the flow as payload.
func numbered(child, flow, n int) []byte {
	b := udp(paris, fmt.Sprintf("10.%d.0.1", 100+child), 1000+flow, 7, 4+flow%3)
	binary.BigEndian.PutUint32(b[28:], uint32(n))
	return b
}

// Four workers send by three Child SAs at once. The packets of each leave in the order of their numbers, none is missing,
// and each flow, which the device keeps in one queue, is in order; so no number, which is the IV, is used twice (CRY-05). With the race detector it also shows that what they
// share is guarded.
func TestWorkersKeepThePacketsOfAnSAInOrder(t *testing.T) {
	const workers, children, batches = 4, 3, 60
	g, w, _ := crowd(t, workers, children)
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			s, random := newSender(g, worker), rand.New(rand.NewPCG(7, uint64(worker)))
			slot := newArena(slotStride).frame()
			put := func(f *tun.Frame) {
				buf, at := slot.Buf, slot.At
				copy(buf[at:], f.Packet())
				slot = *f
				slot.Buf, slot.At = buf, at
				s.frame(&slot)
			}
			var place [children]int
			for range batches {
				s.begin(1)
				for range 1 + random.IntN(6) {
					child := random.IntN(children)
					if random.IntN(4) == 0 {
						to := fmt.Sprintf("10.%d.0.1", 100+child)
						put(superpacket(paris, to, protoTCP, 1+random.IntN(60000), 1000, tcpACK))
						continue
					}
					put(whole(numbered(child, worker, place[child])))
					place[child]++
				}
				s.end()
			}
		})
	}
	all.Wait()
	if d := g.Drops(); len(d) != 0 {
		t.Fatalf("dropped %v", d)
	}
	var packets uint64
	for child := range children {
		far, err := esp.NewInbound(crowdParams(child), esp.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		var number uint32
		var place [workers]uint32
		for _, b := range w.sent {
			if binary.BigEndian.Uint32(b) != uint32(far.SPI()) {
				continue
			}
			packets++
			if got := binary.BigEndian.Uint32(b[4:]); got != number+1 {
				t.Fatalf("child %d: number %d leaves after %d", child, got, number)
			}
			number++
			inner, _, err := far.Open(b)
			if err != nil {
				t.Fatalf("child %d: packet %d: %v", child, number, err)
			}
			if p := parsed(t, inner); p.proto == protoUDP {
				flow := p.sport - 1000
				if got := binary.BigEndian.Uint32(inner[28:]); got != place[flow] {
					t.Fatalf("child %d, flow %d: packet %d leaves as the %dth", child, flow, got, place[flow])
				}
				place[flow]++
			}
		}
		if got := g.Traffic(fmt.Sprint(child, "/1")).TxPackets; got != uint64(number) {
			t.Errorf("child %d: %d packets counted, %d sent", child, got, number)
		}
	}
	if packets != uint64(len(w.sent)) || packets < workers*batches {
		t.Errorf("%d packets of %d datagrams", packets, len(w.sent))
	}
}

// While one worker sends, another seals for the same SA, and sends when it has its turn (F15).
func TestSealingGoesOnWhileAnotherWorkerSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, w, _ := crowd(t, 2, 1)
		w.hold = make(chan struct{})
		a, b := newSender(g, 0), newSender(g, 1)
		first, second := inSlot(whole(numbered(0, 0, 1))), inSlot(whole(numbered(0, 1, 2)))
		a.begin(1)
		a.frame(first)
		sealed, done := false, make(chan struct{}, 2)
		go func() { a.end(); done <- struct{}{} }()
		go func() {
			b.begin(1)
			b.frame(second)
			sealed = true
			b.end()
			done <- struct{}{}
		}()
		synctest.Wait()
		if !sealed || len(w.sent) != 0 {
			t.Errorf("sealed: %v, sent %d", sealed, len(w.sent))
		}
		close(w.hold)
		<-done
		<-done
		for i, b := range w.sent {
			if got := binary.BigEndian.Uint32(b[4:]); got != uint32(i+1) {
				t.Errorf("datagram %d has number %d", i, got)
			}
		}
		if len(w.sent) != 2 {
			t.Errorf("%d datagrams", len(w.sent))
		}
	})
}

// RPL-06: eight workers get the same packets at once; of each exactly one is taken, and all others are counted.
func TestOneOfManyCopiesIsTaken(t *testing.T) {
	const workers, packets, batch = 8, 400, 20
	g, _, ids := crowd(t, workers, 1)
	alg := protect.AES128GCM16
	far, err := esp.NewOutbound(esp.Params{SPI: esp.SPI(ids[0]), Algorithm: alg, Key: key(alg, 0)}, esp.Limits{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var run []byte
	for i := range packets {
		if run, err = far.Seal(run, udp("10.100.0.1", paris, 1000+i, 7, 40), esp.NextIPv4); err != nil {
			t.Fatal(err)
		}
	}
	stride := len(run) / packets
	var all sync.WaitGroup
	for worker := range workers {
		all.Go(func() {
			r := newReceiver(g, g.sockets[0], worker)
			for from := range packets / batch {
				m := &r.messages[0]
				m.N = copy(m.Buf, run[from*batch*stride:][:batch*stride])
				m.Stride = stride
				r.begin(1)
				r.message(m)
				r.end()
			}
		})
	}
	all.Wait()
	if got := g.Traffic("0/1"); got.RxPackets != packets || got.Drops["replay"] != (workers-1)*packets || len(got.Drops) != 1 {
		t.Errorf("%d taken, dropped %v; want %d, and %d replayed", got.RxPackets, got.Drops, packets, (workers-1)*packets)
	}
}

// The SPIs of new SAs go round among the workers, and still tell nobody what the next will be.
func TestSPIsNameTheirWorkers(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8, 256} {
		s := new(sad)
		if err := s.init(rand.NewChaCha8([32]byte{byte(workers)}), workers); err != nil {
			t.Fatal(err)
		}
		const each = 20
		given, tops := make([]int, workers), map[uint32]bool{}
		for range each * workers {
			spi := s.alloc()
			if spi < firstSPI || !s.put(&child{id: esp.ChildID(spi)}) {
				t.Fatalf("%d workers: SPI %#x", workers, spi)
			}
			given[transport.WorkerOf(esp.SPI(spi), workers)]++
			tops[spi>>indexBits] = true
		}
		for w, n := range given {
			if n != each {
				t.Errorf("%d workers: worker %d got %d SAs, want %d", workers, w, n, each)
			}
		}
		if least := min(each*workers, 1<<12) / 2; len(tops) < least {
			t.Errorf("%d workers: %d different upper parts in %d SPIs, want %d", workers, len(tops), each*workers, least)
		}
	}
}

// A fan is a socket of the network as a group, steered as the kernel does it.
type fan struct {
	transport.Socket
	in chan []byte
	on chan esp.Path
}

func fanOut(l *lab, at netip.AddrPort, n int) (group []Socket) {
	sock := l.net.Listen(at)
	fans := make([]*fan, n)
	for i := range fans {
		fans[i] = &fan{Socket: sock, in: make(chan []byte, 1024), on: make(chan esp.Path, 1024)}
		group = append(group, Socket{Socket: fans[i], Addr: at.Addr()})
	}
	go func() {
		ms := []transport.Message{{Buf: make([]byte, 65536)}}
		for {
			if _, err := sock.Read(ms); err != nil {
				for _, f := range fans {
					close(f.in)
				}
				return
			}
			b, to := bytes.Clone(ms[0].Buf[:ms[0].N]), 0
			if len(b) >= 4 {
				to = transport.WorkerOf(esp.SPI(binary.BigEndian.Uint32(b)), n)
			}
			fans[to].on <- ms[0].Path
			fans[to].in <- b
		}
	}()
	return group
}

func (f *fan) Read(ms []transport.Message) (int, error) {
	b, open := <-f.in
	if !open {
		return 0, net.ErrClosed
	}
	ms[0].N, ms[0].Stride, ms[0].TOS, ms[0].Path = copy(ms[0].Buf, b), 0, 0, <-f.on
	return 1, nil
}

// A gateway with four workers: what the host sends by any queue leaves, what arrives reaches the host by the queue of the
// worker that its SPI names, and IKE gets through.
func TestAGatewayWithFourWorkers(t *testing.T) {
	inLab(t, func(l *lab) {
		const workers = 4
		var queues []*tuntest.Fake
		s := l.paris(func(c *Config) {
			for range workers - 1 {
				fake := tuntest.New(1500)
				fake.Offload(l.offloads)
				queues = append(queues, fake)
				c.Queues = append(c.Queues, fake.Device())
			}
			c.Sockets[1].Close()
			c.Sockets = append(c.Sockets[:1], fanOut(l, port("192.0.2.1:4500"), workers)...)
		})
		queues = append([]*tuntest.Fake{s.fake}, queues...)
		peers := []*peer{s.install("hq/1", firstPeerOuter, childOptions{}), s.install("other/1", "203.0.113.1", childOptions{})}
		s.choose("hq", "1")
		s.choose("other", "1")
		for i, q := range queues {
			q.Out <- udp(paris, hq, 1000+i, 7, 20)
			q.Out <- udp(paris, elsewhere, 1000+i, 7, 20)
		}
		for i, p := range peers {
			if got := p.opened(); len(got) != workers {
				t.Errorf("peer %d got %d packets, want one from each queue", i, len(got))
			}
		}
		worker := map[int]bool{}
		for i, p := range peers {
			pkt := udp([]string{hq, elsewhere}[i], paris, 7, 1000, 20)
			p.send(pkt)
			w := transport.WorkerOf(esp.SPI(p.id), workers)
			worker[w] = true
			select {
			case got := <-queues[w].In:
				if !bytes.Equal(got, pkt) {
					t.Errorf("the host got %x", got)
				}
			default:
				t.Errorf("peer %d: nothing came by queue %d", i, w)
			}
		}
		if len(worker) != len(peers) {
			t.Error("both SAs have one worker")
		}
		ike := bytes.Repeat([]byte("IKE"), 10)
		peers[0].datagram(append([]byte{0, 0, 0, 0}, ike...))
		b := make([]byte, 100)
		if n, _, _ := s.inbox.take(b); !bytes.Equal(b[:n], ike) {
			t.Errorf("IKE got %x", b[:n])
		}
		s.dropped(map[string]uint64{})
	})
}
