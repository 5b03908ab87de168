package tunnel

import "time"

// How a tunnel is looked at. A path longer than these are meant for gets more time, by its round trip.
const (
	suspectTries = 3                       // questions on each way before silence is believed
	suspectStep  = 150 * time.Millisecond  // between them
	doubtStep    = 100 * time.Millisecond  // where the peer has heard nothing for a while already, and its round trip is known
	doubtAfter   = 10 * time.Millisecond   // the peer's question may be one of several that come together, and is answered first
	helloAfter   = 1250 * time.Millisecond // a Child SA has come: by then the peer has it, too
	helloPings   = 3                       // at most: does the peer answer any?
	goodPings    = 3                       // answers in a row until a tunnel that was lost is UP
	pingWait     = time.Second             // for an answer
	quickLooks   = 10                      // unanswered pings, one a second, until a lost tunnel is looked at less often
	slowLook     = 10 * time.Second        // where no keepalive says how often
	trust        = time.Second             // after IKE alone has vouched for a silent tunnel, before it is looked at again
)

// A phase says what is believed of a tunnel that has a Child SA.
type phase uint8

const (
	calm      phase = iota // packets pass, as far as anybody knows
	suspected              // ours leave and none comes back: the peer is being asked
	gone                   // it did not answer
)

// What a person reads of a tunnel that is gone, besides ProbeLost's own hint for a keepalive.
const (
	whySilent  = "packets go out and nothing comes back, of IKE neither: check the path to the peer"
	whyDeaf    = "what the peer sends arrives, and nothing of ours is answered: check the path from here to the peer"
	whyESPLost = "the peer answers IKE, but nothing comes back through the tunnel: check that ESP passes both ways, protocol 50 or UDP 4500"
)

// health is what is known of whether a tunnel's packets arrive.
type health struct {
	phase  phase
	deaf   bool      // of suspected: it is the peer that may not hear us, so only an answer clears it
	since  time.Time // of gone
	why    string    // of gone
	strict bool      // of gone: a keepalive says so, and the tunnel is DOWN even if there is no other

	due    time.Time // the last question has had its time, or the next is to be asked; zero: none is
	open   bool      // the last question has no answer yet
	sentAt time.Time // it was asked
	number uint16    // of the last ping
	pings  tally

	hello   int  // pings left to find out whether the peer answers any
	answers bool // it has, since the tunnel came up: now an answer that does not come means something
	tries   int  // asked on suspicion
	ike     bool // IKE has answered since
	misses  int  // in a row
	good    int  // answers in a row while gone
	rtt     time.Duration
	trusted time.Time // silence means nothing before
	settled time.Time // and no doubt does before
}

// begin forgets what was known of the Child SAs before. The path is likely the same.
func (h *health) begin(now time.Time, ping bool) {
	*h = health{rtt: h.rtt, number: h.number}
	if ping {
		h.hello, h.due = helloPings, now.Add(helloAfter)
	}
}

// pings reports whether a tunnel can be pinged.
func (c *Connection) pings(i int) bool { return c.cfg.Tunnels[i].Ping.IsValid() }

// keeps reports whether a tunnel is pinged all the time.
func (c *Connection) keeps(i int) bool { return c.pings(i) && c.cfg.Keepalive.Interval > 0 }

// reconsider fits what is known of a tunnel to another configuration.
func (c *Connection) reconsider(now time.Time, i int) {
	h := &c.tunnels[i].health
	h.strict = h.strict && c.keeps(i)
	if h.phase == calm && c.keeps(i) && (h.due.IsZero() || h.due.Sub(now) > c.cfg.Keepalive.Interval) {
		h.due = now
	}
}

// judges reports whether pings without an answer take a tunnel down by themselves.
func (c *Connection) judges(i int) bool {
	return c.keeps(i) && (c.tunnels[i].health.answers || !c.cfg.Keepalive.Lenient)
}

// suspect begins to ask whether a tunnel that only we send by still leads anywhere.
func (c *Connection) suspect(now time.Time, t *facts) {
	h := &t.health
	if t.up && !t.draining && h.phase == calm && !now.Before(h.trusted) {
		h.phase, h.tries, h.ike, h.due = suspected, 0, false, now
	}
}

// doubt begins to ask whether a tunnel leads anywhere by which the peer's packets may be coming all the time: its own way back can be
// cut alone. An answer is the only thing that shows that ours arrive.
func (c *Connection) doubt(now time.Time, t *facts) {
	h := &t.health
	if h.phase != suspected && !now.Before(h.settled) {
		c.suspect(now, t)
		if h.phase == suspected {
			h.deaf, h.due = true, now.Add(doubtAfter)
		}
	}
}

// check asks what is to be asked of a tunnel now, and draws the conclusions from what was not answered in time.
func (c *Connection) check(now time.Time, i int, out *Output) {
	t := &c.tunnels[i]
	h := &t.health
	if !t.alive || t.draining || h.due.IsZero() || now.Before(h.due) {
		return
	}
	switch h.phase {
	case calm:
		c.keepAlive(now, i, out)
	case suspected:
		if h.tries == suspectTries {
			c.conclude(now, i, out)
			return
		}
		h.tries++
		if c.pings(i) {
			c.ping(now, i, out)
		}
		if h.tries > 1 || !h.answers { // traffic that nobody answers is common, and a ping is cheaper for a peer that answers it
			c.askIKE(now, i, out)
		}
		step := suspectStep
		if h.deaf && h.rtt > 0 {
			step = doubtStep
		}
		h.due = now.Add(max(step, h.rtt*2/3))
	case gone:
		c.look(now, i, out)
	}
}

// keepAlive is the next of the pings that a tunnel gets without suspicion.
func (c *Connection) keepAlive(now time.Time, i int, out *Output) {
	h, every := &c.tunnels[i].health, c.cfg.Keepalive.Interval
	if h.open {
		h.open = false
		h.misses++
		switch next := h.sentAt.Add(every); {
		case c.judges(i) && h.misses >= c.cfg.Keepalive.LossDown:
			h.strict = true
			c.lose(now, i, ProbeLost.Hint(), out)
			return
		case c.keeps(i) && !c.judges(i) && now.Before(next):
			h.due = next
			return
		}
	}
	switch {
	case c.keeps(i):
		h.due = now.Add(min(every, max(pingWait, 3*h.rtt)))
	case h.hello > 0 && !h.answers:
		h.hello--
		h.due = now.Add(max(pingWait, 3*h.rtt))
	default:
		h.due = time.Time{}
		return
	}
	c.ping(now, i, out)
}

// conclude ends a suspicion that nothing has cleared. Where the peer never answered a ping, that IKE is answered has to do.
func (c *Connection) conclude(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	if h.deaf && !c.otherSound(i) { // packets do come, which is all that this tunnel has to offer
		sure := c.tunnels[i].sure
		c.settle(now, i)
		c.tunnels[i].sure = sure
		h.settled = now.Add(slowLook)
		return
	}
	why := whySilent
	switch {
	case h.ike:
		why = whyESPLost
	case h.deaf:
		why = whyDeaf
	}
	c.lose(now, i, why, out)
}

func (c *Connection) lose(now time.Time, i int, why string, out *Output) {
	h := &c.tunnels[i].health
	h.phase, h.deaf, h.since, h.why, h.good, h.misses, h.open = gone, false, now, why, 0, 0, false
	h.due = now.Add(pingWait)
	out.Changes = append(out.Changes, Change{Kind: ProbeGone, Tunnel: i, Reason: ProbeLost, Hint: why})
}

// look asks a tunnel that is gone whether it is back.
func (c *Connection) look(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	if h.open {
		h.open, h.good = false, 0
		h.misses++
		h.strict = h.strict || c.judges(i) && h.misses >= c.cfg.Keepalive.LossDown
	}
	if c.provenByPing(i) {
		c.ping(now, i, out)
	} else {
		c.askIKE(now, i, out)
	}
	pace := pingWait
	if h.misses >= quickLooks {
		pace = slowLook
		if c.keeps(i) {
			pace = c.cfg.Keepalive.Interval
		}
	}
	h.due = now.Add(max(pace, 3*h.rtt))
}

// provenByPing reports whether it takes the answer to a ping to show that a tunnel is back. An answer of IKE's does
// where the peer never answered a ping.
func (c *Connection) provenByPing(i int) bool {
	h := &c.tunnels[i].health
	return c.pings(i) && (h.answers || h.strict)
}

func (c *Connection) ping(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	h.number++
	h.pings.sent(h.number)
	h.open, h.sentAt = true, now
	out.Probe = append(out.Probe, ProbeCommand{Tunnel: i, Way: Ping, Target: c.cfg.Tunnels[i].Ping, Number: h.number})
}

func (c *Connection) askIKE(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	h.open, h.sentAt = true, now
	out.Probe = append(out.Probe, ProbeCommand{Tunnel: i, Way: Liveness})
}

// pingAnswered takes the answer to a ping. A late one, too, shows that packets pass both ways.
func (c *Connection) pingAnswered(now time.Time, ev Event, out *Output) {
	t := &c.tunnels[ev.Tunnel]
	h := &t.health
	if !t.alive || !h.pings.answered(h.number, ev.Number) {
		return
	}
	last := h.open && ev.Number == h.number
	t.heard, h.answers, h.misses = now, true, 0
	h.open = h.open && !last
	if h.rtt == 0 {
		h.rtt = ev.RTT
	} else {
		h.rtt += (ev.RTT - h.rtt) / 8
	}
	switch {
	case h.phase == suspected:
		h.settled = now.Add(trust)
		c.settle(now, ev.Tunnel)
	case h.phase == gone && last:
		c.better(now, ev.Tunnel, out)
	case h.phase == calm && last:
		h.due = time.Time{}
		if c.keeps(ev.Tunnel) {
			h.due = h.sentAt.Add(c.cfg.Keepalive.Interval)
		}
	}
}

// ikeAnswered takes the answer to one of our IKE requests.
func (c *Connection) ikeAnswered(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	switch {
	case !c.tunnels[i].alive:
	case h.phase == suspected && h.answers:
		h.ike = true
	case h.phase == suspected:
		h.trusted, h.settled = now.Add(trust), now.Add(trust)
		c.settle(now, i)
	case h.phase == gone && h.open && !c.provenByPing(i):
		h.open = false
		c.better(now, i, out)
	}
}

// hear takes it that an authentic packet has come. It clears a suspicion, unless it is of the way to the peer alone, and a tunnel that is in use for want of a better one;
// one that is not used has to answer, for the peer's packets alone say nothing of ours.
func (c *Connection) hear(now time.Time, i int, out *Output) {
	t := &c.tunnels[i]
	t.heard = now
	switch {
	case !t.alive:
	case t.health.phase == suspected && t.health.deaf:
	case t.health.phase == suspected:
		c.settle(now, i)
	case t.health.phase == gone && t.up:
		c.restore(now, i, out)
	}
}

// better counts an answer of a tunnel that is gone. With no other tunnel to use the first is enough.
func (c *Connection) better(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	h.good++
	h.misses = 0
	if h.good >= goodPings || !c.otherSound(i) {
		c.restore(now, i, out)
		return
	}
	h.due = h.sentAt.Add(pingWait)
}

func (c *Connection) restore(now time.Time, i int, out *Output) {
	h := &c.tunnels[i].health
	out.Changes = append(out.Changes, Change{Kind: ProbeBack, Tunnel: i, After: now.Sub(h.since)})
	h.strict, h.why = false, ""
	c.settle(now, i)
}

// settle ends a suspicion, or a loss.
func (c *Connection) settle(now time.Time, i int) {
	h := &c.tunnels[i].health
	c.tunnels[i].sure = true
	h.phase, h.deaf, h.open, h.misses, h.due = calm, false, false, 0, time.Time{}
	switch {
	case c.keeps(i):
		h.due = now.Add(c.cfg.Keepalive.Interval)
	case h.hello > 0 && !h.answers && c.pings(i):
		h.due = now.Add(pingWait)
	}
}

// sound reports whether nothing is known against sending by a tunnel.
func (t *facts) sound() bool { return t.alive && !t.draining && t.health.phase != gone }

func (c *Connection) otherSound(i int) bool {
	for j := range c.tunnels {
		if j != i && c.tunnels[j].sound() {
			return true
		}
	}
	return false
}

// passes reports whether a tunnel's health lets it be UP. One that is gone is DOWN if there is something better, and then
// until it answers; a keepalive that is lost takes it down in any case.
func (c *Connection) passes(i int) bool {
	t := &c.tunnels[i]
	return t.health.phase != gone || t.up && !t.health.strict && !c.otherSound(i)
}
