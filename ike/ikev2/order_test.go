package ikev2

import (
	"slices"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestAnyOrderOfPayloads is MAL-08 and N-01: RFC 7296 §2.5 lets payloads come in any order. Each message of each
// exchange comes backwards and turned by every number of places, and what follows is as if it had not.
func TestAnyOrderOfPayloads(t *testing.T) {
	for _, m := range slices.Concat(moments, additionals) {
		l, g := m.reach(t)
		n := len(l.peek(g))
		for turn := range n {
			l, g := m.reach(t)
			m.change(l, g, true, func(list []wire.Payload) []wire.Payload {
				if turn == 0 {
					slices.Reverse(list)
					return list
				}
				return slices.Concat(list[turn:], list[:turn])
			})
			dropped := len(filter(l.other(g).events, session.Dropped))
			l.deliver(g)
			if got := filter(l.other(g).events, session.Dropped); len(got) > dropped {
				t.Errorf("%s turned by %d is dropped: %s", m.name, turn, got[dropped].Story)
			}
			l.settle()
			if m.name[:10] == "delete IKE" {
				l.mustBeGone()
				continue
			}
			l.unharmed()
			if n := len(filter(l.a.events, session.IKEUp)); n != 1 {
				t.Errorf("%s turned by %d: %d IKE SAs", m.name, turn, n)
			}
		}
	}
}

// TestEveryOrderMeansTheSame is MAL-08 without the ends: all permutations of each message fit the same rule.
func TestEveryOrderMeansTheSame(t *testing.T) {
	for _, m := range slices.Concat(moments, additionals) {
		l, g := m.reach(t)
		h, err := wire.ParseHeader(g.queue[0].Bytes)
		if err != nil {
			t.Fatal(err)
		}
		to := l.other(g).saOf(h)
		if to == nil { // the first request
			to = &SA{state: halfOpen}
		}
		list := l.peek(g)
		fit := func() string {
			msg := &message{Header: h}
			msg.sort(list)
			r, missing, ok := to.match(msg)
			if !ok {
				t.Fatalf("%s fits no rule as {%s}: %s", m.name, wire.Describe(list), missing)
			}
			return r.story
		}
		want := fit()
		permute(list, func() {
			if got := fit(); got != want {
				t.Errorf("%s as {%s}: %s, want %s", m.name, wire.Describe(list), got, want)
			}
		})
	}
}

// permute calls f with list in each of its orders.
func permute[T any](list []T, f func()) {
	var heap func(k int)
	heap = func(k int) {
		if k <= 1 {
			f()
			return
		}
		for i := range k {
			heap(k - 1)
			if j := i * (1 - k%2); k-1 != j {
				list[j], list[k-1] = list[k-1], list[j]
			}
		}
	}
	heap(len(list))
}

// TestOmittedAndDoubled is MAL-08 (CVE-2013-6467): each payload of each message is left out, and is there twice. A
// request in clear is dropped and leaves nothing behind; a protected one is answered with INVALID_SYNTAX; and whatever
// it was, the tunnel comes up or stays.
func TestOmittedAndDoubled(t *testing.T) {
	for _, m := range slices.Concat(moments, additionals) {
		l, g := m.reach(t)
		for i, p := range l.peek(g) {
			for name, change := range map[string]func([]wire.Payload, int) []wire.Payload{"left out": without, "twice": doubled} {
				mandatory, refusal := slices.Contains(m.must, p.Type()), wire.NotifyInvalidSyntax
				if name == "left out" && (p.Type() == wire.TypeTSi || p.Type() == wire.TypeTSr) && !m.auth() {
					refusal = wire.NotifyNoProposalChosen // what is left asks to rekey the IKE SA, with proposals for ESP
				}
				if p.Type() == wire.TypeDelete && !m.answer() {
					continue // without it the message is another, and twice it is still the same
				}
				t.Run(m.name+", "+p.Type().String()+" "+name, func(t *testing.T) {
					l, g := m.reach(t)
					m.change(l, g, false, func(list []wire.Payload) []wire.Payload { return change(list, i) })
					to := l.other(g)
					before, ups := to.snapshot(), len(filter(to.events, session.IKEUp))
					l.deliver(g)
					l.mustBeSound()
					switch {
					case !mandatory:
					case m.clear() && to.snapshot() != before:
						t.Errorf("it changed something:\n%s\nbefore:\n%s", to.snapshot(), before)
					case m.clear() && len(to.queue) != 0:
						t.Error("it was answered in clear")
					case !m.clear() && !m.answer() && says(l.peek(to)) != refusal:
						t.Errorf("it was not answered with %v\n%s", refusal, l.log.String())
					case m.auth() && (p.Type() == wire.TypeAuth || p.Type() == wire.TypeIDi || p.Type() == wire.TypeIDr) && len(filter(to.events, session.IKEUp)) != ups:
						t.Errorf("an IKE SA is up without %v", p.Type())
					}
					l.heals()
				})
			}
		}
	}
}
