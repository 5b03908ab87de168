package datapath

import (
	"fmt"
	"net"
	"sync"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// The inbox holds IKE messages until the engine reads them. A peer sends again what it gets no answer to.
const (
	inboxMessages = 256
	inboxOctets   = 1 << 20
)

type inbox struct {
	wake chan struct{} // holds one: there is something, or it is closed

	mu     sync.Mutex // guards the following
	slots  [inboxMessages]letter
	head   int
	n      int
	octets int
	closed bool
}

type letter struct {
	b  []byte
	on esp.Path
}

func (x *inbox) init() { x.wake = make(chan struct{}, 1) }

// put copies an IKE message in, or reports false when there is no room.
func (x *inbox) put(b []byte, on esp.Path) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.n == len(x.slots) || x.octets+len(b) > inboxOctets {
		return false
	}
	slot := &x.slots[(x.head+x.n)%len(x.slots)]
	slot.b, slot.on = append(slot.b[:0], b...), on
	x.n++
	x.octets += len(b)
	x.poke()
	return true
}

func (x *inbox) close() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	x.poke()
}

func (x *inbox) poke() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// take copies the oldest message to b, as far as it fits, and returns its length; 0 when there is none. It reports
// whether the inbox is open.
func (x *inbox) take(b []byte) (n int, on esp.Path, open bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.closed {
		x.poke() // for the next reader
		return 0, esp.Path{}, false
	}
	if x.n == 0 {
		return 0, esp.Path{}, true
	}
	slot := &x.slots[x.head]
	x.head = (x.head + 1) % len(x.slots)
	x.n--
	x.octets -= len(slot.b)
	if x.n > 0 {
		x.poke()
	}
	copy(b, slot.b)
	return len(slot.b), slot.on, true
}

// ReadIKE waits for an IKE message and copies it to b without the non-ESP marker. on is where it came from and the local
// address it came to. b should have 65,535 octets; a message that does not fit is dropped. The error is net.ErrClosed when
// Run has ended.
func (g *Gateway) ReadIKE(b []byte) (n int, on esp.Path, err error) {
	for {
		n, on, open := g.inbox.take(b)
		switch {
		case !open:
			return 0, esp.Path{}, net.ErrClosed
		case n > len(b):
			g.drops.add(malformed)
		case n > 0:
			return n, on, nil
		default:
			<-g.inbox.wake
		}
	}
}

// WriteIKE sends an IKE message on a path, with the non-ESP marker when the path's local port is the one for NAT
// traversal (RFC 3948 §2.2). An error is the loss of this message. It does not keep b.
func (g *Gateway) WriteIKE(b []byte, on esp.Path) error {
	sock := g.socketFor(on)
	if sock == nil || sock.use == transport.ForESP {
		return fmt.Errorf("no socket for IKE on path %v", on)
	}
	if sock.use == transport.ForNATT {
		b = transport.AddMarker(nil, b)
	}
	_, err := sock.of(0).Write([]transport.Message{{Buf: b, N: len(b), Path: on}})
	if err != nil {
		g.drops.add(sendError)
		return fmt.Errorf("IKE message on path %v: %w", on, err)
	}
	return nil
}
