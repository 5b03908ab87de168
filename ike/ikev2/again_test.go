package ikev2

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// TestRequestsComeAgainAsTheyWere is N-21 (RFC 7296 §2.1, §2.4): a request without an answer goes out again bit by bit,
// after twice the time each time; the other end, which gets none of them, says nothing of its own accord. N-22: it is kept for that
// until the answer is here.
func TestRequestsComeAgainAsTheyWere(t *testing.T) {
	for _, m := range moments {
		if m.answer() || m.name == "liveness request" || m.name == "delete IKE request" {
			continue // these have a pace of their own
		}
		l, g := m.reach(t)
		first := l.take(g).Bytes
		var sent []time.Time
		l.wait(8*time.Second, func() {
			for len(g.queue) > 0 {
				if d := l.take(g); !bytes.Equal(d.Bytes, first) {
					t.Errorf("%s comes again with other octets", m.name)
				}
				sent = append(sent, l.now)
			}
			if other := l.other(g); len(other.queue) > 0 {
				t.Errorf("%s is lost, and the other end sends something", m.name)
			}
		})
		last, gap := start, time.Duration(0)
		for i, at := range sent {
			if i > 0 && at.Sub(last) != 2*gap {
				t.Errorf("%s goes out after %v, and then after %v", m.name, gap, at.Sub(last))
			}
			last, gap = at, at.Sub(last)
		}
		if len(sent) != 4 {
			t.Errorf("%s goes out %d times more, want 4", m.name, len(sent))
		}
	}
}

// TestCookieIsReturnedFirst is N-40 (RFC 7296 §2.6): the initiator repeats its request with the cookie as the first payload and
// nothing else changed, keeps to the newest cookie, and its AUTH covers what it said last.
func TestCookieIsReturnedFirst(t *testing.T) {
	l := newLab(t)
	l.a.cfg.IKE = ikeProposals(t, "aes128gcm16-prfsha256-curve25519-ecp256")
	l.initiate(l.a)
	bare, err := wire.ParseMessage(l.queued(l.a))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 64} {
		cookie := bytes.Repeat([]byte{byte(n)}, n)
		l.arrive(l.b, clearAnswer(l.take(l.a).Bytes, 0, wire.IKESAInit, &wire.Notify{Kind: wire.NotifyCookie, Data: cookie}))
		want := *bare
		want.Payloads = slices.Concat([]wire.Payload{&wire.Notify{Kind: wire.NotifyCookie, Data: cookie}}, bare.Payloads)
		if got := l.queued(l.a); !bytes.Equal(got, want.Marshal()) {
			t.Errorf("a cookie of %d octets is returned in\n%x, want\n%x", n, got, want.Marshal())
		}
	}
	l.settle()
	l.unharmed()
	if seen := l.event(l.b, session.IKEUp); seen.IKE.SPIi != bare.Header.SPIi {
		t.Error("the IKE SA has another SPI than its first request")
	}
}
