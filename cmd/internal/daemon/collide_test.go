package daemon

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// EV-29, RFC 7296 §2.8.1, §2.8.2: both operators ask for new keys of one kind or of both, at once or a little apart, on a line on
// which messages overtake each other and IKE loses some, while packets go both ways. Of these none is lost: what one end sends
// on, the other still, or already, receives on.
func TestCollidingRekeysLoseNothing(t *testing.T) {
	for _, sa := range []string{"child", "ike", ""} {
		for lost := range 3 {
			t.Run(fmt.Sprintf("%s, IKE loses messages %d, %d, …", sa, lost, lost+5), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { collideUnderTraffic(t, sa, lost) })
			})
		}
	}
}

func collideUnderTraffic(t *testing.T, sa string, lost int) {
	net := simnet.New(3)
	t.Cleanup(net.Close)
	link := simnet.Link{Latency: 20 * time.Millisecond, Jitter: 15 * time.Millisecond}
	net.SetLinks(link)
	left, right := open(t, net, leftConfig, nil), open(t, net, rightConfig, nil)
	left.want("1: UP UP", 5*time.Second)
	time.Sleep(time.Second)
	number := 0
	var losing atomic.Bool // only for a while: else one message may be the fifth again and again until its sender gives up
	link.Judge = func(_ time.Time, m transport.Message) (v simnet.Verdict) {
		if kind, _ := transport.Classify(transport.ForNATT, m.Buf[:m.N]); kind == transport.IKE && losing.Load() {
			v.Drop = number%5 == lost
			number++
		}
		return v
	}
	net.SetLinks(link)
	here, there := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
	left.drain()
	right.drain()
	sent, came := 0, [2]int{}
	pass := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
			left.host.Out <- packet(here, there, uint32(sent))
			right.host.Out <- packet(there, here, uint32(sent))
			sent++
			came[0] += right.drain()
			came[1] += left.drain()
		}
	}
	rekey := func(s *site) {
		if _, err := s.d.Act(t.Context(), api.Action{Verb: api.Rekey, Connection: s.connection().Name, SA: sa}); err != nil {
			t.Fatal(err)
		}
	}
	for _, apart := range []time.Duration{0, 30 * time.Millisecond, 50 * time.Millisecond} {
		losing.Store(true)
		rekey(left)
		pass(apart)
		rekey(right)
		pass(1200 * time.Millisecond) // two repetitions of what was lost
		losing.Store(false)
		time.Sleep(12 * time.Second) // refused rekeys come again, old Child SAs go
	}
	came[0] += right.drain()
	came[1] += left.drain()
	if came != [2]int{sent, sent} {
		t.Errorf("%d packets each way, and %v came\n%s", sent, came, left.log)
	}
	for _, s := range []*site{left, right} {
		if drops := s.d.gateway.Drops()["unknown_spi"]; drops > 0 {
			t.Errorf("%d packets for a Child SA that was not there", drops)
		}
	}
}
