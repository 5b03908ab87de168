package ikev2

import (
	"testing"
	"time"

	"twinbore/ike/session"
)

// What one step of FuzzFragments does to a fragment, bit by bit.
const (
	otherNext     = 1 << iota // says the type of the first payload where it must not, or not where it must
	badTag                    // a tag that is not good
	otherExchange             // another exchange in the header
	otherContent              // zeros of the same length
	inOnePiece                // the whole message in SK
	otherID                   // the ID after the one that is due
	twice
)

// FuzzFragments gives arbitrary octets, cut into pieces that are sealed with the right keys, to each side in each
// situation after IKE_SA_INIT. The plan says which pieces come, three octets for each: number, total, and what is wrong
// with it. Nothing panics, nobody comes up without AUTH, what is collected has its limits, and a tag that is not good leaves
// nothing (MAL-20, DOS-06).
func FuzzFragments(f *testing.F) {
	for i, s := range situations {
		if s.clear() {
			continue
		}
		l, g := s.reach(f)
		o := l.open(g, g.queue[0].Bytes)
		for _, plan := range [][]byte{
			{1, 2, 0, 2, 2, 0}, {3, 3, 0, 2, 3, 0, 1, 3, 0}, {1, 1, 0},
			{1, 2, badTag, 1, 2, otherContent, 2, 2, 0}, {2, 3, 0, 1, 4, 0, 3, 3, 0, 2, 4, 0, 3, 4, 0, 4, 4, 0},
			{1, 2, 0, 1, 1, inOnePiece, 2, 2, 0}, {1, 2, otherNext, 0, 2, 0, 3, 2, 0, 1, 65, 0, 1, 0, otherID}, {1, 2, otherExchange, 1, 2, twice, 2, 2, twice},
		} {
			f.Add(byte(i), byte(o.Exchange), byte(o.Flags), byte(o.first), o.plain, plan)
		}
	}
	f.Fuzz(func(t *testing.T, situation, exchange, flags, first byte, plain, plan []byte) {
		s := situations[int(situation)%len(situations)]
		if s.clear() || len(plain) > 20000 || len(plan) > 3*(maxFragments+8) {
			return
		}
		l, g := s.reach(t)
		real := l.open(g, l.take(g).Bytes)
		to := l.other(g)
		o := real.as(to, exchange, flags, first, plain)
		authenticated := len(filter(to.events, session.IKEUp)) > 0
		for ; len(plan) >= 3; plan = plan[3:] {
			l.hostilePiece(to, o, plan[0], plan[1], plan[2])
		}
		if !authenticated && len(filter(to.events, session.IKEUp)) > 0 && !real.proven(plain) {
			t.Fatalf("an IKE SA came up without AUTH\n%s", l.log.String())
		}
		l.stands()
		l.settle()
		l.stands()
		l.wait(time.Minute, l.settle)
		l.stands()
	})
}

// hostilePiece gives one step of a plan to a gateway and checks what it keeps.
func (l *lab) hostilePiece(to *gateway, o sealed, number, total, how byte) {
	l.t.Helper()
	if to.saOf(o.Header) == nil {
		return // and with it the keys, where both ends have the same ones
	}
	p := piece{number: uint16(number), total: uint16(total), plain: o.plain}
	if number > 0 && number <= total && total <= 2*maxFragments {
		p = o.cut(int(total))[number-1]
	}
	if how&otherNext != 0 {
		p.inner ^= o.first
	}
	if how&otherExchange != 0 {
		o.Exchange ^= 3
	}
	if how&otherContent != 0 {
		p.plain = make([]byte, len(p.plain))
	}
	if how&otherID != 0 {
		o.MessageID++
	}
	msg := o.fragment(p)
	if how&inOnePiece != 0 {
		msg = o.seal()
	}
	if how&badTag != 0 {
		msg[len(msg)-1] ^= 1
	}
	times := 1
	if how&twice != 0 {
		times = 2
	}
	for range times {
		sa := to.saOf(o.Header)
		if sa == nil {
			return
		}
		before, _ := sa.collected()
		l.receive(to, msg, l.path(to))
		octets, _ := sa.collected()
		if how&badTag != 0 && octets > before {
			l.t.Fatalf("a fragment is kept whose tag is not good\n%s", l.log.String())
		}
		for _, c := range sa.collecting {
			if c != nil && (octets > 2*maxCollected || len(c.parts) > maxFragments || c.got >= int(c.total)) {
				l.t.Fatalf("%d octets are kept, %d of %d fragments\n%s", octets, c.got, c.total, l.log.String())
			}
		}
	}
}
