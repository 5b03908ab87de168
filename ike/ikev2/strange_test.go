package ikev2

import (
	"slices"
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestRekeyOfWhatIsReplacedOrGone is SM-10 (strongSwan #2945): the peer rekeys one Child SA twice before it deletes it,
// rekeys one that is gone, deletes the successor instead of the old one, or both in either order.
func TestRekeyOfWhatIsReplacedOrGone(t *testing.T) {
	rekey := func(l *lab, old esp.SPI, spi uint32) []wire.Payload {
		l.request(l.a, wire.CreateChildSA, append(l.childRequest(l.a, spi), &wire.Notify{Protocol: wire.ProtoESP, SPI: spiBytes(old), Kind: wire.NotifyRekeySA})...)
		l.mustStay(0)
		return l.answered(l.b)
	}
	remove := func(l *lab, spis ...esp.SPI) {
		d := &wire.Delete{Protocol: wire.ProtoESP}
		for _, spi := range spis {
			d.SPIs = append(d.SPIs, uint32(spi))
		}
		l.request(l.a, wire.Informational, d)
		l.mustStay(0)
		l.answered(l.b)
	}
	l := connected(t)
	old := l.b.sa().children[0]
	if answer := rekey(l, old.out, 0x1001); len(answer) < 4 {
		t.Fatalf("answered {%s}", wire.Describe(answer))
	}
	if answer := rekey(l, old.out, 0x1002); says(answer) != wire.NotifyTemporaryFailure {
		t.Errorf("rekeyed twice: answered {%s}", wire.Describe(answer))
	}
	if answer := rekey(l, 0x1001, 0x1003); len(answer) < 4 { // a chain: the successor's successor
		t.Errorf("the successor is not rekeyed: {%s}", wire.Describe(answer))
	}
	remove(l, 0x1001) // the middle one first
	if old.state != childReplaced || l.b.sa().child(old.replacedBy).out != 0x1003 {
		t.Errorf("the first is in state %d, replaced by %v", old.state, old.replacedBy)
	}
	remove(l, old.out)
	if answer := rekey(l, old.out, 0x1004); says(answer) != wire.NotifyChildSANotFound {
		t.Errorf("rekey of one that is gone: answered {%s}", wire.Describe(answer))
	}
	if left := l.b.sa().children; len(left) != 1 || left[0].out != 0x1003 || !left[0].active {
		t.Errorf("%d Child SAs are left", len(left))
	}

	l = connected(t) // the successor is deleted: the old one is in use again, and rekeyed again
	old = l.b.sa().children[0]
	rekey(l, old.out, 0x1001)
	remove(l, 0x1001)
	if left := l.b.sa().children; len(left) != 1 || left[0] != old || old.state != childUp || old.rekeyAt.IsZero() || !l.b.children[old.id].active {
		t.Errorf("the old one is in state %d, %d are left", old.state, len(left))
	}
	if answer := rekey(l, old.out, 0x1005); len(answer) < 4 {
		t.Errorf("the old one is not rekeyed any more: {%s}", wire.Describe(answer))
	}
	remove(l, 0x1005, old.out)
	if left := l.b.sa().children; len(left) != 0 {
		t.Errorf("%d Child SAs are left after all are deleted", len(left))
	}
	l.mustStay(0)
}

// TestDeleteBeforeTheAnswer is SM-10: the peer's Delete of the Child SA that we rekey overtakes its answer.
func TestDeleteBeforeTheAnswer(t *testing.T) {
	l := connected(t)
	old := l.a.sa().children[0]
	l.do(l.a, session.Rekey{})
	l.deliver(l.a)
	l.arrive(l.b, forge(l.b.sa(), wire.Informational, l.a.sa().nextIn, false, &wire.Delete{Protocol: wire.ProtoESP, SPIs: []uint32{uint32(old.out)}}))
	l.b.sa().nextOut = l.a.sa().nextIn
	l.mustBeSound()
	l.settle()
	l.mustBeSound()
	if now := l.a.sa().children; len(now) != 1 || !l.a.children[now[0].id].active {
		t.Errorf("a has %d Child SAs", len(now))
	}
}

// TestReservedAndTakenSPIs is SM-19 for requests: SPIs of ESP from 0 to 255 are refused, one that is our own number is the
// peer's business, and an IKE SA is found by both SPIs and the role, never by one alone.
func TestReservedAndTakenSPIs(t *testing.T) {
	for _, spi := range []uint32{0, 1, 255} {
		l := connected(t)
		l.request(l.a, wire.CreateChildSA, l.childRequest(l.a, spi)...)
		if answer := l.answered(l.b); says(answer) != wire.NotifyNoProposalChosen && says(answer) != wire.NotifyInvalidSyntax {
			t.Errorf("SPI %d: answered {%s}", spi, wire.Describe(answer))
		}
		l.unharmed()
	}
	l := connected(t)
	l.request(l.a, wire.CreateChildSA, l.childRequest(l.a, uint32(l.b.sa().children[0].id))...)
	if answer := l.answered(l.b); len(answer) < 4 {
		t.Errorf("a number that is ours: answered {%s}", wire.Describe(answer))
	}
	l.mustStay(0)

	l = connected(t)
	stranger := newLab(t)
	stranger.a.cfg.Rand = seeded(9)
	stranger.initiate(stranger.a)
	first := slices.Clone(stranger.queued(stranger.a))
	copy(first[:8], ikeSPIBytes(l.b.sa().spiI)) // from another address, with the SPI of a living SA
	before := l.b.snapshot()
	other := Accept([]Config{l.b.cfg})
	if out := other.Receive(l.now, first, l.path(l.b)); len(out.Send) != 1 {
		t.Error("a stranger's first message is not answered because its SPI is in use elsewhere")
	}
	l.ignored(l.b, "a first request with the SPI of a living SA", first)
	if l.b.snapshot() != before {
		t.Error("the living SA is touched")
	}
	for _, at := range []int{7, 15} { // one SPI right, the other not
		l.do(l.a, session.Probe{})
		msg := l.queued(l.a)
		l.ignored(l.b, "half an SPI pair in the header", withOctet(msg, at, msg[at]^1))
		l.settle()
	}
	l.unharmed()
}

// TestCloseIsNotHeldUp: our last request is never answered, while the peer goes on with requests of its own. Close ends all
// the same, as soon as the request has been sent as often as requests are.
func TestCloseIsNotHeldUp(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Rekey{})
	l.do(l.a, session.Close{})
	l.a.queue = nil
	for range 60 {
		l.wait(time.Second, func() { l.a.queue = nil })
		for _, s := range l.a.sessions {
			if sa := s.(*peer).sas; len(sa) > 0 && sa[0].keys != nil && sa[0].state == established {
				l.arrive(l.b, forgeTo(sa[0], wire.Informational, sa[0].nextIn, false))
			}
		}
		l.a.queue = nil
	}
	l.empty(l.a)
}

// TestEachNewChildIsLookedAt: the peer makes two Child SAs beside the first, and sends on the later one only.
func TestEachNewChildIsLookedAt(t *testing.T) {
	l := connected(t)
	l.request(l.a, wire.CreateChildSA, l.childRequest(l.a, 0x1001)...)
	l.request(l.a, wire.CreateChildSA, l.childRequest(l.a, 0x1002)...)
	l.b.queue = nil
	later := l.b.sa().children[2]
	l.b.heard[later.id] = l.now
	l.wait(3*time.Second, func() { l.a.queue, l.b.queue = nil, nil })
	if !later.active || l.b.sa().children[1].active {
		t.Errorf("after traffic on the later one: the earlier active %v, the later %v", l.b.sa().children[1].active, later.active)
	}
}
