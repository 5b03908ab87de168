package daemon

import (
	"context"
	"sync"
	"time"

	"twinbore/config"
	"twinbore/ike/session"
	"twinbore/tunnel"
	"twinbore/tunnel/netstack"
)

// What comes into the loop by mail of a tunnel's health.
type (
	pinged struct { // a ping of the connection's logic was answered
		peer   string
		number uint16
		rtt    time.Duration
	}
	vouched struct{ peer string } // the peer has answered an IKE request after it was asked to
	doubted struct{ peer string } // the peer pings us, or repeats an IKE request
)

// pingSize is how many octets of data a ping has, as everybody's.
const pingSize = 56

// healthOf enters into logic how the tunnels of a connection are looked after.
func healthOf(c config.Connection, logic *tunnel.Config) {
	logic.ActiveActive, logic.IdleTimeout = c.HA.Mode == config.ActiveActive, c.IdleTimeout
	if on, lenient := c.KeepsAlive(); on {
		logic.Keepalive = tunnel.Keepalive{Interval: c.Keepalive.Interval, LossDown: c.Keepalive.LossDown, Lenient: lenient}
	}
	for i, t := range c.Tunnels {
		logic.Tunnels[i].Ping = c.PingTarget(t)
	}
}

// A ledger is what the loop is told of tunnels from other goroutines and need not know at once.
type ledger struct {
	mu    sync.Mutex           // guards the rest
	own   map[string]uint64    // packets that came for the gateway itself, by peer
	asked map[string]bool      // who is to answer an IKE request
	doubt map[string]time.Time // when the peer last asked whether we are there
}

func newLedger() *ledger {
	return &ledger{own: map[string]uint64{}, asked: map[string]bool{}, doubt: map[string]time.Time{}}
}

// doubtAgain is how often it is told that a peer asks whether we are there.
const doubtAgain = 100 * time.Millisecond

// doubts notes that a peer asks whether we are there, and reports whether it is to be told.
func (g *ledger) doubts(peer string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now.Sub(g.doubt[peer]) < doubtAgain {
		return false
	}
	g.doubt[peer] = now
	return true
}

// count notes a packet for the gateway itself.
func (g *ledger) count(peer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.own[peer]++
}

func (g *ledger) counted(peer string) uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.own[peer]
}

// ask notes that an answer of peer's is waited for.
func (g *ledger) ask(peer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked[peer] = true
}

// answers reports whether ev is the answer that is waited for, which it then is no longer. Only an answer shows that packets pass
// both ways, and of these exchanges only the peer can have sent it.
func (g *ledger) answers(ev session.Event) bool {
	if ev.Kind != session.Message || ev.Sent || !ev.Answer || ev.Exchange != "INFORMATIONAL" && ev.Exchange != "CREATE_CHILD_SA" {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	waited := g.asked[ev.Peer]
	delete(g.asked, ev.Peer)
	return waited
}

// repeated reports whether ev is an IKE request that the peer sends once more, as our answer has not reached it.
func repeated(ev session.Event) bool {
	return ev.Kind == session.Message && !ev.Sent && !ev.Answer && ev.Again && ev.Peer != ""
}

// forget drops what is noted of a tunnel that has no Child SA.
func (g *ledger) forget(peer string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.own, peer)
	delete(g.asked, peer)
	delete(g.doubt, peer)
}

// hear is the data path's: a packet for the gateway itself.
func (d *Daemon) hear(peer string, packet []byte) bool {
	asks := netstack.IsEchoRequest(packet) // before the stack makes the answer of it
	if !d.stack.Control(peer, packet) {
		return false
	}
	d.ledger.count(peer)
	if asks && d.ledger.doubts(peer, time.Now()) {
		d.mail.post(doubted{peer})
	}
	return true
}

// answered is the stack's: something came back for a ping.
func (d *Daemon) answered(a netstack.Answer) {
	if a.Verdict == netstack.Reply {
		d.mail.post(pinged{a.Peer, a.Seq, a.RTT})
	}
}

// probe asks a tunnel's peer. A ping that cannot be sent is lost like one that nobody answers.
func (l *loop) probe(c *connection, cmd tunnel.ProbeCommand) {
	e := c.ends[cmd.Tunnel]
	switch cmd.Way {
	case tunnel.Ping:
		if err := l.pings.Send(netstack.Ping{Peer: e.peer, Target: cmd.Target, Seq: cmd.Number, Size: pingSize}); err != nil {
			l.log.Debug("ping not sent", "peer", e.peer, "err", err)
		}
	case tunnel.Liveness:
		l.ledger.ask(e.peer)
		l.engine.Do(e.peer, session.Probe{})
	}
}

// fact tells a connection something of one of its tunnels, if it is still there.
func (l *loop) fact(ctx context.Context, now time.Time, peer string, ev tunnel.Event) {
	if e := l.ends[peer]; e != nil {
		ev.Tunnel = e.index
		l.tell(ctx, now, e.conn, ev)
	}
}

// inquired is told when a peer asks whether we are there. It means something only while packets of ours leave, which should have
// told the peer.
func (l *loop) inquired(ctx context.Context, now time.Time, peer string) {
	if l.ends[peer] != nil && now.Sub(l.gateway.Signs(peer).LastTx) <= stillSending {
		l.fact(ctx, now, peer, tunnel.Event{Kind: tunnel.Doubted})
	}
}

// watchFrom sees to it that a connection's packets are looked at, as a tunnel of it has come to carry them.
func (l *loop) watchFrom(now time.Time, c *connection) {
	c.lookAt, c.lookPace = time.Time{}, lookQuick
	l.watchAt = sooner(l.watchAt, now.Add(lookQuick))
}

// watch looks at the packets of the connections that it is time for, and plans the next look: a busy connection's comes soon, an
// idle one's with others' of about the same time. There is none while no tunnel has Child SAs.
func (l *loop) watch(ctx context.Context, now time.Time) {
	l.watchAt = time.Time{}
	for _, c := range l.conns {
		if now.Add(lookQuick).Before(c.lookAt) {
			l.watchAt = sooner(l.watchAt, c.lookAt)
			continue
		}
		before := c.lookedAt
		c.lookedAt, c.lookPace = now, max(lookQuick, min(2*c.lookPace, lookSlow))
		alive, busy, silence := l.feel(ctx, now, before, c)
		if busy {
			c.lookPace = lookQuick
		}
		if c.lookAt = (time.Time{}); alive {
			c.lookAt = sooner(now.Add(c.lookPace), silence)
		}
		l.watchAt = sooner(l.watchAt, c.lookAt)
	}
}

// feel looks at the packets of one connection and tells it what they mean. silence is when it would be told of one.
func (l *loop) feel(ctx context.Context, now, before time.Time, c *connection) (alive, busy bool, silence time.Time) {
	var sent, data uint64
	for i, e := range c.ends {
		w := c.logic.Watch(i)
		if !w.Alive {
			if e.pulse.felt {
				e.pulse = pulse{}
				l.ledger.forget(e.peer)
			}
			continue
		}
		if alive = true; !e.pulse.felt {
			c.used = now
		}
		b := e.pulse.look(now, before, l.gateway.Signs(e.peer), l.ledger.counted(e.peer))
		busy = busy || w.Draining || e.pulse.busy(now)
		if b.sent+b.data > 0 {
			c.used = now
		}
		sent, data = sent+b.sent, data+b.data
		switch {
		case b.came > 0 && !e.pulse.told.IsZero(), b.data > 0 && w.Draining:
			e.pulse.told = time.Time{}
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Heard, Tunnel: i})
		default:
			at := e.pulse.silence(now, w.RTT)
			if at.IsZero() || at.After(now) {
				silence = sooner(silence, at)
				break
			}
			e.pulse.told = now
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Silent, Tunnel: i})
		}
	}
	c.balance.look(now, sent, data)
	if alive {
		l.followPeer(ctx, now, c)
		if idle := c.logic.IdleTimeout(); idle > 0 && now.Sub(c.used) >= idle {
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.Idle})
		}
	}
	return alive, busy, silence
}

// followPeer tells a connection by which tunnel its peer sends now, if that is not the one tunnel by which we do.
func (l *loop) followPeer(ctx context.Context, now time.Time, c *connection) {
	ours := -1
	for i := range c.ends {
		if c.logic.Watch(i).Active {
			if ours >= 0 {
				return
			}
			ours = i
		}
	}
	for i, e := range c.ends {
		if ours >= 0 && i != ours && e.pulse.replaces(&c.ends[ours].pulse, now) {
			e.pulse.followed = true
			l.tell(ctx, now, c, tunnel.Event{Kind: tunnel.PeerMoved, Tunnel: i})
			return
		}
	}
}
