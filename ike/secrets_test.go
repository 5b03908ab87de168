package ike

import (
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/ike/auth"
	"twinbore/ike/session"
)

// keys is what SetSecrets gives the peer of the tests: the first is in use, the others are still accepted.
func (g *gateway) keys(list ...string) Secrets {
	p, _ := g.peers.named("line/1")
	s := Secrets{LocalID: p.LocalID, PPK: p.PPK}
	for i, key := range list {
		name := "current"
		if i > 0 {
			name = "previous"
		}
		s.Auth.Secrets = append(s.Auth.Secrets, auth.Secret{Peer: "line/1", Name: name, Key: []byte(key)})
	}
	return s
}

// SEC-04, EV-28, R58: a pre-shared key is replaced at one end and later at the other, whichever end is first, and whichever
// end then begins anew. The live SAs stay as they are; a new IKE SA can be made at every moment, and the old key alone is
// refused at the end.
func TestKeysChangeOneEndAfterTheOther(t *testing.T) {
	for _, first := range []int{0, 1} {
		for _, begins := range []int{0, 1} {
			synctest.Test(t, func(t *testing.T) {
				a, b := join(t, 5, 2)
				ends := []*gateway{a, b}
				a.initiate()
				time.Sleep(time.Second)
				anew := func(want bool) {
					t.Helper()
					a.Do("line/1", session.Close{})
					time.Sleep(30 * time.Second)
					ends[begins].initiate()
					time.Sleep(30 * time.Second)
					synctest.Wait()
					if got := len(a.children) == 1 && len(b.children) == 1; got != want {
						t.Errorf("end %d changed first, end %d begins: there is a tunnel: %v, want %v", first, begins, got, want)
					}
				}
				change := func(g *gateway, keys ...string) {
					t.Helper()
					synctest.Wait()
					before := slices.Sorted(maps.Keys(g.children))
					if !g.SetSecrets("line/1", g.keys(keys...)) {
						t.Error("there is no such peer")
					}
					time.Sleep(time.Minute)
					synctest.Wait()
					if after := slices.Sorted(maps.Keys(g.children)); !slices.Equal(before, after) {
						t.Errorf("new keys have changed the Child SAs from %v to %v", before, after)
					}
				}
				change(ends[first], "the new one", "both know it")
				anew(true)
				change(ends[1-first], "the new one", "both know it")
				anew(true)
				change(a, "the new one")
				change(b, "the new one")
				anew(true)
				change(b, "both know it")
				anew(false)
			})
		}
	}
}

func TestSecretsOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := join(t, 5, 1)
		if a.SetSecrets("line/2", a.keys("x")) {
			t.Error("a peer that is not configured has secrets now")
		}
	})
}

// Who is asked while the secrets change has the old ones or the new ones, and no mixture; run with -race.
func TestSecretsChangeWhilePeersAreLookedUp(t *testing.T) {
	near, far := peer("a/1", "192.0.2.1"), peer("b/1")
	d := newDirectory([]Peer{near, far})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 1000 {
			d.trust("a/1", Secrets{})
			d.trust("b/1", Secrets{})
		}
	}()
	for range 1000 {
		if got := d.match(here.Addr(), near.RemoteAddrs[0]); len(got) != 2 || got[0].Peer != "a/1" || got[1].Peer != "b/1" {
			t.Fatalf("got %d peers", len(got))
		}
	}
	<-done
}
