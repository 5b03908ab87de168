package ike

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"twinbore/esp"
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// here is where every message of these tests arrives.
var here = netip.MustParseAddrPort("203.0.113.10:500")

func from(addr string) esp.Path { return esp.Path{Local: here, Remote: netip.MustParseAddrPort(addr)} }

// A packet is one message on a bench's wire.
type packet struct {
	b  []byte
	on esp.Path
}

// A bench is an engine with everything around it played by the test.
type bench struct {
	*Engine
	in   chan packet
	stop context.CancelFunc
	ran  chan error

	mu       sync.Mutex // guards what follows
	sent     []packet
	events   []session.Event
	ops      []string // of the data path, in order
	refuse   error    // for the next Install
	installs map[esp.ChildID]bool
	nextSPI  esp.SPI
}

// newBench makes an engine that does not run yet. Sessions are made by open and accept, either of which may be nil.
func newBench(cfg Config, open func(Peer) session.Session, accept func([]Peer) session.Session) *bench {
	b := &bench{in: make(chan packet), ran: make(chan error, 1), installs: map[esp.ChildID]bool{}, nextSPI: 0x1000}
	cfg.Conn, cfg.Dataplane, cfg.Observe = b, b, b.observe
	if cfg.Rand == nil {
		cfg.Rand = rand.NewChaCha8([32]byte{1})
	}
	if cfg.Shards == 0 {
		cfg.Shards = 1
	}
	b.Engine = New(cfg)
	b.speaks = protocol{open: open, accept: accept}
	return b
}

// run runs the engine until the end of the test, or until halt.
func (b *bench) run(t *testing.T) *bench {
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() { b.ran <- b.Run(ctx) }()
	t.Cleanup(b.halt)
	return b
}

// halt ends the engine and waits for it.
func (b *bench) halt() {
	if b.in != nil {
		b.stop()
		close(b.in)
		<-b.ran
		b.in = nil
	}
}

func (b *bench) ReadIKE(buf []byte) (int, esp.Path, error) {
	p, ok := <-b.in
	if !ok {
		return 0, esp.Path{}, io.EOF
	}
	return copy(buf, p.b), p.on, nil
}

func (b *bench) WriteIKE(msg []byte, on esp.Path) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on.Remote.Port() == 0 {
		return errors.New("invalid argument")
	}
	b.sent = append(b.sent, packet{bytes.Clone(msg), on})
	b.ops = append(b.ops, "send")
	return nil
}

func (b *bench) op(name string, id esp.ChildID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ops = append(b.ops, name+" "+id.String())
}

func (b *bench) AllocSPI() esp.SPI {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nextSPI++
	return b.nextSPI
}

func (b *bench) Install(c esp.Child) error {
	b.op("install", c.ID)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refuse; err != nil {
		b.refuse = nil
		return err
	}
	b.installs[c.ID] = true
	return nil
}

func (b *bench) Activate(id esp.ChildID) error { b.op("activate", id); return nil }

func (b *bench) Remove(id esp.ChildID) {
	b.op("remove", id)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.installs, id)
}

func (b *bench) Move(id esp.ChildID, _ esp.Path)   { b.op("move", id) }
func (b *bench) LastInbound(esp.ChildID) time.Time { return time.Time{} }

func (b *bench) observe(ev session.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, ev)
	b.ops = append(b.ops, ev.Kind.String())
}

// take returns what was sent since the last call.
func (b *bench) take() []packet {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.sent
	b.sent = nil
	return out
}

// did returns what happened since the last call, in order.
func (b *bench) did() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.ops
	b.ops = nil
	return out
}

// kinds returns how many events of a kind there were, and the last.
func (b *bench) kinds(k session.Kind) (n int, last session.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, ev := range b.events {
		if ev.Kind == k {
			n, last = n+1, ev
		}
	}
	return n, last
}

// A script is a session that does what the test says. A missing part does nothing.
type script struct {
	receive func(now time.Time, msg []byte, on esp.Path) session.Output
	do      func(now time.Time, cmd session.Command) session.Output
	expire  func(now time.Time) session.Output
}

func (s *script) Receive(now time.Time, msg []byte, on esp.Path) session.Output {
	if s.receive == nil {
		return session.Output{}
	}
	return s.receive(now, msg, on)
}

func (s *script) Do(now time.Time, cmd session.Command) session.Output {
	if _, end := cmd.(session.Close); end && s.do == nil {
		return session.Output{Done: true}
	}
	if s.do == nil {
		return session.Output{}
	}
	return s.do(now, cmd)
}

func (s *script) Expire(now time.Time) session.Output {
	if s.expire == nil {
		return session.Output{}
	}
	return s.expire(now)
}

// peer returns one with a name and, if given, remote addresses.
func peer(name string, remote ...string) Peer {
	p := Peer{Config: ikev2.Config{Peer: name}}
	for _, r := range remote {
		p.RemoteAddrs = append(p.RemoteAddrs, netip.MustParseAddr(r))
	}
	return p
}

// firstRequest is an IKE_SA_INIT request of the smallest credible size. A cookie goes first.
func firstRequest(spi uint64, nonce, cookie []byte) []byte {
	var list []wire.Payload
	if cookie != nil {
		list = append(list, &wire.Notify{Kind: wire.NotifyCookie, Data: cookie})
	}
	list = append(list,
		&wire.SA{Proposals: []wire.Proposal{{Number: 1, Protocol: wire.ProtoIKE, Transforms: []wire.Transform{
			{Type: wire.TransformENCR, ID: 20, KeyBits: 256}, {Type: wire.TransformPRF, ID: 5}, {Type: wire.TransformKE, ID: 31}}}}},
		&wire.KE{Group: 31, Data: make([]byte, 32)}, &wire.Nonce{Data: nonce})
	m := wire.Message{Header: wire.Header{SPIi: spi, Version: wire.V2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator}, Payloads: list}
	return m.Marshal()
}

// message is a header alone, which is enough for the engine.
func message(h wire.Header) []byte {
	h.Length = wire.HeaderLen
	if h.Version == 0 {
		h.Version = wire.V2
	}
	return h.Append(nil)
}

// padded is message with junk behind it, as a sealed request is longer than any notify.
func padded(h wire.Header) []byte {
	b := append(message(h), make([]byte, 72)...)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

// notifyIn returns the only payload of a sent message, which must be a notify.
func notifyIn(t *testing.T, p packet) *wire.Notify {
	t.Helper()
	m, err := wire.ParseMessage(p.b)
	if err != nil || len(m.Payloads) != 1 {
		t.Fatalf("sent %x: %v, want one notify", p.b, err)
	}
	n, ok := m.Payloads[0].(*wire.Notify)
	if !ok || !m.Header.Response() {
		t.Fatalf("sent %s, want a response with one notify", wire.Describe(m.Payloads))
	}
	return n
}

// wantDrops compares the drops by reason.
func (b *bench) wantDrops(t *testing.T, want map[string]uint64) {
	t.Helper()
	got := b.Counters().Drops
	if !maps.Equal(got, want) {
		t.Errorf("drops: got %v, want %v", got, want)
	}
}

// deliver hands messages to the engine and lets it finish with each. It is for synctest bubbles.
func (b *bench) deliver(ps ...packet) {
	for _, p := range ps {
		b.in <- p
		synctest.Wait()
	}
}
