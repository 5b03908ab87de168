package datapath

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Run moves packets until ctx is done or the device or a socket fails, closes them, and returns when no goroutine is
// left. The error is nil if ctx ended it. Run is called once.
func (g *Gateway) Run(ctx context.Context) error {
	running, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var all sync.WaitGroup
	for domain := range g.domains {
		for worker := range g.domains[domain].queues {
			all.Go(func() { stop(g.outbound(domain, worker)) })
		}
	}
	for _, s := range g.sockets {
		for worker := range s.group {
			all.Go(func() { stop(g.inbound(s, worker)) })
		}
	}
	all.Go(func() { g.control(running) })
	all.Go(func() { g.watch(running) })
	<-running.Done()
	failed := ctx.Err() == nil
	err := context.Cause(running)
	var closing []error
	for _, q := range g.queues {
		closing = append(closing, q.Close())
	}
	for _, s := range g.sockets {
		for _, member := range s.group {
			closing = append(closing, member.Close())
		}
	}
	g.inbox.close()
	all.Wait()
	if failed {
		return err
	}
	return errors.Join(closing...)
}

// outbound reads a queue of a domain's device and sends what it gives, until the device fails or is closed. Each frame is sealed into the
// slab before the next is read into the same place, which so stays in the cache.
func (g *Gateway) outbound(domain, worker int) error {
	out := newSender(g, worker)
	out.enter(domain)
	f := &out.in
	for {
		err := out.queue.Read(f)
		if err == nil {
			out.begin(time.Now().UnixNano())
			for more := true; more && err == nil; {
				out.frame(f)
				if out.full() {
					break
				}
				more, err = out.queue.Poll(f)
			}
			out.end()
		}
		if err != nil {
			return fmt.Errorf("device %s: %w", out.queue.Name(), err)
		}
	}
}

// inbound reads a worker's socket and takes what it gives, until the socket fails or is closed.
func (g *Gateway) inbound(s *socket, worker int) error {
	in := newReceiver(g, s, worker)
	from := s.group[worker]
	messages := in.messages
	batch := batchSize
	for {
		n, err := from.Read(messages[:batch])
		if n > 0 {
			in.begin(time.Now().UnixNano())
			octets := 0
			for i := range n {
				octets += messages[i].N
				in.message(&messages[i])
			}
			in.end()
			if batch = batchSize; octets/n >= bulkMean {
				batch = bulkBatch
			}
		}
		if err != nil {
			return fmt.Errorf("socket on port %d: %w", s.port, err)
		}
	}
}
