package datapath

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"twinbore/tunnel/transport"
)

// Run moves packets until ctx is done or the device or a socket fails, closes them, and returns when no goroutine is
// left. The error is nil if ctx ended it. Run is called once.
func (g *Gateway) Run(ctx context.Context) error {
	running, stop := context.WithCancelCause(ctx)
	var all sync.WaitGroup
	all.Go(func() { stop(g.outbound()) })
	for _, s := range g.sockets {
		all.Go(func() { stop(g.inbound(s)) })
	}
	all.Go(func() { g.control(running) })
	<-running.Done()
	failed := ctx.Err() == nil
	err := context.Cause(running)
	closing := []error{g.dev.Close()}
	for _, s := range g.sockets {
		closing = append(closing, s.Close())
	}
	g.inbox.close()
	all.Wait()
	if failed {
		return err
	}
	return errors.Join(closing...)
}

// outbound reads the device and sends what it gives, until the device fails or is closed.
func (g *Gateway) outbound() error {
	slots, sizes, out := newSlots(batchSize), make([]int, batchSize), newSender(g)
	for {
		n, err := g.dev.Read(slots, sizes, headroom)
		if n > 0 {
			out.begin(time.Now().UnixNano())
			for i := range n {
				out.packet(slots[i], sizes[i])
			}
			out.end()
		}
		if err != nil {
			return fmt.Errorf("device %s: %w", g.cfg.Device.Name(), err)
		}
	}
}

// inbound reads a socket and takes what it gives, until the socket fails or is closed.
func (g *Gateway) inbound(s *socket) error {
	messages, in := make([]transport.Message, batchSize), newReceiver(g, s)
	for i, slot := range newSlots(batchSize) {
		messages[i].Buf = slot
	}
	for {
		n, err := s.Read(messages)
		if n > 0 {
			in.begin(time.Now().UnixNano())
			for i := range n {
				in.message(&messages[i])
			}
			in.end()
		}
		if err != nil {
			return fmt.Errorf("socket on port %d: %w", s.Port(), err)
		}
	}
}

// write gives packets to the device, each after deviceRoom octets, and counts those it refuses.
func (d *device) write(packets [][]byte, lost *drops) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n, _ := d.Write(packets, deviceRoom) // an error is the loss of a packet, or ends Read
	lost[deviceError].Add(uint64(len(packets) - n))
}
