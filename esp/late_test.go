package esp

import (
	"math/rand/v2"
	"testing"

	"twinbore/esp/protect"
)

// A window that grows remembers what it remembered: it takes what a set of numbers would take, and nothing
// that was too old before (RPL-01).
func TestAGrowingWindowForgetsNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, start := range []uint64{0, 1<<32 - 100, 1<<64 - 200_000} {
		w, m := newWindow(64), &model{size: 64, top: start, seen: map[uint64]bool{}}
		w.top = start
		var floor uint64 // numbers up to it were too old once
		for range 20_000 {
			seq := m.top + 1 + random.Uint64N(20)
			if random.IntN(3) > 0 {
				seq = m.top - min(m.top, random.Uint64N(2*m.size))
			}
			want := seq > floor && m.see(seq)
			if got := w.see(seq); got != want {
				t.Fatalf("window %d at %#x: number %#x: %v, want %v", m.size, m.top, seq, got, want)
			}
			if m.top >= m.size {
				floor = max(floor, m.top-m.size)
			}
			if want && w.nearlyMissed(seq) && m.size < maxWindow && random.IntN(200) == 0 {
				w.double()
				m.size *= 2
			}
		}
		if m.size < 1024 {
			t.Errorf("the window has grown to %d only: the test shows little", m.size)
		}
	}
}

// F20: packets that nearly come too late make the window grow, those that do come too late and replays do not, and it has an
// end.
func TestTheWindowGrowsWithTheReordering(t *testing.T) {
	for _, esn := range []bool{false, true} {
		p := params(protect.AES128GCM16, esn, 64)
		p.Grow = true
		out, in := pair(t, p)
		tooLate := ErrReplay
		if esn {
			tooLate = ErrAuth
		}
		at := func(seq uint64, want error, why string) {
			t.Helper()
			wantErr(t, in, seal(t, out, seq, ipv4(40)), want, why)
		}
		at(1000, nil, "the first")
		at(1000-31, nil, "a little late")
		at(1000-64, tooLate, "too late")
		at(1000-31, ErrReplay, "again")
		if size := in.window.size(); size != 64 {
			t.Errorf("window %d, want 64 still", size)
		}
		at(1000-32, nil, "nearly too late")
		if size := in.window.size(); size != 128 {
			t.Errorf("window %d, want 128", size)
		}
		at(1000-32, ErrReplay, "again")
		at(1000-64, ErrReplay, "was too late before")
		at(1100, nil, "on")
		at(1100-127, nil, "too late for the window that was")
		for range 12 {
			next := in.window.top + 2*in.window.size()
			at(next, nil, "far on")
			at(next-in.window.size()+1, nil, "the lower edge")
		}
		if size := in.window.size(); size != maxWindow {
			t.Errorf("window %d, want %d at most", size, maxWindow)
		}
		if packets, furthest := in.Late(); packets != 1 || furthest != 64 {
			t.Errorf("%d late, the furthest by %d; want 1 by 64", packets, furthest)
		}
	}
}

func TestAWindowStaysAsItWasMade(t *testing.T) {
	out, in := pair(t, params(protect.AES128GCM16, false, 64))
	wantErr(t, in, seal(t, out, 1000, ipv4(40)), nil, "the first")
	wantErr(t, in, seal(t, out, 1000-63, ipv4(40)), nil, "nearly too late")
	if size := in.window.size(); size != 64 {
		t.Errorf("window %d, want 64", size)
	}
}

// Lateness is of old numbers alone: not of replays in the window, of numbers far ahead, or before the first.
func TestWhatIsLate(t *testing.T) {
	for _, tt := range []struct {
		top     uint64
		low     uint32
		packets uint64
		by      uint32
	}{
		{1000, 1000, 0, 0}, {1000, 1000 - 63, 0, 0}, {1000, 1000 - 64, 1, 64}, {1000, 0, 1, 1000}, {1000, 1<<32 - 1, 0, 0},
		{1000, 1001, 0, 0}, {1000, 1 << 31, 0, 0}, {1<<32 + 10, 1<<32 - 90, 1, 100}, {1 << 40, 1<<31 + 1, 1, 1<<31 - 1},
	} {
		w, l := newWindow(64), lateness{}
		w.top = tt.top
		l.note(&w, tt.low)
		if l.packets != tt.packets || l.most != tt.by {
			t.Errorf("top %#x, low %#x: %d late by %d, want %d by %d", tt.top, tt.low, l.packets, l.most, tt.packets, tt.by)
		}
	}
}
