package ike

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/ike/suite"
)

// A gateway is a real engine with real sessions; only its data path is a list. Two of them are joined by a line that
// takes 10 ms and loses what lose says.
type gateway struct {
	*Engine
	addr  netip.AddrPort
	other *gateway
	in    chan packet
	cut   chan struct{} // closed when the line is
	lose  func() bool
	fail  func(op string) error // of the data path

	mu       sync.Mutex // guards what follows
	children map[esp.ChildID]esp.Child
	active   map[esp.ChildID]bool
	next     esp.SPI
	dark     int // how often no child was left after one had been there
	seen     bool
}

func newGateway(t *testing.T, n byte, seed uint64, shards int, change ...func(*gateway, *Peer)) *gateway {
	g := &gateway{addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, n}), 500), in: make(chan packet, 1000), cut: make(chan struct{}),
		lose: func() bool { return false }, fail: func(string) error { return nil }, children: map[esp.ChildID]esp.Child{}, active: map[esp.ChildID]bool{}, next: esp.SPI(n) << 24}
	ikeProposal, err := suite.ParseIKE("aes128gcm16-prfsha256-curve25519")
	if err != nil {
		t.Fatal(err)
	}
	espProposal, err := suite.ParseESP("aes128gcm16-noesn")
	if err != nil {
		t.Fatal(err)
	}
	far := netip.AddrFrom4([4]byte{192, 0, 2, 3 - n})
	p := Peer{
		Config: ikev2.Config{
			Peer: "line/1", LocalID: auth.IDFromAddr(g.addr.Addr()), RemoteID: auth.IDFromAddr(far),
			Auth: auth.Credentials{Secrets: []auth.Secret{{Peer: "line/1", Key: []byte("both know it")}}},
			IKE:  []suite.Proposal{ikeProposal}, ESP: []suite.Proposal{espProposal},
			Local: []esp.Selector{esp.AnyIPv4()}, Remote: []esp.Selector{esp.AnyIPv4()}, Window: 64,
			IKELifetime: 4 * time.Hour, ChildLifetime: time.Hour, DPD: ikev2.DPD{Interval: 10 * time.Second, Retries: 3},
		},
		RemoteAddrs: []netip.Addr{far},
	}
	for _, do := range change {
		do(g, &p)
	}
	g.Engine = New(Config{Conn: g, Dataplane: g, Shards: shards, Rand: rand.NewChaCha8([32]byte{n, byte(seed), byte(seed >> 8)}), Peers: []Peer{p}})
	return g
}

func (g *gateway) initiate() {
	g.Do("line/1", session.Initiate{Path: esp.Path{Local: g.addr, Remote: g.other.addr}})
}

func (g *gateway) ReadIKE(b []byte) (int, esp.Path, error) {
	select {
	case p := <-g.in:
		return copy(b, p.b), p.on, nil
	case <-g.cut:
		return 0, esp.Path{}, net.ErrClosed
	}
}

func (g *gateway) WriteIKE(b []byte, on esp.Path) error {
	if g.lose() {
		return nil
	}
	p := packet{bytes.Clone(b), on.Reverse()}
	other := g.other
	time.AfterFunc(10*time.Millisecond, func() {
		select {
		case other.in <- p:
		case <-other.cut:
		}
	})
	return nil
}

func (g *gateway) AllocSPI() esp.SPI {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	return g.next
}

func (g *gateway) Install(c esp.Child) error {
	if err := g.fail("install"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	c.In.Key, c.Out.Key = bytes.Clone(c.In.Key), bytes.Clone(c.Out.Key) // the engine clears its own
	g.children[c.ID] = c
	return nil
}

func (g *gateway) Activate(id esp.ChildID) error {
	if err := g.fail("activate"); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active[id], g.seen = true, true
	return nil
}

func (g *gateway) Remove(id esp.ChildID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.children, id)
	delete(g.active, id)
	if g.seen && len(g.active) == 0 {
		g.dark++
	}
}

func (g *gateway) Move(esp.ChildID, esp.Path)        {}
func (g *gateway) LastInbound(esp.ChildID) time.Time { return time.Time{} }

// join starts two gateways and ends them with the test.
func join(t *testing.T, seed uint64, shards int, change ...func(*gateway, *Peer)) (a, b *gateway) {
	a, b = newGateway(t, 1, seed, shards, change...), newGateway(t, 2, seed, shards, change...)
	a.other, b.other = b, a
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for _, g := range []*gateway{a, b} {
		wg.Go(func() {
			if err := g.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		cancel()
		close(a.cut)
		close(b.cut)
		wg.Wait()
	})
	return a, b
}

// wantOnePair checks that there is one session and one Child SA, the same at both ends.
func wantOnePair(t *testing.T, a, b *gateway) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, g := range []*gateway{a, b} {
		ids := slices.Sorted(maps.Keys(g.children))
		if c := g.Counters(); c.Sessions != 1 || len(ids) != 1 || c.HalfOpen != 0 || c.Panics != 0 {
			t.Errorf("%v: %d sessions, %d half-open, %d faults, children %v; want one session with one child", g.addr, c.Sessions, c.HalfOpen, c.Panics, ids)
			return
		}
	}
	for _, c := range a.children {
		for _, d := range b.children {
			if c.In.SPI != d.Out.SPI || c.Out.SPI != d.In.SPI || !bytes.Equal(c.In.Key, d.Out.Key) {
				t.Errorf("the ends have different Child SAs: %v/%v and %v/%v", c.In.SPI, c.Out.SPI, d.In.SPI, d.Out.SPI)
			}
		}
	}
}

// EV-05: both ends initiate at once, or nearly. One IKE SA is left within a few seconds, the same at both ends, and in between
// neither end was ever without a Child SA.
func TestBothInitiateAtOnce(t *testing.T) {
	for _, later := range []time.Duration{0, 1, 5, 11, 19, 21, 29, 31, 39, 41, 60} {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%dms apart, seed %d", later, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					a, b := join(t, seed, 1)
					a.initiate()
					time.Sleep(later*time.Millisecond + 1) // never the same instant: there is no order in one
					b.initiate()
					time.Sleep(45 * time.Second)
					synctest.Wait()
					wantOnePair(t, a, b)
					if a.dark+b.dark > 0 {
						t.Error("an end was without a Child SA on the way")
					}
				})
			})
		}
	}
}

// EV-05, EV-06: the same while a third of all messages is lost, both asking again each second as the connection logic does: once
// the line is good, one IKE SA is left.
func TestBothInitiateOnABadLine(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := join(t, seed, 2)
				var mu sync.Mutex
				dice := rand.New(rand.NewPCG(seed, 1))
				bad := true
				lose := func() bool {
					mu.Lock()
					defer mu.Unlock()
					return bad && dice.IntN(3) == 0
				}
				a.lose, b.lose = lose, lose
				for range 30 {
					a.initiate()
					time.Sleep(3 * time.Millisecond)
					b.initiate()
					time.Sleep(time.Second)
				}
				mu.Lock()
				bad = false
				mu.Unlock()
				for range 120 { // long enough for what was left half-open, and for DPD
					a.initiate()
					b.initiate()
					time.Sleep(time.Second)
				}
				synctest.Wait()
				wantOnePair(t, a, b)
			})
		})
	}
}

// SM-12, EV-01: a gateway that has lost everything says INITIAL_CONTACT, and what the other still had of it goes at once.
func TestPeerRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 1, 1)
		a.initiate()
		time.Sleep(time.Second)
		synctest.Wait()
		reborn := newGateway(t, 1, 99, 1)
		reborn.other, b.other = b, reborn
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- reborn.Run(ctx) }()
		time.Sleep(time.Second)
		synctest.Wait()
		before := slices.Sorted(maps.Keys(b.children))
		reborn.initiate()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		wantOnePair(t, reborn, b)
		if after := slices.Sorted(maps.Keys(b.children)); slices.Equal(before, after) {
			t.Error("the old Child SA is the one that is left")
		}
		cancel()
		close(reborn.cut)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// EV-04: after Shutdown the peer has nothing left either.
func TestShutdownTellsThePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 1, 2)
		a.initiate()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		start := time.Now()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("took %v on a line of 10 ms", took)
		}
		start = time.Now()
		if err := b.Shutdown(ctx); err != nil { // it still had its last answer, for nobody
			t.Error(err)
		}
		if took := time.Since(start); took > 100*time.Millisecond {
			t.Errorf("the peer took %v to shut down when it had nothing left", took)
		}
		synctest.Wait()
		if c, d := a.Counters(), b.Counters(); c.Sessions != 0 || d.Sessions != 0 || len(a.children)+len(b.children) != 0 {
			t.Errorf("%d and %d sessions, %d and %d children left", c.Sessions, d.Sessions, len(a.children), len(b.children))
		}
	})
}

// Rekeys and commands go through the engine: the IKE SA's new SPIs are found, and the session stays one.
func TestRekeysThroughTheEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := join(t, 3, 2)
		a.initiate()
		time.Sleep(time.Second)
		for i := range 5 {
			a.Do("line/1", session.Rekey{IKE: true})
			time.Sleep(10 * time.Second)
			b.Do("line/1", session.Rekey{})
			time.Sleep(10 * time.Second)
			if i == 2 {
				a.Do("line/1", session.Probe{})
			}
		}
		synctest.Wait()
		wantOnePair(t, a, b)
		for _, g := range []*gateway{a, b} {
			c := g.Counters()
			if c.Events[`twinbore_ike_rekeys_total{kind="ike"}`] != 5 || c.Events[`twinbore_ike_rekeys_total{kind="child"}`] != 5 {
				t.Errorf("%v: counted %v, want 5 rekeys of each kind", g.addr, c.Events)
			}
			if len(g.table.spis) != 1 {
				t.Errorf("%v: %d SPIs lead somewhere, want 1", g.addr, len(g.table.spis))
			}
		}
	})
}

// SM-16, EV-30: the ends disagree about PFS, which only a rekey shows. The peer refuses each one; before the Child SA's hard end
// there is another IKE SA with a Child SA of its own, and the old one goes. Neither end is ever without a Child SA, over and
// over.
func TestRefusedRekeysAreNoOutage(t *testing.T) {
	for _, shards := range []int{1, 2} {
		synctest.Test(t, func(t *testing.T) {
			a, b := join(t, 5, shards, func(g *gateway, p *Peer) {
				p.ChildLifetime = 10 * time.Minute
				if g.addr.Addr().As4()[3] == 1 {
					withPFS, err := suite.ParseESP("aes128gcm16-curve25519-noesn")
					if err != nil {
						t.Fatal(err)
					}
					p.ESP = []suite.Proposal{withPFS}
				}
			})
			a.initiate()
			for range 120 {
				time.Sleep(time.Minute)
				synctest.Wait()
				if a.dark+b.dark > 0 || a.Counters().Sessions > 2 || b.Counters().Sessions > 2 {
					t.Fatalf("an end was %d times without a Child SA; %d and %d sessions", a.dark+b.dark, a.Counters().Sessions, b.Counters().Sessions)
				}
			}
			wantOnePair(t, a, b)
			if n := a.Counters().Events[`twinbore_ike_negotiations_total{result="up"}`]; n < 12 || n > 15 {
				t.Errorf("%d IKE SAs in two hours with Child SAs of ten minutes", n)
			}
		})
	}
}

// SM-18: the data path of either end refuses the first Child SA, or its successor, when it is installed or when it is
// activated. Nothing stays half done at either end, the peer is told, and the next attempt makes a pair.
func TestDataPathRefuses(t *testing.T) {
	for _, op := range []string{"install", "activate"} {
		for _, nth := range []int{1, 2} {
			for _, end := range []int{0, 1} {
				t.Run(fmt.Sprintf("%s number %d at end %d", op, nth, end), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						a, b := join(t, 7, 1)
						left := nth
						[]*gateway{a, b}[end].fail = func(what string) error {
							if what == op {
								left--
							}
							if what == op && left == 0 {
								return errors.New("no room in the table")
							}
							return nil
						}
						a.initiate()
						time.Sleep(time.Second)
						a.Do("line/1", session.Rekey{})
						time.Sleep(time.Minute)
						synctest.Wait()
						if left > 0 {
							t.Fatal("the data path never refused")
						}
						for _, g := range []*gateway{a, b} {
							if c := g.Counters(); c.Sessions != 0 || len(g.children)+len(g.active) != 0 {
								t.Errorf("%v: %d sessions, children %v are left", g.addr, c.Sessions, g.children)
							}
						}
						if down := []*gateway{a, b}[1-end].Counters().Events[`twinbore_ike_down_total{reason="PEER_DELETED"}`]; down != 1 {
							t.Errorf("the peer was told %d times", down)
						}
						a.initiate()
						time.Sleep(time.Second)
						synctest.Wait()
						wantOnePair(t, a, b)
					})
				})
			}
		}
	}
}
