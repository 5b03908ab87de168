package ike

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
	"twinbore/ike/wire"
)

func addrPort(a, b, c, d byte, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{a, b, c, d}), port)
}

func pathFrom(a, b, c, d byte, port uint16) esp.Path {
	return esp.Path{Local: here, Remote: addrPort(a, b, c, d, port)}
}

// halfOpenFor accepts anything, answers with as much as it was asked, and gives up after life.
func halfOpenFor(life time.Duration) func([]Peer) session.Session {
	spi := uint64(1 << 32)
	return func([]Peer) session.Session {
		spi++
		mine := spi
		return &script{
			receive: func(now time.Time, msg []byte, on esp.Path) session.Output {
				return session.Output{Claim: []uint64{mine}, Send: []session.Datagram{{Bytes: msg, Path: on}}, Wake: now.Add(life)}
			},
			expire: func(time.Time) session.Output { return session.Output{Release: []uint64{mine}, Done: true} },
		}
	}
}

// DOS-01, DOS-05, DOS-14, EV-23, EV-26: 20,000 first requests from spoofed addresses in 20 s. State stays within the limits, answers
// within the questions, a configured peer comes through, and afterwards nothing is left.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("fixed/1", "192.0.2.1"), peer("anywhere/1")}, Limits: Limits{HalfOpen: 60}}, nil, halfOpenFor(30*time.Second)).run(t)
		asked, answered := 0, 0
		peak := 0
		nonce := make([]byte, 32)
		for i := range 20000 {
			binary.BigEndian.PutUint32(nonce, uint32(i))
			q := firstRequest(uint64(i+1), nonce, nil)
			asked += len(q)
			b.deliver(packet{q, pathFrom(10, byte(i>>16), byte(i>>8), byte(i), 500)})
			for _, p := range b.take() {
				answered += len(p.b)
			}
			peak = max(peak, b.Counters().HalfOpen)
			time.Sleep(time.Millisecond)
			if i != 10000 {
				continue
			}
			mine := firstRequest(1<<40, nonce, nil)
			b.deliver(packet{mine, from("192.0.2.1:500")})
			sent := b.take()
			if len(sent) != 1 {
				t.Fatalf("the configured peer got %d answers to its first request in the flood", len(sent))
			}
			cookie := notifyIn(t, sent[0])
			b.deliver(packet{firstRequest(1<<40, nonce, cookie.Data), from("192.0.2.1:500")})
			if sent := b.take(); len(sent) != 1 || len(sent[0].b) < 100 {
				t.Fatalf("the configured peer returned its cookie and was not taken: %d answers", len(sent))
			}
		}
		c := b.Counters()
		if peak > 61 || c.CookiesSent < 5000 {
			t.Errorf("%d half-open at most, %d cookies sent; want no more than 60 and one, and thousands", peak, c.CookiesSent)
		}
		if answered > asked {
			t.Errorf("%d octets answered to %d", answered, asked)
		}
		b.rates.mu.Lock()
		if n := len(b.rates.sources); n > maxSources+1 {
			t.Errorf("%d sources remembered", n)
		}
		b.rates.mu.Unlock()
		time.Sleep(time.Minute)
		synctest.Wait()
		c = b.Counters()
		s := b.shards[0]
		if c.Sessions != 0 || c.HalfOpen != 0 || len(b.table.spis) != 0 || len(b.table.inits) != 0 || len(b.table.sources) != 0 ||
			len(b.rates.sources) != 0 || len(s.handles) != 0 || len(s.byPeer) != 0 || len(s.deadlines) != 0 {
			t.Errorf("a minute later there are %d sessions, %d SPIs, %d first requests, %d+%d sources, %d deadlines; want none", c.Sessions,
				len(b.table.spis), len(b.table.inits), len(b.table.sources), len(b.rates.sources), len(s.deadlines))
		}
	})
}

// DOS-03: one real address that returns its cookies has five half-open sessions and no sixth; another address of the same
// IPv6 /64 is the same source.
func TestPerSourceLimit(t *testing.T) {
	for _, c := range []struct {
		name  string
		from  func(i int) esp.Path
		peers []Peer
	}{
		{"IPv4", func(i int) esp.Path { return pathFrom(198, 51, 100, 1, uint16(1000+i)) }, []Peer{peer("a/1")}},
		{"configured", func(i int) esp.Path { return pathFrom(198, 51, 100, 1, uint16(1000+i)) }, []Peer{peer("a/1", "198.51.100.1")}},
		{"IPv6 /64", func(i int) esp.Path {
			a := netip.MustParseAddr("2001:db8::").As16()
			a[15] = byte(i)
			return esp.Path{Local: here, Remote: netip.AddrPortFrom(netip.AddrFrom16(a), 500)}
		}, []Peer{peer("a/1")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(Config{Peers: c.peers}, nil, halfOpenFor(30*time.Second)).run(t)
				cookies := 0
				for i := range 10 {
					var cookie []byte
					for range 2 {
						b.deliver(packet{firstRequest(uint64(i+1), make([]byte, 32), cookie), c.from(i)})
						sent := b.take()
						if len(sent) != 1 {
							break
						}
						if m, err := wire.ParseMessage(sent[0].b); err != nil || len(m.Payloads) != 1 {
							break // the session's own answer
						}
						cookie = notifyIn(t, sent[0]).Data
						cookies++
					}
					time.Sleep(time.Second)
				}
				got := b.Counters()
				if got.HalfOpen != 5 || cookies != 2 {
					t.Errorf("%d half-open, %d cookies; want 5, the last 2 of them for a cookie", got.HalfOpen, cookies)
				}
				b.wantDrops(t, map[string]uint64{"half_open_limit": 5})
			})
		})
	}
}

// DOS-03 (RFC 8019 §5): while more are half-open than the threshold, who begins has less time to authenticate itself; a threshold
// of "always" is no sign of that.
func TestCrowdsHurry(t *testing.T) {
	for threshold, want := range map[int]int{4: 6, -1: 0} {
		synctest.Test(t, func(t *testing.T) {
			hurried, accept := 0, halfOpenFor(time.Hour)
			b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1")}, Limits: Limits{CookieThreshold: threshold}}, nil, func(list []Peer) session.Session {
				for _, p := range list {
					if p.Hurried {
						hurried++
					}
				}
				return accept(list)
			}).run(t)
			for i := range 7 {
				var cookie []byte
				for range 2 {
					b.deliver(packet{firstRequest(uint64(i+1), make([]byte, 32), cookie), pathFrom(198, 51, 100, byte(i), 500)})
					if sent := b.take(); len(sent) == 1 {
						if m, err := wire.ParseMessage(sent[0].b); err == nil && len(m.Payloads) == 1 {
							cookie = notifyIn(t, sent[0]).Data
						}
					}
				}
			}
			if hurried != want {
				t.Errorf("threshold %d: %d candidates are hurried, want %d: two for each session after the fourth", threshold, hurried, want)
			}
		})
	}
}

// A source that asks faster than allowed is not heard, and is again a second later.
func TestPerSourceRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1")}, Limits: Limits{PerSource: 1000}}, nil, halfOpenFor(time.Hour)).run(t)
		for i := range 30 {
			b.deliver(packet{firstRequest(uint64(i+1), make([]byte, 32), nil), pathFrom(198, 51, 100, 1, 500)})
		}
		b.wantDrops(t, map[string]uint64{"source_rate": 10})
		b.deliver(packet{firstRequest(100, make([]byte, 32), nil), pathFrom(198, 51, 100, 2, 500)})
		time.Sleep(time.Second)
		b.deliver(packet{firstRequest(101, make([]byte, 32), nil), pathFrom(198, 51, 100, 1, 500)})
		if c := b.Counters(); c.Sessions != 22 {
			t.Errorf("%d sessions, want 22", c.Sessions)
		}
	})
}

// A full memory of sources lets nobody through for nothing: who is not remembered pays with a cookie.
func TestForgottenSourcesPayWithCookies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(Config{Peers: []Peer{peer("a/1"), peer("b/1", "192.0.2.1")}, Limits: Limits{CookieThreshold: 1 << 30, HalfOpen: 1 << 30}}, nil, halfOpenFor(time.Hour)).run(t)
		for i := range maxSources {
			b.deliver(packet{firstRequest(uint64(i+1), make([]byte, 32), nil), pathFrom(10, 0, byte(i>>8), byte(i), 500)})
		}
		b.take()
		b.deliver(packet{firstRequest(1<<40, make([]byte, 32), nil), pathFrom(10, 9, 9, 9, 500)})
		if sent := b.take(); len(sent) != 1 || notifyIn(t, sent[0]).Kind != wire.NotifyCookie {
			t.Errorf("source number %d got %d answers, want a cookie", maxSources+1, len(sent))
		}
		before := b.Counters().Sessions
		b.deliver(packet{firstRequest(1<<41, make([]byte, 32), nil), from("192.0.2.1:500")})
		if got := b.Counters().Sessions; got != before+1 {
			t.Error("a configured address was not taken")
		}
	})
}

// BenchmarkCookie is what one spoofed first request costs under a flood: read it whole, make a cookie, answer.
func BenchmarkCookie(b *testing.B) {
	e := newBench(Config{Peers: []Peer{peer("fixed/1", "192.0.2.1")}, Limits: Limits{CookieThreshold: 1, IKEPerSourceRPS: 1 << 30}}, nil, nil)
	e.table.open = 1
	q := firstRequest(1, make([]byte, 32), nil)
	now := time.Now()
	for b.Loop() {
		e.route(now, q, from("192.0.2.1:500"))
		e.sent, e.ops = e.sent[:0], e.ops[:0]
	}
	if c := e.Counters(); c.CookiesSent != uint64(b.N) {
		b.Errorf("%d cookies for %d requests", c.CookiesSent, b.N)
	}
}
