package ike

import (
	"errors"
	"net/netip"
	"sync"
)

// A table says where a message belongs. It is shared by the demultiplexer, which looks things up, and the shards, which
// claim and release: an SPI that a session has claimed is found by the time its answer leaves, which a message to the
// demultiplexer could not promise while that waits for the network. Its mutex is never held over a call out of it.
type table struct {
	limits Limits

	mu       sync.Mutex // guards everything below and the fields of handle that say so
	spis     map[uint64]*handle
	inits    map[initKey]*handle // who answers this IKE_SA_INIT request when it comes again
	sources  map[netip.Prefix]int
	open     int // half-open, from configured addresses or not
	strange  int // of these, not from configured addresses: only they share Limits.HalfOpen
	sessions int
	entered  uint64
	closing  bool
	empty    chan struct{} // closed once closing and no session is left
}

// An initKey names the first request of an IKE SA: its initiator's SPI is random, and another host may have
// drawn, or copied, the same (RFC 7296 §2.1: the responder looks at more than the initiator's SPI).
type initKey struct {
	spi    uint64
	remote netip.AddrPort
}

func newTable(l Limits) *table {
	return &table{limits: l, spis: map[uint64]*handle{}, inits: map[initKey]*handle{}, sources: map[netip.Prefix]int{},
		empty: make(chan struct{})}
}

// bySPI returns the session that a local SPI leads to and the shard that has it, or nil.
func (t *table) bySPI(spi uint64) (*handle, *shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return ownerOf(t.spis[spi])
}

// byInit returns the session that has already taken this IKE_SA_INIT request, or nil.
func (t *table) byInit(k initKey) (*handle, *shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return ownerOf(t.inits[k])
}

func ownerOf(h *handle) (*handle, *shard) {
	if h == nil {
		return nil, nil
	}
	return h, h.owner
}

// owner returns the shard that has h, or nil when h has ended.
func (t *table) owner(h *handle) *shard {
	t.mu.Lock()
	defer t.mu.Unlock()
	return h.owner
}

// A pressure says what one more half-open session of a source may cost it.
type pressure uint8

const (
	relaxed  pressure = iota // take it
	guarded                  // take it when it returns a cookie
	exceeded                 // refuse it
)

// pressure weighs a source. A configured address has room of its own, so that a flood from elsewhere cannot keep a peer
// out; the last places of every source are kept for those who return a cookie, so that a
// flood in the name of a peer cannot either.
func (t *table) pressure(source netip.Prefix, configured bool) pressure {
	t.mu.Lock()
	defer t.mu.Unlock()
	here := t.sources[source]
	switch {
	case here >= t.limits.PerSource, !configured && t.strange >= t.limits.HalfOpen:
		return exceeded
	case t.open >= t.limits.CookieThreshold, here >= (t.limits.PerSource+1)/2:
		return guarded
	}
	return relaxed
}

// crowded reports whether more are half-open than peers alone would explain.
func (t *table) crowded() bool {
	many := t.limits.CookieThreshold
	if many < 0 { // which then says nothing of how many there are
		many = Limits{}.withDefaults().CookieThreshold
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.open > many
}

// errClosing is returned once the engine is shutting down.
var errClosing = errors.New("the engine is shutting down")

// enter makes h known as owner's. A half-open handle counts against its source until it is authenticated or forgotten.
func (t *table) enter(h *handle, owner *shard) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closing {
		return errClosing
	}
	h.owner = owner
	t.entered++
	h.seq = t.entered
	t.sessions++
	if h.halfOpen {
		t.inits[h.init] = h
		t.count(h, 1)
	}
	return nil
}

func (t *table) count(h *handle, n int) {
	t.open += n
	if !h.configured {
		t.strange += n
	}
	if t.sources[h.source] += n; t.sources[h.source] == 0 {
		delete(t.sources, h.source)
	}
}

// authenticated ends h's time as half-open.
func (t *table) authenticated(h *handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.halfOpen {
		h.halfOpen = false
		t.count(h, -1)
	}
}

// claim makes spis lead to h. It reports false when one is 0 or already leads to another session.
func (t *table) claim(h *handle, spis []uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, spi := range spis {
		if other := t.spis[spi]; spi == 0 || other != nil && other != h {
			return false
		}
		t.spis[spi] = h
		h.spis = append(h.spis, spi)
	}
	return true
}

// release makes spis lead nowhere.
func (t *table) release(h *handle, spis []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, spi := range spis {
		t.drop(h, spi)
	}
}

func (t *table) drop(h *handle, spi uint64) {
	if t.spis[spi] != h {
		return
	}
	delete(t.spis, spi)
	for i, have := range h.spis {
		if have == spi {
			h.spis = append(h.spis[:i], h.spis[i+1:]...)
			return
		}
	}
}

// move gives h to another shard, unless it has ended meanwhile.
func (t *table) move(h *handle, to *shard) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.owner != nil {
		h.owner = to
	}
}

// forget removes every trace of h.
func (t *table) forget(h *handle) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h.owner == nil {
		return
	}
	h.owner = nil
	for len(h.spis) > 0 {
		t.drop(h, h.spis[len(h.spis)-1])
	}
	if t.inits[h.init] == h {
		delete(t.inits, h.init)
	}
	if h.halfOpen {
		h.halfOpen = false
		t.count(h, -1)
	}
	t.sessions--
	t.settle()
}

// close refuses new sessions from now on.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closing {
		t.closing = true
		t.settle()
	}
}

func (t *table) settle() {
	if t.closing && t.sessions == 0 {
		close(t.empty)
	}
}

// sizes returns how many sessions there are, and how many of them are half-open.
func (t *table) sizes() (sessions, halfOpen int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sessions, t.open
}
