package datapath

import (
	"context"
	"sync"
	"time"
)

// acquireEvery is how often at most Acquire is called for one connection.
const acquireEvery = int64(time.Second)

// chores is what the packet path and IKE leave to the control goroutine. Nothing here blocks, and each list is
// bounded: a connection asks once a second, a Child SA is spent once.
type chores struct {
	wake chan struct{} // holds one

	mu      sync.Mutex // guards the lists
	asking  []asking   // have no Child SA to send with
	ready   []*conn    // may have one now
	spent   []*child   // near their limit of use
	seen    []sighting // packets from elsewhere
	flushed map[*conn]bool
}

func (l *chores) init() {
	l.wake = make(chan struct{}, 1)
	l.flushed = map[*conn]bool{}
}

// acquire asks for a tunnel of c, unless that was just done.
func (l *chores) acquire(c *conn, pkt []byte, now int64) {
	due := c.nextAcquire.Load()
	if now < due || !c.nextAcquire.CompareAndSwap(due, now+acquireEvery) {
		return
	}
	a := newAsking(c, pkt)
	l.mu.Lock()
	l.asking = append(l.asking, a)
	l.mu.Unlock()
	l.poke()
}

// flush has what waits for c sent.
func (l *chores) flush(c *conn) {
	l.mu.Lock()
	if !l.flushed[c] {
		l.flushed[c] = true
		l.ready = append(l.ready, c)
	}
	l.mu.Unlock()
	l.poke()
}

// expire reports that a Child SA has come near its limit.
func (l *chores) expire(c *child) {
	l.mu.Lock()
	l.spent = append(l.spent, c)
	l.mu.Unlock()
	l.poke()
}

func (l *chores) poke() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *chores) take() (asks []asking, ready []*conn, spent []*child) {
	l.mu.Lock()
	defer l.mu.Unlock()
	asks, ready, spent = l.asking, l.ready, l.spent
	l.asking, l.ready, l.spent = nil, nil, nil
	clear(l.flushed)
	return asks, ready, spent
}

// control does the chores and sends NAT keepalives until ctx is done.
func (g *Gateway) control(ctx context.Context) {
	tick := time.NewTicker(max(g.cfg.Keepalive/4, time.Millisecond))
	defer tick.Stop()
	out := newSender(g, 0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			g.keepalive(now.UnixNano())
			continue
		case <-g.chores.wake:
		}
		g.hand()
		asks, ready, spent := g.chores.take()
		for _, a := range asks {
			g.cfg.Acquire(a.conn.name, a.local, a.remote)
		}
		for _, s := range g.chores.takeSeen() {
			g.cfg.Seen(s.child.tunnel.peer, s.child.id, s.path)
		}
		for _, c := range spent {
			g.cfg.Spent(c.tunnel.peer, c.id)
		}
		for _, c := range ready {
			if r := c.rules.Load(); r != nil {
				out.release(c, r.domain, time.Now().UnixNano())
			}
		}
	}
}
