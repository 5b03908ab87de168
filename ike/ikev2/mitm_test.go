package ikev2

import (
	"encoding/binary"
	"slices"

	"twinbore/esp/protect"
	"twinbore/ike/wire"
)

// This file is a man in the middle who knows all keys. He takes the oldest message of a gateway out of its queue,
// changes it and puts it back: with editing functions what two honest gateways say to each other becomes what a hostile
// one might say.

// A sealed message is one taken apart: what a forger may change.
type sealed struct {
	wire.Header
	clear  []wire.Payload   // before the Encrypted payload
	first  wire.PayloadType // of what is inside
	plain  []byte           // inside, without padding
	pad    []byte           // padding and its length; nil: what the algorithm needs
	iv     []byte
	sender *SA
}

// saOf returns the IKE SA of g that a message belongs to.
func (g *gateway) saOf(h wire.Header) *SA {
	for _, s := range g.sessions {
		for _, sa := range s.(*peer).sas {
			if sa.spiI == h.SPIi && (sa.spiR == h.SPIr || sa.spiR == 0 || h.SPIr == 0) {
				return sa
			}
		}
	}
	return nil
}

// sealer is the direction of an SA's keys that a message is sealed with.
func (sa *SA) sealer(h wire.Header) protect.Protector {
	if h.Initiator() {
		return sa.keys.fromI
	}
	return sa.keys.fromR
}

// open takes a protected message of g apart. Where g has new keys already, after an IKE_INTERMEDIATE, the other side's do.
func (l *lab) open(g *gateway, msg []byte) sealed {
	l.t.Helper()
	h, err := wire.ParseHeader(msg)
	if err != nil {
		l.t.Fatal(err)
	}
	m := sealed{Header: h, sender: g.saOf(h)}
	if h.Exchange == wire.IKEIntermediate && h.Response() {
		m.sender = l.other(g).saOf(h)
	}
	env, err := wire.FindEnvelope(msg, h)
	if err != nil || m.sender == nil || m.sender.keys == nil {
		l.t.Fatalf("%s sent no message that can be opened: %v\n%s", g.name, err, l.log.String())
	}
	alg := m.sender.keys.alg
	iv, body, err := env.Cut(alg.IVLen, alg.TagLen)
	if err != nil {
		l.t.Fatal(err)
	}
	plain, err := m.sender.sealer(h).Open(nil, iv, body, msg[:env.AADLen], nil)
	if err != nil {
		l.t.Fatal(err)
	}
	if m.plain, err = wire.UnpadSK(plain); err != nil {
		l.t.Fatal(err)
	}
	m.clear, m.first, m.iv = env.Clear, env.Inner, slices.Clone(iv)
	return m
}

// overhear is settle, with a look at each message before it arrives.
func (l *lab) overhear(look func(g *gateway, h wire.Header, msg []byte)) {
	l.t.Helper()
	for range 1000 {
		g := l.a
		if len(g.queue) == 0 {
			g = l.b
		}
		if len(g.queue) == 0 {
			return
		}
		msg := l.queued(g)
		h, err := wire.ParseHeader(msg)
		if err != nil {
			l.t.Fatal(err)
		}
		look(g, h, msg)
		l.deliver(g)
	}
	l.t.Fatalf("the two never stop talking\n%s", l.log.String())
}

// seal puts the message together. It keeps the IV: the original never arrives, so nothing is sealed twice with it.
func (m sealed) seal() []byte {
	alg := m.sender.keys.alg
	plain := slices.Clone(m.plain)
	if m.pad != nil {
		plain = append(plain, m.pad...)
	} else {
		plain = wire.PadSK(plain, alg.Block)
	}
	msg, aadLen := wire.BeginSK(m.Header, m.first, alg.IVLen, len(plain)+alg.TagLen)
	if len(m.clear) > 0 {
		head := m.Header.Append(nil)
		head[16] = byte(wire.FirstType(m.clear))
		chain := wire.AppendPayloads(nil, m.clear)
		at := 0
		for at+int(binary.BigEndian.Uint16(chain[at+2:])) < len(chain) { // the last of the clear ones leads to SK
			at += int(binary.BigEndian.Uint16(chain[at+2:]))
		}
		chain[at] = byte(wire.TypeSK)
		msg = slices.Concat(head, chain, msg[wire.HeaderLen:])
		aadLen = len(msg)
		binary.BigEndian.PutUint32(msg[24:], uint32(aadLen+alg.IVLen+len(plain)+alg.TagLen))
	}
	msg = append(msg, m.iv...)
	return m.sender.sealer(m.Header).Seal(msg, msg[aadLen:], plain, msg[:aadLen], nil)
}

// payloads reads what is inside.
func (m sealed) payloads() []wire.Payload {
	list, err := wire.ParsePayloads(m.first, m.plain)
	if err != nil {
		panic(err)
	}
	return list
}

// with returns the message with other payloads inside.
func (m sealed) with(list ...wire.Payload) sealed {
	m.first, m.plain = wire.FirstType(list), wire.AppendPayloads(nil, list)
	return m
}

// rewrite changes the oldest message of g as a whole; it is protected.
func (l *lab) rewrite(g *gateway, change func(*sealed)) {
	l.t.Helper()
	d := l.take(g)
	m := l.open(g, d.Bytes)
	change(&m)
	d.Bytes = m.seal()
	g.queue = slices.Insert(g.queue, 0, d)
}

// edit changes the payloads of the oldest message of g, which is protected.
func (l *lab) edit(g *gateway, change func([]wire.Payload) []wire.Payload) {
	l.t.Helper()
	l.rewrite(g, func(m *sealed) { *m = m.with(change(m.payloads())...) })
}

// editClear changes the oldest message of g, an IKE_SA_INIT, on its way: g does not know of it.
func (l *lab) editClear(g *gateway, change func(*wire.Message)) {
	l.t.Helper()
	d := l.take(g)
	m, err := wire.ParseMessage(d.Bytes)
	if err != nil {
		l.t.Fatal(err)
	}
	change(m)
	d.Bytes = m.Marshal()
	g.queue = slices.Insert(g.queue, 0, d)
}

// sayClear changes the oldest message of g, an IKE_SA_INIT, as if g itself had meant to say so: AUTH will cover it.
func (l *lab) sayClear(g *gateway, change func(*wire.Message)) {
	l.t.Helper()
	l.editClear(g, func(m *wire.Message) {
		change(m)
		sa := g.saOf(m.Header)
		for _, p := range m.Payloads {
			if nonce, ok := p.(*wire.Nonce); ok && !m.Header.Response() {
				sa.handshake.ni = nonce.Data
			} else if ok {
				sa.handshake.nr = nonce.Data
			}
		}
	})
	l.believe(g)
}

// believe makes g think that it sent what is now its oldest message, an IKE_SA_INIT.
func (l *lab) believe(g *gateway) {
	l.t.Helper()
	msg := g.queue[0].Bytes
	h, err := wire.ParseHeader(msg)
	if err != nil {
		l.t.Fatal(err)
	}
	sa := g.saOf(h)
	switch {
	case sa == nil: // it has forgotten the SA already
	case h.Response():
		sa.handshake.response, sa.answer = msg, [][]byte{msg}
	default:
		sa.handshake.request, sa.open.bytes = msg, [][]byte{msg}
	}
}

// forge seals a message as from, whatever from's own window says: an authenticated peer that does as it likes. Its IV
// is none that from will come to.
func forge(from *SA, exchange wire.ExchangeType, id uint32, response bool, list ...wire.Payload) []byte {
	return forged(from, from.header(exchange, id, response)).with(list...).seal()
}

// forgeTo is forge by the peer of to, which nothing but the keys is known of.
func forgeTo(to *SA, exchange wire.ExchangeType, id uint32, response bool, list ...wire.Payload) []byte {
	h := to.header(exchange, id, response)
	h.Flags ^= wire.FlagInitiator
	return forged(to, h).with(list...).seal()
}

func forged(keys *SA, h wire.Header) sealed {
	m := sealed{Header: h, sender: keys, iv: make([]byte, keys.keys.alg.IVLen)}
	keys.p.random(m.iv[:4])
	m.iv[0] |= 0x80
	return m
}

// request sends a forged request of g's current IKE SA with the ID that the other side waits for, and keeps g's own
// window in step, so that both can go on.
func (l *lab) request(g *gateway, exchange wire.ExchangeType, list ...wire.Payload) {
	l.t.Helper()
	from, to := g.sa(), l.other(g).sa()
	if from == nil || to == nil {
		l.t.Fatalf("no IKE SA on both sides\n%s", l.log.String())
		return
	}
	l.arrive(g, forge(from, exchange, to.nextIn, false, list...))
	from.nextOut = to.nextIn
}

// arrive brings octets to the other side of g.
func (l *lab) arrive(g *gateway, msg []byte) { l.receive(l.other(g), msg, l.path(l.other(g))) }

// answered returns the payloads of the oldest message of g, taken out of its queue.
func (l *lab) answered(g *gateway) []wire.Payload {
	l.t.Helper()
	d := l.take(g)
	if h, _ := wire.ParseHeader(d.Bytes); h.Exchange == wire.IKESAInit {
		m, err := wire.ParseMessage(d.Bytes)
		if err != nil {
			l.t.Fatal(err)
		}
		return m.Payloads
	}
	return l.open(g, d.Bytes).payloads()
}

// peek is answered without taking the message out.
func (l *lab) peek(g *gateway) []wire.Payload {
	l.t.Helper()
	queue := slices.Clone(g.queue)
	list := l.answered(g)
	g.queue = queue
	return list
}

// says reports the kind of the only notify among payloads that are nothing else, 0 for other payloads.
func says(list []wire.Payload) wire.NotifyType {
	if len(list) != 1 {
		return 0
	}
	if n, ok := list[0].(*wire.Notify); ok {
		return n.Kind
	}
	return 0
}

// find returns the first payload of a type.
func find[P wire.Payload](list []wire.Payload) P {
	for _, p := range list {
		if found, ok := p.(P); ok {
			return found
		}
	}
	panic("no such payload")
}

// without returns list less its nth payload.
func without(list []wire.Payload, n int) []wire.Payload {
	return slices.Delete(slices.Clone(list), n, n+1)
}

// doubled returns list with its nth payload twice.
func doubled(list []wire.Payload, n int) []wire.Payload {
	return slices.Insert(slices.Clone(list), n, list[n])
}
