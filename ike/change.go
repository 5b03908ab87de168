package ike

import (
	"time"

	"twinbore/ike/session"
)

// SetPeers makes each of peers, by its name, what the engine knows of it from now on. A new one is answered and can be asked
// for. A session that lives with one that was known goes on, and takes what is new of lifetimes, proposals and DPD from its next
// negotiation on; who the peer is, where it is and how it proves it must be as before, or else use ReplacePeers. The engine
// keeps peers.
func (e *Engine) SetPeers(peers ...Peer) {
	for _, p := range e.peers.set(peers, false) {
		e.Do(p.Peer, configure(p))
	}
}

// ReplacePeers is SetPeers for peers that have become others: sessions that live with them know nothing of it, and are for the
// caller to close when the time has come. A negotiation that is under way is closed as soon as it has come to its end.
func (e *Engine) ReplacePeers(peers ...Peer) { e.peers.set(peers, true) }

// RemovePeers forgets the named peers. Their sessions are deleted at the peers, and a negotiation that is under way is once it
// has come to its end. Unknown names are ignored.
func (e *Engine) RemovePeers(names ...string) {
	e.peers.remove(names)
	for _, name := range names {
		e.Do(name, session.Close{Reason: session.AdminDown})
	}
}

// set keeps peers and returns those that were known.
func (d *directory) set(peers []Peer, replaced bool) (known []Peer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age++
	for _, p := range peers {
		_, ok := d.byName[p.Peer]
		if ok {
			known = append(known, p)
			d.changed[p.Peer] = d.age
		}
		if replaced || !ok { // there may have been another of this name
			d.replaced[p.Peer] = d.age
		}
		d.put(p)
	}
	d.index()
	return known
}

func (d *directory) remove(names []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age++
	for _, name := range names {
		delete(d.byName, name)
		delete(d.barred, name)
		delete(d.changed, name)
		delete(d.replaced, name)
	}
	left := d.order[:0]
	for _, name := range d.order {
		if _, ok := d.byName[name]; ok {
			left = append(left, name)
		}
	}
	d.order = left
	d.index()
}

// now is how old the directory is, in changes.
func (d *directory) now() uint64 {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.age
}

// since returns what is known of a peer now: whether that has changed since the directory was of this age, and whether what was
// made of it then can be used at all.
func (d *directory) since(name string, age uint64) (p Peer, changed, usable bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, known := d.byName[name]
	return p, d.changed[name] > age, known && d.replaced[name] <= age
}

// upToDate closes h, which has just come up, if its peer is another by now or gone, and reports whether it lives on. One that
// has merely changed is told to h.
func (s *shard) upToDate(now time.Time, h *handle) bool {
	p, changed, usable := s.e.peers.since(h.peer, h.asOf)
	switch {
	case !usable:
		s.e.log.Info("closing a session that began before its peer was configured otherwise", "peer", h.peer, ikeAttr(h.ike))
		s.close(now, h, session.Close{Reason: session.AdminDown})
		return false
	case changed:
		h.asOf = s.e.peers.now()
		s.step(now, h, func() session.Output { return h.session.Do(now, configure(p)) })
	}
	_, ours := s.handles[h]
	return ours
}
