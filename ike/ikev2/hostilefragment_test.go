package ikev2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A piece is a fragment as its sender, who has the keys, chooses to write it.
type piece struct {
	number, total uint16
	inner         wire.PayloadType
	plain         []byte
}

// cut makes n honest pieces of the message.
func (m sealed) cut(n int) (out []piece) {
	size := (len(m.plain) + n - 1) / n
	for i := range n {
		p := piece{number: uint16(i + 1), total: uint16(n), plain: m.plain[min(i*size, len(m.plain)):min((i+1)*size, len(m.plain))]}
		if i == 0 {
			p.inner = m.first
		}
		out = append(out, p)
	}
	return out
}

// fragment puts a piece of the message together, with an IV of its own.
func (m sealed) fragment(p piece) []byte {
	alg := m.sender.keys.alg
	plain := wire.PadSK(slices.Clone(p.plain), alg.Block)
	msg, aadLen := wire.BeginSKF(m.Header, m.first, p.number, p.total, alg.IVLen, len(plain)+alg.TagLen)
	msg[wire.HeaderLen] = byte(p.inner)
	iv := slices.Clone(m.iv)
	iv[0], iv[1], iv[2] = iv[0]|0x80, byte(p.number), byte(p.total)
	msg = append(msg, iv...)
	return m.sender.sealer(m.Header).Seal(msg, msg[aadLen:], plain, msg[:aadLen], nil)
}

// kept gives g a fragment and checks that it is collected and nothing else happens.
func (l *lab) kept(g *gateway, name string, msg []byte) {
	l.t.Helper()
	events, queue := len(g.events), len(g.queue)
	l.receive(g, msg, l.path(g))
	if len(g.queue) != queue || len(g.events) != events+1 || g.events[events].Story != "keep a fragment" {
		l.t.Fatalf("%s: not kept, or answered\n%s", name, l.log.String())
	}
}

// collected is how many octets of fragments an SA holds, in how many collections.
func (s *SA) collected() (octets, collections int) {
	for _, c := range s.collecting {
		if c == nil {
			continue
		}
		collections++
		for _, part := range c.parts {
			octets += len(part)
		}
	}
	return octets, collections
}

// cuttable are the moments whose message has something inside to cut, IKE_INTERMEDIATE's among them.
var cuttable = slices.DeleteFunc(append(slices.Clone(moments), additionals...), func(m moment) bool {
	return m.clear() || m.name[:8] == "liveness" || m.name == "delete IKE answer"
})

// TestHostileFragments is MAL-20 and DOS-06 (RFC 7383 §2.5, §2.6): fragments that are none, sealed with the right keys, and
// honest ones with a tag that is not good. None is kept, none is answered; the message itself, in fragments, then does what
// it would have done.
func TestHostileFragments(t *testing.T) {
	for _, m := range cuttable {
		l, g := m.reach(t)
		to := l.other(g)
		o := l.open(g, l.take(g).Bytes)
		cut := o.cut(3)
		one, two := cut[0], cut[1]
		change := func(p piece, change func(*piece)) []byte { change(&p); return o.fragment(p) }
		bad := map[string][]byte{
			"number 0":                     change(two, func(p *piece) { p.number = 0 }),
			"number 0 of 0":                change(two, func(p *piece) { p.number, p.total = 0, 0 }),
			"number 1 of 0":                change(one, func(p *piece) { p.total = 0 }),
			"number 4 of 3":                change(two, func(p *piece) { p.number = 4 }),
			"number 65535 of 3":            change(two, func(p *piece) { p.number = 65535 }),
			"the first of 65":              change(one, func(p *piece) { p.total = maxFragments + 1 }),
			"the first of 65535":           change(one, func(p *piece) { p.total = 65535 }),
			"the last of 65535":            change(two, func(p *piece) { p.number, p.total = 65535, 65535 }),
			"a first that leads nowhere":   change(one, func(p *piece) { p.inner = wire.None }),
			"a second that leads on":       change(two, func(p *piece) { p.inner = o.first }),
			"a first that leads to SKF":    change(one, func(p *piece) { p.inner = wire.TypeSKF }),
			"a first that leads to SK":     change(one, func(p *piece) { p.inner = wire.TypeSK }),
			"something behind the payload": fitted(append(o.fragment(one), 0)),
		}
		for n, p := range cut {
			b := o.fragment(p)
			for _, at := range []int{wire.HeaderLen + 5, wire.HeaderLen + 7, wire.HeaderLen + 8, len(b) - 17, len(b) - 1} { // number, total, IV, text, tag
				bad[fmt.Sprintf("piece %d with octet %d changed", n+1, at)] = withOctet(b, at, b[at]^1)
			}
			bad[fmt.Sprintf("piece %d cut short", n+1)] = fitted(b[:len(b)-1])
			bad[fmt.Sprintf("piece %d as SK", n+1)] = withOctet(b, 16, byte(wire.TypeSK))
		}
		for name, msg := range bad {
			sa := to.saOf(o.Header)
			if sa.handshake != nil {
				sa.handshake.bad = 0 // the limit on these has a test of its own
			}
			l.ignored(to, m.name+": "+name, msg)
			if n, _ := sa.collected(); n > 0 || sa.collecting != [2]*collection{} {
				t.Fatalf("%s: %s: %d octets are kept", m.name, name, n)
			}
		}
		for _, i := range []int{2, 1, 0} {
			l.arrive(g, o.fragment(cut[i]))
		}
		l.settle()
		if m.name[:10] == "delete IKE" {
			l.mustBeGone()
		} else {
			l.unharmed()
		}
	}
}

// fitted is a message whose header says its length.
func fitted(msg []byte) []byte {
	b := slices.Clone(msg)
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

// TestFragmentsThatDoNotFit is MAL-20 (RFC 7383 §2.6, §2.6.1): once a fragment is kept, others of the same message that say
// something else are dropped: the same number with other content, another exchange, a smaller total. A larger total starts
// anew. What was kept first counts, and nothing is left when the message is whole.
func TestFragmentsThatDoNotFit(t *testing.T) {
	for _, m := range cuttable {
		l, g := m.reach(t)
		to := l.other(g)
		o := l.open(g, l.take(g).Bytes)
		hostile, elsewhere := o, o
		hostile.plain = make([]byte, len(o.plain))
		elsewhere.Exchange ^= 3
		three, four := o.cut(3), o.cut(4)
		sa := to.saOf(o.Header)

		l.kept(to, "2 of 3", o.fragment(three[1]))
		for name, msg := range map[string][]byte{
			"2 of 3 again":               o.fragment(three[1]),
			"2 of 3 with other content":  hostile.fragment(hostile.cut(3)[1]),
			"1 of 2":                     o.fragment(o.cut(2)[0]),
			"1 of 1, the whole message":  o.fragment(o.cut(1)[0]),
			"1 of 3 of another exchange": elsewhere.fragment(three[0]),
		} {
			l.ignored(to, m.name+": "+name, msg)
		}
		l.kept(to, "1 of 3", o.fragment(three[0]))
		l.kept(to, "4 of 4", o.fragment(four[3])) // and the two of three are gone
		l.ignored(to, m.name+": 3 of 3, which is old by now", o.fragment(three[2]))
		if n, collections := sa.collected(); n != len(four[3].plain) || collections != 1 {
			t.Errorf("%s: %d octets in %d collections, want %d in one", m.name, n, collections, len(four[3].plain))
		}
		l.kept(to, "2 of 4", o.fragment(four[1]))
		l.kept(to, "3 of 4", o.fragment(four[2]))
		l.arrive(g, o.fragment(four[0]))
		if sa.collecting != [2]*collection{} {
			t.Errorf("%s: fragments are left of a message that is whole", m.name)
		}
		l.settle()
		if m.name[:10] == "delete IKE" {
			l.mustBeGone()
		} else {
			l.unharmed()
		}
	}
}

// TestWholeAndInFragments is MAL-20: one Message ID comes as SK and as SKF. Whichever is whole first counts, the other is
// nothing, and no fragment stays.
func TestWholeAndInFragments(t *testing.T) {
	for _, m := range cuttable {
		l, g := m.reach(t)
		to := l.other(g)
		whole := l.take(g).Bytes
		o := l.open(g, whole)
		cut := o.cut(2)
		sa := to.saOf(o.Header)
		l.kept(to, m.name+": 1 of 2", o.fragment(cut[0]))
		l.arrive(g, whole)
		if sa.collecting != [2]*collection{} {
			t.Errorf("%s: a fragment of a message that came whole is kept", m.name)
		}
		for i, p := range []piece{cut[1], cut[0]} {
			before, queue := to.snapshot(), len(to.queue)
			l.arrive(g, o.fragment(p))
			if to.snapshot() != before || len(to.queue) != queue {
				t.Errorf("%s: fragment %d of what is answered does something", m.name, 2-i)
			}
		}
		l.settle()
		if m.name[:10] == "delete IKE" {
			l.mustBeGone()
		} else {
			l.unharmed()
		}
	}
}

// TestFragmentsNobodyAgreedOn is MAL-20 (RFC 7383 §2.3): where one end did not announce fragmentation, no fragment is taken
// by either, however well it is sealed; and IKE_SA_INIT is never one (§2.4).
func TestFragmentsNobodyAgreedOn(t *testing.T) {
	l := newLab(t)
	l.initiate(l.a)
	l.sayClear(l.a, func(m *wire.Message) {
		m.Payloads = slices.DeleteFunc(m.Payloads, func(p wire.Payload) bool {
			n, ok := p.(*wire.Notify)
			return ok && n.Kind == wire.NotifyIKEv2FragmentationSupported
		})
	})
	l.settle()
	l.paired()
	for _, g := range []*gateway{l.a, l.b} {
		l.do(g, session.Rekey{})
		d := l.take(g)
		o := l.open(g, d.Bytes)
		for _, p := range append(o.cut(2), o.cut(1)...) {
			l.ignored(l.other(g), "a fragment nobody agreed on", o.fragment(p))
		}
		g.queue = slices.Insert(g.queue, 0, d)
		l.settle()
		l.unharmed()
	}

	for _, answer := range []bool{false, true} {
		l := newLab(t)
		l.initiate(l.a)
		from, to := l.a, l.b
		if answer {
			l.deliver(l.a)
			from, to = l.b, l.a
		}
		d := l.take(from)
		h, err := wire.ParseHeader(d.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		for _, number := range []uint16{1, 2} {
			msg, _ := wire.BeginSKF(h, wire.TypeSA, number, 2, 8, len(d.Bytes))
			before, queue := to.snapshot(), len(to.queue)
			l.arrive(from, append(msg, make([]byte, 8+len(d.Bytes))...))
			if to.snapshot() != before || len(to.queue) != queue {
				t.Errorf("IKE_SA_INIT in fragments, answer %v: something happens\n%s", answer, l.log.String())
			}
		}
		from.queue = slices.Insert(from.queue, 0, d)
		l.settle()
		l.unharmed()
	}
}

// TestManyOpenMessages is DOS-06: first fragments of a thousand messages, requests and answers, and then last ones, come to
// both ends. Only the message that is due is collected, in one direction each; 64 fragments in the worst order make a message,
// 64 kB and an octet do not, and nothing stays.
func TestManyOpenMessages(t *testing.T) {
	for _, end := range []string{"a", "b"} {
		l := connected(t)
		victim, from := l.a, l.b
		if end == "b" {
			victim, from = l.b, l.a
		}
		sa := victim.sa()
		for i := range uint32(1000) {
			for _, response := range []bool{false, true} {
				for number := range uint16(2) {
					o := forged(from.sa(), from.sa().header(wire.Informational, sa.nextIn+i, response))
					o.first = wire.TypeNotify
					p := piece{number: 2 - number, total: 2, plain: make([]byte, 1000)}
					if p.number == 1 {
						p.inner = o.first
					}
					if i == 0 && number == 1 && !response {
						continue // this one would be whole
					}
					l.arrive(from, o.fragment(p))
				}
			}
			if octets, collections := sa.collected(); octets > 2000 || collections > 1 {
				t.Fatalf("%d octets of %d messages are kept", octets, collections)
			}
		}
		if octets, collections := sa.collected(); octets != 1000 || collections != 1 {
			t.Errorf("%d octets of %d messages are kept, want 1000 of the one that is due", octets, collections)
		}
		due := forged(from.sa(), from.sa().header(wire.Informational, sa.nextIn, false))
		due.first = wire.TypeNotify
		for number := uint16(1); number <= 40; number++ {
			p := piece{number: number, total: 40, plain: make([]byte, 2000)}
			if number == 1 {
				p.inner = due.first
			}
			l.arrive(from, due.fragment(p))
			if octets, _ := sa.collected(); octets > maxCollected {
				t.Fatalf("%d octets are kept", octets)
			}
		}
		alive := due.with(slices.Repeat([]wire.Payload{&wire.Notify{Kind: 40000, Data: make([]byte, 100)}}, 32)...)
		for _, p := range slices.Backward(alive.cut(maxFragments)) {
			l.arrive(from, alive.fragment(p))
		}
		if octets, collections := sa.collected(); octets > 0 || collections > 0 || len(victim.queue) != 1 {
			t.Errorf("%d octets of %d messages are left, %d answers to the one that is whole", octets, collections, len(victim.queue))
		}
		victim.queue = nil
		from.sa().nextOut = sa.nextIn
		l.unharmed()
	}
}

// TestRepeatedFragments is DOS-07 (RFC 7383 §2.6.1): of an answered request only fragment 1 brings the answer again, and a
// hundred of it in a second bring it a few times.
func TestRepeatedFragments(t *testing.T) {
	for _, m := range cuttable {
		if m.answer() || m.name[:10] == "delete IKE" {
			continue
		}
		l, g := m.reach(t)
		to := l.other(g)
		o := l.open(g, l.take(g).Bytes)
		cut := o.cut(3)
		for _, p := range cut {
			l.arrive(g, o.fragment(p))
		}
		answer := slices.Clone(to.queue)
		if len(answer) == 0 {
			t.Fatalf("%s: no answer", m.name)
		}
		to.queue = nil
		for range 10 {
			for _, p := range cut[1:] {
				l.ignored(to, m.name+": a fragment of what is answered", o.fragment(p))
			}
		}
		begun := l.now
		for i := range 100 {
			l.now = begun.Add(time.Duration(i) * 10 * time.Millisecond)
			l.arrive(g, o.fragment(cut[0]))
		}
		if n := len(to.queue) / len(answer); n != 4 || len(to.queue)%len(answer) != 0 {
			t.Errorf("%s: fragment 1 a hundred times in a second brings the answer %d times, want 4", m.name, n)
		}
		for i, d := range to.queue {
			if string(d.Bytes) != string(answer[i%len(answer)].Bytes) {
				t.Fatalf("%s: another answer than before", m.name)
			}
		}
		to.queue = answer
		l.settle()
		l.unharmed()
	}
}
