package ikev2

import (
	"bytes"
	"testing"
	"time"

	"twinbore/ike/session"
)

// EV-13: when the way to the peer has come back, what is open is asked once more at once, in the same octets, and the tries
// that are left stay as they were: a way that comes and goes shortens nobody's life.
func TestProbeRepeatsWhatIsOpen(t *testing.T) {
	l := connected(t)
	l.do(l.a, session.Probe{})
	first := l.take(l.a).Bytes
	l.now = l.now.Add(100 * time.Millisecond)
	l.do(l.a, session.Probe{})
	if again := l.take(l.a).Bytes; !bytes.Equal(first, again) {
		t.Error("the request was made anew")
	}
	l.do(l.a, session.Probe{})
	l.settle()
	if l.a.sa().open != nil {
		t.Error("the answer to the repeated request did not end it")
	}

	ends := func(probing bool) time.Duration {
		l := connected(t)
		begun := l.now
		l.wait(time.Minute, func() {
			l.a.queue, l.b.queue = nil, nil // nothing arrives
			if probing && len(l.a.sessions) > 0 {
				l.do(l.a, session.Probe{})
			}
		})
		return l.event(l.a, session.IKEDown).Time.Sub(begun)
	}
	if quiet, probed := ends(false), ends(true); probed < quiet {
		t.Errorf("asked again and again the IKE SA ended after %v, otherwise after %v", probed, quiet)
	}
}

// The first request of all is repeated too: it need not wait for its schedule either.
func TestProbeRepeatsTheFirstRequest(t *testing.T) {
	l := newLab(t)
	l.initiate(l.a)
	l.take(l.a)
	l.do(l.a, session.Probe{})
	l.settle()
	l.paired()
}
