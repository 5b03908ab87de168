package ike

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/ike/session"
)

// Shutdown deletes everything at the peers, takes nothing new, and waits no longer than it may (EV-04).
func TestShutdown(t *testing.T) {
	for _, c := range []struct {
		name string
		slow time.Duration // how long a session waits for the answer to its Delete
		took time.Duration
		err  bool
	}{
		{"peers answer", 100 * time.Millisecond, 100 * time.Millisecond, false},
		{"peers are silent", time.Minute, time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var deletes atomic.Int32
				make := func() session.Session {
					return &script{
						do: func(now time.Time, cmd session.Command) session.Output {
							if _, end := cmd.(session.Close); end {
								deletes.Add(1)
								return session.Output{Wake: now.Add(c.slow)}
							}
							return session.Output{}
						},
						expire: func(time.Time) session.Output { return session.Output{Done: true} },
					}
				}
				b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1")}, Shards: 2}, func(Peer) session.Session { return make() },
					func([]Peer) session.Session { return make() }).run(t)
				b.Do("a/1", session.Initiate{})
				b.Do("b/1", session.Initiate{})
				b.deliver(packet{firstRequest(1, bytes.Repeat([]byte{1}, 32), nil), from("192.0.2.1:500")})
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				start := time.Now()
				err := b.Shutdown(ctx)
				if took := time.Since(start); (err != nil) != c.err || took != c.took || deletes.Load() != 3 {
					t.Errorf("took %v with error %v and %d deletes; want %v, error: %v, 3", took, err, deletes.Load(), c.took, c.err)
				}
				b.Do("a/1", session.Initiate{})
				b.deliver(packet{firstRequest(2, bytes.Repeat([]byte{1}, 32), nil), from("192.0.2.2:500")})
				b.wantDrops(t, map[string]uint64{"closing": 1})
				if left := b.Counters().Sessions; left != 0 && !c.err {
					t.Errorf("%d sessions after the end", left)
				}
			})
		})
	}
}

// Shutdown waits for a Delete that a session has sent, even of its own accord, and for no session that is kept only to
// answer what its peer may ask again (RFC 7296 §2.1): neither one that is so already nor one that becomes so.
func TestShutdownWaitsForDeletesOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		down := func(now time.Time, p Peer) []session.Event {
			return []session.Event{{Kind: session.IKEDown, Time: now, Peer: p.Peer}}
		}
		b := newBench(Config{Peers: []Peer{peer("lingers/1"), peer("replaced/1"), peer("deletes/1")}, Shards: 1}, func(p Peer) session.Session {
			return &script{
				do: func(now time.Time, cmd session.Command) session.Output {
					c, end := cmd.(session.Close)
					if end {
						told = append(told, fmt.Sprintf("%s quiet %v", p.Peer, c.Quiet))
					}
					switch {
					case c.Quiet:
						return session.Output{Done: true}
					case end: // its Delete waits for an answer
						return session.Output{Events: down(now, p), Wake: now.Add(200 * time.Millisecond)}
					case p.Peer == "lingers/1": // its peer has deleted it
						return session.Output{Events: down(now, p), Wake: now.Add(time.Minute), Lingers: true}
					case p.Peer == "deletes/1": // it deletes itself: it is too old, or the peer talks nonsense
						return session.Output{Events: down(now, p), Wake: now.Add(300 * time.Millisecond)}
					}
					return session.Output{}
				},
				expire: func(now time.Time) session.Output {
					if p.Peer == "replaced/1" { // the Delete is answered, and there is still an IKE SA that the peer has replaced
						return session.Output{Wake: now.Add(time.Minute), Lingers: true}
					}
					return session.Output{Done: true}
				},
			}
		}, nil).run(t)
		for _, name := range []string{"lingers/1", "replaced/1", "deletes/1"} {
			b.Do(name, session.Initiate{})
		}
		synctest.Wait()
		began := time.Now()
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 300*time.Millisecond {
			t.Errorf("it took %v, want the 300ms of the slowest Delete", took)
		}
		if want := []string{"lingers/1 quiet true", "replaced/1 quiet false", "replaced/1 quiet true"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}

func TestShutdownOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{}, nil, nil).run(t)
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := b.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
