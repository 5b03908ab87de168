package ikev2

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// ignored gives g a message and checks that nothing happens: no answer, no change, one drop told.
func (l *lab) ignored(g *gateway, name string, msg []byte) {
	l.t.Helper()
	before, events, queue := g.snapshot(), len(g.events), len(g.queue)
	l.receive(g, msg, l.path(g))
	if got := g.snapshot(); got != before {
		l.t.Fatalf("%s changed\n%s\nto\n%s", name, before, got)
	}
	if len(g.queue) != queue {
		l.t.Fatalf("%s is answered", name)
	}
	for _, e := range g.events[events:] {
		if e.Kind != session.Dropped {
			l.t.Fatalf("%s: %v %s", name, e.Kind, e.Story)
		}
	}
	if strings.Contains(name, "header") { // the lab's demultiplexer may have had no session to tell
		return
	}
	if len(g.events) != events+1 {
		l.t.Fatalf("%s is told %d times", name, len(g.events)-events)
	}
}

// suites are one of each way to protect messages.
var suites = []string{defaultIKE, "aes256gcm16-prfsha384-ecp384", "aes128-sha256-curve25519", "aes256-sha512-modp2048", "chacha20poly1305-prfsha256-curve25519"}

// TestHostileEnvelope is MAL-18: Encrypted payloads that are none, those of somebody who has the keys included. They are
// dropped before anything inside is looked at, and the pair is unharmed.
func TestHostileEnvelope(t *testing.T) {
	for i, m := range moments {
		if m.clear() {
			continue
		}
		for _, suite := range []string{suites[i%len(suites)], suites[(i+2)%len(suites)]} {
			l, g := m.with(suite)(t)
			to := l.other(g)
			d := l.take(g)
			good := d.Bytes
			o := l.open(g, good)
			alg := o.sender.keys.alg
			sk := wire.HeaderLen // where the generic header of SK stands
			length := func(b []byte) []byte {
				b = slices.Clone(b)
				binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
				return b
			}
			whole := func(b []byte) []byte { // and that of SK
				b = length(b)
				binary.BigEndian.PutUint16(b[sk+2:], uint16(len(b)-sk))
				return b
			}
			header := func(change func(*wire.Header)) []byte {
				h := o.Header
				change(&h)
				return h.Append(nil)
			}
			bad := map[string][]byte{
				"no payload at all":      length(header(func(h *wire.Header) { h.Next = 0 })),
				"payloads in clear":      (&wire.Message{Header: o.Header, Payloads: o.payloads()}).Marshal(),
				"a Delete in clear":      (&wire.Message{Header: o.Header, Payloads: []wire.Payload{&wire.Delete{Protocol: wire.ProtoIKE}}}).Marshal(),
				"SK leads to SK":         withOctet(good, sk, byte(wire.TypeSK)),
				"something behind SK":    length(append(slices.Clone(good), 0, 0, 0, 4)),
				"SK shorter than said":   withOctet(good, sk+3, good[sk+3]+1),
				"the last octet cut off": whole(good[:len(good)-1]),
				"the first block cut":    whole(append(slices.Clone(good[:sk+4]), good[sk+4+16:]...)),
				"a fragment of none":     withOctet(good, 16, byte(wire.TypeSKF)),
				"another exchange":       withOctet(good, 18, good[18]^2),
				"another reserved bit":   withOctet(good, sk+1, 1),
			}
			for n := range alg.IVLen + alg.TagLen + 1 {
				bad[fmt.Sprintf("%d octets in SK", n)] = whole(good[:sk+4+n])
			}
			if len(o.plain) < 200 { // a longer one can have all that padding (free5GC #997)
				bad["255 octets of padding"] = o.padded(255)
				bad["padding of everything and one octet more"] = o.padded(byte(len(o.plain) + alg.Block))
			}
			empty := o
			empty.plain, empty.pad = nil, []byte{}
			if alg.Block == 1 {
				bad["nothing inside, no pad length either"] = empty.seal()
			}
			swapped := o
			swapped.Flags ^= wire.FlagInitiator // sealed with the key of the other direction, CRY-16
			reflected := swapped.seal()
			reflected[19] ^= byte(wire.FlagInitiator)
			bad["sealed with the other direction's key"] = reflected
			bad["SK leads to SK inside"] = o.nested()
			for name, msg := range bad {
				if sa := to.saOf(o.Header); sa.handshake != nil {
					sa.handshake.bad = 0 // the limit on these has a test of its own
				}
				l.ignored(to, suite+", "+m.name+": "+name, msg)
			}
			g.queue = slices.Insert(g.queue, 0, d)
			l.settle()
			if m.name[:10] != "delete IKE" {
				l.unharmed()
			}
		}
	}
}

// padded is the message with a pad length that says n octets.
func (m sealed) padded(n byte) []byte {
	block := m.sender.keys.alg.Block
	pad := make([]byte, (block-1-len(m.plain)%block)+1)
	pad[len(pad)-1] = n
	m.pad = pad
	return m.seal()
}

// nested is the message with an Encrypted payload inside.
func (m sealed) nested() []byte {
	inner := &wire.Unknown{Kind: wire.TypeSK, Data: make([]byte, 40)}
	return m.with(inner).seal()
}

// TestEncryptedInsideEncrypted is MAL-18: behind another payload it shows only once the message is open, which is then authentic
// and answered: a syntax error.
func TestEncryptedInsideEncrypted(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Probe{})
	d := l.take(l.a)
	hidden := l.open(l.a, d.Bytes).with(&wire.Unknown{Kind: 200}, &wire.Unknown{Kind: wire.TypeSK, Data: make([]byte, 40)})
	l.arrive(l.a, hidden.seal())
	if answer := l.answered(l.b); says(answer) != wire.NotifyInvalidSyntax {
		t.Errorf("answered {%s}", wire.Describe(answer))
	}
	l.mustBeSound()
	l.paired()
}

// TestClearBesideEncrypted is MAL-19: what stands in clear before the Encrypted payload is nobody's word, even where the
// tag covers it.
func TestClearBesideEncrypted(t *testing.T) {
	for name, list := range map[string][]wire.Payload{
		"a Delete of the IKE SA": {&wire.Delete{Protocol: wire.ProtoIKE}}, "AUTHENTICATION_FAILED": {&wire.Notify{Kind: wire.NotifyAuthenticationFailed}},
		"INITIAL_CONTACT": {&wire.Notify{Kind: wire.NotifyInitialContact}}, "unknown ones": {&wire.Unknown{Kind: 200}, &wire.Unknown{Kind: 1}},
		"another identity": {&wire.ID{Initiator: true, Kind: wire.IDFQDN, Data: []byte("x")}},
	} {
		l := connected(t)
		l.do(l.a, session.Probe{})
		l.rewrite(l.a, func(m *sealed) { m.clear = list })
		l.settle()
		if alive := l.a.sa().open; alive != nil {
			t.Errorf("%s: the liveness check is not answered", name)
		}
		l.unharmed()
	}
	l := connected(t)
	l.do(l.a, session.Probe{})
	l.rewrite(l.a, func(m *sealed) { m.clear = []wire.Payload{&wire.Unknown{Kind: 250, Critical: true}} })
	l.ignored(l.b, "a critical payload in clear", l.take(l.a).Bytes)
}

// TestEveryBitOfEveryMessage is CRY-07: one bit of any octet of any protected message is another, and the message is
// dropped with nothing changed; the good one works afterwards.
func TestEveryBitOfEveryMessage(t *testing.T) {
	for i, m := range moments {
		if m.clear() {
			continue
		}
		l, g := m.with(suites[i%len(suites)])(t)
		to, d := l.other(g), l.take(g)
		for at := range d.Bytes {
			for bit := range 8 {
				if at > 60 && at < len(d.Bytes)-20 && (at+bit)%29 != 0 { // of the ciphertext a part of all bits
					continue
				}
				if sa := to.saOf(wire.Header{SPIi: binary.BigEndian.Uint64(d.Bytes), SPIr: binary.BigEndian.Uint64(d.Bytes[8:])}); sa.handshake != nil {
					sa.handshake.bad = 0
				}
				name := fmt.Sprintf("%s with bit %d of octet %d", m.name, bit, at)
				if at < wire.HeaderLen {
					name += " of the header"
				}
				l.ignored(to, name, withOctet(d.Bytes, at, d.Bytes[at]^1<<bit))
			}
		}
		g.queue = slices.Insert(g.queue, 0, d)
		l.settle()
		if m.name[:10] != "delete IKE" {
			l.unharmed()
		}
	}
}
