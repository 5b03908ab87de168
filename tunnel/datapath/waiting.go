package datapath

import (
	"sync"
	"time"

	"twinbore/tunnel/tun"
)

const (
	maxWaiting = 4                       // packets kept for a connection, dataplane §6.5
	maxWait    = int64(10 * time.Second) // what is older is of no use to anyone
)

// waiting keeps the newest packets of a connection that has no Child SA yet (R23), copied.
type waiting struct {
	mu   sync.Mutex // guards all
	pkts [maxWaiting]held
	head int // the oldest
	n    int
}

type held struct {
	frame  tun.Frame // its buffer has room in front and behind
	domain int       // that it came from
	at     int64     // unix nanoseconds
}

// keep copies a frame that waits since at. The oldest makes room, and is dropped (DOS-16).
func (w *waiting) keep(f *tun.Frame, domain int, at int64, d *drops) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == maxWaiting {
		w.head = (w.head + 1) % maxWaiting
		w.n--
		d.add(noSA)
	}
	slot := &w.pkts[(w.head+w.n)%maxWaiting]
	kept := slot.frame.Buf[:0]
	if need := headroom + f.N + tailroom; cap(kept) < need {
		kept = make([]byte, need)
	}
	kept = kept[:headroom+f.N]
	copy(kept[headroom:], f.Packet())
	slot.frame, slot.domain, slot.at = *f, domain, at
	slot.frame.Buf, slot.frame.At = kept, headroom
	w.n++
}

// take returns what is kept, not too old and from the domain, oldest first, and drops the rest.
func (w *waiting) take(domain int, now int64, d *drops) []held {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fresh []held
	for i := range w.n {
		h := w.pkts[(w.head+i)%maxWaiting]
		switch {
		case now-h.at > maxWait:
			d.add(noSA)
			continue
		case h.domain != domain: // the connection has gone to another (F11)
			d.add(noRoute)
			continue
		}
		fresh = append(fresh, h)
	}
	w.pkts, w.head, w.n = [maxWaiting]held{}, 0, 0
	return fresh
}

// any reports whether something waits.
func (w *waiting) any() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.n > 0
}

// clear drops all.
func (w *waiting) clear(d *drops) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d[noSA].Add(uint64(w.n))
	w.pkts, w.head, w.n = [maxWaiting]held{}, 0, 0
}
