package ike

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

// A bucket lets rate events a second pass, and as many at once after a second of silence.
type bucket struct {
	left float64
	at   time.Time // zero: full
}

func (b *bucket) take(now time.Time, rate int) bool {
	if b.at.IsZero() {
		b.left = float64(rate)
	} else if since := now.Sub(b.at); since > 0 {
		b.left = min(float64(rate), b.left+since.Seconds()*float64(rate))
	}
	b.at = now
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}

// full reports whether the bucket holds nothing that a new one would not.
func (b *bucket) full(now time.Time) bool { return now.Sub(b.at) >= time.Second }

// maxSources bounds the sources whose rate is remembered; addresses cost an attacker nothing.
const maxSources = 4096

// sourceRates limits the requests of each source.
type sourceRates struct {
	rate int

	mu      sync.Mutex // guards everything below
	sources map[netip.Prefix]*bucket
	swept   time.Time
}

func newSourceRates(rate int) *sourceRates {
	return &sourceRates{rate: rate, sources: map[netip.Prefix]*bucket{}}
}

// take counts one request. tracked is false when there are too many sources to remember this one as well: then
// the caller must not let it cost anything.
func (r *sourceRates) take(now time.Time, source netip.Prefix, configured bool) (ok, tracked bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.sources[source]
	if b == nil {
		if len(r.sources) >= maxSources {
			r.forget(now)
		}
		if len(r.sources) >= maxSources && !configured {
			return true, false
		}
		b = &bucket{}
		r.sources[source] = b
	}
	return b.take(now, r.rate), true
}

// sweep forgets the sources that have been quiet.
func (r *sourceRates) sweep(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
}

// forget looks at all sources, and therefore does so at most once a second.
func (r *sourceRates) forget(now time.Time) {
	if now.Sub(r.swept) < time.Second {
		return
	}
	r.swept = now
	maps.DeleteFunc(r.sources, func(_ netip.Prefix, b *bucket) bool { return b.full(now) })
}
