package ike

import (
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/suite"
)

// as is the peer of the tests with a change.
func (g *gateway) as(change func(*Peer)) Peer {
	p, _ := g.peers.named("line/1")
	change(&p)
	return p
}

// pass lets so much time pass, and what happens in it come to its end.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// held returns the Child SAs in the data path, sorted.
func (g *gateway) held() []esp.ChildID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.children))
}

// EV-27: new proposals and lifetimes do not touch what lives, and count from the next rekey on.
func TestALiveSessionTakesWhatIsNewAtItsNextRekey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 1, 2)
		a.initiate()
		pass(time.Second)
		esp256, err := suite.ParseESP("aes256gcm16-noesn")
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range []*gateway{a, b} {
			before := g.held()
			g.SetPeers(g.as(func(p *Peer) { p.ESP, p.ChildLifetime = []suite.Proposal{esp256}, 10*time.Minute }))
			pass(time.Second)
			if now := g.held(); !slices.Equal(before, now) {
				t.Errorf("Child SAs were %v and are %v", before, now)
			}
		}
		a.Do("line/1", session.Rekey{})
		pass(10 * time.Second)
		wantOnePair(t, a, b)
		first := a.held()
		a.mu.Lock()
		for _, c := range a.children {
			if got := c.In.Algorithm.Name; got != "aes256gcm16" {
				t.Errorf("after the rekey the Child SA has %s", got)
			}
		}
		a.mu.Unlock()
		pass(11 * time.Minute)
		wantOnePair(t, a, b)
		if slices.Equal(first, a.held()) {
			t.Error("the new lifetime is over and the Child SA is the same")
		}
	})
}

// EV-27: DPD of a live session is as configured now.
func TestALiveSessionTakesNewDPD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut atomic.Bool
		a, _ := join(t, 1, 2, func(g *gateway, _ *Peer) { g.lose = cut.Load })
		a.initiate()
		pass(time.Second)
		a.SetPeers(a.as(func(p *Peer) { p.DPD.Interval, p.DPD.Retries = time.Second, 2 }))
		cut.Store(true)
		pass(6 * time.Second)
		if n := a.Counters().Sessions; n != 0 {
			t.Errorf("%d sessions with a peer that has been silent for twice what DPD takes now", n)
		}
	})
}

// A peer that becomes another keeps its session until that is closed, and the next one is with the other.
func TestAReplacedPeerIsTheOtherFromItsNextSessionOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 1, 2)
		a.initiate()
		pass(time.Second)
		for _, g := range []*gateway{a, b} {
			g.ReplacePeers(g.as(func(p *Peer) { p.Auth = g.keys("another key").Auth }))
		}
		pass(5 * time.Minute)
		wantOnePair(t, a, b)
		a.Do("line/1", session.Close{})
		pass(10 * time.Second)
		a.initiate()
		pass(10 * time.Second)
		wantOnePair(t, a, b)
	})
}

// What was being negotiated with a peer as it was before must not stay: it may be with somebody who has lost the right to it.
func TestANegotiationWithAPeerThatIsReplacedOrRemovedComesToNothing(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*gateway)
	}{
		{"replaced", func(g *gateway) { g.ReplacePeers(g.as(func(*Peer) {})) }},
		{"removed", func(g *gateway) { g.RemovePeers("line/1") }},
		{"removed and there again", func(g *gateway) {
			p := g.as(func(*Peer) {})
			g.RemovePeers("line/1")
			g.SetPeers(p)
		}},
	} {
		for _, end := range []int{0, 1} { // who begins, who answers
			t.Run(c.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := join(t, 1, 2)
					a.initiate()
					pass(25 * time.Millisecond) // IKE_SA_INIT is done, IKE_AUTH is on its way
					c.change([]*gateway{a, b}[end])
					pass(20 * time.Second)
					for _, g := range []*gateway{a, b} {
						if n := g.Counters().Sessions; n != 0 || len(g.held()) > 0 {
							t.Errorf("end %d of end %d: %d sessions and the Child SAs %v are left", g.addr.Addr().As4()[3], end+1, n, g.held())
						}
					}
				})
			})
		}
	}
}

func TestARemovedPeerHearsOfItAndIsAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 1, 2)
		a.initiate()
		pass(time.Second)
		b.RemovePeers("line/1", "nobody/7")
		pass(time.Second)
		if len(a.held())+len(b.held()) > 0 {
			t.Errorf("a second later the Child SAs %v and %v are left", a.held(), b.held())
		}
		pass(30 * time.Second) // an answer that was lost may be asked for again
		if a.Counters().Sessions+b.Counters().Sessions+len(a.held())+len(b.held()) > 0 {
			t.Error("a removed peer has a session")
		}
		a.initiate()
		pass(time.Second)
		if b.Counters().Sessions > 0 || len(b.held()) > 0 {
			t.Error("a removed peer was answered")
		}
	})
}

// A directory that has changed finds as one that was made so, and who reads it meanwhile has one or the other; run with -race.
func TestTheDirectoryChanges(t *testing.T) {
	d := newDirectory([]Peer{peer("a/1", "192.0.2.1"), peer("b/1"), peer("c/1", "192.0.2.1")})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			d.match(here.Addr(), peer("", "192.0.2.1").RemoteAddrs[0])
		}
	}()
	d.set([]Peer{peer("a/1"), peer("d/1", "192.0.2.1")}, false)
	d.remove([]string{"b/1"})
	<-done
	var got []string
	for _, p := range d.match(here.Addr(), peer("", "192.0.2.1").RemoteAddrs[0]) {
		got = append(got, p.Peer)
	}
	if want := []string{"c/1", "d/1", "a/1"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if _, ok := d.named("b/1"); ok {
		t.Error("a removed peer is found by its name")
	}
}
