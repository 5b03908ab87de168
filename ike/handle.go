package ike

import (
	"container/heap"
	"net/netip"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// A handle is what the engine knows about one session.
type handle struct {
	// Fixed once the table knows it.
	seq        uint64 // order of making: what makes ties the same in each run
	candidates []Peer // who an answered peer may turn out to be; nil when we initiate
	asOf       uint64 // the age of the directory when it was made
	init       initKey
	source     netip.Prefix
	configured bool

	// Guarded by the table's mutex.
	owner    *shard // nil once it has ended
	spis     []uint64
	halfOpen bool

	// The owner's.
	session  session.Session      // nil until the first message of an answered peer
	peer     string               // empty until it is known
	children map[esp.ChildID]bool // what it holds in the data path: true is installed, false an SPI only
	began    time.Time
	left     bool  // a message has left this host
	sendErr  error // of the last message that did not
	authSent bool  // a request of ours may have told the peer that we know no other SA
	up       bool
	upAt     time.Time
	ike      session.IKEInfo // as of when it came up: both ends compare these SPIs
	closing  bool            // told to end, or at its end: not alive any more
	lingers  bool            // kept only to answer what its peer may ask again
	down     bool            // whoever watches has been told of its end
	wake     time.Time       // when the session wants Expire; zero: never
	yieldAt  time.Time       // when it gives way to another session of its peer; zero: never
	place    int             // in its owner's deadlines, from 1; 0: not in it
}

// due is when the owner must look at h; zero means never.
func (h *handle) due() time.Time {
	if h.wake.IsZero() || !h.yieldAt.IsZero() && h.yieldAt.Before(h.wake) {
		return h.yieldAt
	}
	return h.wake
}

// deadlines is a heap of handles by due, then by age.
type deadlines []*handle

func (d deadlines) Len() int { return len(d) }
func (d deadlines) Less(i, j int) bool {
	if c := d[i].due().Compare(d[j].due()); c != 0 {
		return c < 0
	}
	return d[i].seq < d[j].seq
}
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].place, d[j].place = i+1, j+1
}
func (d *deadlines) Push(x any) {
	h := x.(*handle)
	*d = append(*d, h)
	h.place = len(*d)
}
func (d *deadlines) Pop() any {
	last := (*d)[len(*d)-1]
	(*d)[len(*d)-1] = nil
	*d = (*d)[:len(*d)-1]
	last.place = 0
	return last
}

// set puts h where its due belongs.
func (d *deadlines) set(h *handle) {
	switch {
	case h.due().IsZero():
		d.unset(h)
	case h.place == 0:
		heap.Push(d, h)
	default:
		heap.Fix(d, h.place-1)
	}
}

// unset takes h out.
func (d *deadlines) unset(h *handle) {
	if h.place != 0 {
		heap.Remove(d, h.place-1)
	}
}

// next returns when the first is due; false if none is.
func (d deadlines) next() (time.Time, bool) {
	if len(d) == 0 {
		return time.Time{}, false
	}
	return d[0].due(), true
}
