package ikev2

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"

	"twinbore/esp"
	"twinbore/ike/session"
)

// snapshot writes down all that a message could change in g: every IKE SA with its window, timers and Child SAs, and
// the data path. Two equal ones mean that nothing has happened.
func (g *gateway) snapshot() string {
	var b strings.Builder
	for _, s := range g.sessions {
		p := s.(*peer)
		fmt.Fprintf(&b, "session %s begun %v candidates %d fading %v\n", p.cfg.Peer, p.begun, len(p.candidates), p.fading)
		for _, sa := range p.sas {
			fmt.Fprintf(&b, "  %x %x %v initiator %v path %v suite %v out %d in %d answered %v %x heard %v rekey %v expire %v pending %v reported %v nat %v local %q remote %q\n",
				sa.spiI, sa.spiR, sa.state, sa.initiator, sa.path, sa.suite.Algorithm != nil, sa.nextOut, sa.nextIn, sa.answered, sa.asked, sa.heardAt,
				sa.rekeyAt, sa.expireAt, sa.pending, sa.reported, sa.nat, sa.localID, sa.remoteID)
			if r := sa.open; r != nil {
				fmt.Fprintf(&b, "    asks %d #%d sent %d resend %v\n", r.op, r.id, r.sent, r.resendAt)
			}
			for _, u := range sa.unfinished {
				fmt.Fprintf(&b, "    unfinished %x until %v, %d more\n", u.link, u.until, len(u.rest))
			}
			for _, c := range sa.children {
				fmt.Fprintf(&b, "    child %v %v %d rekey %v expire %v active %v by %v\n", c.id, c.out, c.state, c.rekeyAt, c.expireAt, c.active, c.replacedBy)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(g.children)) {
		fmt.Fprintf(&b, "data path %v active %v\n", id, g.children[id].active)
	}
	fmt.Fprintf(&b, "reserved %v claims %v\n", slices.Sorted(maps.Keys(g.alloc)), slices.Sorted(maps.Keys(g.claims)))
	return b.String()
}

// canaries are the secrets of the lab, in the forms in which they might leak (SEC-02).
func (g *gateway) canaries() (out []string) {
	for _, secret := range g.cfg.Auth.Secrets {
		if len(secret.Key) > 8 { // a shorter one is anywhere by chance
			out = append(out, string(secret.Key), hex.EncodeToString(secret.Key), fmt.Sprint(secret.Key))
		}
	}
	return out
}

// sound is the oracle for every test here: it says what is wrong with g, or nothing.
func (l *lab) sound(g *gateway) string {
	alloc, children, claims := map[esp.SPI]bool{}, map[esp.ChildID]bool{}, map[uint64]bool{}
	for _, s := range g.sessions {
		p := s.(*peer)
		for _, f := range p.fading {
			alloc[esp.SPI(f.id)], children[f.id] = true, true
		}
		for _, sa := range p.sas {
			claims[sa.localSPI()] = true
			if problem := sa.unsound(); problem != "" {
				return g.name + ": " + problem
			}
			if sa.open != nil && sa.open.child != nil {
				alloc[sa.open.child.spi] = true
			}
			for _, u := range sa.unfinished {
				if u.child != nil {
					alloc[esp.SPI(u.child.id)] = true
				}
			}
			for _, c := range sa.children {
				alloc[esp.SPI(c.id)], children[c.id] = true, true
			}
		}
		if len(p.sas) > maxSAs+2 || len(p.fading) > maxFading { // I7
			return fmt.Sprintf("%s: %d IKE SAs and %d fading Child SAs", g.name, len(p.sas), len(p.fading))
		}
		if at := g.wakes[s]; !at.IsZero() && at.Before(start) {
			return g.name + ": wakes before time began"
		}
	}
	switch {
	case !maps.Equal(alloc, g.alloc):
		return fmt.Sprintf("%s: reserved SPIs %v, the SAs hold %v", g.name, slices.Sorted(maps.Keys(g.alloc)), slices.Sorted(maps.Keys(alloc)))
	case !slices.Equal(slices.Sorted(maps.Keys(children)), slices.Sorted(maps.Keys(g.children))):
		return fmt.Sprintf("%s: the data path has %v, the SAs hold %v", g.name, slices.Sorted(maps.Keys(g.children)), slices.Sorted(maps.Keys(children)))
	case !slices.Equal(slices.Sorted(maps.Keys(claims)), slices.Sorted(maps.Keys(g.claims))):
		return fmt.Sprintf("%s: claims %x, the SAs have %x", g.name, slices.Sorted(maps.Keys(g.claims)), slices.Sorted(maps.Keys(claims)))
	}
	return ""
}

// discreet says what an event of g tells that it must not: a secret, or what a terminal should not see (MAL-14).
func (g *gateway) discreet() string {
	canaries := g.canaries()
	for _, e := range g.events {
		text := strings.Join([]string{e.Peer, string(e.Reason), e.Hint, e.Exchange, e.Payloads, e.Story, e.IKE.Suite, e.IKE.LocalID, e.IKE.RemoteID, e.IKE.NAT, e.Child.Suite}, " ")
		if e.Offers != nil {
			text += fmt.Sprint(*e.Offers)
		}
		if strings.ContainsFunc(text, unprintable) {
			return fmt.Sprintf("%s: an event that a terminal should not see: %q", g.name, text)
		}
		if i := slices.IndexFunc(canaries, func(c string) bool { return strings.Contains(text, c) }); i >= 0 {
			return fmt.Sprintf("%s: a secret in an event: %s", g.name, text)
		}
	}
	return ""
}

func unprintable(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }

// unsound says what must never be true of an IKE SA.
func (s *SA) unsound() string {
	switch {
	case s.state == established && !s.reported && s.upSince.IsZero(): // I6, CVE-2014-2338
		return "established without AUTH"
	case len(s.children) > 0 && s.upSince.IsZero():
		return "Child SAs of an IKE SA that was never authenticated"
	case len(s.children) > 0 && s.state != established:
		return "Child SAs while " + s.state.String()
	case len(s.children) > maxChildren+1:
		return fmt.Sprintf("%d Child SAs", len(s.children))
	case len(s.pending) > maxChildren+8:
		return fmt.Sprintf("%d requests wait", len(s.pending))
	case s.open != nil && s.open.id+1 != s.nextOut: // I5
		return "an open request that is not the last"
	}
	for i, c := range s.children {
		if c.params[0].Key != nil || c.params[1].Key != nil {
			return "keys of a Child SA are kept"
		}
		if slices.ContainsFunc(s.children[:i], func(o *child) bool { return o.id == c.id }) {
			return "a Child SA twice"
		}
		deletes := s.open != nil && s.open.op == opDeleteChild && s.open.deleting == c.id || slices.Contains(s.pending, task{opDeleteChild, c.id})
		switch {
		case c.state == childRekeying && s.replacing(c.id) == nil:
			return fmt.Sprintf("%v waits for a successor that nobody asked for", c.id)
		case c.state == childReplaced && s.child(c.replacedBy) == nil:
			return fmt.Sprintf("%v waits for a Delete, but its successor %v is gone", c.id, c.replacedBy)
		case c.state == childDeleting && !deletes:
			return fmt.Sprintf("%v waits for an answer to a Delete that was not sent", c.id)
		}
	}
	return ""
}

// mustBeSound fails the test when either side is not.
func (l *lab) mustBeSound() {
	l.t.Helper()
	for _, g := range []*gateway{l.a, l.b} {
		if problem := cmp.Or(l.sound(g), g.discreet()); problem != "" {
			l.t.Fatalf("%s\n%s", problem, l.log.String())
		}
	}
}

// mustBeGone waits until nothing is left of anything on either side.
func (l *lab) mustBeGone() {
	l.t.Helper()
	l.mustBeSound()
	l.wait(2*halfOpenLife, l.settle)
	l.empty(l.a)
	l.empty(l.b)
}

// unharmed checks that a pair that was up is up, and still works.
func (l *lab) unharmed() {
	l.t.Helper()
	l.mustBeSound()
	l.paired()
	l.do(l.a, session.Rekey{})
	l.settle()
	l.do(l.b, session.Probe{})
	l.settle()
	l.wait(fade+pollEvery, l.settle)
	l.paired()
	l.mustBeSound()
}
