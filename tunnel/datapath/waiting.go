package datapath

import (
	"sync"
	"time"
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
	pkt []byte
	at  int64 // unix nanoseconds
}

// keep copies pkt. The oldest makes room, and is dropped (DOS-16).
func (w *waiting) keep(pkt []byte, now int64, d *drops) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n == maxWaiting {
		w.head = (w.head + 1) % maxWaiting
		w.n--
		d.add(noSA)
	}
	slot := &w.pkts[(w.head+w.n)%maxWaiting]
	slot.pkt, slot.at = append(slot.pkt[:0], pkt...), now
	w.n++
}

// take returns what is kept and not too old, oldest first, and drops the rest.
func (w *waiting) take(now int64, d *drops) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	var fresh [][]byte
	for i := range w.n {
		h := w.pkts[(w.head+i)%maxWaiting]
		if now-h.at > maxWait {
			d.add(noSA)
			continue
		}
		fresh = append(fresh, h.pkt)
	}
	w.pkts, w.head, w.n = [maxWaiting]held{}, 0, 0
	return fresh
}

// clear drops all.
func (w *waiting) clear(d *drops) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d[noSA].Add(uint64(w.n))
	w.pkts, w.head, w.n = [maxWaiting]held{}, 0, 0
}
