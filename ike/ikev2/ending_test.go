package ikev2

import (
	"testing"
	"time"

	"twinbore/ike/session"
)

// TestWhatLingers: a session whose peer has deleted it, has replaced it or was refused is kept for a while, because the peer
// may ask once more (RFC 7296 §2.1); it says so, since nobody need wait for it. Quiet ends it at once.
func TestWhatLingers(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*lab)
		want bool
	}{
		{"the peer has deleted it", func(l *lab) { l.do(l.a, session.Close{}); l.settle() }, true},
		{"we have refused the peer", func(l *lab) {
			l.do(l.a, session.Close{Quiet: true})
			l.do(l.b, session.Close{Quiet: true})
			l.a.cfg.Auth.Secrets[0].Key = []byte("another secret than the other end has")
			l.initiate(l.a)
			l.settle()
		}, true},
		{"the peer has replaced it, and its successor is deleted", func(l *lab) {
			l.do(l.a, session.Rekey{IKE: true})
			l.deliver(l.a)
			l.do(l.b, session.Close{})
			l.deliver(l.b)
			l.deliver(l.b)
			l.a.queue = l.a.queue[1:] // its own Delete of the old one is lost
			l.deliver(l.a)
		}, true},
		{"it is up", func(*lab) {}, false},
		{"its Delete is on its way", func(l *lab) { l.do(l.b, session.Close{}) }, false},
		{"the peer has replaced it, and its successor is up", func(l *lab) {
			l.do(l.a, session.Rekey{IKE: true})
			l.deliver(l.a)
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := connected(t)
			c.do(l)
			g := l.b
			if len(g.sessions) != 1 {
				t.Fatalf("%d sessions\n%s", len(g.sessions), l.log.String())
			}
			s := g.sessions[0]
			if got := s.Expire(l.now).Lingers; got != c.want {
				t.Errorf("it lingers: %v, want %v\n%s", got, c.want, l.log.String())
			}
			if out := s.Do(l.now, session.Close{Quiet: true}); !out.Done || len(out.Send) > 0 {
				t.Errorf("told to end quietly: done %v, sends %d", out.Done, len(out.Send))
			}
		})
	}
}

// TestClosedWhileOwnRekeyFails is EV-36: the IKE SA is closed while its own rekey is open, and that ends otherwise than well: in a
// refusal, in nonsense, in nothing at all. One Delete goes out, or nothing does, and no rekey comes of it.
func TestClosedWhileOwnRekeyFails(t *testing.T) {
	for name, fail := range map[string]func(*lab){
		"refused": func(l *lab) {
			l.b.sa().open = &request{op: opDeleteChild, backoff: deleteBackoff, resendAt: l.now.Add(time.Hour)} // in the way
			l.deliver(l.a)
			l.b.sa().open = nil
		},
		"unanswered": func(l *lab) { l.a.queue = nil },
	} {
		t.Run(name, func(t *testing.T) {
			l := connected(t)
			l.do(l.a, session.Rekey{IKE: true})
			fail(l)
			l.do(l.a, session.Close{})
			l.settle()
			l.wait(time.Minute, func() {
				if name == "unanswered" {
					l.a.queue = nil
				}
				l.settle()
			})
			l.empty(l.a)
			for _, kind := range []session.Kind{session.Failed, session.IKERekeyed} {
				if got := filter(l.a.events, kind); len(got) > 0 {
					t.Errorf("a tells of %v", got)
				}
			}
		})
	}
}
