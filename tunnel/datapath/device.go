package datapath

import (
	"errors"
	"sync"
	"sync/atomic"
	"syscall"

	"twinbore/tunnel/tun"
)

// A device is the Gateway's device or one queue of it, for several writers, and what has been learned about it.
type device struct {
	tun.Device
	stats    *stats
	tcp, udp atomic.Bool // takes superpackets

	mu   sync.Mutex // one writer at a time; guards the rest
	cut  cutter
	part [1]tun.Frame
}

func (d *device) init(from tun.Device, s *stats) {
	d.Device, d.stats = from, s
	o := from.Offloads()
	d.tcp.Store(o.TSO)
	d.udp.Store(o.USO)
}

// joins reports which packets may be given to the device as one.
func (d *device) joins() (tcp, udp bool) { return d.tcp.Load(), d.udp.Load() }

// write gives frames to the device and counts the packets that it refuses.
func (d *device) write(frames []tun.Frame, lost *drops) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, err := d.Write(frames) // an error is the loss of a packet, or ends Read
	for i := range frames[n:] {
		f := &frames[n+i]
		if f.Kind == tun.Single {
			lost.add(deviceError)
			continue
		}
		d.again(f, err, lost)
	}
}

// again gives the device the packets of a superpacket that it refused. A kernel that says EINVAL to the one and takes the
// others does not know such superpackets, whatever it said when the device was made (Linux 6.6.44, 6.10), and gets no more.
func (d *device) again(f *tun.Frame, why error, lost *drops) {
	p, ok := parse(f.Packet())
	if !ok || !d.cut.start(f, &p) {
		lost.add(deviceError)
		return
	}
	n := d.cut.packets()
	if !errors.Is(why, syscall.EINVAL) {
		lost.addN(deviceError, n)
		return
	}
	taken := 0
	for i := range n {
		pkt := d.cut.packet(i)
		d.part[0] = tun.Frame{Buf: f.Buf, At: f.At + i*f.Size, N: len(pkt)}
		k, _ := d.Write(d.part[:])
		taken += k
	}
	d.stats.joinRefused.Add(1)
	lost.addN(deviceError, n-taken)
	switch {
	case taken == 0:
	case f.Kind == tun.UDP:
		d.udp.Store(false)
	default:
		d.tcp.Store(false)
	}
}
