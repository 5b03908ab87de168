package ikev2

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// situations are the states that a message can arrive in, by the moment before which each begins. Who receives is whoever
// the moment's message is for.
var situations = append(slices.Concat(moments, additionals),
	moment{name: "closing", with: before(func(l *lab) { told(session.Rekey{})(l); l.do(l.a, session.Close{}) }, "a")},
	moment{name: "both rekey the child", with: before(func(l *lab) { told(session.Rekey{})(l); l.do(l.b, session.Rekey{}) }, "b")},
	moment{name: "both rekey the IKE SA", with: before(func(l *lab) { told(session.Rekey{IKE: true})(l); l.do(l.b, session.Rekey{IKE: true}) }, "b")},
	moment{name: "replaced", with: before(told(session.Rekey{IKE: true}), "a", "b")},
)

// stands checks what must be true after anything at all, now and when everything has timed out.
func (l *lab) stands() {
	for _, g := range []*gateway{l.a, l.b} {
		if problem := cmp.Or(l.sound(g), g.discreet()); problem != "" {
			l.t.Fatalf("%s\n%s", problem, l.log.String())
		}
	}
}

// FuzzReceive gives arbitrary octets to each side in each situation, twice: as they are, and with the SPIs, the length and
// perhaps the message ID of a message that is expected, so that they get further than the header. Nothing panics, nobody
// comes up who was not up, and the books are in order.
func FuzzReceive(f *testing.F) {
	for i, s := range situations {
		_, g := s.reach(f)
		f.Add(byte(i), byte(3), g.queue[0].Bytes)
		f.Add(byte(i), byte(0), g.queue[0].Bytes[:wire.HeaderLen])
	}
	f.Fuzz(func(t *testing.T, situation, fit byte, msg []byte) {
		l, g := situations[int(situation)%len(situations)].reach(t)
		real := l.take(g).Bytes
		to := l.other(g)
		ups := len(filter(to.events, session.IKEUp)) + len(filter(to.events, session.IKERekeyed))
		known := bytes.Equal(msg, real) || authentic(to, msg)
		l.receive(to, msg, l.path(to))
		if fit&1 != 0 && len(msg) >= wire.HeaderLen {
			fitted := slices.Clone(msg)
			copy(fitted, real[:16])
			binary.BigEndian.PutUint32(fitted[24:], uint32(len(fitted)))
			if fit&2 != 0 {
				copy(fitted[17:24], real[17:24])
			}
			known = known || bytes.Equal(fitted, real) || authentic(to, fitted)
			l.receive(to, fitted, l.path(to))
		}
		if n := len(filter(to.events, session.IKEUp)) + len(filter(to.events, session.IKERekeyed)); n != ups && !known {
			t.Fatalf("an IKE SA came up\n%s", l.log.String())
		}
		l.stands()
		l.wait(time.Minute, l.settle)
		l.stands()
	})
}

// authentic reports whether msg is sealed with the keys of an IKE SA of g: the keys of a lab are always the same, so that
// the fuzzer finds what one situation says good for another.
func authentic(g *gateway, msg []byte) bool {
	h, err := wire.ParseHeader(msg)
	if err != nil {
		return false
	}
	env, err := wire.FindEnvelope(msg, h)
	sa := g.saOf(h)
	if err != nil || sa == nil || sa.keys == nil {
		return false
	}
	_, err = sa.openEnvelope(msg, env)
	return err == nil
}

// FuzzSealed gives arbitrary octets, sealed with the right keys, as the inside of a message of any exchange to each side in
// each situation after IKE_SA_INIT: a peer that is authenticated, or in a key exchange with us, and hostile.
func FuzzSealed(f *testing.F) {
	for i, s := range situations {
		if l, g := s.reach(f); !s.clear() {
			o := l.open(g, g.queue[0].Bytes)
			f.Add(byte(i), byte(o.Exchange), byte(o.Flags), byte(o.first), o.plain)
			f.Add(byte(i), byte(wire.Informational), byte(o.Flags), byte(wire.TypeDelete), []byte{0, 0, 0, 12, 3, 4, 0, 1, 0, 0, 1, 1})
		}
	}
	f.Fuzz(func(t *testing.T, situation, exchange, flags, first byte, plain []byte) {
		s := situations[int(situation)%len(situations)]
		if s.clear() || len(plain) > 60000 {
			return
		}
		l, g := s.reach(t)
		real := l.open(g, l.take(g).Bytes)
		to := l.other(g)
		o := real.as(to, exchange, flags, first, plain)
		authenticated := len(filter(to.events, session.IKEUp)) > 0
		l.receive(to, o.seal(), l.path(to))
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

// as is the message with another exchange, other flags and another inside, and with the ID that to waits for.
func (m sealed) as(to *gateway, exchange, flags, first byte, plain []byte) sealed {
	was, sa := m.Response(), to.saOf(m.Header)
	m.Exchange, m.Flags, m.first, m.plain = wire.ExchangeType(exchange), wire.Flags(flags), wire.PayloadType(first), plain
	switch {
	case m.Response() == was:
	case m.Response() && sa.open != nil:
		m.MessageID = sa.open.id
	default:
		m.MessageID = sa.nextIn
	}
	return m
}

// proven reports whether plain has the AUTH of the message m.
func (m sealed) proven(plain []byte) bool {
	return slices.ContainsFunc(m.payloads(), func(p wire.Payload) bool {
		auth, ok := p.(*wire.Auth)
		return ok && bytes.Contains(plain, auth.Data)
	})
}
