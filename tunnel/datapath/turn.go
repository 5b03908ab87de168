package datapath

import "sync"

// A turn keeps the packets of a Child SA in the order of their numbers while several goroutines seal: many peers bear no
// more than 32 packets out of order. Whoever takes numbers takes a ticket with them; sealing goes on under no lock; and
// what was sealed is sent when its ticket's turn has come.
//
//	numbers   | 1 … 44 | 45 … 88 | 89 … 95 |
//	ticket         7        8         9
//	          is sending   sealing   sealed, waits
//	              now                newest, may take more numbers
//
// An outbox may hold tickets of several Child SAs, one of each. To wait while one holds what others wait for would end in a
// circle; so an outbox that holds a ticket takes one more only where nobody is before it. Then each outbox waits
// for one ticket at most, its oldest, and the oldest ticket of all never has to wait.
type turn struct {
	mu     sync.Mutex // guards the rest
	moved  sync.Cond
	next   uint64  // the next ticket
	now    uint64  // the ticket whose turn it is
	newest *outbox // has the last ticket given out; nil: it was given back
}

// A ticket is a place in the order of a Child SA.
type ticket struct {
	turn   *turn
	number uint64
}

func (t *turn) init() { t.moved.L = &t.mu }

// join enters o into the order, unless it has the last place already, and returns with mu held. What o holds is sent first
// if this place has others before it.
func (t *turn) join(o *outbox) {
	t.mu.Lock()
	if t.newest == o {
		return
	}
	if t.now != t.next && len(o.held) > 0 {
		t.mu.Unlock()
		o.flush()
		t.mu.Lock()
	}
	o.held = append(o.held, ticket{t, t.next})
	t.next++
	t.newest = o
}

// await returns when the turn has come.
func (k ticket) await() {
	t := k.turn
	t.mu.Lock()
	t.wait(k.number)
	t.mu.Unlock()
}

// wait is called with mu held.
func (t *turn) wait(number uint64) {
	for t.now != number {
		t.moved.Wait()
	}
}

// done lets the next one go on, when the turn has come.
func (k ticket) done() {
	t := k.turn
	t.mu.Lock()
	t.wait(k.number)
	t.now++
	if t.now == t.next {
		t.newest = nil
	} else {
		t.moved.Broadcast()
	}
	t.mu.Unlock()
}
