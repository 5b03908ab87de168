package ike

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

// up is what a session says when its peer has been authenticated.
func up(now time.Time, name string, spiI, spiR uint64, initiator bool) session.Event {
	return session.Event{Kind: session.IKEUp, Time: now, Peer: name, IKE: session.IKEInfo{Version: 2, Initiator: initiator, SPIi: spiI, SPIr: spiR}}
}

// The peer's first packet must find its SA and its next message the session: the order of session.Output.
func TestAppliesAnOutputInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{do: func(now time.Time, _ session.Command) session.Output {
				return session.Output{
					Child: []session.ChildOp{{Op: session.Install, ID: 1, Child: esp.Child{ID: 1}}, {Op: session.Activate, ID: 1},
						{Op: session.Move, ID: 1}, {Op: session.Remove, ID: 2}},
					Claim:  []uint64{7, 8},
					Send:   []session.Datagram{{Bytes: message(wire.Header{SPIi: 7, Exchange: wire.IKEAuth}), Path: from("192.0.2.1:4500")}},
					Events: []session.Event{up(now, "a/1", 7, 9, true), {Kind: session.ChildUp, Time: now, Peer: "a/1"}},
				}
			}}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		want := []string{"install 0x00000001", "activate 0x00000001", "move 0x00000001", "remove 0x00000002", "send", "ike up", "child up"}
		if got := b.did(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if h, _ := b.table.bySPI(8); h == nil {
			t.Error("a claimed SPI leads nowhere")
		}
		if c := b.Counters(); c.Sent["IKE_AUTH"] != 1 || c.Sessions != 1 || c.HalfOpen != 0 {
			t.Errorf("counters %+v", c)
		}
	})
}

// A send error is loss (EV-37).
func TestSendErrorIsLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{do: func(time.Time, session.Command) session.Output {
				bad := session.Datagram{Bytes: message(wire.Header{SPIi: 7, Exchange: wire.IKEAuth})}
				return session.Output{Send: []session.Datagram{bad, {Bytes: bad.Bytes, Path: from("192.0.2.1:500")}}}
			}}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		if c := b.Counters(); c.SendErrors != 1 || c.Sent["IKE_AUTH"] != 1 || c.Sessions != 1 {
			t.Errorf("%d send errors, %d sent, %d sessions; want 1 of each", c.SendErrors, c.Sent["IKE_AUTH"], c.Sessions)
		}
	})
}

// SM-18: the data path refuses a child: the session is told to end, and ends with DATAPATH_ERROR.
func TestInstallFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []session.Close
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(Peer) session.Session {
			return &script{do: func(now time.Time, cmd session.Command) session.Output {
				if c, ok := cmd.(session.Close); ok {
					closed = append(closed, c)
					return session.Output{Child: []session.ChildOp{{Op: session.Remove, ID: 1}}, Done: true}
				}
				return session.Output{Child: []session.ChildOp{{Op: session.Install, ID: 1, Child: esp.Child{ID: 1}}, {Op: session.Activate, ID: 1}},
					Events: []session.Event{up(now, "a/1", 7, 9, true)}}
			}}
		}, nil)
		b.refuse = errors.New("no room")
		b.run(t)
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		if len(closed) != 1 || closed[0].Reason != session.DatapathError || closed[0].Quiet {
			t.Errorf("closed with %+v, want once with DATAPATH_ERROR and a Delete", closed)
		}
		if c := b.Counters(); c.Sessions != 0 || len(b.installs) != 0 {
			t.Errorf("%d sessions, %d children left", c.Sessions, len(b.installs))
		}
	})
}

// Initiate makes one session however often it is said, and a new one as soon as the old is closing.
func TestInitiateOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var contacts []bool
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, func(p Peer) session.Session {
			contacts = append(contacts, p.InitialContact)
			return &script{do: func(now time.Time, cmd session.Command) session.Output {
				if _, end := cmd.(session.Close); end { // waits for an answer to its Delete
					return session.Output{Events: []session.Event{{Kind: session.IKEDown, Time: now, Peer: "a/1"}}, Wake: now.Add(time.Second)}
				}
				return session.Output{}
			}, expire: func(time.Time) session.Output { return session.Output{Done: true} }}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		b.Do("a/1", session.Initiate{})
		b.Do("nobody", session.Initiate{})
		b.Do("a/1", session.Close{})
		b.Do("a/1", session.Initiate{})
		synctest.Wait()
		if c := b.Counters(); c.Sessions != 2 {
			t.Errorf("%d sessions, want the closing one and the new one", c.Sessions)
		}
		if want := []bool{true, false}; !slices.Equal(contacts, want) { // N-27
			t.Errorf("INITIAL_CONTACT %v, want %v: the closing one is still known", contacts, want)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c := b.Counters(); c.Sessions != 1 {
			t.Errorf("%d sessions, want 1", c.Sessions)
		}
	})
}

// A session that is up hears of Initiate, because its Child SA may be missing; so do all commands reach all sessions of
// their peer, and no other's.
func TestCommandsReachTheirPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heard := map[string][]session.Command{}
		b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1")}, Shards: 3}, func(p Peer) session.Session {
			return &script{do: func(now time.Time, cmd session.Command) session.Output {
				heard[p.Peer] = append(heard[p.Peer], cmd)
				return session.Output{Events: []session.Event{up(now, p.Peer, 1, 2, true)}}
			}}
		}, nil).run(t)
		for _, cmd := range []session.Command{session.Initiate{}, session.Initiate{Path: from("192.0.2.1:500")}, session.Rekey{IKE: true}, session.Probe{}, session.Spent{Child: 5}} {
			b.Do("a/1", cmd)
			synctest.Wait()
		}
		if len(heard["a/1"]) != 5 || len(heard["b/1"]) != 0 {
			t.Errorf("heard %v", heard)
		}
	})
}

// The heap wakes each session when it asked, in order, and one that asks for the past does not spin.
func TestWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var woken []string
		b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1"), peer("c/1")}}, func(p Peer) session.Session {
			wait := map[string]time.Duration{"a/1": 3 * time.Second, "b/1": time.Second, "c/1": -time.Hour}[p.Peer]
			n := 0
			return &script{do: func(now time.Time, _ session.Command) session.Output { return session.Output{Wake: now.Add(wait)} },
				expire: func(now time.Time) session.Output {
					woken = append(woken, p.Peer+" "+now.Sub(start).String())
					if n++; p.Peer == "c/1" && n < 3 {
						return session.Output{Wake: now}
					}
					return session.Output{}
				}}
		}, nil).run(t)
		for _, name := range []string{"a/1", "b/1", "c/1"} {
			b.Do(name, session.Initiate{})
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		want := []string{"c/1 1ms", "c/1 2ms", "c/1 3ms", "b/1 1s", "a/1 3s"}
		if !slices.Equal(woken, want) {
			t.Errorf("woken %v, want %v", woken, want)
		}
	})
}

// hardening §4.6: a fault in one session ends it, with everything it has, and no other; the log has the stack and no payload.
func TestFaultEndsOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1")}, Log: slog.New(slog.NewTextHandler(&log, nil))}, func(p Peer) session.Session {
			id := map[string]esp.ChildID{"a/1": 1, "b/1": 2}[p.Peer]
			return &script{
				do: func(now time.Time, _ session.Command) session.Output {
					p.AllocSPI() // reserved and never installed: must come back too
					return session.Output{Claim: []uint64{uint64(id)}, Child: []session.ChildOp{{Op: session.Install, ID: id, Child: esp.Child{ID: id}}},
						Events: []session.Event{up(now, p.Peer, uint64(id), 9, true)}, Wake: now.Add(time.Hour)}
				},
				receive: func(_ time.Time, msg []byte, _ esp.Path) session.Output {
					return session.Output{Wake: time.Time{}, Done: msg[5000] == 0}
				},
			}
		}, nil).run(t)
		b.Do("a/1", session.Initiate{})
		b.Do("b/1", session.Initiate{})
		synctest.Wait()
		b.did()
		canary := append(message(wire.Header{SPIi: 1, SPIr: 9, Exchange: wire.Informational}), "CANARY"...)
		canary[27] = byte(len(canary))
		b.deliver(packet{canary, from("192.0.2.1:500")}, packet{canary, from("192.0.2.1:500")})
		want := []string{"remove 0x00000001", "child down", "remove 0x00001001", "ike down"}
		if got := b.did(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, ev := b.kinds(session.IKEDown); ev.Peer != "a/1" || ev.Reason != session.DatapathError || ev.Hint == "" {
			t.Errorf("told %+v", ev)
		}
		if c := b.Counters(); c.Panics != 1 || c.Sessions != 1 || !b.installs[2] {
			t.Errorf("%d faults, %d sessions, children %v; want 1, 1, and the other's child", c.Panics, c.Sessions, b.installs)
		}
		b.wantDrops(t, map[string]uint64{"unknown_spi": 1})
		if text := log.String(); !strings.Contains(text, "drive_test.go") || strings.Contains(text, "CANARY") {
			t.Errorf("the log lacks the stack or has the payload:\n%s", text)
		}
	})
}

// A fault while a session is being made must not leave its caller waiting for an event.
func TestFaultBeforeUpIsAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}}, nil, nil).run(t) // there is no constructor to call
		b.Do("a/1", session.Initiate{})
		b.deliver(packet{firstRequest(1, make([]byte, 32), nil), from("192.0.2.1:500")})
		n, ev := b.kinds(session.Failed)
		if c := b.Counters(); n != 2 || c.Panics != 2 || c.Sessions != 0 || c.HalfOpen != 0 {
			t.Errorf("%d failures, counters %+v", n, c)
		}
		if first := b.events[0]; first.Peer != "a/1" || !first.IKE.Initiator || ev.IKE.Initiator {
			t.Errorf("told %+v and %+v, want our own failure and a stranger's", first, ev)
		}
	})
}

// An SPI leads to one session. One that claims another's, or none, is a fault of its own.
func TestClaimOfATakenSPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1"), peer("c/1")}}, func(p Peer) session.Session {
			return &script{do: func(time.Time, session.Command) session.Output {
				return session.Output{Claim: []uint64{map[string]uint64{"a/1": 7, "b/1": 7, "c/1": 0}[p.Peer]}}
			}}
		}, nil).run(t)
		for _, name := range []string{"a/1", "b/1", "c/1"} {
			b.Do(name, session.Initiate{})
		}
		synctest.Wait()
		if h, _ := b.table.bySPI(7); h == nil || h.peer != "a/1" || b.Counters().Sessions != 1 {
			t.Errorf("%d sessions; want a/1's alone, with its SPI", b.Counters().Sessions)
		}
	})
}

// Several peers may be meant by a first message; when it is known which, that peer's shard takes the session over, with
// what was already on its way.
func TestSessionMovesToItsPeersShard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 16
		var peers []Peer
		for i := range n {
			peers = append(peers, peer(string(rune('a'+i))+"/1"))
		}
		i := 0
		var mu sync.Mutex // guards received: four shards write it
		received := map[string]int{}
		count := func(name string, n int) int {
			mu.Lock()
			defer mu.Unlock()
			received[name] += n
			return received[name]
		}
		b := newBench(Config{Peers: peers, Shards: 4}, nil, func(candidates []Peer) session.Session {
			name := candidates[i].Peer
			spi := uint64(1000 + i)
			i++
			var out session.Output
			return &script{receive: func(now time.Time, msg []byte, _ esp.Path) session.Output {
				out = session.Output{Wake: out.Wake}
				switch count(name, 1) {
				case 1:
					out.Claim = []uint64{spi}
				case 2:
					out.Events, out.Wake = []session.Event{up(now, name, spi, spi, false)}, now.Add(time.Minute)
				}
				return out
			}, do: func(now time.Time, cmd session.Command) session.Output {
				count(name, 100)
				return session.Output{Wake: out.Wake}
			}, expire: func(time.Time) session.Output {
				count(name, 10000)
				return session.Output{}
			}}
		}).run(t)
		for k := range n {
			b.deliver(packet{firstRequest(uint64(k+1), bytes.Repeat([]byte{1}, 32), nil), pathFrom(192, 0, 2, byte(k), 500)})
		}
		for range 2 {
			for k := range n {
				b.deliver(packet{message(wire.Header{SPIi: uint64(k + 1), SPIr: uint64(1000 + k), Exchange: wire.IKEAuth, Flags: wire.FlagInitiator}), pathFrom(192, 0, 2, byte(k), 500)})
			}
		}
		homes := map[*shard]int{}
		for k, p := range peers {
			h, owner := b.table.bySPI(uint64(1000 + k))
			if owner != b.shardOf(p.Peer) || !h.up {
				t.Errorf("%s is not at home", p.Peer)
			}
			homes[owner]++
			b.Do(p.Peer, session.Probe{})
		}
		if len(homes) < 2 {
			t.Fatal("all peers have one shard: the test shows nothing")
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		for _, p := range peers {
			if received[p.Peer] != 10103 {
				t.Errorf("%s: %d, want 3 messages, 1 command and 1 wake-up", p.Peer, received[p.Peer])
			}
		}
		if c := b.Counters(); c.HalfOpen != 0 || c.Sessions != n {
			t.Errorf("%d half-open, %d sessions", c.HalfOpen, c.Sessions)
		}
	})
}

// DOS-09: what strangers can make happen at will is counted exactly and logged ten times a minute.
func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		b := newBench(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, nil, nil).run(t)
		for range 1000 {
			b.deliver(packet{[]byte("junk"), from("192.0.2.1:500")})
		}
		time.Sleep(time.Minute)
		b.deliver(packet{[]byte("junk"), from("192.0.2.1:500")})
		b.wantDrops(t, map[string]uint64{"malformed": 1001})
		text := log.String()
		if n := strings.Count(text, "message dropped"); n != 11 || !strings.Contains(text, "unlogged=990") {
			t.Errorf("%d lines, want 10 and one that says that 990 were left out:\n%s", n, text)
		}
	})
}

// Every kind of event has its row, and what it writes has fixed words.
func TestEveryEventHasItsWords(t *testing.T) {
	for k := session.Message; k <= session.Dropped; k++ {
		t.Run(k.String(), func(t *testing.T) {
			var log bytes.Buffer
			b := newBench(Config{Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}, nil, nil)
			b.Engine.observe(session.Event{Kind: k, Time: time.Unix(1, 0), Peer: "a/1", Reason: session.NoResponse, Hint: "look there"})
			message := k.String()
			if k == session.Dropped {
				message = "message dropped"
			}
			if text := log.String(); !strings.Contains(text, message) || !strings.Contains(text, "peer=a/1") {
				t.Errorf("wrote %q", text)
			}
			c := b.Counters()
			if counted := len(c.Events) + len(c.Drops); counted != 1 && k != session.Message {
				t.Errorf("counted in %d series, want 1", counted)
			}
			if len(b.events) != 1 {
				t.Errorf("observed %d times", len(b.events))
			}
		})
	}
	if len(words) != int(session.Dropped)+1 {
		t.Errorf("%d rows for %d kinds", len(words), session.Dropped+1)
	}
}

// CRY-13: the keys that a session hands out are cleared once the data path has them.
func TestKeysAreClearedAfterInstall(t *testing.T) {
	in, out := []byte("inbound key"), []byte("outbound key")
	b := newBench(Config{}, nil, nil)
	s := newShard(b.Engine)
	h := &handle{children: map[esp.ChildID]bool{}}
	child := esp.Child{ID: 7, In: esp.Params{SPI: 7, Key: in}, Out: esp.Params{SPI: 8, Key: out}}
	if err := s.change(h, []session.ChildOp{{Op: session.Install, ID: 7, Child: child}}); err != nil {
		t.Fatal(err)
	}
	if strings.Trim(string(in)+string(out), "\x00") != "" {
		t.Errorf("keys are left: %q, %q", in, out)
	}
}
