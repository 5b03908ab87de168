package daemon

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Limits of what names of peers may cost, and of what a resolver, or whoever answers in its place, can make us do (DOS-19).
const (
	lookupTime  = 10 * time.Second // for one question
	lookupsMost = 16               // questions under way at once
	answersMost = 16               // of one name's addresses
	answerKept  = 5 * time.Second  // so that the tunnels of one connection ask once
)

// A resolver finds the addresses of names. It is safe for concurrent use. An answer is kept for a moment, a failure is not.
// It keeps as many names as it was ever asked for, which are those of the configuration.
type resolver struct {
	ask   func(ctx context.Context, host string) ([]netip.Addr, error)
	slots chan struct{} // a token for each question under way

	mu    sync.Mutex // guards names
	names map[string]*name
}

// A name is what is known of one.
type name struct {
	turn  chan struct{} // a token for whoever asks, who owns the following
	addrs []netip.Addr
	until time.Time // that they are kept
}

func newResolver(ask func(ctx context.Context, host string) ([]netip.Addr, error)) *resolver {
	return &resolver{ask: ask, slots: make(chan struct{}, lookupsMost), names: map[string]*name{}}
}

// systemLookup asks the system's resolver.
func systemLookup(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// lookup returns the first of a name's addresses. It waits for whoever asks the same, and while too many ask at all.
func (r *resolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	r.mu.Lock()
	n := r.names[host]
	if n == nil {
		n = &name{turn: make(chan struct{}, 1)}
		r.names[host] = n
	}
	r.mu.Unlock()
	if err := enter(ctx, n.turn); err != nil {
		return nil, err
	}
	defer func() { <-n.turn }()
	if time.Now().Before(n.until) {
		return n.addrs, nil
	}
	if err := enter(ctx, r.slots); err != nil {
		return nil, err
	}
	defer func() { <-r.slots }()
	addrs, err := r.ask(ctx, host)
	if err != nil {
		return nil, err
	}
	n.addrs, n.until = nil, time.Now().Add(answerKept)
	for _, a := range addrs {
		if len(n.addrs) < answersMost && !slices.Contains(n.addrs, a) {
			n.addrs = append(n.addrs, a)
		}
	}
	return n.addrs, nil
}

// enter puts a token into c as soon as there is room.
func enter(ctx context.Context, c chan struct{}) error {
	select {
	case c <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
