package ike

import (
	"cmp"
	"encoding/binary"
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"twinbore/ike/ikev2"
	"twinbore/ike/session"
)

// A Peer is one tunnel's far end: what its sessions need to know, and the addresses that it may have.
type Peer struct {
	ikev2.Config

	// LocalAddrs and RemoteAddrs are outer addresses that a first message may come to and from; empty means any.
	// An address in RemoteAddrs has room of its own when half-open sessions are counted.
	LocalAddrs, RemoteAddrs []netip.Addr
}

// A directory finds peers. It is asked by the demultiplexer and by every shard, and told by whoever calls the engine.
type directory struct {
	mu       sync.RWMutex // guards what follows
	byName   map[string]Peer
	byRemote map[netip.Addr][]Peer
	anywhere []Peer // no address of their own
	barred   map[string]bool
	order    []string // names, as they came
	age      uint64   // how often peers have changed
	changed  map[string]uint64
	replaced map[string]uint64 // age at which what sessions are made of has become another; both: no entry for never
}

func newDirectory(peers []Peer) *directory {
	d := &directory{byName: map[string]Peer{}, barred: map[string]bool{}, changed: map[string]uint64{}, replaced: map[string]uint64{}}
	for _, p := range peers {
		d.put(p)
	}
	d.index()
	return d
}

// put keeps p without making it findable by address. The caller holds mu.
func (d *directory) put(p Peer) {
	if _, known := d.byName[p.Peer]; !known {
		d.order = append(d.order, p.Peer)
	}
	d.byName[p.Peer] = p
}

// index makes the lists by address anew, because readers may hold the old ones. The caller holds mu.
func (d *directory) index() {
	d.byRemote, d.anywhere = map[netip.Addr][]Peer{}, nil
	for _, name := range d.order {
		p := d.byName[name]
		for _, a := range p.RemoteAddrs {
			a = plain(a)
			d.byRemote[a] = append(d.byRemote[a], p)
		}
		if len(p.RemoteAddrs) == 0 {
			d.anywhere = append(d.anywhere, p)
		}
	}
}

// plain makes equal addresses compare as such.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

func (d *directory) named(name string) (Peer, bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	p, ok := d.byName[name]
	return p, ok
}

// configured reports whether a peer is expected at this very address.
func (d *directory) configured(remote netip.Addr) bool { return len(d.at(remote)) > 0 }

// at returns who is expected at this very address, for reading.
func (d *directory) at(remote netip.Addr) []Peer {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.byRemote[plain(remote)]
}

// match returns who a first message between these addresses may be from: those who are expected at the address before
// those who may be anywhere, each in the order of the configuration. The identity decides among them later.
func (d *directory) match(local, remote netip.Addr) []Peer {
	local, remote = plain(local), plain(remote)
	d.mu.RLock()
	defer d.mu.RUnlock()
	var out []Peer
	for _, p := range slices.Concat(d.byRemote[remote], d.anywhere) {
		if len(p.LocalAddrs) == 0 || slices.ContainsFunc(p.LocalAddrs, func(a netip.Addr) bool { return plain(a) == local }) {
			out = append(out, p)
		}
	}
	return out
}

// bar says whether a peer that begins is answered.
func (d *directory) bar(name string, barred bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if barred {
		d.barred[name] = true
	} else {
		delete(d.barred, name)
	}
}

// admitted returns those of candidates, which are the caller's, that are not barred.
func (d *directory) admitted(candidates []Peer) []Peer {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return slices.DeleteFunc(candidates, func(p Peer) bool { return d.barred[p.Peer] })
}

// Two ends that both initiate make two IKE SAs where one is wanted, and RFC 7296 says nothing about it. The rule here:
// of two that came up within simultaneous of each other, both ends let go of the one whose SPIs are lower; of two
// further apart the older one. Who goes waits first, so that traffic has moved, and its initiator waits less, so
// that one end deletes it and not both at once.
const (
	simultaneous = 10 * time.Second
	yieldOwn     = time.Second
	yieldOther   = 10 * time.Second
)

// arrived is called when h's peer has just been authenticated. It takes h to the shard that owns the peer.
func (s *shard) arrived(now time.Time, h *handle) {
	home := s.e.shardOf(h.peer)
	if home == s {
		s.adopt(now, h)
		return
	}
	s.deadlines.unset(h)
	delete(s.handles, h)
	home.inbox.order(order{adopt: h})
	s.e.table.move(h, home) // after the order: mail that follows finds h adopted
}

// adopt takes a session that is up among those of its peer.
func (s *shard) adopt(now time.Time, h *handle) {
	s.handles[h] = struct{}{}
	s.deadlines.set(h)
	if !slices.Contains(s.byPeer[h.peer], h) {
		s.byPeer[h.peer] = append(s.byPeer[h.peer], h)
	}
	if s.closing {
		s.close(now, h, session.Close{})
		return
	}
	if !s.upToDate(now, h) {
		return
	}
	s.rival(now, h)
}

// rival decides what becomes of the other sessions of h's peer, now that h is up.
func (s *shard) rival(now time.Time, h *handle) {
	for _, o := range slices.Clone(s.byPeer[h.peer]) {
		switch {
		case o == h || o.closing:
		case !o.up && !o.authSent:
			// At the peer it is half-open at most, and a second one is not needed any more.
			s.close(now, o, session.Close{Quiet: true, Reason: session.AdminDown})
		case o.up && h.ike.InitialContact && !h.began.Before(o.upAt):
			// The peer began h after o was up and yet knows of no other: it has lost o (RFC 7296 §2.4). Had it begun h
			// before, both would have initiated at once, and its word would be older than o.
			s.close(now, o, session.Close{Quiet: true, Reason: session.PeerDeleted})
		}
	}
	for _, o := range s.byPeer[h.peer] {
		if o != h && o.keeps() {
			s.contend(now, o, h)
			return
		}
	}
}

// contend lets one of two sessions that are up give way: old, which came up before, or fresh.
func (s *shard) contend(now time.Time, old, fresh *handle) {
	loser := old
	wait := yieldOwn
	if fresh.upAt.Sub(old.upAt) < simultaneous {
		if c := cmp.Or(cmp.Compare(fresh.ike.SPIi, old.ike.SPIi), cmp.Compare(fresh.ike.SPIr, old.ike.SPIr)); c < 0 {
			loser = fresh
		}
		if loser.ike.Initiator {
			wait += s.jitter(yieldOwn / 2)
		} else {
			wait = yieldOther
		}
	}
	loser.yieldAt = now.Add(wait)
	s.deadlines.set(loser)
}

// yield closes h because another session of its peer stays, if one still does.
func (s *shard) yield(now time.Time, h *handle) {
	h.yieldAt = time.Time{}
	s.deadlines.set(h)
	if slices.ContainsFunc(s.byPeer[h.peer], func(o *handle) bool { return o != h && o.keeps() }) {
		s.e.log.Info("closing one of two sessions with the same peer", "peer", h.peer, ikeAttr(h.ike))
		s.close(now, h, session.Close{Reason: session.AdminDown})
	}
}

// keeps reports whether h is the session that its peer's others give way to.
func (h *handle) keeps() bool { return h.up && !h.closing && h.yieldAt.IsZero() }

// leave takes h out of those that count as alive. If others were giving way to it, the youngest of them stays.
func (s *shard) leave(h *handle) {
	if h.closing {
		return
	}
	kept := h.keeps()
	h.closing, h.up, h.yieldAt = true, false, time.Time{}
	var heir *handle
	for _, o := range s.byPeer[h.peer] {
		if kept && o.up && !o.closing && (heir == nil || o.upAt.After(heir.upAt)) {
			heir = o
		}
	}
	if heir != nil {
		heir.yieldAt = time.Time{}
		s.deadlines.set(heir)
	}
}

// jitter returns a random duration below limit.
func (s *shard) jitter(limit time.Duration) time.Duration {
	var b [8]byte
	if _, err := io.ReadFull(s.e.rand, b[:]); err != nil {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(b[:]) % uint64(limit))
}
