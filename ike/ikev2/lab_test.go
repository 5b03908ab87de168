package ikev2

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

// A lab is two gateways without a network: what one sends waits in its queue until the test delivers or drops it.
type lab struct {
	t       testing.TB
	now     time.Time
	a, b    *gateway
	log     strings.Builder
	logged  time.Time // of the last line
	used    records
	strict  bool     // nobody forges anything: the records are looked at with all rules
	taken   int      // messages that have left a queue, or since "lose"
	lose    int      // the number of the one that is lost; 0: none
	slow    *gateway // whose next answer is held back; nil: nobody\'s
	held    []session.Datagram
	gapless bool                            // each end shall always have a Child SA to send on that the other has too
	gapped  string                          // the first moment when that was not so
	tamper  func(*gateway, *session.Output) // breaks a rule on purpose, to see that it is noticed; nil: nothing
}

// A gateway stands for the engine and the data path of one side.
type gateway struct {
	name     string
	cfg      Config
	accepts  []Config // candidates of an answered peer; nil: cfg alone
	addr     netip.Addr
	sessions []session.Session
	claims   map[uint64]session.Session
	wakes    map[session.Session]time.Time
	queue    []session.Datagram
	children map[esp.ChildID]*installed
	ready    []esp.ChildID // those that were activated, the last one first: outbound packets take the first
	heard    map[esp.ChildID]time.Time
	nextSPI  esp.SPI
	seenAs   netip.AddrPort   // where the NAT before it makes it seem to be; zero: no NAT
	alloc    map[esp.SPI]bool // reserved and not removed
	events   []session.Event
	reboots  byte
	past     [32]byte // a digest of all that has come to it, and when
}

type installed struct {
	esp.Child
	active bool
}

const (
	defaultIKE = "aes128gcm16-prfsha256-curve25519"
	defaultESP = "aes128gcm16-noesn"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func newLab(t testing.TB) *lab {
	l := &lab{t: t, now: start, logged: start, used: newRecords()}
	l.a, l.b = newGateway(t, "a", 1), newGateway(t, "b", 2)
	return l
}

func newGateway(t testing.TB, name string, n byte) *gateway {
	g := &gateway{name: name, addr: netip.AddrFrom4([4]byte{192, 0, 2, n}), claims: map[uint64]session.Session{},
		wakes: map[session.Session]time.Time{}, children: map[esp.ChildID]*installed{}, heard: map[esp.ChildID]time.Time{},
		nextSPI: esp.SPI(name[0]) << 24, alloc: map[esp.SPI]bool{}}
	other := netip.AddrFrom4([4]byte{192, 0, 2, 3 - n})
	mine, theirs := fmt.Sprintf("10.0.%d.0/24", n), fmt.Sprintf("10.0.%d.0/24", 3-n)
	g.cfg = Config{Peer: "lab/" + name, LocalID: auth.IDFromAddr(g.addr), RemoteID: auth.IDFromAddr(other),
		Auth: auth.Credentials{Secrets: []auth.Secret{{Peer: "lab/" + name, Key: []byte("a secret that only the two of them have")}}},
		IKE:  ikeProposals(t, defaultIKE), ESP: espProposals(t, defaultESP),
		Local: prefixes(mine), Remote: prefixes(theirs), Window: 64,
		IKELifetime: 4 * time.Hour, ChildLifetime: time.Hour, DPD: DPD{Interval: 10 * time.Second, Retries: 3},
		Rand: rand.NewChaCha8([32]byte{n}),
		AllocSPI: func() esp.SPI {
			g.nextSPI++
			g.alloc[g.nextSPI] = true
			return g.nextSPI
		},
		LastInbound: func(id esp.ChildID) time.Time { return g.heard[id] },
	}
	return g
}

func ikeProposals(t testing.TB, texts ...string) (out []suite.Proposal) {
	for _, text := range texts {
		p, err := suite.ParseIKE(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func espProposals(t testing.TB, texts ...string) (out []suite.Proposal) {
	for _, text := range texts {
		p, err := suite.ParseESP(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func prefixes(texts ...string) (out []esp.Selector) {
	for _, text := range texts {
		out = append(out, esp.SelectorFor(netip.MustParsePrefix(text)))
	}
	return out
}

func (l *lab) other(g *gateway) *gateway {
	if g == l.a {
		return l.b
	}
	return l.a
}

// path is how g sees the way to the other.
func (l *lab) path(g *gateway) esp.Path {
	return esp.Path{Local: netip.AddrPortFrom(g.addr, 500), Remote: netip.AddrPortFrom(l.other(g).addr, 500)}
}

// initiate gives g a session if it has none that can begin, and tells it to.
func (l *lab) initiate(g *gateway) { l.initiateFor(g, nil, nil) }

func (l *lab) initiateFor(g *gateway, local, remote []esp.Selector) {
	if len(g.sessions) == 0 {
		g.sessions = append(g.sessions, New(g.cfg))
	}
	l.do(g, session.Initiate{Path: l.path(g), Local: local, Remote: remote})
}

// do gives a command to each session of g.
func (l *lab) do(g *gateway, cmd session.Command) {
	l.meets(g, fmt.Appendf(nil, "%#v", cmd))
	for _, s := range slices.Clone(g.sessions) {
		l.apply(g, s, s.Do(l.now, cmd))
	}
}

// apply does what the engine and the data path do with an Output, in its order.
func (l *lab) apply(g *gateway, s session.Session, out session.Output) {
	if l.tamper != nil {
		l.tamper(g, &out)
	}
	for _, op := range out.Child {
		switch op.Op {
		case session.Install:
			g.children[op.ID] = &installed{Child: op.Child}
			l.logf("%s: install %v, peer's %v, %s %v === %v", g.name, op.ID, op.Child.Out.SPI, op.Child.In.Algorithm.Name, op.Child.Local, op.Child.Remote)
			if problem := l.used.keys(g.name, op.Child); problem != "" {
				l.t.Fatalf("%s %s\n%s", g.name, problem, l.log.String())
			}
			if !g.alloc[esp.SPI(op.ID)] {
				l.t.Errorf("%s installed %v, which it never reserved", g.name, op.ID)
			}
		case session.Activate:
			if g.children[op.ID] == nil {
				l.t.Fatalf("%s activated %v, which is not installed", g.name, op.ID)
			}
			g.children[op.ID].active = true
			g.ready = slices.Insert(slices.DeleteFunc(g.ready, func(id esp.ChildID) bool { return id == op.ID }), 0, op.ID)
			l.logf("%s: activate %v", g.name, op.ID)
		case session.Move:
			if g.children[op.ID] == nil {
				l.t.Errorf("%s moved %v, which is not installed", g.name, op.ID)
				continue
			}
			g.children[op.ID].Path = op.Child.Path
			l.logf("%s: move %v to %v", g.name, op.ID, op.Child.Path)
		case session.Remove:
			if g.children[op.ID] != nil {
				l.logf("%s: remove %v", g.name, op.ID)
			}
			g.ready = slices.DeleteFunc(g.ready, func(id esp.ChildID) bool { return id == op.ID })
			delete(g.children, op.ID)
			delete(g.alloc, esp.SPI(op.ID))
		}
	}
	for _, spi := range out.Claim {
		g.claims[spi] = s
	}
	for _, d := range out.Send {
		l.logSend(g, d, out.Events)
	}
	g.queue = append(g.queue, out.Send...)
	for _, spi := range out.Release {
		delete(g.claims, spi)
	}
	for _, e := range out.Events {
		g.events = append(g.events, e)
		l.logEvent(g, e)
		if e.Kind == session.IKEUp && e.IKE.InitialContact { // the engine's part: the peer knows no other SA (RFC 7296 §2.4)
			for _, old := range slices.Clone(g.sessions) {
				if old != s {
					l.apply(g, old, old.Do(l.now, session.Close{Quiet: true, Reason: session.PeerDeleted}))
				}
			}
		}
	}
	g.wakes[s] = out.Wake
	if out.Renew != nil { // the engine's part: another session beside this one
		l.logf("%s: another session", g.name)
		again := New(g.cfg)
		g.sessions = append(g.sessions, again)
		l.apply(g, again, again.Do(l.now, *out.Renew))
	}
	if out.Done {
		g.sessions = slices.DeleteFunc(g.sessions, func(have session.Session) bool { return have == s })
		delete(g.wakes, s)
		l.logf("%s: session done", g.name)
	}
}

// receive is the engine's demultiplexer: by our SPI, or a new session for a first message.
func (l *lab) receive(g *gateway, msg []byte, on esp.Path) {
	l.meets(g, msg)
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return
	}
	spi := h.SPIr
	if !h.Initiator() {
		spi = h.SPIi
	}
	if s := g.claims[spi]; s != nil {
		l.apply(g, s, s.Receive(l.now, msg, on))
		return
	}
	if h.Exchange != wire.IKESAInit || h.Response() || h.SPIr != 0 {
		return
	}
	for _, s := range g.sessions {
		if s.(*peer).find(h) != nil {
			l.apply(g, s, s.Receive(l.now, msg, on))
			return
		}
	}
	candidates := g.accepts
	if candidates == nil {
		candidates = []Config{g.cfg}
	}
	s := Accept(candidates)
	g.sessions = append(g.sessions, s)
	l.apply(g, s, s.Receive(l.now, msg, on))
}

// take removes the oldest message from g's queue.
func (l *lab) take(g *gateway) session.Datagram {
	l.t.Helper()
	if len(g.queue) == 0 {
		l.t.Fatalf("%s has nothing to send\n%s", g.name, l.log.String())
	}
	d := g.queue[0]
	g.queue = g.queue[1:]
	l.taken++
	return d
}

// deliver hands the oldest message of g to the other side.
func (l *lab) deliver(g *gateway) {
	l.t.Helper()
	d := l.take(g)
	if l.taken == l.lose {
		l.logf("lost: %d octets from %s", len(d.Bytes), g.name)
		return
	}
	if g == l.slow && len(l.held) == 0 && d.Bytes[19]&byte(wire.FlagResponse) != 0 {
		l.held = append(l.held, d)
		l.logf("held back: the answer of %s", g.name)
		return
	}
	to := l.other(g)
	l.receive(to, d.Bytes, to.behind(g.seenFrom(d.Path)))
}

// seenFrom is a path of g as the other side sees it.
func (g *gateway) seenFrom(path esp.Path) esp.Path {
	path = path.Reverse()
	if g.seenAs.IsValid() {
		path.Remote = g.seenAs
	}
	return path
}

// behind is a path on which something arrives at g, as g sees it: a NAT before it puts its own address back.
func (g *gateway) behind(path esp.Path) esp.Path {
	if g.seenAs.IsValid() {
		path.Local = netip.AddrPortFrom(g.addr, path.Remote.Port())
	}
	return path
}

// settle delivers until nothing is left, a first.
func (l *lab) settle() {
	l.t.Helper()
	for range 1000 {
		switch {
		case len(l.a.queue) > 0:
			l.deliver(l.a)
		case len(l.b.queue) > 0:
			l.deliver(l.b)
		default:
			return
		}
	}
	l.t.Fatalf("the two never stop talking\n%s", l.log.String())
}

// wait moves time on to the end, stopping at each deadline; between decides what becomes of messages.
func (l *lab) wait(d time.Duration, between func()) {
	l.t.Helper()
	end := l.now.Add(d)
	for range 2_000_000 {
		next := end
		for _, g := range []*gateway{l.a, l.b} {
			for _, at := range g.wakes {
				if !at.IsZero() && at.Before(next) {
					next = at
				}
			}
		}
		if next.After(l.now) {
			l.now = next
		}
		if !l.now.Before(end) {
			return
		}
		for _, g := range []*gateway{l.a, l.b} {
			for _, s := range slices.Clone(g.sessions) {
				if at := g.wakes[s]; !at.IsZero() && !l.now.Before(at) {
					l.apply(g, s, s.Expire(l.now))
				}
			}
		}
		between()
	}
	l.t.Fatal("bug: deadlines that never pass")
}

// connected returns a lab in which a has initiated and both are up.
func connected(t testing.TB) *lab {
	l := newLab(t)
	l.initiate(l.a)
	l.settle()
	l.paired()
	return l
}

// sa returns g's established IKE SA.
func (g *gateway) sa() *SA {
	for _, s := range g.sessions {
		if sa := s.(*peer).current(); sa != nil {
			return sa
		}
	}
	return nil
}

// paired checks that both sides have one IKE SA, one Child SA each way, or as many as were agreed on (RFC 9611), and that
// they fit together.
func (l *lab) paired() {
	l.t.Helper()
	if problem := l.unpaired(); problem != "" {
		l.t.Fatalf("%s\n%s", problem, l.log.String())
	}
}

func (l *lab) unpaired() string {
	sa, sb := l.a.sa(), l.b.sa()
	if sa == nil || sb == nil || sa.spiI != sb.spiI || sa.spiR != sb.spiR {
		return fmt.Sprintf("no common IKE SA: a %v, b %v", sa != nil, sb != nil)
	}
	most := 1
	if sa.p.agreed() && sb.p.agreed() {
		most = max(sa.p.cfg.Resources, sb.p.cfg.Resources)
	}
	if n := len(sa.children); n != len(sb.children) || n < 1 || n > most {
		return fmt.Sprintf("%d and %d Child SAs, want the same, 1 to %d", n, len(sb.children), most)
	}
	for _, ca := range sa.children {
		cb := sb.child(esp.ChildID(ca.out))
		if cb == nil || cb.out != esp.SPI(ca.id) {
			return "the Child SAs do not fit together"
		}
		ia, ib := l.a.children[ca.id], l.b.children[cb.id]
		if ia == nil || ib == nil || string(ia.In.Key) != string(ib.Out.Key) || string(ib.In.Key) != string(ia.Out.Key) {
			return "the data paths have different keys"
		}
	}
	return ""
}

// event returns the last event of a kind, or fails.
func (l *lab) event(g *gateway, kind session.Kind) session.Event {
	l.t.Helper()
	for _, e := range slices.Backward(g.events) {
		if e.Kind == kind {
			return e
		}
	}
	l.t.Fatalf("%s has no event %q\n%s", g.name, kind, l.log.String())
	return session.Event{}
}

// empty checks that nothing is left of any negotiation: no session, no Child SA, no reserved SPI (SM-18).
func (l *lab) empty(g *gateway) {
	l.t.Helper()
	if len(g.sessions) != 0 || len(g.children) != 0 || len(g.alloc) != 0 || len(g.claims) != 0 {
		l.t.Errorf("%s is left with %d sessions, %d Child SAs, %d reserved SPIs, %d claims\n%s",
			g.name, len(g.sessions), len(g.children), len(g.alloc), len(g.claims), l.log.String())
	}
}

// seeded is a source of randomness that a test can name.
func seeded(n byte) io.Reader { return rand.NewChaCha8([32]byte{n, 0xff}) }
