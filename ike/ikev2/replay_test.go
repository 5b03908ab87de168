package ikev2

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// A heardMessage is one that was delivered once.
type heardMessage struct {
	to  *gateway
	msg []byte
}

// TestEverythingHeardIsHeardAgain is SM-04 and RPL-08: at every moment of a life each message that was ever delivered to
// either end comes again, the oldest first and then the newest first. Only the last request is answered, with the octets
// that answered it before; nothing is done twice.
func TestEverythingHeardIsHeardAgain(t *testing.T) {
	l := newLab(t)
	var heard []heardMessage
	sent := map[string]bool{}
	settle := func() {
		for len(l.a.queue)+len(l.b.queue) > 0 {
			g := l.a
			if len(g.queue) == 0 {
				g = l.b
			}
			d := l.take(g)
			sent[string(d.Bytes)] = true
			heard = append(heard, heardMessage{l.other(g), d.Bytes})
			l.receive(l.other(g), d.Bytes, d.Path.Reverse())
		}
	}
	again := func(step int, h heardMessage) {
		head, err := wire.ParseHeader(h.msg)
		if err != nil {
			t.Fatal(err)
		}
		if head.Exchange == wire.IKESAInit && !head.Response() && h.to.saOf(head) == nil {
			return // a first message of an SA that is no more: a stranger's, as far as anybody can tell
		}
		before, events := h.to.snapshot(), len(h.to.events)
		l.receive(h.to, h.msg, l.path(h.to))
		if got := h.to.snapshot(); got != before {
			t.Fatalf("after step %d a repeated %v #%d changed\n%s\nto\n%s", step, head.Exchange, head.MessageID, before, got)
		}
		for _, d := range h.to.queue {
			if !sent[string(d.Bytes)] {
				t.Fatalf("after step %d a repeated %v #%d has a new answer", step, head.Exchange, head.MessageID)
			}
		}
		if len(h.to.queue) > 1 || len(h.to.queue) == 1 && head.Response() {
			t.Fatalf("after step %d a repeated %v #%d is answered %d times", step, head.Exchange, head.MessageID, len(h.to.queue))
		}
		for _, e := range h.to.events[events:] {
			if e.Kind != session.Dropped && e.Story != "a repeated request; send the kept answer" {
				t.Fatalf("after step %d a repeated %v #%d: %v %s", step, head.Exchange, head.MessageID, e.Kind, e.Story)
			}
		}
		h.to.queue = nil
	}
	life := append(story(l), func() { l.do(l.b, session.Rekey{IKE: true}) }, func() { l.do(l.a, session.Close{}) })
	for step, do := range life {
		do()
		settle()
		for _, h := range heard {
			again(step, h)
		}
		for _, h := range slices.Backward(heard) {
			again(step, h)
		}
		l.wait(20*time.Second, settle)
	}
	if len(heard) < 40 {
		t.Errorf("only %d messages in a whole life", len(heard))
	}
	l.mustBeGone()
}

// TestSameIDOtherOctets is SM-05: the ID of the last request with other octets, sealed by the peer itself, is no
// repetition.
func TestSameIDOtherOctets(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Probe{})
	l.settle()
	last := l.b.sa().nextIn - 1
	for name, list := range map[string][]wire.Payload{"a Delete": {&wire.Delete{Protocol: wire.ProtoIKE}}, "the same again": nil} {
		l.ignored(l.b, name, forge(l.a.sa(), wire.Informational, last, false, list...))
	}
	l.unharmed()
}

// TestOutsideTheWindow is SM-06: message IDs below and above the one that is due, sealed by the peer itself.
func TestOutsideTheWindow(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Probe{})
	l.settle()
	due := l.b.sa().nextIn
	for _, id := range []uint32{0, due - 2, due + 1, due + 2, due + 1000, math.MaxUint32, math.MaxUint32 - 1} {
		l.ignored(l.b, fmt.Sprint("request ", id), forge(l.a.sa(), wire.Informational, id, false, &wire.Delete{Protocol: wire.ProtoIKE}))
		l.ignored(l.b, fmt.Sprint("answer ", id), forge(l.a.sa(), wire.Informational, id, true))
	}
	l.unharmed()
}

// TestMessageIDsEnd is SM-06 and N-24 (RFC 7296 §2.2): IDs do not start over. The IKE SA is replaced long before,
// whichever end's are used up; where that comes to nothing it ends.
func TestMessageIDsEnd(t *testing.T) {
	for _, side := range []string{"a's requests", "b's requests"} {
		l := connected(t)
		one, other := l.a, l.b
		if side == "b's requests" {
			one, other = l.b, l.a
		}
		use := func(id uint32) {
			one.sa().nextOut, other.sa().nextIn = id, id
			l.do(one, session.Probe{})
			l.settle()
			l.wait(time.Second, l.settle)
		}
		before := l.a.sa().spiI
		use(tiredID)
		if l.a.sa() == nil || l.a.sa().spiI == before || l.a.sa().nextOut > 9 || l.a.sa().nextIn > 9 {
			t.Fatalf("%s: the IKE SA is not replaced\n%s", side, l.log.String())
		}
		l.unharmed()

		use(spentID)
		if down := l.event(one, session.IKEDown); down.Reason != session.LifetimeExpired && down.Reason != session.PeerDeleted || one.sa() != nil || other.sa() != nil {
			t.Errorf("%s: the IKE SA goes on\n%s", side, l.log.String())
		}
		l.heals()

		one.sa().nextOut, other.sa().nextIn = math.MaxUint32, math.MaxUint32
		l.ignored(other, "the last ID of all", forge(one.sa(), wire.Informational, math.MaxUint32, false))
	}
}

// TestAnswersThatFitNothing is SM-03 and MAL-24: the answer comes with another exchange, another ID or another role, sealed
// for that; it is ignored, the request is sent again, and the real answer counts.
func TestAnswersThatFitNothing(t *testing.T) {
	for _, m := range moments {
		if !m.answer() || m.clear() {
			continue
		}
		for name, change := range map[string]func(*wire.Header){
			"another exchange":   func(h *wire.Header) { h.Exchange ^= 3 },
			"an unknown one":     func(h *wire.Header) { h.Exchange = 250 },
			"the ID before":      func(h *wire.Header) { h.MessageID-- },
			"the ID after":       func(h *wire.Header) { h.MessageID++ },
			"the last of IDs":    func(h *wire.Header) { h.MessageID = math.MaxUint32 },
			"the other role":     func(h *wire.Header) { h.Flags ^= wire.FlagInitiator },
			"another initiator":  func(h *wire.Header) { h.SPIi++ },
			"another responder":  func(h *wire.Header) { h.SPIr++ },
			"no responder's SPI": func(h *wire.Header) { h.SPIr = 0 },
		} {
			l, g := m.reach(t)
			d := l.take(g)
			o := l.open(g, d.Bytes)
			change(&o.Header)
			l.ignored(l.other(g), m.name+" with "+name+" in the header", o.seal())
			l.wait(3*time.Second, l.settle)
			if m.name[:10] != "delete IKE" {
				l.unharmed()
			} else {
				l.mustBeGone()
			}
		}
	}
}
