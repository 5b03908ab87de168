package ike

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"twinbore/ike/session"
)

// An Engine runs sessions: it reads messages, brings each to its session, does what the session says, and keeps
// strangers from costing much. Make it with New and run it once. Its methods are safe for concurrent use.
type Engine struct {
	cfg     Config
	limits  Limits
	log     *slog.Logger
	rand    io.Reader
	peers   *directory
	speaks  protocol
	table   *table
	rates   *sourceRates
	count   *counters
	shards  []*shard
	cookies cookies             // the demultiplexer's
	answers [noticeKinds]bucket // the demultiplexer's
	ended   chan struct{}       // closed when Run returns
}

// New makes an engine that has no session and reads nothing until Run.
func New(cfg Config) *Engine {
	limits := cfg.Limits.withDefaults()
	e := &Engine{
		cfg:    cfg,
		limits: limits,
		log:    cfg.Log,
		rand:   rand.Reader,
		table:  newTable(limits),
		rates:  newSourceRates(limits.IKEPerSourceRPS),
		count:  newCounters(),
		ended:  make(chan struct{}),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand != nil {
		e.rand = &sharedRand{r: cfg.Rand}
	}
	e.cookies.rand = e.rand
	e.peers = newDirectory(cfg.Peers)
	e.speaks = speak(e)
	n := cfg.Shards
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	for range n {
		e.shards = append(e.shards, newShard(e))
	}
	return e
}

// Run reads the Conn and runs sessions until ctx is done and the Conn is closed, whichever is last: the Conn's owner
// must close it, which Run cannot. It then waits for its goroutines. Sessions that are left are dropped without
// a word to their peers; call Shutdown before. The error is the Conn's if it ended before ctx.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.ended)
	inner, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for _, s := range e.shards {
		wg.Go(func() { s.run(inner) })
	}
	wg.Go(func() { e.keepHouse(inner) })
	err := e.demux(ctx)
	cancel()
	wg.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("ike: reading messages: %w", err)
}

// keepHouse gives back what quiet sources have cost.
func (e *Engine) keepHouse(ctx context.Context) {
	tick := time.NewTicker(30 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.rates.sweep(now)
		}
	}
}

// Do gives cmd to the sessions of the named peer. Initiate makes a session if none is alive and is ignored if one is;
// any other command without a session does nothing. Do never waits.
func (e *Engine) Do(peer string, cmd session.Command) {
	e.shardOf(peer).inbox.order(order{peer: peer, cmd: cmd})
}

// Admit says whether the named peer is answered when it begins; it is until told otherwise. One that is not hears nothing,
// so that it asks at the pace of its retransmissions: an error would end its attempt for good with some daemons and
// make others try again at once, and a handshake that is deleted as soon as it is done would do the latter with all.
// Sessions that there are live on.
func (e *Engine) Admit(peer string, admitted bool) { e.peers.bar(peer, !admitted) }

// Shutdown refuses new sessions, deletes all at their peers, and waits until they have answered or been given up, or
// until ctx is done, which is then the error. Run goes on until its own ctx is done.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.table.close()
	for _, s := range e.shards {
		s.inbox.order(order{close: true})
	}
	select {
	case <-e.table.empty:
		return nil
	case <-e.ended:
		return nil
	case <-ctx.Done():
		left, _ := e.table.sizes()
		return fmt.Errorf("ike: %d sessions have not closed: %w", left, ctx.Err())
	}
}

// shardOf returns the shard that owns the sessions of a peer.
func (e *Engine) shardOf(peer string) *shard {
	h := fnv.New32a()
	h.Write([]byte(peer))
	return e.shards[h.Sum32()%uint32(len(e.shards))]
}

// sharedRand lets several goroutines read one source.
type sharedRand struct {
	mu sync.Mutex // guards r
	r  io.Reader
}

func (s *sharedRand) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return io.ReadFull(s.r, b)
}
