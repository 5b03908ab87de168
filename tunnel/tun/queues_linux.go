package tun

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// OpenQueues is Open for n goroutines that read and n that write, n at least 1: it returns up to n queues of one device, each
// of which is a Device. The kernel keeps the packets of a flow in one queue. The device is gone when all are closed; MTU and
// Name are the same for all.
//
// A device that exists already gives one queue, whatever n is. For whoever takes part in a device with several queues gets a
// part of its packets, and no flag forbids it to a second daemon; so a device with several is always one that was made here.
func OpenQueues(cfg Config, n int) ([]Device, error) {
	if n == 1 {
		return single(cfg)
	}
	first, err := create(cfg, unix.IFF_MULTI_QUEUE|unix.IFF_TUN_EXCL)
	if errors.Is(err, unix.EBUSY) {
		return single(cfg)
	}
	if err != nil {
		return nil, err
	}
	queues := []Device{first}
	for len(queues) < n {
		q, err := first.another()
		if err != nil {
			for _, q := range queues {
				q.Close()
			}
			return nil, fmt.Errorf("queue %d of %d: %w", len(queues)+1, n, err)
		}
		queues = append(queues, q)
	}
	return queues, nil
}

func single(cfg Config) ([]Device, error) {
	d, err := Open(cfg)
	if err != nil {
		return nil, err
	}
	return []Device{d}, nil
}

// another opens one more queue of d's interface, which has several.
func (d *device) another() (*device, error) {
	ifr, err := unix.NewIfreq(d.Name())
	if err != nil {
		return nil, err
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI | unix.IFF_MULTI_QUEUE)
	if d.vnet {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	q, err := attach(ifr)
	if err != nil {
		return nil, err
	}
	q.vnet, q.offloads = d.vnet, d.offloads
	q.mtu.Store(d.mtu.Load())
	return q, nil
}
