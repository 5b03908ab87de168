package datapath

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
)

// Whatever comes, each packet is delivered or counted, once.
func TestTheBooksBalance(t *testing.T) { // DOS-10
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		rng := rand.New(rand.NewPCG(3, 5))
		places := []string{paris, hq, elsewhere, internet, "127.0.0.1", "10.1.9.9", insidePeer1}
		place := func() string { return places[rng.IntN(len(places))] }
		random := func() []byte {
			b := udp(place(), place(), rng.IntN(1000), rng.IntN(1000), rng.IntN(600))
			switch rng.IntN(8) {
			case 0:
				b[rng.IntN(20)] = byte(rng.Uint32())
			case 1:
				b = b[:rng.IntN(len(b))]
			case 2:
				b = fragment(b, 8*rng.IntN(100), true)
			}
			return b
		}
		fromHost, fromPeer := 0, 0
		for range 1500 {
			if rng.IntN(2) == 0 {
				fromHost++
				s.fake.Out <- random()
				synctest.Wait()
				continue
			}
			fromPeer++
			b := p.seal(random())
			switch rng.IntN(6) {
			case 0:
				b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
			case 1:
				b = b[:rng.IntN(len(b))]
			case 2:
				p.datagram(bytes.Clone(b))
				fromPeer++
			}
			p.datagram(b)
		}
		left, arrived := len(p.opened()), len(s.inside())
		total, byTunnel := uint64(0), uint64(0)
		for _, n := range s.Drops() {
			total += n
		}
		for _, n := range s.Traffic("hq/1").Drops {
			byTunnel += n
		}
		// What is for connection "other" waits, up to four; some garbage on port 4500 is IKE as far as can be seen there.
		waits := s.conns["other"].waiting.n
		s.inbox.mu.Lock()
		ike := s.inbox.n
		s.inbox.mu.Unlock()
		if in, out := fromHost+fromPeer, left+arrived+int(total)+waits+ike; in != out {
			t.Errorf("%d packets came, %d left, %d arrived, %d were dropped, %d wait, %d are IKE: %d too many",
				in, left, arrived, total, waits, ike, in-out)
		}
		if left == 0 || arrived == 0 || byTunnel == 0 || byTunnel >= total {
			t.Errorf("%d left, %d arrived, %d of %d drops are the tunnel's: the test shows nothing", left, arrived, byTunnel, total)
		}
		got := s.Traffic("hq/1")
		if int(got.TxPackets) != left || int(got.RxPackets) != arrived {
			t.Errorf("traffic %+v, but %d left and %d arrived", got, left, arrived)
		}
	})
}

func TestDropsNeverGoDown(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		p.send(udp(internet, paris, 1, 2, 8))
		s.dropped(map[string]uint64{"spoofed": 1})
		if err := s.SetConnections(nil); err != nil { // while the Child SA lives
			t.Fatal(err)
		}
		p.send(udp(hq, paris, 1, 2, 8))
		s.dropped(map[string]uint64{"no_route": 1})
		s.Remove(p.id)
		s.dropped(map[string]uint64{})
		if len(s.peers) != 0 || len(s.conns) != 0 {
			t.Errorf("%d tunnels and %d connections are left", len(s.peers), len(s.conns))
		}
		if got := s.Traffic("hq/1"); got.RxPackets != 0 || len(got.Drops) != 0 {
			t.Errorf("a tunnel that is gone has traffic %+v", got)
		}
		if err := s.SetConnections(parisConnections()); err != nil {
			t.Fatal(err)
		}
		s.dropped(map[string]uint64{})
	})
}

func TestAConnectionComesBackWithItsChildren(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		for _, conns := range [][]Connection{parisConnections()[1:], parisConnections()} {
			if err := s.SetConnections(conns); err != nil {
				t.Fatal(err)
			}
		}
		s.choose("hq", "1")
		b := udp(paris, hq, 1, 2, 8)
		s.host(b)
		p.wantOpened(b)
	})
}

func TestWhatSocketsAndDevicesLoseIsCounted(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		// A socket that cannot send: simnet refuses port 0, as a kernel does.
		s.Move(p.id, esp.Path{Local: netip.AddrPortFrom(s.outer, 4500), Remote: port("198.51.100.1:0")})
		s.host(udp(paris, hq, 1, 2, 8))
		s.dropped(map[string]uint64{"send_error": 1})
		// A device whose host does not read.
		for range cap(s.fake.In) + 7 {
			p.send(udp(hq, paris, 1, 2, 8))
		}
		s.dropped(map[string]uint64{"tun_error": 7})
	})
}

func TestRunEndsWithItsDevice(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		s.fake.Device().Close()
		if err := <-s.stopped; !errors.Is(err, os.ErrClosed) {
			t.Errorf("Run = %v, want the device's error", err)
		}
		s.stopped <- nil // for the end of the test
		if _, err := s.sockets[0].of(0).Read(make([]transport.Message, 1)); err == nil {
			t.Error("a socket is open after Run")
		}
	})
}

func TestNewRefusesHalfAConfiguration(t *testing.T) {
	inLab(t, func(l *lab) {
		full := func() Config {
			return Config{Device: l.gateway(parisOuter, nil).fake.Device(), Sockets: []Socket{{Socket: l.net.Listen(port("192.0.2.9:4500"))}}}
		}
		base := full()
		for name, change := range map[string]func(*Config){
			"no device": func(c *Config) { c.Device = nil }, "no sockets": func(c *Config) { c.Sockets = nil },
			"a negative keepalive": func(c *Config) { c.Keepalive = -1 },
		} {
			cfg := base
			change(&cfg)
			if _, err := New(cfg); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		if _, err := New(base); err != nil {
			t.Error(err)
		}
	})
}

// Rekeys, failovers and reloads happen while packets run: no packet is lost to them, and the race detector is content.
func TestChangesUnderTrafficLoseNothing(t *testing.T) {
	inLab(t, func(l *lab) {
		s := l.paris(nil)
		p := s.up()
		const packets = 600
		var running sync.WaitGroup
		running.Go(func() {
			for i := range packets {
				s.fake.Out <- udp(paris, hq, i, 2, 64)
				p.post(p.seal(udp(hq, paris, i, 2, 64)), 4500)
				time.Sleep(100 * time.Microsecond)
			}
		})
		running.Go(func() {
			for i := range 60 {
				id := esp.ChildID(s.AllocSPI())
				alg := p.out.Algorithm()
				ch := esp.Child{ID: id, Peer: "hq/1", Local: anySelectors, Remote: anySelectors,
					In:   esp.Params{SPI: esp.SPI(id), Algorithm: alg, Key: key(alg, 201), Window: 64},
					Out:  esp.Params{SPI: 4711, Algorithm: alg, Key: key(alg, 202)},
					Path: esp.Path{Local: netip.AddrPortFrom(s.outer, 4500), Remote: p.at}}
				if err := s.Install(ch); err != nil {
					t.Error(err)
				}
				if i%2 == 0 {
					if err := s.Activate(id); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Millisecond)
				if err := s.SetConnections(parisConnections()); err != nil {
					t.Error(err)
				}
				s.Move(id, ch.Path.Reverse().Reverse())
				s.Traffic("hq/1")
				s.Drops()
				s.Remove(id)
				s.SetOwn([]netip.Addr{addr(gatewayItself)})
				s.choose("hq", "1")
			}
		})
		running.Wait()
		if raw, in := len(p.heard()), len(s.inside()); raw != packets || in != packets {
			t.Errorf("%d and %d packets of %d came through", raw, in, packets)
		}
		s.dropped(map[string]uint64{})
	})
}
