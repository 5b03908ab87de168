package datapath

import (
	"sync/atomic"
	"time"

	"twinbore/esp"
)

// Traffic is what a tunnel has carried since it was configured, whatever Child SAs it had meanwhile.
type Traffic struct {
	RxPackets, RxBytes uint64    // inner packets and octets taken from the tunnel
	TxPackets, TxBytes uint64    // sealed and given to the socket
	LastRx, LastTx     time.Time // zero: never
	MTU                int       // inner MTU of the Child SA in use; 0: none
	Drops              map[string]uint64
	// LatePackets of the drops, as "replay" or "auth", bore numbers below the replay window; LateBy is how far below the
	// newest the furthest of them was.
	LatePackets, LateBy uint64
}

// late adds up what several Child SAs say of packets below their replay windows.
type late struct{ packets, by uint64 }

func (l *late) add(in *esp.Inbound) {
	packets, by := in.Late()
	l.packets += packets
	l.by = max(l.by, by)
}

// Traffic returns the counters of the tunnel "connection/tunnel"; all are zero for a tunnel that is not known.
func (g *Gateway) Traffic(peer string) Traffic {
	g.mu.Lock()
	t := g.peers[peer]
	var old late
	if t != nil {
		old = t.late
		for _, c := range t.children {
			old.add(c.in)
		}
	}
	g.mu.Unlock()
	out := Traffic{Drops: map[string]uint64{}}
	if t == nil {
		return out
	}
	out.RxPackets, out.RxBytes, out.LastRx = t.rx.read()
	out.TxPackets, out.TxBytes, out.LastTx = t.tx.read()
	packets, bytes, last := t.ours.read()
	out.TxPackets, out.TxBytes = out.TxPackets+packets, out.TxBytes+bytes
	if last.After(out.LastTx) {
		out.LastTx = last
	}
	out.MTU = t.mtu()
	t.drops.addTo(out.Drops)
	out.LatePackets, out.LateBy = old.packets, old.by
	return out
}

func (f *flow) read() (packets, bytes uint64, last time.Time) {
	return f.packets.Load(), f.bytes.Load(), timeOf(&f.last)
}

// timeOf reads unix nanoseconds, of which 0 means never.
func timeOf(at *atomic.Int64) time.Time {
	if at := at.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Drops returns all dropped packets by reason: of all tunnels, those that belong to none, and what the sockets and the
// devices' queues ("tun_queue") lost before the Gateway saw it. The counts never go down while the device is there.
func (g *Gateway) Drops() map[string]uint64 {
	total := map[string]uint64{}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drops.addTo(total)
	for _, t := range g.peers {
		t.drops.addTo(total)
	}
	for _, d := range g.domains {
		if lost := d.queues[0].Lost(); lost != 0 {
			total["tun_queue"] += lost
		}
	}
	for _, s := range g.sockets {
		for _, member := range s.group {
			lost := member.Drops()
			for reason, n := range map[string]uint64{"overflow": lost.Overflow, "truncated": lost.Truncated, "group": lost.Group, "fragment": lost.Fragment} {
				if n != 0 {
					total[reason] += n
				}
			}
		}
	}
	return total
}

// Stats counts what the data path did to packets besides moving them.
type Stats struct {
	MSSClamped    uint64 // TCP SYNs whose segment size was lowered
	TooBigAnswers uint64 // ICMP "fragmentation needed" and "packet too big" sent to the inside
	Fragments     uint64 // inner fragments made
	Superpackets  uint64 // from the device, cut into packets here
	Joined        uint64 // superpackets made of packets from tunnels, and given to the device
	JoinRefused   uint64 // of these, those the device did not take and got packet by packet
	KeepalivesOut uint64 // NAT keepalives sent
	KeepalivesIn  uint64 // NAT keepalives received
}

type stats struct {
	clamped, tooBigAnswers, fragments, superpackets, joined, joinRefused, keepalives, keepalivesIn atomic.Uint64
}

// Stats returns the counts since New.
func (g *Gateway) Stats() Stats {
	s := &g.stats
	return Stats{
		MSSClamped: s.clamped.Load(), TooBigAnswers: s.tooBigAnswers.Load(), Fragments: s.fragments.Load(),
		Superpackets: s.superpackets.Load(), Joined: s.joined.Load(), JoinRefused: s.joinRefused.Load(),
		KeepalivesOut: s.keepalives.Load(), KeepalivesIn: s.keepalivesIn.Load(),
	}
}
