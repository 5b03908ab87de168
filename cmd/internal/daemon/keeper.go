package daemon

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"sync"
	"time"

	"twinbore/config"
	"twinbore/config/secret"
	"twinbore/ike"
)

// A keeper looks up the secrets of all tunnels, at first and then again every gateway.secrets.refresh, and gives the engine
// what has changed. Live SAs are not touched (SEC-04). What cannot be had stops its tunnel and no other, and is asked for
// again; where there was a secret already, that one stays. It is used by the keeper's own goroutine, by whoever changes the
// configuration and by operators that rotate a secret.
type keeper struct {
	log      *slog.Logger
	timeline *timeline
	give     func(peer string, s ike.Secrets) bool // the engine's, set before run
	tell     func(peer string)                     // that a tunnel has a secret now that it had not, set before run
	stir     chan struct{}                         // holds one token when there is something to look at sooner
	looking  sync.Mutex                            // one look at a time, so that none undoes a later one's finding

	mu    sync.Mutex // guards what follows
	cfg   *config.Config
	found map[string]credential // by peer
	told  map[string]string     // of certificates that were complained of, the complaints, by connection
	again map[string]*patience  // by connection
}

// A patience is when a connection's secrets are looked up next.
type patience struct {
	at       time.Time // zero: never
	failures int
}

// How soon a secret that could not be had is asked for again: twice as long after each time, up to the usual interval.
const (
	askAgain  = 5 * time.Second
	askAtMost = 5 * time.Minute
)

// lookers is how many connections' secrets are looked up at once: one slow source must not hold up the others.
const lookers = 16

func newKeeper(log *slog.Logger, t *timeline) *keeper {
	return &keeper{log: log, timeline: t, stir: make(chan struct{}, 1), found: map[string]credential{}, told: map[string]string{}, again: map[string]*patience{}}
}

// use takes another configuration and returns the secrets of its tunnels, as far as they can be had at once. Tunnels that
// are not in it any more are forgotten with their secrets.
func (k *keeper) use(ctx context.Context, cfg *config.Config) map[string]ike.Secrets {
	k.looking.Lock()
	defer k.looking.Unlock()
	k.mu.Lock()
	k.cfg, k.again = cfg, map[string]*patience{}
	before := k.found
	k.found = map[string]credential{}
	k.mu.Unlock()
	var all []int
	for i, c := range cfg.Connections {
		if c.Enabled {
			all = append(all, i)
		}
	}
	k.look(ctx, cfg, all, before, true)
	k.stirUp()
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]ike.Secrets{}
	for peer, c := range k.found {
		out[peer] = c.use
	}
	return out
}

// A handover is the secrets of another configuration, found and not used yet. Nobody else looks secrets up until it is ended.
type handover struct {
	k      *keeper
	cfg    *config.Config
	before map[string]credential
	found  map[int]map[string]credential // by connection that is new or has changed
}

// prepare looks up the secrets of these connections of another configuration, however long they take. The caller ends the handover.
func (k *keeper) prepare(ctx context.Context, cfg *config.Config, conns []int) *handover {
	k.looking.Lock()
	k.mu.Lock()
	h := &handover{k: k, cfg: cfg, before: maps.Clone(k.found), found: map[int]map[string]credential{}}
	k.mu.Unlock()
	k.lookUp(cfg, conns, h.before, false, func(l looker, i int) {
		found := l.connection(ctx, cfg, i, h.before)
		k.mu.Lock()
		defer k.mu.Unlock()
		h.found[i] = found
	})
	return h
}

// of returns what was found for a tunnel of connection i.
func (h *handover) of(i int, peer string) credential { return h.found[i][peer] }

// commit goes on with the other configuration. Tunnels that are not in it are forgotten with their secrets, and those of
// tunnels that are the same in it are looked up again.
func (h *handover) commit(ctx context.Context) {
	k := h.k
	stays, known := map[string]bool{}, map[string]bool{}
	for _, c := range h.cfg.Connections {
		if !c.Enabled {
			continue
		}
		stays[c.Name] = true
		for _, t := range c.Tunnels {
			known[c.Name+"/"+t.Name] = true
		}
	}
	k.mu.Lock()
	k.cfg = h.cfg
	maps.DeleteFunc(k.found, func(peer string, _ credential) bool { return !known[peer] })
	maps.DeleteFunc(k.again, func(conn string, _ *patience) bool { return !stays[conn] })
	maps.DeleteFunc(k.told, func(conn string, _ string) bool { return !stays[conn] })
	for _, p := range k.again { // whoever reloads may have changed a file that the configuration only names
		p.at = time.Now()
	}
	k.mu.Unlock()
	for i, found := range h.found {
		k.note(ctx, h.cfg, i, found, h.before)
	}
	k.stirUp()
}

// end lets others look secrets up again.
func (h *handover) end() { h.k.looking.Unlock() }

// run looks at what is due until ctx is done.
func (k *keeper) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if at := k.next(); !at.IsZero() {
			timer.Reset(time.Until(at))
		}
		select {
		case <-ctx.Done():
			return
		case <-k.stir:
		case <-timer.C:
			k.looking.Lock()
			k.lookAgain(ctx, "the secret has changed at its place", func(_ string, p *patience) bool { return !p.at.IsZero() && !p.at.After(time.Now()) })
			k.looking.Unlock()
		}
	}
}

func (k *keeper) next() (first time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, p := range k.again {
		if !p.at.IsZero() && (first.IsZero() || p.at.Before(first)) {
			first = p.at
		}
	}
	return first
}

func (k *keeper) stirUp() {
	select {
	case k.stir <- struct{}{}:
	default:
	}
}

// lookAgain looks again at the connections that are picked, and gives the engine what has changed, and how. The caller holds
// looking.
func (k *keeper) lookAgain(ctx context.Context, how string, pick func(conn string, p *patience) bool) {
	k.mu.Lock()
	cfg, before := k.cfg, maps.Clone(k.found)
	var due []int
	for i, c := range cfg.Connections {
		if p := k.again[c.Name]; p != nil && pick(c.Name, p) {
			due = append(due, i)
		}
	}
	k.mu.Unlock()
	k.look(ctx, cfg, due, before, false)
	if ctx.Err() != nil {
		return
	}
	k.mu.Lock()
	after := maps.Clone(k.found)
	k.mu.Unlock()
	for _, i := range due {
		for _, t := range cfg.Connections[i].Tunnels {
			peer := cfg.Connections[i].Name + "/" + t.Name
			k.hand(peer, how, before[peer], after[peer])
		}
	}
}

// hand gives the engine what is new about a tunnel, and says so and how that came.
func (k *keeper) hand(peer, how string, old, now credential) {
	if now.same(old) {
		return
	}
	if !k.give(peer, now.use) {
		return // it has left with its connection meanwhile
	}
	switch {
	case !old.usable(peer) && now.usable(peer):
		k.log.Info("secret available", "peer", peer)
		k.tell(peer)
	case !bytes.Equal(old.proof(peer), now.proof(peer)):
		k.rotated(peer, how)
	}
}

// rotated says that a tunnel proves itself by something else from now on.
func (k *keeper) rotated(peer, how string) {
	k.log.Info("secret rotated", "peer", peer, "reason", how)
	k.timeline.put(time.Now(), peer, happening{kind: "psk.rotated", message: how + "; live SAs stay"})
}

// look looks up the secrets of some connections, several at once, and notes what came of it and when to look again.
func (k *keeper) look(ctx context.Context, cfg *config.Config, conns []int, before map[string]credential, quick bool) {
	k.lookUp(cfg, conns, before, quick, func(l looker, i int) { k.note(ctx, cfg, i, l.connection(ctx, cfg, i, before), before) })
}

// lookUp calls do for each of these connections, several at once.
func (k *keeper) lookUp(cfg *config.Config, conns []int, before map[string]credential, quick bool, do func(l looker, i int)) {
	l := looker{store: secretStore(cfg.Gateway, k.environ), now: time.Now(), quick: quick,
		weak: func(peer string, ref secret.Ref, s secret.Secret, bits int) { k.judge(peer, ref, s, bits, before) },
		cert: func(i int, problems config.Problems) { k.complain(cfg.Connections[i].Name, problems) }}
	var wg sync.WaitGroup
	room := make(chan struct{}, lookers)
	for _, i := range conns {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			do(l, i)
		})
	}
	wg.Wait()
}

// note keeps what was found for the tunnels of connection i.
func (k *keeper) note(ctx context.Context, cfg *config.Config, i int, found, before map[string]credential) {
	if ctx.Err() != nil {
		return
	}
	now, later := time.Now(), false
	var first time.Time // of the ends of keys before the current ones
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.again[cfg.Connections[i].Name]
	if p == nil {
		p = new(patience)
		k.again[cfg.Connections[i].Name] = p
	}
	failed := false
	for peer, c := range found {
		switch {
		case errors.Is(c.err, errLater):
			later = true
		case c.err != nil:
			failed = true
			k.refused(now, peer, c, before[peer])
		}
		if !c.until.IsZero() && (first.IsZero() || c.until.Before(first)) {
			first = c.until
		}
		k.found[peer] = c
	}
	refresh := cfg.Gateway.Secrets.Refresh
	p.at = time.Time{}
	switch {
	case later:
		p.at = now
	case failed:
		most := askAtMost
		if refresh > 0 {
			most = min(most, refresh)
		}
		p.at = now.Add(min(askAgain<<min(p.failures, 16), max(most, askAgain)))
		p.failures++
	default:
		p.failures = 0
		if refresh > 0 {
			p.at = now.Add(refresh)
		}
		if !first.IsZero() && (p.at.IsZero() || first.Before(p.at)) {
			p.at = first
		}
		k.forget(cfg, i, now)
	}
}

// forget deletes keys that are not accepted any more.
func (k *keeper) forget(cfg *config.Config, i int, now time.Time) {
	store := secretStore(cfg.Gateway, nil)
	for _, t := range cfg.Connections[i].Tunnels {
		if err := store.Forget(t.PSK.Current, now); err != nil && !errors.Is(err, secret.ErrNotHere) {
			k.log.Warn("a secret that is not accepted any more cannot be deleted", "peer", cfg.Connections[i].Name+"/"+t.Name, "err", err)
		}
	}
}
