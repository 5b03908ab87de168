package esp

// A window remembers which of the last size sequence numbers were seen (RFC 4303 §3.4.3). It is a ring of bits, as RFC
// 6479 has it: a number's bit is its place modulo the size, and moving on clears only what the edge passes over.
//
//	          top-size+1 ......................... top
//	too old │ seen? seen? seen? ... (the ring)      │ new
//
// Its owner guards it.
type window struct {
	top  uint64   // the highest number seen; 0 before the first
	ring []uint64 // size/64 words
}

// newWindow returns a window of size numbers, a power of two from 64.
func newWindow(size int) window { return window{ring: make([]uint64, size/64)} }

func (w *window) size() uint64 { return uint64(len(w.ring)) * 64 }

// fresh reports whether seq was not seen and is not too old. 0 is never fresh: numbers start at 1 (RFC 4303 §3.3.3).
func (w *window) fresh(seq uint64) bool {
	if seq > w.top {
		return true
	}
	if seq == 0 || w.top-seq >= w.size() {
		return false
	}
	word, bit := w.at(seq)
	return *word&bit == 0
}

// see reports whether seq was fresh, and remembers it. Only a number whose packet has passed the integrity check may
// come here.
func (w *window) see(seq uint64) bool {
	if !w.fresh(seq) {
		return false
	}
	if seq > w.top {
		w.advance(seq)
	}
	word, bit := w.at(seq)
	*word |= bit
	return true
}

// advance makes seq the top, and forgets the numbers that had the places of those in between.
func (w *window) advance(seq uint64) {
	if seq-w.top >= w.size() {
		clear(w.ring)
		w.top = seq
		return
	}
	for next := w.top + 1; next <= seq && next != 0; { // next is 0 past 2^64-1
		word, bit := w.at(next)
		if next%64 == 0 && seq-next >= 63 {
			*word = 0
			next += 64
			continue
		}
		*word &^= bit
		next++
	}
	w.top = seq
}

// nearlyMissed reports whether seq, which is in the window, is in its older half.
func (w *window) nearlyMissed(seq uint64) bool { return w.top-seq >= w.size()/2 }

// double makes the window twice as large. What was too old stays too old, for nobody remembers whether it was seen.
func (w *window) double() {
	old := *w
	w.ring = make([]uint64, 2*len(old.ring))
	for i := range w.ring {
		w.ring[i] = ^uint64(0)
	}
	for behind := range min(old.size(), w.top) {
		seq := w.top - behind
		if old.fresh(seq) {
			word, bit := w.at(seq)
			*word &^= bit
		}
	}
}

func (w *window) at(seq uint64) (word *uint64, bit uint64) {
	return &w.ring[seq/64%uint64(len(w.ring))], 1 << (seq % 64)
}

// infer returns the whole sequence number whose low half is low: the only one from the lower edge of the window up to 2^32
// above it (RFC 4303 Appendix A2.2; its cases A and B are one in this form). It reports false when there is none, which
// is below 1 at the start of an SA and above 2^64-1 at its end.
//
//	          lower edge                         lower edge + 2^32
//	──────────────┼────────── top ───────────────────────┼──────
//	               └──────── low is somewhere here ─────┘
func (w *window) infer(low uint32) (uint64, bool) {
	edge := w.top - (w.size() - 1) // modulo 2^64; "negative" while the window still reaches below 0
	seq := edge + uint64(low-uint32(edge))
	if w.top < w.size()-1 {
		return seq, seq < edge // passed 0 on the way up, so it is a real number
	}
	return seq, seq >= edge
}
