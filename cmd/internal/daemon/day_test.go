package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/ike/wire"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// A day is what a run of 24 hours comes to.
type day struct {
	transcript string // a digest of every IKE message that arrived: when, between whom, which
	messages   int
	rekeys     int
	delivered  int // of packets sent every ten seconds each way, while the line was bad
	sent       int
}

// aDay runs two whole gateways for 24 hours of protocol time on a network that loses a third of everything, and then
// for six good minutes, after which both tunnels must be up and carry traffic.
func aDay(t *testing.T) (out day) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(7)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond, Loss: 1.0 / 3})
		digest := sha256.New()
		net.Tap(func(now time.Time, m transport.Message) {
			use := transport.ForIKE
			if m.Path.Local.Port() == 4500 {
				use = transport.ForNATT
			}
			kind, msg := transport.Classify(use, m.Buf[:m.N])
			if kind != transport.IKE {
				return
			}
			if h, err := wire.ParseHeader(msg); err == nil {
				out.messages++
				fmt.Fprintln(digest, now.UnixNano(), m.Path, h.SPIi, h.SPIr, h.Exchange, h.MessageID, h.Length)
				if h.Exchange == wire.CreateChildSA && !h.Response() {
					out.rekeys++
				}
			}
		})
		patient := func(text string, seed byte) *site {
			text = strings.ReplaceAll(text, "dpd: {interval: 1s, retries: 2}", "dpd: {interval: 1m, retries: 5}\n    lifetimes: {ike: 4h, esp: 30m, jitter: 4%}")
			// Without inside addresses there are no pings, which would leave at the same instants as IKE's questions: there is no
			// order in one.
			text = regexp.MustCompile(` inside: [^,]+,`).ReplaceAllString(text, "")
			return openWith(t, net, text, func(o *Options) { o.Rand = rand.NewChaCha8([32]byte{seed}) })
		}
		right := patient(rightConfig, 2)
		time.Sleep(time.Millisecond) // never the same instant: there is no order in one
		left := patient(leftConfig, 1)

		src, dst := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
		for n := range uint32(24 * 360) {
			time.Sleep(10*time.Second - time.Millisecond)
			left.host.Out <- packet(src, dst, n)
			time.Sleep(time.Millisecond)
			right.host.Out <- packet(dst, src, n)
			out.sent += 2
			out.delivered += left.drain() + right.drain()
		}
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		time.Sleep(6 * time.Minute) // an end whose peer has given up on it finds that out in five
		left.want("1: UP UP", time.Minute)
		right.want("1: UP UP", time.Minute)
		if !left.send(right, 1<<20) || !right.send(left, 1<<20+1) {
			t.Error("no traffic after the line was good again")
		}
		out.transcript = hex.EncodeToString(digest.Sum(nil))
	})
	return out
}

// drain counts the packets that have come out of the inside.
func (s *site) drain() (n int) {
	for {
		select {
		case <-s.host.In:
			n++
		default:
			return n
		}
	}
}

// EV-07, EV-29, SM-08 for the whole gateway: sockets, engine, protocol, data path and connection logic. The same seed gives the
// same messages at the same instants.
func TestADayWithAThirdLost(t *testing.T) {
	one, two := aDay(t), aDay(t)
	if one != two {
		t.Errorf("two runs of the same seeds differ:\n%+v\n%+v", one, two)
	}
	if one.rekeys < 100 {
		t.Errorf("%d rekeys in a day of half-hour lifetimes on two tunnels", one.rekeys)
	}
	if share := float64(one.delivered) / float64(one.sent); share < 0.6 {
		t.Errorf("%.0f%% of the packets arrived on a line that loses a third", 100*share)
	}
	t.Logf("%+v", one)
}
