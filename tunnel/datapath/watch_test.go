package datapath

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
)

// A tiring is a socket whose kernel cuts runs until it does not.
type tiring struct {
	transport.Socket
	tired atomic.Bool
}

func (s *tiring) Offloads() transport.Offloads { return transport.Offloads{GSO: !s.tired.Load()} }

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.String()
}

// What is given up on the way is told, once for each, by the name it has in the configuration.
func TestOffloadsGivenUpAreTold(t *testing.T) {
	inLab(t, func(l *lab) {
		if l.offloads == (tun.Offloads{}) {
			return
		}
		var log lockedBuffer
		sock := new(tiring)
		s := l.paris(func(c *Config) {
			c.Log = slog.New(slog.NewTextHandler(&log, nil))
			for i := range c.Sockets {
				next := &tiring{Socket: c.Sockets[i].Socket}
				c.Sockets[i].Socket, sock = next, next
			}
		})
		p := s.up()
		want := func(names ...string) {
			t.Helper()
			time.Sleep(watchEvery)
			s.l.settle()
			if got := s.GivenUp(); len(got) != len(names) {
				t.Errorf("given up are %q, want %q", got, names)
			}
			if n := strings.Count(log.text(), "offload given up"); n != len(names) {
				t.Errorf("%d told, want %d:\n%s", n, len(names), log.text())
			}
			for _, name := range names {
				if !strings.Contains(log.text(), "offload="+name) {
					t.Errorf("nothing told of %s:\n%s", name, log.text())
				}
			}
		}
		want()
		s.fake.Break()
		for _, pkt := range segments(t, inSuper(5000, 1000, tcpACK)) {
			p.post(p.seal(pkt), 4500)
		}
		s.inside()
		want("tun_tso")
		sock.tired.Store(true)
		want("tun_tso", "udp_gso")
		want("tun_tso", "udp_gso")
	})
}
