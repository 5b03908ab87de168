// Package tuntest is a TUN device made of two channels, for tests and for the demonstration that needs no kernel.
//
//	host (the test) ──► Fake.Out ──► Device.Read   gateway
//	host (the test) ◄── Fake.In  ◄── Device.Write  gateway
//
// Made inside a synctest bubble, it blocks as the bubble wants it: on channels only.
package tuntest

import (
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"twinbore/tunnel/tun"
)

// queue is how many packets wait in each direction. The kernel's own queue holds 500.
const queue = 1024

// A Fake is the host's side of a device. Make it with New.
type Fake struct {
	// Out takes packets that the host sends into the tunnel. Each slice belongs to the device once it is sent. The
	// channel holds 1024 packets and then blocks. Closing it ends the device's Read as Close does.
	Out chan<- []byte
	// In gives packets that came out of the tunnel. Each slice is the receiver's own. The channel holds 1024 packets;
	// what comes when it is full is dropped and counted, as the kernel does with a full queue. It is never closed.
	In <-chan []byte

	dev *device
}

// New returns a device with an MTU in octets. The MTU is only reported, not enforced.
func New(mtu int) *Fake {
	out, in := make(chan []byte, queue), make(chan []byte, queue)
	return &Fake{Out: out, In: in, dev: &device{
		mtu: mtu, fromHost: out, toHost: in, closed: make(chan struct{}),
	}}
}

// Device returns the gateway's side: the same one at each call.
func (f *Fake) Device() tun.Device { return f.dev }

// Dropped returns how many packets In had no room for.
func (f *Fake) Dropped() uint64 { return f.dev.dropped.Load() }

type device struct {
	mtu      int
	fromHost <-chan []byte
	toHost   chan<- []byte
	dropped  atomic.Uint64
	closing  sync.Once
	closed   chan struct{}
}

func (d *device) Read(bufs [][]byte, sizes []int, offset int) (n int, err error) {
	if d.isClosed() {
		return 0, os.ErrClosed
	}
	if len(bufs) == 0 {
		return 0, nil
	}
	select {
	case <-d.closed:
		return 0, os.ErrClosed
	case pkt, ok := <-d.fromHost:
		if !ok {
			return 0, os.ErrClosed
		}
		sizes[0] = copy(bufs[0][offset:], pkt)
	}
	for n = 1; n < len(bufs); n++ {
		select {
		case pkt, ok := <-d.fromHost:
			if !ok {
				return n, nil
			}
			sizes[n] = copy(bufs[n][offset:], pkt)
		default:
			return n, nil
		}
	}
	return n, nil
}

func (d *device) Write(bufs [][]byte, offset int) (n int, err error) {
	for _, b := range bufs {
		if d.isClosed() {
			return n, os.ErrClosed
		}
		select {
		case d.toHost <- append([]byte(nil), b[offset:]...):
			n++
		default:
			d.dropped.Add(1)
			if err == nil {
				err = syscall.ENOBUFS
			}
		}
	}
	return n, err
}

func (d *device) MTU() int     { return d.mtu }
func (d *device) Name() string { return "fake" }

func (d *device) Close() error {
	d.closing.Do(func() { close(d.closed) })
	return nil
}

func (d *device) isClosed() bool {
	select {
	case <-d.closed:
		return true
	default:
		return false
	}
}
