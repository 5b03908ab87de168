package ike

import (
	"maps"
	"sync"
	"time"
)

// Counters is what the engine has done since it was made, and what it holds now. The maps are copies.
type Counters struct {
	Sessions int // now, half-open ones included
	HalfOpen int // answered IKE SAs now whose peer is not authenticated yet

	Received    map[string]uint64 // messages by exchange, "IKE_SA_INIT"; "other" for unknown numbers
	Sent        map[string]uint64 // likewise; answers outside any session included
	Drops       map[string]uint64 // received messages that changed nothing, by reason; their sum is their number
	Events      map[string]uint64 // by Prometheus series: name and labels
	CookiesSent uint64
	SendErrors  uint64 // datagrams that the Conn could not send
	Panics      uint64 // sessions ended because of a fault in this program
}

// A drop says why a received message changed nothing.
type drop uint8

const (
	dropMalformed drop = iota
	dropVersion
	dropUnknownSPI
	dropUnexpected
	dropUnknownPeer
	dropBarred
	dropSourceRate
	dropAnswerRate
	dropHalfOpen
	dropInboxFull
	dropClosing
	dropSession
	dropPanic
	drops // how many there are
)

// linesPerMinute bounds the log lines of one drop reason, or of one peer's failures of one reason.
const linesPerMinute = 10

// counters guards what several goroutines count. IKE is slow enough for one mutex.
type counters struct {
	mu       sync.Mutex // guards everything below
	received map[string]uint64
	sent     map[string]uint64
	events   map[string]uint64
	drops    [drops]uint64
	quotas   map[string]*quota // by what the lines have in common: bounded by drop reasons, peers and their reasons

	cookies, sendErrors, panics uint64
}

// A quota bounds log lines that have something in common.
type quota struct {
	minute  time.Time // when the current minute began
	lines   int       // written in it
	skipped int       // not written since the last line
}

func newCounters() *counters {
	return &counters{received: map[string]uint64{}, sent: map[string]uint64{}, events: map[string]uint64{},
		quotas: map[string]*quota{}}
}

// add counts one in a field of c.
func (c *counters) add(field *uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	*field++
}

// addTo counts one in a map of c.
func (c *counters) addTo(field map[string]uint64, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	field[key]++
}

// mayLog says whether one more line about subject may be written, and how many were not since the last.
func (c *counters) mayLog(now time.Time, subject string) (write bool, skipped int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := c.quotas[subject]
	if q == nil {
		q = &quota{minute: now}
		c.quotas[subject] = q
	}
	if now.Sub(q.minute) >= time.Minute {
		q.minute, q.lines = now, 0
	}
	if q.lines >= linesPerMinute {
		q.skipped++
		return false, 0
	}
	q.lines++
	skipped, q.skipped = q.skipped, 0
	return true, skipped
}

func (c *counters) snapshot() Counters {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := Counters{Received: maps.Clone(c.received), Sent: maps.Clone(c.sent), Events: maps.Clone(c.events),
		Drops: map[string]uint64{}, CookiesSent: c.cookies, SendErrors: c.sendErrors, Panics: c.panics}
	for d, n := range c.drops {
		if n > 0 {
			out.Drops[dropWords[d].name] = n
		}
	}
	return out
}

// Counters returns the counts so far. It is safe for concurrent use.
func (e *Engine) Counters() Counters {
	out := e.count.snapshot()
	out.Sessions, out.HalfOpen = e.table.sizes()
	return out
}
