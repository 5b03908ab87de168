package datapath

import (
	"time"

	"twinbore/esp"
)

// seenEvery is how often at most Seen is called for one Child SA.
const seenEvery = int64(100 * time.Millisecond)

// A sighting is a Child SA's newest packet on another path than the one we know.
type sighting struct {
	child *child
	path  esp.Path
}

// elsewhere reports the path of an authentic packet with this number when that is the highest of all: an older
// one was delayed on the way or kept by somebody, and says nothing of where the peer is (RFC 7296 §2.23, RPL-09).
func (w *receiver) elsewhere(c *child, number uint32, on esp.Path) {
	due := c.nextSeen.Load()
	if w.now < due || !c.in.Newest(number) || !c.nextSeen.CompareAndSwap(due, w.now+seenEvery) {
		return
	}
	l := &w.g.chores
	l.mu.Lock()
	l.seen = append(l.seen, sighting{c, on})
	l.mu.Unlock()
	l.poke()
}

func (l *chores) takeSeen() []sighting {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := l.seen
	l.seen = nil
	return seen
}
