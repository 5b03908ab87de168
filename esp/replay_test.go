package esp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// A model is what the window should be: a set, and no memory saved.
type model struct {
	size, top uint64
	seen      map[uint64]bool
}

func (m *model) see(seq uint64) bool {
	if seq == 0 || seq <= m.top && m.top-seq >= m.size || m.seen[seq] {
		return false
	}
	m.seen[seq] = true
	m.top = max(m.top, seq)
	return true
}

// FuzzReplay walks a window and the model with the same numbers (RPL-01, RPL-03). Two octets of input are a step relative to
// the top; a third kind of step is a jump.
func FuzzReplay(f *testing.F) {
	f.Add(uint8(0), uint64(0), []byte{0, 1, 0, 1, 0xff, 0xff, 0x40, 0, 0x80, 3, 0xff, 0xc1, 0xff, 0xc0})
	f.Add(uint8(3), uint64(1)<<32-5, []byte{0, 1, 0, 63, 0, 64, 0, 65, 0xff, 0xc0, 0x7f, 0xff, 0x80, 0, 1, 0xff})
	f.Add(uint8(1), ^uint64(0)-100, []byte{0, 60, 0, 50, 0, 1})
	f.Fuzz(func(t *testing.T, shift uint8, start uint64, steps []byte) {
		size := 64 << (shift % 7)
		w, m := newWindow(size), &model{size: uint64(size), top: start, seen: map[uint64]bool{}}
		w.top = start
		for ; len(steps) >= 2; steps = steps[2:] {
			step := int64(int16(binary.BigEndian.Uint16(steps)))
			if step&7 == 7 {
				step *= 1 << 20
			}
			seq := m.top + uint64(step)
			if (step > 0) != (seq > m.top) {
				continue // over an end of the numbers, where nothing can be sent
			}
			fresh := w.fresh(seq)
			got, want := w.see(seq), m.see(seq)
			if got != want || fresh != want || w.top != m.top {
				t.Fatalf("window %d: number %#x: fresh %v, see %v, top %#x; want %v, %#x", size, seq, fresh, got, w.top, want, m.top)
			}
			if w.fresh(seq) {
				t.Fatalf("window %d: number %#x is still fresh after it was seen", size, seq)
			}
		}
	})
}

// inferA22 is RFC 4303 Appendix A2.2 as it is written, with its cases.
func inferA22(top uint64, size uint64, low uint32) (high uint64, real bool) {
	tl, th := uint64(uint32(top)), top>>32
	if tl >= size-1 { // case A: the window lies in one epoch
		if uint64(low) >= tl-size+1 {
			return th, true
		}
		return th + 1, th+1 < 1<<32
	}
	if uint64(low) >= uint64(uint32(tl-size+1)) { // case B: it spans two
		return th - 1, th > 0
	}
	return th, true
}

// FuzzESN compares with the RFC's own words (RPL-04).
func FuzzESN(f *testing.F) {
	for _, top := range []uint64{0, 1, 62, 63, 64, 1<<32 - 1, 1 << 32, 1<<32 + 62, 1<<32 + 63, ^uint64(0), ^uint64(0) - 1<<32} {
		for _, low := range []uint32{0, 1, 0x7fffffff, 1<<32 - 64, 1<<32 - 63, 1<<32 - 1, uint32(top), uint32(top) - 63, uint32(top) - 64} {
			f.Add(uint8(0), top, low)
		}
	}
	f.Fuzz(func(t *testing.T, shift uint8, top uint64, low uint32) {
		w := newWindow(64 << (shift % 11))
		w.top = top
		got, real := w.infer(low)
		high, want := inferA22(top, w.size(), low)
		if real != want || real && got != high<<32|uint64(low) {
			t.Fatalf("window %d, top %#x, low %#x: %#x, %v; the RFC has high half %#x, %v", w.size(), top, low, got, real, high, want)
		}
	})
}

func BenchmarkReplayInOrder(b *testing.B) {
	w := newWindow(1024)
	for seq := uint64(1); b.Loop(); seq++ {
		if !w.see(seq) {
			b.Fatal("not fresh")
		}
	}
}

// One packet in ten comes late by up to a quarter of the window.
func BenchmarkReplayReordered(b *testing.B) {
	w, late := newWindow(1024), rand.New(rand.NewPCG(1, 1))
	var put [256]uint64
	for i := range put {
		put[i] = 1 + late.Uint64N(256)
	}
	next := uint64(0)
	for b.Loop() {
		next++
		seq := next
		if next%10 == 0 {
			seq += put[next%256] // ahead, so that those behind it are late
		}
		w.see(seq)
	}
}

// A flood of packets that are too old, or were seen (DOS-10): what each costs before its integrity is looked at.
func BenchmarkReplayFlood(b *testing.B) {
	w := newWindow(1024)
	for seq := range uint64(5000) {
		w.see(seq)
	}
	seq := uint64(0)
	for b.Loop() {
		if seq = (seq + 1) % 5000; w.fresh(seq) {
			b.Fatal("fresh")
		}
	}
}
