package datapath

import "twinbore/tunnel/transport"

// slabSize is the room for sealed packets between two calls of the socket: a batch of superpackets.
const slabSize = batchSupers*maxPacket + maxPacket

// An outbox seals packets into a slab, one behind the other, so that those to one place form runs as the socket wants
// them: equal lengths, of which the last may be shorter.
//
//	slab      | 1472 | 1472 | 1472 | 316 | 96 | 96 | 96 | ...
//	messages  └──────── one run ────────┘└─── the next ───
type outbox struct {
	g        *Gateway
	worker   int    // whose sockets it sends by
	slab     []byte // sealed and not yet sent
	messages []transport.Message
	sock     *socket // that all are for
	lane     *lane   // of the last message; nil: it takes no more
	queued   int     // packets
	held     []ticket
	count    tally
	ours     bool  // it sends what Send is given
	whole    bool  // what it sends must not be fragmented on its way
	err      error // why a packet was lost last
}

// A tally is what was sealed for one tunnel and is not in its counters yet.
type tally struct {
	child   *child
	packets int
	octets  int
	at      int64 // unix nanoseconds
}

func newOutbox(g *Gateway, worker int, slab []byte) outbox {
	return outbox{
		g: g, worker: worker, slab: slab[:0], messages: make([]transport.Message, 0, batchSize), held: make([]ticket, 0, batchSize),
	}
}

// flush sends what is sealed, and lets others go on with the Child SAs it belongs to.
func (o *outbox) flush() {
	o.send()
	for _, k := range o.held {
		k.done()
	}
	o.held = o.held[:0]
}

// send sends the messages in their turn and empties the slab.
func (o *outbox) send() {
	o.settle(nil, 0)
	if len(o.messages) > 0 {
		o.held[0].await()                                  // the turn of the others has come already, see turn
		sent, err := o.sock.of(o.worker).Write(o.messages) // a send error is loss, and counted as such
		if err != nil {
			o.err = err
		}
		o.g.drops.addN(sendError, o.queued-sent)
	}
	o.messages, o.slab, o.lane, o.queued = o.messages[:0], o.slab[:0], nil, 0
}

// sealOne seals one packet. Octets behind it in its array may be used and are put back.
func (o *outbox) sealOne(c *child, l *lane, inner []byte, now int64) {
	seq, _, err := o.reserve(c, 1, 0, len(inner))
	if err == nil {
		err = o.seal(c, l, inner, nextOf(inner), tosOf(inner), seq, now)
	}
	if err != nil {
		o.err = err
		c.tunnel.drops.add(reasonOf(err))
	}
	o.watch(c)
}

// sealRun seals the packets of a superpacket.
func (o *outbox) sealRun(c *child, l *lane, cut *cutter, now int64) {
	n := cut.packets()
	each, last := cut.sizes()
	first, granted, err := o.reserve(c, n, each, last)
	next, tos := nextOf(cut.b), tosOf(cut.b)
	for i := range granted {
		if e := o.seal(c, l, cut.packet(i), next, tos, first+uint64(i), now); e != nil {
			c.tunnel.drops.add(reasonOf(e))
		}
	}
	if err != nil {
		c.tunnel.drops.addN(reasonOf(err), n-granted)
	}
	o.watch(c)
}

// reserve takes numbers for a run of packets, and the place in the order of c that goes with them.
func (o *outbox) reserve(c *child, n, each, last int) (first uint64, granted int, err error) {
	c.turn.join(o)
	first, granted, err = c.out.Reserve(n, each, last)
	c.turn.mu.Unlock()
	return first, granted, err
}

// watch has the end of a Child SA reported when it comes near.
func (o *outbox) watch(c *child) {
	if c.out.Spent() {
		o.g.chores.expire(c)
	}
}

func (o *outbox) seal(c *child, l *lane, inner []byte, next, tos uint8, seq uint64, now int64) error {
	most := len(inner) + headroom + tailroom // of which ESP takes less
	if o.sock != l.sock || len(o.slab)+most > cap(o.slab) || len(o.messages) == cap(o.messages) {
		o.send()
		o.sock = l.sock
	}
	start := len(o.slab)
	sealed, err := c.out.SealAs(o.slab, inner, next, seq)
	if err != nil {
		return err
	}
	o.slab = sealed
	o.post(l, tos, start)
	if o.count.child != c {
		o.settle(c, now)
	}
	o.count.packets++
	o.count.octets += len(inner)
	return nil
}

// post makes the packet at slab[start:] part of the last message, or a message of its own.
func (o *outbox) post(l *lane, tos uint8, start int) {
	n := len(o.slab) - start
	o.queued++
	if o.lane == l {
		m := &o.messages[len(o.messages)-1]
		if m.TOS == tos && n <= m.Stride && m.N+n <= transport.MaxRunLen && m.N < transport.MaxRun*m.Stride {
			m.N += n
			if n < m.Stride {
				o.lane = nil // only the last may be shorter
			}
			return
		}
	}
	o.lane = l
	o.messages = append(o.messages, transport.Message{Buf: o.slab[start:cap(o.slab)], N: n, Stride: n, TOS: tos, Whole: o.whole, Path: l.path})
}

// settle enters what was counted, and begins to count for c.
func (o *outbox) settle(c *child, now int64) {
	if t := &o.count; t.child != nil {
		sent := &t.child.tunnel.tx
		if o.ours {
			sent = &t.child.tunnel.ours
		}
		sent.add(t.packets, t.octets, t.at)
		if t.child.lastOut.Load() != t.at {
			t.child.lastOut.Store(t.at)
		}
	}
	o.count = tally{child: c, at: now}
}
