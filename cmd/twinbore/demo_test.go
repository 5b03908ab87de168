package main

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// The demo's figures are only worth something if a lost packet counts as lost.
func TestTrafficCountsWhatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := tuntest.New(1400), tuntest.New(1400)
		tr := newTraffic(left, right)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); tr.run(ctx) }()
		var lossy atomic.Bool
		carry := func(from, to *tuntest.Fake) {
			f := tun.Frame{Buf: make([]byte, 100)}
			for {
				if err := from.Device().Read(&f); err != nil {
					return
				}
				if !lossy.Load() {
					to.Device().Write([]tun.Frame{f})
				}
			}
		}
		go carry(left, right)
		go carry(right, left)
		tr.mark()
		time.Sleep(time.Second + time.Microsecond)
		if got := tr.mark(); got.sent < 390 || got.sent > 410 || got.lost != 0 || got.gap > 2*settleTime {
			t.Errorf("with nothing wrong: %+v", got)
		}
		synctest.Wait()
		lossy.Store(true)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		lossy.Store(false)
		time.Sleep(500 * time.Millisecond)
		if got := tr.mark(); got.sent < 390 || got.lost < 190 || got.lost > 210 || got.gap < 490*time.Millisecond || got.gap > 600*time.Millisecond {
			t.Errorf("with half a second of nothing: %+v", got)
		}
		stop()
		<-ended
		left.Device().Close()
		right.Device().Close()
	})
}

// A socket that notes what it is asked to send.
type sentSocket struct {
	transport.Socket
	sent []transport.Message
}

func (s *sentSocket) Write(ms []transport.Message) (int, error) {
	s.sent = append(s.sent, ms...)
	return len(ms), nil
}

func TestCutCableLosesTunnel1Silently(t *testing.T) {
	under := new(sentSocket)
	c := new(cable)
	end := &cableEnd{Socket: under, cable: c}
	path := func(local, remote netip.Addr) transport.Message {
		return transport.Message{Path: esp.Path{Local: netip.AddrPortFrom(local, 1), Remote: netip.AddrPortFrom(remote, 2)}}
	}
	ms := []transport.Message{path(demoLeft, demoCloud[0]), path(demoLeft, demoCloud[1]), path(demoCloud[0], demoLeft)}
	for _, step := range []struct {
		cut  bool
		want int
	}{{false, 3}, {true, 1}, {false, 3}} {
		under.sent = nil
		c.cut(step.cut)
		if n, err := end.Write(ms); n != len(ms) || err != nil || len(under.sent) != step.want {
			t.Errorf("cut=%v: wrote %d, %v; %d left", step.cut, n, err, len(under.sent))
		}
	}
}
