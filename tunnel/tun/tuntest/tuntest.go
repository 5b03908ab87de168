// Package tuntest is a TUN device made of channels, for tests and for the demonstration that needs no kernel.
//
//	host (the test) ──► Fake.Out, Fake.Super ──► Device.Read   gateway
//	host (the test) ◄── Fake.In  ◄── Segments ◄─ Device.Write  gateway
//
// Made inside a synctest bubble, it blocks as the bubble wants it: on channels only.
//
// With Offload it takes and gives superpackets as the kernel does. The host sees packets all the same: what the gateway
// has joined is cut again (Segments), so a test that compares packets also tests the joining.
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
	// Super takes superpackets, and packets whose checksum is not made yet, that the host sends into the tunnel. The
	// order of what is in Out and in Super at one time is not defined.
	Super chan<- tun.Frame
	// In gives packets that came out of the tunnel. Each slice is the receiver's own. The channel holds 1024 packets;
	// what comes when it is full is dropped and counted, as the kernel does with a full queue. It is never closed.
	In <-chan []byte

	dev *device
}

// New returns a device with an MTU in octets and no offloads. The MTU is only reported, not enforced.
func New(mtu int) *Fake {
	out, super, in := make(chan []byte, queue), make(chan tun.Frame, queue), make(chan []byte, queue)
	return &Fake{Out: out, Super: super, In: in, dev: &device{
		mtu: mtu, fromHost: out, super: super, toHost: in, closed: make(chan struct{}),
	}}
}

// Offload makes the device take and give superpackets. It is called before the device is used.
func (f *Fake) Offload(o tun.Offloads) { f.dev.offloads = o }

// Break makes the device refuse superpackets that it said it would take, as some kernels do.
func (f *Fake) Break() { f.dev.broken.Store(true) }

// Device returns the gateway's side: the same one at each call.
func (f *Fake) Device() tun.Device { return f.dev }

// Dropped returns how many packets In had no room for.
func (f *Fake) Dropped() uint64 { return f.dev.dropped.Load() }

// Joined returns how many superpackets the gateway has given to the host.
func (f *Fake) Joined() uint64 { return f.dev.joined.Load() }

type device struct {
	mtu             int
	offloads        tun.Offloads
	fromHost        <-chan []byte
	super           <-chan tun.Frame
	toHost          chan<- []byte
	dropped, joined atomic.Uint64
	broken          atomic.Bool
	closing         sync.Once
	closed          chan struct{}
}

func (d *device) Read(f *tun.Frame) error {
	if d.isClosed() {
		return os.ErrClosed
	}
	select {
	case <-d.closed:
		return os.ErrClosed
	case from := <-d.super:
		take(f, &from)
	case pkt, ok := <-d.fromHost:
		if !ok {
			return os.ErrClosed
		}
		take(f, &tun.Frame{Buf: pkt, N: len(pkt)})
	}
	return nil
}

func (d *device) Poll(f *tun.Frame) (bool, error) {
	if d.isClosed() {
		return false, os.ErrClosed
	}
	select {
	case from := <-d.super:
		take(f, &from)
	case pkt, ok := <-d.fromHost:
		if !ok {
			return false, os.ErrClosed
		}
		take(f, &tun.Frame{Buf: pkt, N: len(pkt)})
	default:
		return false, nil
	}
	return true, nil
}

// take copies from into the room of f.
func take(f, from *tun.Frame) {
	buf, at := f.Buf, f.At
	n := copy(buf[at:], from.Packet())
	*f = *from
	f.Buf, f.At, f.N = buf, at, n
}

func (d *device) Write(fs []tun.Frame) (n int, err error) {
	for i := range fs {
		if d.isClosed() {
			return n, os.ErrClosed
		}
		if e := d.give(&fs[i]); e != 0 {
			if err == nil {
				err = e
			}
			continue
		}
		fs[n], fs[i] = fs[i], fs[n]
		n++
	}
	return n, err
}

// give hands a frame to the host, a superpacket as its packets. The kernel overwrites what is in front of it, and so
// does this.
func (d *device) give(f *tun.Frame) syscall.Errno {
	if d.offloads != (tun.Offloads{}) {
		clear(f.Buf[f.At-tun.Room : f.At])
	}
	switch {
	case f.Kind == tun.UDP && !d.offloads.USO, f.Kind != tun.Single && f.Kind != tun.UDP && !d.offloads.TSO:
		return syscall.EINVAL
	case f.Kind != tun.Single && d.broken.Load():
		return syscall.EINVAL
	}
	packets, ok := Segments(f)
	if !ok {
		return syscall.EINVAL
	}
	if f.Kind != tun.Single {
		d.joined.Add(1)
	}
	var err syscall.Errno
	for _, pkt := range packets {
		select {
		case d.toHost <- pkt:
		default:
			d.dropped.Add(1)
			err = syscall.ENOBUFS
		}
	}
	return err
}

func (d *device) Offloads() tun.Offloads { return d.offloads }
func (d *device) Lost() uint64           { return 0 } // Out blocks instead
func (d *device) MTU() int               { return d.mtu }
func (d *device) Name() string           { return "fake" }

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
