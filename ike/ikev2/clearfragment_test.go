package ikev2

import (
	"encoding/binary"
	"slices"
	"testing"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// inClear puts payloads in clear before the Encrypted payload of a message, sealed by who has the keys.
func (m sealed) inClear(p piece, list []wire.Payload) []byte {
	alg := m.sender.keys.alg
	plain := wire.PadSK(slices.Clone(p.plain), alg.Block)
	skf, _ := wire.BeginSKF(m.Header, m.first, p.number, p.total, alg.IVLen, len(plain)+alg.TagLen)
	chain := wire.AppendPayloads(nil, list)
	chain[0] = byte(wire.TypeSKF) // there is one payload
	msg := slices.Concat(skf[:wire.HeaderLen], chain, skf[wire.HeaderLen:])
	msg[16] = byte(wire.FirstType(list))
	aadLen := len(msg)
	binary.BigEndian.PutUint32(msg[24:], uint32(aadLen+alg.IVLen+len(plain)+alg.TagLen))
	iv := slices.Clone(m.iv)
	iv[0], iv[1] = iv[0]|0x80, byte(p.number)
	msg = append(msg, iv...)
	return m.sender.sealer(m.Header).Seal(msg, msg[aadLen:], plain, msg[:aadLen], nil)
}

// F-06 (RFC 7383 §2.5.3): our fragments have nothing in clear. What a peer puts there, into the first fragment or into any
// other, is nobody's word: the message counts as if it were not there.
func TestFragmentsWithPayloadsInClear(t *testing.T) {
	l := newLab(t)
	l.a.cfg.FragmentSize, l.b.cfg.FragmentSize = 170, 170
	l.initiate(l.a)
	fragments := 0
	l.overhear(func(g *gateway, h wire.Header, msg []byte) {
		if env, err := wire.FindEnvelope(msg, h); err == nil && env.Kind == wire.TypeSKF {
			if fragments++; len(env.Clear) > 0 {
				t.Errorf("fragment %d has {%s} in clear", env.Fragment, wire.Describe(env.Clear))
			}
		}
	})
	if l.paired(); fragments < 4 {
		t.Errorf("%d fragments", fragments)
	}

	for number := range 3 {
		for name, p := range map[string]wire.Payload{"a Delete of the IKE SA": &wire.Delete{Protocol: wire.ProtoIKE},
			"AUTHENTICATION_FAILED": &wire.Notify{Kind: wire.NotifyAuthenticationFailed}, "an unknown one": &wire.Unknown{Kind: 200}} {
			l := connected(t)
			l.do(l.a, session.Rekey{})
			o := l.open(l.a, l.take(l.a).Bytes)
			for i, piece := range o.cut(3) {
				if i == number {
					l.arrive(l.a, o.inClear(piece, []wire.Payload{p}))
				} else {
					l.arrive(l.a, o.fragment(piece))
				}
			}
			l.settle()
			if l.unharmed(); len(filter(l.b.events, session.ChildRekeyed)) == 0 {
				t.Errorf("%s before fragment %d: the message does not count", name, number+1)
			}
		}
	}
}
