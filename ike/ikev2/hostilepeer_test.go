package ikev2

import (
	"encoding/binary"
	"flag"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/ike/wire"
)

var hostileSeeds = flag.Int("hostile", 15, "how many hostile peers TestHostilePeer meets")

// A hostilePeer is authenticated and sends whatever it likes, mostly well-formed, sealed with the right keys and in the
// right window: requests nobody asked for, answers that fit nothing, deletes of anything.
type hostilePeer struct {
	*lab
	g      *gateway // the victim
	chance *rand.Rand
}

func (h *hostilePeer) sas() (out []*SA) {
	for _, s := range h.g.sessions {
		for _, sa := range s.(*peer).sas {
			if sa.keys != nil && sa.handshake == nil {
				out = append(out, sa)
			}
		}
	}
	return out
}

func (h *hostilePeer) one(n int) bool { return h.chance.IntN(n) == 0 }

func pick[T any](h *hostilePeer, list ...T) T { return list[h.chance.IntN(len(list))] }

func (h *hostilePeer) octets(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(h.chance.Uint32())
	}
	return b
}

// message says one thing on one of the victim's IKE SAs.
func (h *hostilePeer) message() {
	sas := h.sas()
	if len(sas) == 0 {
		return
	}
	to := pick(h, sas...)
	if to.open != nil && h.one(2) {
		h.hit(to, to.open.exchange, to.open.id, true, h.answer(to))
		return
	}
	switch h.chance.IntN(4) {
	case 0:
		h.hit(to, wire.CreateChildSA, to.nextIn, false, h.child(to, true))
	case 1:
		h.hit(to, wire.CreateChildSA, to.nextIn, false, h.ike(to))
	case 2:
		h.hit(to, wire.Informational, to.nextIn, false, h.information(to))
	default:
		h.hit(to, pick(h, wire.IKEAuth, wire.CreateChildSA, wire.Informational, wire.IKEIntermediate), to.nextIn+uint32(h.chance.IntN(3))-1, h.one(4),
			append(h.information(to), h.child(to, false)...))
	}
}

func (h *hostilePeer) hit(to *SA, exchange wire.ExchangeType, id uint32, response bool, list []wire.Payload) {
	if len(list) > 0 && h.one(10) {
		list = without(list, h.chance.IntN(len(list)))
	}
	if len(list) > 0 && h.one(20) {
		list = doubled(list, h.chance.IntN(len(list)))
	}
	h.logf("hostile: %v response %v #%d {%s}", exchange, response, id, wire.Describe(list))
	h.receive(h.g, forgeTo(to, exchange, id, response, list...), h.path(h.g))
}

// child asks for a Child SA, new or in place of another.
func (h *hostilePeer) child(to *SA, rekey bool) (list []wire.Payload) {
	if rekey && h.one(2) {
		list = append(list, &wire.Notify{Protocol: pick(h, wire.ProtoESP, wire.ProtoESP, wire.ProtoESP, wire.ProtoIKE), SPI: spiBytes(h.theirs(to)), Kind: wire.NotifyRekeySA})
	}
	list = append(list, &wire.SA{Proposals: suite.Offer(h.g.cfg.ESP, wire.ProtoESP, spiBytes(h.spi(to)), true)}, &wire.Nonce{Data: h.octets(16 + h.chance.IntN(32))})
	if len(suite.Groups(h.g.cfg.ESP)) > 0 {
		list = append(list, h.ke())
	}
	mine, theirs := toWire(h.g.cfg.Local, false), toWire(h.g.cfg.Remote, true)
	if h.one(10) {
		mine.Selectors = append(mine.Selectors, wire.TrafficSelector{ToPort: 65535, From: h.g.addr, To: h.g.addr})
	}
	return append(list, theirs, mine)
}

func (h *hostilePeer) ke() wire.Payload {
	group := suite.Groups(h.g.cfg.IKE)[0]
	pair, err := group.Generate(h.g.cfg.Rand)
	if err != nil {
		h.t.Fatal(err)
	}
	if h.one(20) {
		return &wire.KE{Group: group.ID, Data: make([]byte, group.PublicLen)}
	}
	return &wire.KE{Group: group.ID, Data: pair.Public()}
}

// ike asks to rekey an IKE SA.
func (h *hostilePeer) ike(to *SA) []wire.Payload {
	spi := pick(h, h.chance.Uint64(), h.chance.Uint64(), to.spiI, to.spiR)
	return []wire.Payload{&wire.SA{Proposals: suite.Offer(h.g.cfg.IKE, wire.ProtoIKE, binary.BigEndian.AppendUint64(nil, spi), suite.WithGroups)},
		&wire.Nonce{Data: h.octets(32)}, h.ke()}
}

// spi draws a new SPI, or one that is taken.
func (h *hostilePeer) spi(to *SA) esp.SPI {
	if h.one(8) {
		return h.theirs(to)
	}
	return esp.SPI(0x1000 + h.chance.IntN(1<<20))
}

// theirs is an SPI of the hostile peer's own that the victim knows of.
func (h *hostilePeer) theirs(to *SA) esp.SPI {
	if len(to.children) == 0 || h.one(10) {
		return esp.SPI(h.chance.Uint32())
	}
	return pick(h, to.children...).out
}

func (h *hostilePeer) information(to *SA) (list []wire.Payload) {
	for range h.chance.IntN(3) {
		switch h.chance.IntN(8) {
		case 0:
			list = append(list, &wire.Notify{Kind: wire.NotifyType(h.chance.Uint32())})
		case 1:
			list = append(list, &wire.Notify{Kind: pick(h, wire.NotifyInitialContact, wire.NotifyInvalidSyntax, wire.NotifyTemporaryFailure,
				wire.NotifyUpdateSAAddresses, wire.NotifyCookie2, wire.NotifyNoNATsAllowed, wire.NotifyNATDetectionSourceIP)})
		case 2:
			if h.one(5) {
				list = append(list, pick[wire.Payload](h, &wire.Delete{Protocol: wire.ProtoIKE}, &wire.Notify{Kind: wire.NotifyAuthenticationFailed}))
			}
		default:
			list = append(list, &wire.Delete{Protocol: pick(h, wire.ProtoESP, wire.ProtoESP, wire.ProtoAH), SPIs: []uint32{uint32(h.theirs(to)), uint32(h.theirs(to))}})
		}
	}
	return list
}

// answer answers the open request: well, with a refusal, or with what fits another request.
func (h *hostilePeer) answer(to *SA) []wire.Payload {
	refusal := &wire.Notify{Kind: pick(h, wire.NotifyTemporaryFailure, wire.NotifyChildSANotFound, wire.NotifyNoProposalChosen, wire.NotifyInvalidSyntax,
		wire.NotifyTSUnacceptable, wire.NotifyNoAdditionalSAs, wire.NotifyInvalidKEPayload, wire.NotifyType(8000))}
	if refusal.Kind == wire.NotifyInvalidKEPayload {
		refusal.Data = binary.BigEndian.AppendUint16(nil, suite.Groups(h.g.cfg.IKE)[0].ID)
	}
	switch n := h.chance.IntN(8); {
	case n == 0:
		return []wire.Payload{refusal}
	case n == 1:
		return h.information(to)
	case n == 2:
		return pick(h, h.child(to, true), h.ike(to), nil)
	}
	switch to.open.op {
	case opNewChild, opRekeyChild:
		list := h.child(to, false)
		ts := list[len(list)-2:]
		slices.Reverse(ts) // an answer: TSi is the victim's side
		for _, p := range ts {
			p.(*wire.TS).Initiator = !p.(*wire.TS).Initiator
		}
		return list
	case opRekeyIKE:
		return h.ike(to)
	case opDeleteChild:
		return []wire.Payload{&wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(h.theirs(to))}}}
	}
	return nil
}

// orders is what the victim's own side does meanwhile.
func (h *hostilePeer) orders() {
	switch n := h.chance.IntN(40); {
	case n < 12:
		h.do(h.g, session.Rekey{})
	case n < 22:
		h.do(h.g, session.Rekey{IKE: true})
	case n < 26:
		h.do(h.g, session.Probe{})
	case n < 32:
		h.initiate(h.g)
	case n < 33:
		h.do(h.g, session.Close{})
	case n < 36:
		for id := range h.g.children {
			h.g.heard[id] = h.now
		}
	default:
		h.wait(time.Duration(h.chance.IntN(int(20*time.Second))), func() {})
	}
}

// TestHostilePeer: SM-10, SM-11, SM-17, MAL-16, MAL-17, hardening I5 to I7. Whatever an authenticated peer says, the
// victim keeps its books in order, holds no more than its limits, and has nothing left when the peer falls silent.
func TestHostilePeer(t *testing.T) {
	for seed := range uint64(*hostileSeeds) {
		l := newLab(t)
		h := &hostilePeer{lab: l, g: l.a, chance: rand.New(rand.NewPCG(seed, 2))}
		if seed%3 == 0 {
			l.a.cfg.ESP = espProposals(t, "aes128gcm16-curve25519-noesn")
			l.b.cfg.ESP = l.a.cfg.ESP
			l.a.cfg.MOBIKE, l.b.cfg.MOBIKE = true, true
		}
		first := l.b
		if seed%2 == 0 {
			first = l.a
		}
		l.initiate(first)
		l.settle()
		for range 150 {
			switch {
			case l.a.sa() == nil && h.one(5): // it comes again
				l.initiate(first)
				l.settle()
			case h.one(3):
				h.orders()
			default:
				h.message()
			}
			l.a.queue, l.b.queue = nil, nil
			if problem := l.sound(h.g); problem != "" {
				t.Fatalf("seed %d: %s\n%s", seed, problem, l.log.String())
			}
		}
		l.wait(l.a.cfg.IKELifetime+time.Minute, func() { l.a.queue, l.b.queue = nil, nil })
		l.mustBeSound()

		if l.empty(h.g); t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
