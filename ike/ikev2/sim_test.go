package ikev2

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
)

var (
	simSeeds = flag.Int("seeds", 100, "how many random lives TestRandomLives plays")
	simFirst = flag.Uint64("seed", 1, "the first seed of TestRandomLives")
)

// A sim is two gateways whose operators press every button at random while the network between them loses, repeats and
// reorders. What it does follows from its seed alone.
type sim struct {
	*lab
	chance *rand.Rand
	faults float64 // share of messages that something happens to
	reboot byte    // how often a gateway has started anew
	idle   bool    // nobody wants a tunnel
}

func newSim(t testing.TB, seed uint64) *sim {
	s := &sim{lab: newLab(t), chance: rand.New(rand.NewPCG(seed, 1))}
	taste := s.chance.IntN(5)
	for _, g := range []*gateway{s.a, s.b} {
		g.cfg.ChildLifetime, g.cfg.IKELifetime, g.cfg.Jitter = 10*time.Minute, time.Hour, 0.04
		switch taste {
		case 0:
			g.cfg.ESP = espProposals(t, "aes128gcm16-curve25519-noesn")
		case 1: // more key exchanges for everything (RFC 9370)
			g.cfg.IKE, g.cfg.ESP = ikeProposals(t, defaultIKE+"-ke1_ecp256"), espProposals(t, "aes128gcm16-curve25519-ke1_ecp256-noesn")
			g.cfg.PPK = PPK{ID: "quantum", Key: make([]byte, 32), Required: true}
		case 2: // more for what one end asks, and not for what the other asks
			more := []string{"-ke1_ecp256-ke1_none", "-ke1_none-ke1_ecp256"}
			if g == s.b {
				slices.Reverse(more)
			}
			g.cfg.IKE, g.cfg.ESP = ikeProposals(t, defaultIKE+more[0]), espProposals(t, "aes128gcm16-curve25519"+more[0]+"-noesn")
		}
	}
	s.faults = []float64{0, 0.1, 0.4}[s.chance.IntN(3)]
	return s
}

func (s *sim) either() *gateway {
	if s.chance.IntN(2) == 0 {
		return s.a
	}
	return s.b
}

// step does one random thing.
func (s *sim) step() {
	g := s.either()
	switch n := s.chance.IntN(100); {
	case n < 10:
		s.wants(g)
	case n < 18:
		s.say(g, session.Rekey{})
	case n < 26:
		s.say(g, session.Rekey{IKE: true})
	case n < 30:
		s.say(g, session.Probe{})
	case n < 33:
		s.say(g, session.Close{})
	case n < 34:
		s.restart(g)
	case n < 36:
		for id := range g.children {
			if len(g.children) == 1 {
				s.say(g, session.Spent{Child: id})
			}
		}
	case n < 40:
		s.traffic()
	case n < 55:
		s.pass(time.Duration(s.chance.IntN(int(3 * time.Second))))
	case n < 57:
		s.pass(time.Duration(s.chance.IntN(int(10 * time.Minute))))
	default:
		s.network()
	}
	s.rivals()
}

func (s *sim) say(g *gateway, cmd session.Command) {
	s.logf("%s: told %#v", g.name, cmd)
	s.do(g, cmd)
}

// wants asks g for a tunnel as the engine would: of the session that there is, or of a new one.
func (s *sim) wants(g *gateway) {
	s.logf("%s: told to initiate", g.name)
	if g.cfg.InitialContact = len(g.sessions) == 0; g.cfg.InitialContact {
		s.initiate(g)
		return
	}
	cmd := session.Initiate{Path: s.path(g)}
	newest := g.sessions[len(g.sessions)-1]
	s.apply(g, newest, newest.Do(s.now, cmd))
}

// restart makes g forget everything; its SPIs and randomness do not come again.
func (s *sim) restart(g *gateway) {
	s.logf("%s: starts anew", g.name)
	s.reboot++
	fresh := newGateway(s.t, g.name, g.addr.As4()[3])
	cfg := g.cfg
	cfg.Rand = rand.NewChaCha8([32]byte{g.name[0], s.reboot})
	cfg.AllocSPI, cfg.LastInbound = fresh.cfg.AllocSPI, fresh.cfg.LastInbound
	fresh.cfg, fresh.nextSPI, fresh.events = cfg, g.nextSPI+0x10000, g.events
	*g = *fresh
}

// network moves one message, and something may happen to it.
func (s *sim) network() {
	g := s.either()
	if len(g.queue) == 0 {
		g = s.other(g)
	}
	if len(g.queue) == 0 {
		return
	}
	if s.chance.Float64() >= s.faults {
		s.deliver(g)
		return
	}
	switch s.chance.IntN(4) {
	case 0, 1:
		s.logf("%s: lost", g.name)
		s.take(g)
	case 2:
		s.logf("%s: twice", g.name)
		g.queue = append(g.queue, g.queue[0])
		s.deliver(g)
	case 3:
		i := s.chance.IntN(len(g.queue))
		s.logf("%s: the message in place %d overtakes", g.name, i)
		g.queue[0], g.queue[i] = g.queue[i], g.queue[0]
		s.deliver(g)
	}
}

// pass lets time go by; messages move at each deadline.
func (s *sim) pass(d time.Duration) {
	s.wait(d, s.steady(func() {
		for range s.chance.IntN(6) {
			s.network()
		}
		s.check()
	}))
}

// steady is what to do at each deadline, with an end to storms and to deadlines that come again at once.
func (s *sim) steady(between func()) func() {
	var last time.Time
	stuck := 0
	return func() {
		if stuck++; s.now.After(last) {
			last, stuck = s.now, 0
		}
		if stuck > 20 || len(s.a.queue)+len(s.b.queue) > 200 {
			s.t.Fatalf("%d deadlines at once, %d and %d messages on the way\n%s\n%s%s", stuck, len(s.a.queue), len(s.b.queue), s.log.String(), s.a.snapshot(), s.b.snapshot())
		}
		between()
	}
}

// rivals is what the engine does when both ends have begun an IKE SA: both let go of the same one, its initiator first.
func (s *sim) rivals() {
	for _, g := range []*gateway{s.a, s.b} {
		var up []*SA
		for _, have := range g.sessions {
			if sa := have.(*peer).current(); sa != nil {
				up = append(up, sa)
			}
		}
		if len(up) < 2 {
			continue
		}
		loser := slices.MinFunc(up, func(x, y *SA) int { return x.upSince.Compare(y.upSince)*2 + compareSPI(x, y) })
		if loser.initiator || s.now.Sub(loser.upSince) > 10*time.Second {
			s.logf("%s: lets go of one of two", g.name)
			s.apply(g, loser.p, loser.p.Do(s.now, session.Close{}))
		}
	}
}

func compareSPI(x, y *SA) int {
	if x.spiI < y.spiI {
		return -1
	}
	return 1
}

// check is what holds after every step.
func (s *sim) check() {
	s.t.Helper()
	for _, g := range []*gateway{s.a, s.b} {
		if problem := s.sound(g); problem != "" {
			s.t.Fatalf("%s\n%s", problem, s.log.String())
		}
	}
}

// quiesce ends all faults, and lets a do what the connection logic would until time has healed everything.
func (s *sim) quiesce() {
	s.t.Helper()
	s.faults = 0
	for range 36 {
		if !s.idle && (s.a.sa() == nil || len(s.a.sa().children) == 0) {
			s.wants(s.a)
		}
		s.settle()
		s.wait(5*time.Second, s.steady(s.settle))
		s.traffic()
		s.rivals()
		s.check()
	}
}

// life plays one seed to its end, where both have exactly one pair that fits or both have nothing (hardening I3, I7).
func life(t testing.TB, seed uint64) *lab {
	t.Helper()
	s := newSim(t, seed)
	defer func() {
		if t.Failed() {
			t.Logf("go test ./ike/ikev2 -run RandomLives -seed %d -seeds 1\n%s", seed, s.log.String())
		}
	}()
	for range 150 {
		s.step()
		s.check()
		if t.Failed() {
			return s.lab
		}
	}
	if s.idle = s.chance.IntN(4) == 0; s.idle {
		s.say(s.a, session.Close{})
		s.say(s.b, session.Close{})
	}
	s.quiesce()
	s.mustBeSound()
	if s.idle {
		s.empty(s.a)
		s.empty(s.b)
		return s.lab
	}
	if problem := s.unpaired(); problem != "" {
		t.Errorf("seed %d: %s", seed, problem)
		return s.lab
	}
	for _, g := range []*gateway{s.a, s.b} {
		sas := 0
		for _, have := range g.sessions {
			sas += len(have.(*peer).sas)
		}
		if len(g.sessions) != 1 || sas != 1 || len(g.children) != 1 || len(g.alloc) != 1 {
			t.Errorf("seed %d: %s has %d sessions, %d IKE SAs, %d Child SAs, %d reserved SPIs, want one of each", seed, g.name, len(g.sessions), sas, len(g.children), len(g.alloc))
		}
		for id, c := range g.children {
			if !c.active {
				t.Errorf("seed %d: %s has nothing to send on but %v, which waits", seed, g.name, id)
			}
		}
	}
	return s.lab
}

// TestRandomLives is hardening I3 to I7 and SM-09 in the large: whatever the operators and the network do, at the end
// either one pair is left or nothing, and no key was used with one IV twice. A seed that fails prints its transcript and how
// to play it again. For longer: -seeds 10000.
func TestRandomLives(t *testing.T) {
	for seed := *simFirst; seed < *simFirst+uint64(*simSeeds); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			life(t, seed)
		})
	}
}

// TestRandomLivesAreRepeatable: a seed is worth something only if it does the same again.
func TestRandomLivesAreRepeatable(t *testing.T) {
	for seed := range uint64(3) {
		if one, two := life(t, seed), life(t, seed); one.log.String() != two.log.String() {
			t.Errorf("seed %d: two runs gave two transcripts", seed)
		}
	}
}
