package datapath

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"
)

// Firewalls and load balancers behind a peer that has two tunnels want to see both directions of a flow by one of them. So
// an answer leaves by the tunnel by which its flow came in (return_path: follow-peer), also where that is not the chosen
// one. Kept are such flows alone: where both ends choose alike nothing is written, and nothing looked up.
const (
	followSets = 1024 // times followWays flows of each connection, in 64 KB
	followWays = 4
	followFor  = 60 * 10                // tenths of a second since the flow was last used
	followTick = 100 * time.Millisecond // what the clock of the slots counts

	// A flow that came by another tunnel is held to it for so long, and some tenths more that are others each time: two
	// gateways that follow each other at once would change places for ever.
	followFirm   = 10 // tenths of a second since it was last heard there
	followSpread = 11
)

// A followed remembers by which tunnels flows of a connection came in. Its size is fixed: in a flood the flows that were unused
// longest are overwritten. It belongs to a list of tunnels, which it counts by. Safe for concurrent use without a lock; what goes
// wrong when two write one slot is that a flow takes the chosen tunnel.
type followed struct {
	tunnels []*tunnel
	secret  uint64       // so that nobody can reckon in advance which flows push out which
	until   atomic.Int64 // unix nanoseconds; nothing that is in here counts after it
	slots   atomic.Pointer[[followSets * followWays]followSlot]
}

// A followSlot is one flow, by its answers.
//
//	way:  63      32 31     8 7      0
//	      | of flow |  term  | tunnel |     0: never used
type followSlot struct {
	way         atomic.Uint64
	heard, used atomic.Uint32 // by the clock of tick
}

// tick is the time in the slots, which returns to 0 every 13 years.
func tick(now int64) uint32 { return uint32(now / int64(followTick)) }

// since returns how long before at then was, in the same unit. Two workers' clocks may be some tenths apart.
func since(then, at uint32) int32 { return int32(at - then) }

func newFollowed(tunnels []*tunnel) *followed {
	return &followed{tunnels: tunnels, secret: rand.Uint64()}
}

// live reports whether anything that is in f may count.
func (f *followed) live(now int64) bool { return now < f.until.Load() }

// set returns the slots in which a flow may be.
func (f *followed) set(slots *[followSets * followWays]followSlot, flow uint64) []followSlot {
	at := flow % followSets * followWays
	return slots[at : at+followWays]
}

// tunnelOf returns the tunnel that the packet p, which leaves, follows its flow to; nil: it has no need to.
func (f *followed) tunnelOf(p *packet, k *choice, now int64) *tunnel {
	slots := f.slots.Load()
	if slots == nil {
		return nil
	}
	flow, at := p.flowHash(f.secret), tick(now)
	set := f.set(slots, flow)
	for i := range set {
		slot := &set[i]
		way := slot.way.Load()
		if uint32(way>>32) != markOf(flow) || since(slot.used.Load(), at) > followFor {
			continue
		}
		t := f.leads(way, k)
		if t != nil && slot.used.Load() != at {
			slot.used.Store(at)
			f.extend(now)
		}
		return t
	}
	return nil
}

// markOf is what tells a flow from the others in its set; never 0.
func markOf(flow uint64) uint32 { return uint32(flow>>32) | 1 }

// leads returns the tunnel of a slot, or nil for one that is fit for nothing now or was so since it was written.
func (f *followed) leads(way uint64, k *choice) *tunnel {
	i := int(way & 0xff)
	if i >= len(f.tunnels) {
		return nil
	}
	if t := f.tunnels[i]; uint32(way)>>8 == t.term.Load()&0xffffff && k.fit(t) && t.canSend() {
		return t
	}
	return nil
}

// note is told that a packet of a flow came in by a tunnel. Most often that is the one by which answers leave, and no flow
// is remembered; then it returns at once.
func (f *followed) note(p *packet, t *tunnel, k *choice, now int64) {
	if len(k.tunnels) == 1 && k.tunnels[0] == t && !f.live(now) || len(f.tunnels) < 2 {
		return
	}
	f.remember(p, t, k, now)
	if p.cut && !p.hidden && (p.proto == protoTCP || p.proto == protoUDP) { // the first fragment: answers may be whole
		whole := *p
		whole.flowing = true
		f.remember(&whole, t, k, now)
	}
}

func (f *followed) remember(p *packet, t *tunnel, k *choice, now int64) {
	answer := *p
	answer.src, answer.dst, answer.sport, answer.dport = p.dst, p.src, p.dport, p.sport
	home := k.pick(&answer) == t
	i := slices.Index(f.tunnels, t)
	if home && !f.live(now) || !k.fit(t) || i < 0 || i > 0xff {
		return
	}
	flow, at := answer.flowHash(f.secret), tick(now)
	way := uint64(markOf(flow))<<32 | uint64(t.term.Load()&0xffffff)<<8 | uint64(i)
	slot := f.find(flow, at, k)
	switch {
	case slot == nil && home:
	case slot == nil:
		f.enter(flow, way, at, now)
	case slot.way.Load() != way && slot.firm(flow, at):
		// it comes by two tunnels at a time, and stays with the first
	case home:
		slot.way.Store(0)
	default:
		slot.put(way, at)
		f.extend(now)
	}
}

// find returns the slot of a flow that counts, or nil.
func (f *followed) find(flow uint64, at uint32, k *choice) *followSlot {
	slots := f.slots.Load()
	if slots == nil {
		return nil
	}
	set := f.set(slots, flow)
	for i := range set {
		way := set[i].way.Load()
		if uint32(way>>32) == markOf(flow) && since(set[i].used.Load(), at) <= followFor && f.leads(way, k) != nil {
			return &set[i]
		}
	}
	return nil
}

// enter gives a flow the slot that was unused longest. The slots are made when the first is needed.
func (f *followed) enter(flow, way uint64, at uint32, now int64) {
	slots := f.slots.Load()
	if slots == nil {
		f.slots.CompareAndSwap(nil, new([followSets * followWays]followSlot))
		slots = f.slots.Load()
	}
	set := f.set(slots, flow)
	oldest := &set[0]
	for i := range set {
		slot := &set[i]
		have := slot.way.Load()
		if have == 0 || uint32(have>>32) == markOf(flow) {
			oldest = slot
			break
		}
		if since(slot.used.Load(), at) > since(oldest.used.Load(), at) {
			oldest = slot
		}
	}
	oldest.put(way, at)
	f.extend(now)
}

// firm reports whether the flow is held to the tunnel it was heard by.
func (s *followSlot) firm(flow uint64, at uint32) bool {
	heard := s.heard.Load()
	return since(heard, at) < followFirm+int32(mix(flow, uint64(heard))%followSpread)
}

func (s *followSlot) put(way uint64, at uint32) {
	s.heard.Store(at)
	s.used.Store(at)
	s.way.Store(way)
}

// extend makes f live for as long as what was used now.
func (f *followed) extend(now int64) {
	end := now + (followFor+1)*int64(followTick)
	if have := f.until.Load(); have < end-int64(time.Second) {
		f.until.Store(end)
	}
}
