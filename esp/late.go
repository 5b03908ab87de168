package esp

// A lateness counts packets whose numbers lie below the window, and how far. They may be replays, or late; what they
// claim is not authentic.
type lateness struct {
	packets uint64
	most    uint32
}

// note counts a number, of which low is the low half, if it is too old for w.
func (l *lateness) note(w *window, low uint32) {
	behind := uint32(w.top) - low
	if uint64(behind) < w.size() || behind >= 1<<31 || uint64(behind) > w.top {
		return
	}
	l.packets++
	l.most = max(l.most, behind)
}

// Late returns how many packets were refused because they lay below the replay window, and how far below the newest
// the oldest of them was. A window larger than that would have taken those that were no replays.
func (in *Inbound) Late() (packets, furthest uint64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.late.packets, uint64(in.late.most)
}
