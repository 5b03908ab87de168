package tunnel

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
)

// TestSimulation plays thousands of random lives to a connection, whose IKE is a model that loses, delays and doubles
// what it can and whose paths lose ESP, IKE or one direction, and checks after every step what must always hold, and what
// must hold once the faults have ended (F1, F21, R24, EV-32).
func TestSimulation(t *testing.T) {
	for seed := range uint64(80) {
		for _, start := range []Start{Always, Wait, OnTraffic} {
			if err := simulate(seed, start); err != nil {
				t.Fatalf("seed %d start %d: %v", seed, start, err)
			}
		}
	}
}

func simulate(seed uint64, start Start) error {
	rnd := rand.New(rand.NewPCG(seed, uint64(start)))
	s := &sim{rnd: rnd, now: epoch, start: start, faults: true, peers: make([]peer, 2)}
	var target netip.Addr
	if seed%5 != 0 {
		target = netip.MustParseAddr("169.254.1.1")
	}
	cfg := Config{Name: "hq", Start: start, Tunnels: []TunnelConfig{{Name: "1", Ping: target}, {Name: "2", Ping: target}},
		Prefer: int(seed % 2), PreemptAfter: 30 * time.Second, DeadPeer: DeadPeer(seed / 2 % 2), ActiveActive: seed%7 == 0, Seed: seed}
	if seed%3 == 0 {
		cfg.Keepalive = Keepalive{Interval: 10 * time.Second, Lenient: seed%2 == 0}
	}
	s.c = New(cfg, epoch)
	s.handle(Event{Kind: Begin})
	for range 200 {
		s.fault()
		s.run(time.Duration(rnd.Int64N(int64(20 * time.Second))))
		if s.err != nil {
			return s.err
		}
	}
	s.faults = false
	for i := range s.peers {
		s.peers[i].mood, s.peers[i].path, s.peers[i].mute = willing, open, false
	}
	s.handle(Event{Kind: AdminUp, Tunnel: All})
	for range 20 {
		s.handle(Event{Kind: Traffic})
		s.run(20 * time.Second)
		if start == Wait {
			for i := range s.peers {
				if !s.carries(i) {
					s.arrive(i)
				}
			}
		}
	}
	s.atRest()
	return s.err
}

// atRest is what holds once the faults have ended: both tunnels are up, in the far end's eyes too, and the preferred one
// carries the traffic.
func (s *sim) atRest() {
	r := s.c.Report(s.now)
	if aa := s.c.cfg.ActiveActive; r.Active != s.c.cfg.Prefer && !aa || aa && len(s.chosen) != len(s.peers) {
		s.fail("at rest the preferred tunnel %d is not active, or not both are: %+v", s.c.cfg.Prefer, r)
	}
	for i, t := range r.Tunnels {
		if !t.Up || !s.carries(i) {
			s.fail("at rest tunnel %d is up=%v, and carries traffic=%v", i, t.Up, s.carries(i))
		}
	}
}

// carries reports whether the far end has a Child SA on tunnel i.
func (s *sim) carries(i int) bool {
	return slices.ContainsFunc(s.peers[i].sessions, func(x *simSession) bool { return len(x.children) > 0 })
}

// A mood is how the far end behaves.
type mood int

const (
	willing mood = iota // answers at once
	deaf                // never answers
	hostile             // refuses
	choosy              // takes the IKE SA and refuses the Child SA
	moods
)

// A path is what happens to packets on the way.
type path int

const (
	open   path = iota
	outCut      // ours are lost
	inCut       // the peer's are lost
	espCut      // IKE passes, ESP is lost
	paths
)

type peer struct {
	mood     mood
	path     path
	mute     bool // it answers no pings
	sessions []*simSession
}

// A pending is something that happens later.
type pending struct {
	at time.Time
	ev Event
}

type simSession struct {
	byUs, up, closing bool
	children          []esp.ChildID
	due               time.Time // when something becomes of it
}

type sim struct {
	rnd    *rand.Rand
	c      *Connection
	start  Start
	now    time.Time
	wake   time.Time
	peers  []peer
	next   esp.ChildID
	chosen []int
	coming []pending
	routes bool
	faults bool
	err    error
}

// fault does one thing to the far end, the network or the operator's mind.
func (s *sim) fault() {
	i := s.rnd.IntN(len(s.peers))
	p := &s.peers[i]
	switch s.rnd.IntN(20) {
	case 0, 1:
		p.mood = mood(s.rnd.IntN(int(moods)))
	case 2:
		s.arrive(i)
	case 3:
		s.handle(Event{Kind: Traffic})
	case 4:
		s.handle(Event{Kind: AdminDown, Tunnel: s.rnd.IntN(3) - 1})
	case 5, 6:
		s.handle(Event{Kind: AdminUp, Tunnel: s.rnd.IntN(3) - 1})
	case 7:
		s.handle(Event{Kind: Failed, Tunnel: i, Reason: AuthFailed}) // a stranger
		s.handle(Event{Kind: Reachable, Tunnel: i})
	case 8, 9:
		if len(p.sessions) > 0 {
			s.end(i, p.sessions[0], []Reason{DPDTimeout, PeerDeleted, ""}[s.rnd.IntN(3)])
		}
	case 10, 11, 12, 13:
		p.path, p.mute = path(s.rnd.IntN(int(paths))), s.rnd.IntN(4) == 0
	case 14:
		s.handle(Event{Kind: Drain, Tunnel: s.rnd.IntN(3) - 1})
	case 15:
		s.handle(Event{Kind: Undrain, Tunnel: s.rnd.IntN(3) - 1})
	case 16:
		s.handle(Event{Kind: Idle})
	case 17:
		s.handle(Event{Kind: PeerMoved, Tunnel: i})
		s.handle(Event{Kind: PingAnswered, Tunnel: i, Number: uint16(s.rnd.IntN(100)), RTT: time.Second})
	default:
		for _, ses := range p.sessions {
			if len(ses.children) > 0 && !ses.closing {
				s.rekeyOrLose(i, ses)
				return
			}
		}
	}
}

func (s *sim) rekeyOrLose(i int, ses *simSession) {
	old := ses.children[0]
	if s.rnd.IntN(3) == 0 {
		ses.children = ses.children[1:]
		s.handle(Event{Kind: ChildDown, Tunnel: i, Child: old, Reason: LifetimeExpired})
		return
	}
	s.next++
	ses.children[0] = s.next
	s.handle(Event{Kind: ChildRekeyed, Tunnel: i, Child: s.next, Old: old})
}

// arrive is the peer beginning by itself.
func (s *sim) arrive(i int) {
	s.peers[i].sessions = append(s.peers[i].sessions, &simSession{due: s.now.Add(10 * time.Millisecond)})
}

// end removes a session and says so; when it was the only one, now and then without a word about its Child SAs.
func (s *sim) end(i int, ses *simSession, r Reason) {
	p := &s.peers[i]
	p.sessions = slices.DeleteFunc(p.sessions, func(x *simSession) bool { return x == ses })
	if !ses.up {
		s.handle(Event{Kind: Failed, Tunnel: i, Reason: r, Initiator: ses.byUs})
		return
	}
	if len(p.sessions) > 0 || s.rnd.IntN(4) > 0 {
		for _, id := range ses.children {
			s.handle(Event{Kind: ChildDown, Tunnel: i, Child: id, Reason: r})
		}
	}
	s.handle(Event{Kind: IKEDown, Tunnel: i, Reason: r})
}

// run lets time pass.
func (s *sim) run(d time.Duration) {
	end := s.now.Add(d)
	for s.err == nil {
		at, do := end, func() {}
		if !s.wake.IsZero() && s.wake.Before(at) {
			at, do = s.wake, func() { s.handle(Event{Kind: Wake}) }
		}
		for n, p := range s.coming {
			if p.at.Before(at) {
				at, do = p.at, func() {
					s.coming = slices.Delete(s.coming, n, n+1)
					s.handle(p.ev)
				}
			}
		}
		for i := range s.peers {
			for _, ses := range s.peers[i].sessions {
				if !ses.due.IsZero() && ses.due.Before(at) {
					at, do = ses.due, func() { s.mature(i, ses) }
				}
			}
		}
		if at.After(s.now) {
			s.now = at
		}
		do()
		if !s.now.Before(end) {
			s.watch()
			return
		}
	}
}

// watch says of the tunnels in use whether packets come back.
func (s *sim) watch() {
	for _, i := range slices.Clone(s.chosen) {
		kind := Heard
		if s.peers[i].path != open || !s.carries(i) {
			kind = Silent
		}
		s.handle(Event{Kind: kind, Tunnel: i})
	}
}

// ask is the model of what becomes of a probe.
func (s *sim) ask(cmd ProbeCommand) {
	p := &s.peers[cmd.Tunnel]
	answer := Event{Kind: PingAnswered, Tunnel: cmd.Tunnel, Number: cmd.Number, RTT: 20 * time.Millisecond}
	passes := p.path == open && p.mood != deaf && s.carries(cmd.Tunnel) && !p.mute
	if cmd.Way == Liveness {
		answer = Event{Kind: IKEAnswered, Tunnel: cmd.Tunnel}
		passes = (p.path == open || p.path == espCut) && p.mood != deaf && len(p.sessions) > 0
	}
	if !s.c.Watch(cmd.Tunnel).Alive {
		s.fail("tunnel %d is asked and has no Child SA", cmd.Tunnel)
	}
	if passes {
		s.coming = append(s.coming, pending{s.now.Add(20 * time.Millisecond), answer})
	}
}

// mature is what becomes of a negotiation or of a close.
func (s *sim) mature(i int, ses *simSession) {
	mood := s.peers[i].mood
	ses.due = time.Time{}
	switch {
	case ses.closing:
		s.end(i, ses, AdminIsDown)
	case mood == deaf:
		s.end(i, ses, NoResponse)
	case mood == hostile:
		s.end(i, ses, AuthFailed)
	default:
		if !ses.up {
			ses.up = true
			s.handle(Event{Kind: IKEUp, Tunnel: i, Initiator: ses.byUs})
		}
		if mood == choosy {
			s.handle(Event{Kind: ChildFailed, Tunnel: i, Reason: TSUnacceptable})
			return
		}
		s.next++
		ses.children = append(ses.children, s.next)
		s.handle(Event{Kind: ChildUp, Tunnel: i, Child: s.next})
	}
}

func (s *sim) handle(ev Event) {
	out := s.c.Handle(s.now, ev)
	if !out.Wake.IsZero() && !out.Wake.After(s.now) {
		s.fail("%s: asks to be woken at once", ev.Kind)
	}
	s.wake = out.Wake
	if out.Choose.Changed {
		s.chosen = out.Choose.Tunnels
	}
	if out.Routes.Changed {
		s.routes = out.Routes.Up
	}
	s.check(ev)
	for _, cmd := range out.Probe {
		s.ask(cmd)
	}
	for _, cmd := range out.IKE {
		s.command(cmd)
	}
}

// command is the model of the engine: one live session is enough for Initiate.
func (s *sim) command(cmd IKECommand) {
	p := &s.peers[cmd.Tunnel]
	switch cmd.Do {
	case Initiate:
		if s.start == Wait {
			s.fail("start: wait began by itself")
		}
		if len(p.sessions) > 0 {
			s.missing(cmd.Tunnel)
			return
		}
		ses := &simSession{byUs: true, due: s.now.Add(100 * time.Millisecond)}
		switch {
		case p.mood == deaf:
			ses.due = s.now.Add(15500 * time.Millisecond)
		case s.faults && s.rnd.IntN(10) == 0:
			ses.due = time.Time{} // nobody will ever hear of it again
		}
		p.sessions = append(p.sessions, ses)
	case Close:
		for _, ses := range p.sessions {
			ses.closing, ses.due = true, s.now.Add(50*time.Millisecond)
			if p.mood == deaf {
				ses.due = s.now.Add(15500 * time.Millisecond)
			}
		}
	case Discard:
		for _, ses := range slices.Clone(p.sessions) {
			ses.closing, ses.due = true, s.now // the events come after this Output
		}
	}
}

// missing lets sessions that are up and have no Child SA ask for one.
func (s *sim) missing(i int) {
	for _, ses := range s.peers[i].sessions {
		if ses.up && !ses.closing && len(ses.children) == 0 && s.peers[i].mood != deaf {
			ses.due = s.now.Add(20 * time.Millisecond)
		}
	}
}

func (s *sim) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("at %s: %s", s.now.Sub(epoch), fmt.Sprintf(format, args...))
	}
}

// check is what always holds.
func (s *sim) check(ev Event) {
	r := s.c.Report(s.now)
	anyUp, fit, waits := false, false, false // for packets
	for i, t := range r.Tunnels {
		f := &s.c.tunnels[i]
		rests := f.cleared || f.idle // until a packet comes
		anyUp = anyUp || t.Up
		fit = fit || t.Up && !t.Draining
		waits = waits || r.State < Deleting && !t.AdminDown && !t.Drained && (s.start == OnTraffic || s.start == Always && (rests || f.called))
		resting := t.AdminDown || t.Drained || s.start != Always || rests
		switch {
		case t.Up && (t.Reason != "" || !t.NextRetry.IsZero()):
			s.fail("%s: tunnel %d is UP and has a reason: %+v", ev.Kind, i, t)
		case !t.Up && (t.Reason == "" || t.Hint == ""):
			s.fail("%s: tunnel %d is DOWN for no reason: %+v", ev.Kind, i, t)
		case !t.Up && !resting && t.NextRetry.IsZero():
			s.fail("%s: tunnel %d is DOWN and nobody will ask again: %+v", ev.Kind, i, t)
		case t.Up && (t.AdminDown || t.Drained):
			s.fail("%s: tunnel %d is UP against the operator's will", ev.Kind, i)
		case t.Up && len(f.children) == 0:
			s.fail("%s: tunnel %d is UP without a Child SA", ev.Kind, i)
		case t.Probe.Suspect && !t.Draining && s.wake.IsZero():
			s.fail("%s: tunnel %d is suspect and nobody will look again", ev.Kind, i)
		case t.Draining && !t.Active && s.wake.IsZero():
			s.fail("%s: tunnel %d drains for ever", ev.Kind, i)
		case t.Active != slices.Contains(s.chosen, i):
			s.fail("%s: the data path was told %v, the report says %v of tunnel %d", ev.Kind, s.chosen, t.Active, i)
		}
	}
	for _, i := range s.chosen {
		switch t := r.Tunnels[i]; {
		case !t.Up:
			s.fail("%s: tunnel %d is chosen and DOWN", ev.Kind, i)
		case t.Draining && fit:
			s.fail("%s: tunnel %d is chosen and drains, with another that is fit", ev.Kind, i)
		}
	}
	switch {
	case anyUp && len(s.chosen) == 0:
		s.fail("%s: a tunnel is UP and none is chosen", ev.Kind)
	case len(s.chosen) > 1 && !s.c.cfg.ActiveActive:
		s.fail("%s: %v are chosen", ev.Kind, s.chosen)
	case s.routes != (anyUp || waits):
		s.fail("%s: routes up=%v while a tunnel is up=%v and one waits for packets=%v", ev.Kind, s.routes, anyUp, waits)
	}
}
