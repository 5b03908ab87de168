package ike

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A shard runs the sessions of some peers on one goroutine. Everything but inbox is that goroutine's.
type shard struct {
	e         *Engine
	inbox     *inbox
	handles   map[*handle]struct{}
	byPeer    map[string][]*handle // sessions that we began or whose peer is authenticated, oldest first
	deadlines deadlines
	closing   bool
}

func newShard(e *Engine) *shard {
	return &shard{e: e, inbox: newInbox(), handles: map[*handle]struct{}{}, byPeer: map[string][]*handle{}}
}

// run serves the inbox and the deadlines until ctx is done.
func (s *shard) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		var alarm <-chan time.Time
		if at, ok := s.deadlines.next(); ok {
			timer.Reset(time.Until(at))
			alarm = timer.C
		}
		select {
		case <-ctx.Done():
			return
		case <-s.inbox.ready:
		case <-alarm:
		}
		orders, mail := s.inbox.take()
		for _, o := range orders {
			s.obey(time.Now(), o)
		}
		for _, m := range mail {
			s.receive(time.Now(), m)
		}
		s.expire(time.Now())
	}
}

// receive gives one message to its session, wherever that is by now.
func (s *shard) receive(now time.Time, m mail) {
	h := m.to
	switch owner := s.e.table.owner(h); {
	case owner == nil: // it ended while the message waited
		s.e.dropped(now, dropUnknownSPI, m.on.Remote)
	case owner != s:
		s.e.deliver(now, owner, m)
	case h.session == nil && s.closing:
		s.e.dropped(now, dropClosing, m.on.Remote)
		s.e.table.forget(h)
	default:
		s.handles[h] = struct{}{}
		s.step(now, h, func() session.Output {
			if h.session == nil {
				h.began = now
				candidates := s.e.outfit(h, h.candidates...)
				for i := range candidates { // RFC 8019 §5: under attack what is half-open is kept for less long
					candidates[i].Hurried = s.e.table.crowded()
				}
				h.session = s.e.speaks.accept(candidates)
			}
			return h.session.Receive(now, m.msg, m.on)
		})
	}
}

// obey does what an order says.
func (s *shard) obey(now time.Time, o order) {
	switch cmd := o.cmd.(type) {
	case nil:
		if o.adopt != nil {
			s.adopt(now, o.adopt)
		} else if o.close {
			s.closeAll(now)
		}
	case session.Initiate:
		s.initiate(now, o.peer, cmd)
	case session.Close:
		for _, h := range slices.Clone(s.byPeer[o.peer]) {
			s.close(now, h, cmd)
		}
	default:
		for _, h := range slices.Clone(s.byPeer[o.peer]) {
			s.step(now, h, func() session.Output { return h.session.Do(now, cmd) })
		}
	}
}

// initiate begins a session with a peer unless one is alive. One that is up hears of it: its Child SA may be missing.
func (s *shard) initiate(now time.Time, name string, cmd session.Initiate) {
	for _, h := range slices.Clone(s.byPeer[name]) {
		if h.closing {
			continue
		}
		if h.up && h.yieldAt.IsZero() {
			s.step(now, h, func() session.Output { return h.session.Do(now, cmd) })
		}
		return
	}
	s.begin(now, name, cmd)
}

// begin makes a session of ours, be it the first with this peer or not.
func (s *shard) begin(now time.Time, name string, cmd session.Initiate) {
	asOf := s.e.peers.now() // before it is asked
	p, ok := s.e.peers.named(name)
	if !ok {
		s.e.log.Warn("asked to initiate to an unknown peer", "peer", name)
		return
	}
	p.InitialContact = len(s.byPeer[name]) == 0
	h := &handle{peer: name, asOf: asOf, began: now, children: map[esp.ChildID]bool{}}
	if s.closing || s.e.table.enter(h, s) != nil {
		return
	}
	s.handles[h] = struct{}{}
	s.byPeer[name] = append(s.byPeer[name], h)
	s.step(now, h, func() session.Output {
		h.session = s.e.speaks.open(s.e.outfit(h, p)[0])
		return h.session.Do(now, cmd)
	})
}

// close tells h's session to end, once; Quiet may still follow.
func (s *shard) close(now time.Time, h *handle, cmd session.Close) {
	if h.closing && !cmd.Quiet || h.session == nil {
		return
	}
	s.leave(h)
	s.step(now, h, func() session.Output { return h.session.Do(now, cmd) })
}

// closeAll ends every session: with a Delete where the peer has something to delete, quietly where it is only kept to
// give the same answer again, now or once its Delete is answered. One that is deleting already goes on with that.
func (s *shard) closeAll(now time.Time) {
	s.closing = true
	for _, h := range slices.SortedFunc(maps.Keys(s.handles), func(a, b *handle) int { return cmp.Compare(a.seq, b.seq) }) {
		halfOpen := h.candidates != nil && h.upAt.IsZero()
		s.close(now, h, session.Close{Quiet: halfOpen || h.lingers})
	}
}

// expire does what is due, each session once: one that wants to be woken in the past must not hold up the others.
func (s *shard) expire(now time.Time) {
	var due []*handle
	for at, ok := s.deadlines.next(); ok && !at.After(now); at, ok = s.deadlines.next() {
		h := s.deadlines[0]
		s.deadlines.unset(h)
		due = append(due, h)
	}
	for _, h := range due {
		if _, ours := s.handles[h]; !ours {
			continue
		}
		if !h.yieldAt.IsZero() && !h.yieldAt.After(now) {
			s.yield(now, h)
			continue
		}
		s.step(now, h, func() session.Output { return h.session.Expire(now) })
	}
}

// step lets a session do one thing and applies what comes of it. A fault ends this session and no other.
func (s *shard) step(now time.Time, h *handle, do func() session.Output) {
	if _, ours := s.handles[h]; !ours {
		return
	}
	defer func() {
		if cause := recover(); cause != nil {
			s.e.fault("session", h.peer, cause)
			s.bury(now, h)
		}
	}()
	s.apply(now, h, do())
}

// apply does what an Output says in the order of its fields.
func (s *shard) apply(now time.Time, h *handle, out session.Output) {
	err := s.change(h, out.Child)
	if !s.e.table.claim(h, out.Claim) {
		s.e.log.Error("a session drew an SPI that is taken", "peer", h.peer)
		s.bury(now, h)
		return
	}
	for _, d := range out.Send {
		s.send(h, d)
	}
	s.e.table.release(h, out.Release)
	wasUp := h.up
	for _, ev := range out.Events {
		ev = h.blocked(ev)
		s.note(h, ev)
		s.e.observe(ev)
	}
	if out.Done {
		s.forget(h)
		return
	}
	h.lingers = out.Lingers
	if h.wake = out.Wake; !h.wake.IsZero() && !h.wake.After(now) {
		h.wake = now.Add(time.Millisecond)
	}
	s.deadlines.set(h)
	switch {
	case err != nil && !h.closing:
		s.e.log.Error("data path refused a child", "peer", h.peer, "err", err)
		s.close(now, h, session.Close{Reason: session.DatapathError})
	case h.up && !wasUp:
		s.arrived(now, h)
	case out.Lingers && s.closing:
		s.close(now, h, session.Close{Quiet: true})
	case out.Renew != nil && h.keeps():
		s.renew(now, h, *out.Renew)
	}
}

// renew begins another session beside h. When it is up, h gives way to it.
func (s *shard) renew(now time.Time, h *handle, cmd session.Initiate) {
	s.e.log.Info("beginning another session: the peer replaces nothing in this one", "peer", h.peer, ikeAttr(h.ike))
	s.begin(now, h.peer, cmd)
}

// change brings the data path to where the session wants it. It goes on after an error, so that nothing is left
// half done that could be whole, and returns the first.
func (s *shard) change(h *handle, ops []session.ChildOp) (first error) {
	for _, op := range ops {
		var err error
		switch op.Op {
		case session.Install:
			if err = s.e.cfg.Dataplane.Install(op.Child); err == nil {
				h.children[op.ID] = true
			}
			clear(op.Child.In.Key) // the data path has made of them what it needs (RFC 7296 §2.12)
			clear(op.Child.Out.Key)
		case session.Activate:
			err = s.e.cfg.Dataplane.Activate(op.ID)
		case session.Remove:
			delete(h.children, op.ID)
			s.e.cfg.Dataplane.Remove(op.ID)
		case session.Move:
			s.e.cfg.Dataplane.Move(op.ID, op.Child.Path)
		}
		if err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (s *shard) send(h *handle, d session.Datagram) {
	var exchange wire.ExchangeType
	if head, err := wire.ParseHeader(d.Bytes); err == nil {
		exchange = head.Exchange
		h.authSent = h.authSent || exchange == wire.IKEAuth && !head.Response()
	}
	h.sent(s.e.send(d.Bytes, exchange, d.Path))
}

// note keeps what the engine itself must know of an event.
func (s *shard) note(h *handle, ev session.Event) {
	switch ev.Kind {
	case session.IKEUp:
		h.up, h.upAt, h.ike, h.peer = true, ev.Time, ev.IKE, ev.Peer
		s.e.table.authenticated(h)
	case session.IKEDown:
		h.down = true
		s.leave(h)
	}
}

// bury ends a session that can no longer be trusted to end itself: what it has in the data path goes, and whoever
// watches is told.
func (s *shard) bury(now time.Time, h *handle) {
	s.forget(h)
	ev := session.Event{Kind: session.ChildDown, Time: now, Peer: h.peer, IKE: h.ike, Reason: session.DatapathError,
		Hint: "a fault in this program: see the log"}
	for _, id := range slices.Sorted(maps.Keys(h.children)) {
		s.e.cfg.Dataplane.Remove(id)
		if h.children[id] {
			ev.Child = session.ChildInfo{ID: id, SPIIn: esp.SPI(id)}
			s.e.observe(ev)
		}
	}
	if h.down {
		return
	}
	ev.Child = session.ChildInfo{}
	if ev.Kind = session.IKEDown; h.upAt.IsZero() {
		ev.Kind, ev.IKE.Initiator = session.Failed, h.candidates == nil
	}
	s.e.observe(ev)
}

// forget ends what the engine knows of h.
func (s *shard) forget(h *handle) {
	s.leave(h)
	s.deadlines.unset(h)
	delete(s.handles, h)
	if rest := slices.DeleteFunc(s.byPeer[h.peer], func(o *handle) bool { return o == h }); len(rest) > 0 {
		s.byPeer[h.peer] = rest
	} else {
		delete(s.byPeer, h.peer)
	}
	s.e.table.forget(h)
}

// outfit gives peers what their sessions take from the engine where the configuration leaves it open.
func (e *Engine) outfit(h *handle, peers ...Peer) []Peer {
	peers = slices.Clone(peers)
	for i := range peers {
		p := &peers[i]
		if p.Rand == nil {
			p.Rand = e.rand
		}
		alloc := p.AllocSPI
		if alloc == nil {
			alloc = e.cfg.Dataplane.AllocSPI
		}
		p.AllocSPI = func() esp.SPI { // noted, so that a session that ends by a fault gives it back
			spi := alloc()
			h.children[esp.ChildID(spi)] = false
			return spi
		}
		if p.LastInbound == nil {
			p.LastInbound = e.cfg.Dataplane.LastInbound
		}
	}
	return peers
}
