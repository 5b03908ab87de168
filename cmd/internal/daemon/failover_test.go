package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// A flow is packets that go both ways between two sites, one each tick.
type flow struct {
	t           *testing.T
	left, right *site
	number      uint32
	toRight     way
	toLeft      way
}

// A way is one direction of a flow.
type way struct {
	sent, came int
	last       time.Time     // arrival
	gap        time.Duration // the longest between two arrivals
}

const tick = 10 * time.Millisecond

func newFlow(t *testing.T, left, right *site) *flow {
	f := &flow{t: t, left: left, right: right}
	f.run(time.Second)
	f.settle()
	f.fresh()
	return f
}

// fresh forgets what was counted.
func (f *flow) fresh() {
	now := time.Now()
	f.toRight, f.toLeft = way{last: now}, way{last: now}
}

func (f *flow) run(d time.Duration) {
	src, dst := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
	for range int(d / tick) {
		f.number++
		f.left.host.Out <- packet(src, dst, f.number)
		f.right.host.Out <- packet(dst, src, f.number)
		f.toRight.sent++
		f.toLeft.sent++
		time.Sleep(tick)
		f.toRight.take(f.right)
		f.toLeft.take(f.left)
	}
}

// take counts what has come out at a site.
func (w *way) take(s *site) {
	n := s.drain()
	if now := time.Now(); n > 0 {
		w.gap = max(w.gap, now.Sub(w.last))
		w.came += n
		w.last = now
	}
}

// settle waits for what is under way.
func (f *flow) settle() {
	time.Sleep(100 * time.Millisecond)
	f.toRight.take(f.right)
	f.toLeft.take(f.left)
}

// under fails the test if a direction was longer without a packet than it may.
func (f *flow) under(limit time.Duration) {
	f.t.Helper()
	if f.toRight.gap >= limit || f.toLeft.gap >= limit || f.toRight.came == 0 || f.toLeft.came == 0 {
		f.t.Errorf("longest gap %s to the right and %s to the left, want less than %s", f.toRight.gap, f.toLeft.gap, limit)
	}
	f.t.Logf("longest gap %s to the right, %s to the left", f.toRight.gap, f.toLeft.gap)
}

// whole fails the test if a packet was lost.
func (f *flow) whole() {
	f.t.Helper()
	f.settle()
	if f.toRight.came != f.toRight.sent || f.toLeft.came != f.toLeft.sent {
		f.t.Errorf("of %d packets %d came to the right, of %d %d to the left", f.toRight.sent, f.toRight.came, f.toLeft.sent, f.toLeft.came)
	}
}

// event counts the events of a kind at a site.
func (s *site) events(kind string) (n int) {
	list, _ := s.d.Events(0)
	for _, e := range list {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// dropESP drops ESP and lets IKE pass.
func dropESP(_ time.Time, m transport.Message) simnet.Verdict {
	use := transport.ForIKE
	if m.Path.Local.Port() == 4500 {
		use = transport.ForNATT
	}
	kind, _ := transport.Classify(use, m.Buf[:m.N])
	return simnet.Verdict{Drop: kind == transport.ESP}
}

// F1, F2, EV-02, EV-09: under traffic both ways the tunnel that traffic takes stops to pass packets in one way or
// another, and it moves in less than a second in both directions, where DPD would take two or never know.
func TestTrafficMovesInLessThanASecond(t *testing.T) {
	slow := simnet.Link{Latency: 10 * time.Millisecond}
	blocked := slow
	blocked.Judge = dropESP
	for _, c := range []struct {
		name string
		cut  func(*simnet.Net)
	}{
		{"both ways", func(n *simnet.Net) { n.BlackholeBoth(customer, cloud1) }},
		{"our packets alone", func(n *simnet.Net) { n.Blackhole(customer, cloud1) }},
		{"the peer's packets alone", func(n *simnet.Net) { n.Blackhole(cloud1, customer) }},
		{"ESP both ways", func(n *simnet.Net) { n.SetLink(customer, cloud1, blocked); n.SetLink(cloud1, customer, blocked) }},
		{"our ESP alone", func(n *simnet.Net) { n.SetLink(customer, cloud1, blocked) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net, left, right := world(t)
				left.want("1: UP UP", 2*time.Second)
				right.want("1: UP UP", 2*time.Second)
				time.Sleep(2 * time.Second) // the pings that say whether there are answers
				f := newFlow(t, left, right)
				c.cut(net)
				f.run(2 * time.Second)
				f.under(time.Second)
				for _, s := range []*site{left, right} {
					at := s.connection()
					if *at.ActiveTunnel != "2" || !at.Tunnels[1].Active || at.Tunnels[0].Active {
						t.Errorf("one end sends by tunnel %s: %+v", *at.ActiveTunnel, at)
					}
					if one := at.Tunnels[0]; one.Status == "DOWN" && one.Reason != "PROBE_LOST" {
						t.Errorf("tunnel 1 is down for %s", one.Reason)
					}
				}
			})
		})
	}
}

// EV-32, F1: what comes back gets the traffic when it has been up for preempt_after, and that loses nothing. Both ends move.
func TestTheReturnLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(2 * time.Second)
		f := newFlow(t, left, right)
		net.BlackholeBoth(customer, cloud1)
		f.run(1500 * time.Millisecond)
		left.want("2: DOWN UP", 0)
		net.Heal(customer, cloud1)
		f.settle()
		f.fresh()
		f.run(15 * time.Second)
		f.whole()
		left.want("1: UP UP", 0)
		right.want("1: UP UP", 0)
		if n := left.events("probe.lost"); n != 1 || left.events("probe.restored") != 1 || left.events("failover") != 2 {
			t.Errorf("%d probe.lost, %d probe.restored, %d failover", n, left.events("probe.restored"), left.events("failover"))
		}
	})
}

// EV-32: a path that comes and goes every 5 s drags the traffic with it once, and after that not.
func TestFlappingDoesNotOscillate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(2 * time.Second)
		f := newFlow(t, left, right)
		for range 6 {
			net.BlackholeBoth(customer, cloud1)
			f.run(5 * time.Second)
			net.Heal(customer, cloud1)
			f.run(5 * time.Second)
		}
		f.under(time.Second)
		for _, s := range []*site{left, right} {
			if n := s.events("failover"); n != 1 {
				t.Errorf("traffic moved %d times in a minute", n)
			}
		}
	})
}

// F21: a tunnel is drained and put back under traffic both ways, without a loss. The peer follows by itself.
func TestDrainLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(2 * time.Second)
		f := newFlow(t, left, right)
		act := func(v api.Verb) {
			t.Helper()
			if _, err := left.d.Act(t.Context(), api.Action{Verb: v, Connection: "hq", Tunnel: "1"}); err != nil {
				t.Fatal(err)
			}
		}
		act(api.Drain)
		f.run(200 * time.Millisecond)
		if one := left.connection().Tunnels[0]; one.Status != "UP" || one.Admin != "draining" || one.Active {
			t.Errorf("while it is drained: %+v", one)
		}
		f.run(4 * time.Second)
		left.want("2: DOWN UP", 0)
		right.want("2: DOWN UP", 0)
		if one := left.connection().Tunnels[0]; one.Reason != "DRAINED" || one.Admin != "drained" || one.NextRetry != nil {
			t.Errorf("after the drain: %+v", one)
		}
		act(api.Undrain)
		f.run(15 * time.Second)
		left.want("1: UP UP", 0)
		f.whole()
		if n := left.events("tunnel.down"); n != 1 {
			t.Errorf("%d tunnels went down", n)
		}
	})
}

// F21: with one tunnel there is nothing to drain to, and a whole connection is not drained.
func TestDrainIsRefusedWithoutAnotherTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		left := open(t, net, oneTunnel(leftConfig), nil)
		for _, a := range []api.Action{{Verb: api.Drain, Connection: "hq", Tunnel: "1"}, {Verb: api.Drain, Connection: "hq"}} {
			if _, err := left.d.Act(t.Context(), a); err == nil {
				t.Errorf("%+v: done", a)
			} else {
				t.Log(err)
			}
		}
	})
}

// oneTunnel is a configuration without its second tunnel.
func oneTunnel(text string) string {
	i := strings.LastIndex(text, "      - {remote")
	return text[:i]
}

// R20: a single tunnel that is silent keeps its traffic until DPD closes it, says that it is suspect, and is no alarm.
func TestASingleTunnelIsUsedWhileItIsSuspect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		slow := func(text string) string {
			return strings.Replace(oneTunnel(text), "interval: 1s, retries: 2", "interval: 10s, retries: 3", 1)
		}
		right := open(t, net, slow(rightConfig), nil)
		left := open(t, net, slow(leftConfig), nil)
		left.want("1: UP", 2*time.Second)
		right.want("1: UP", 2*time.Second)
		f := newFlow(t, left, right)
		net.BlackholeBoth(customer, cloud1)
		f.run(3 * time.Second)
		c := left.connection()
		if one := c.Tunnels[0]; one.Status != "UP" || one.Probe == nil || !one.Probe.Suspect || c.Note == nil || !strings.HasPrefix(*c.Note, "not redundant") {
			t.Errorf("got %+v, %+v", c, one.Probe)
		}
		net.Heal(customer, cloud1)
		f.fresh()
		f.run(2 * time.Second)
		f.whole()
		if one := left.connection().Tunnels[0]; one.Probe.Suspect || left.events("tunnel.down") != 0 {
			t.Errorf("after the silence: %+v", one.Probe)
		}
	})
}

// R25, F2: a keepalive pings a tunnel that carries nothing, shows the round trip, and takes it down when three are lost.
func TestKeepaliveWatchesAnIdleTunnel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, rightConfig, nil)
		left := open(t, net, strings.Replace(leftConfig, "routing: static", "routing: static\n    keepalive: {mode: on, interval: 5s}", 1), nil)
		left.want("1: UP UP", 2*time.Second)
		time.Sleep(time.Minute)
		two := left.connection().Tunnels[1]
		if p := two.Probe; p == nil || p.RTTMillis == nil || *p.RTTMillis < 20 || *p.RTTMillis > 21 || p.LossPercent != 0 {
			t.Errorf("probe: %+v", two.Probe)
		}
		blocked := simnet.Link{Latency: 10 * time.Millisecond, Judge: dropESP}
		net.SetLink(customer, cloud2, blocked)
		left.want("1: UP DOWN", 9*time.Second)
		if two = left.connection().Tunnels[1]; two.Reason != "PROBE_LOST" || two.IKE == nil || two.NextRetry == nil {
			t.Errorf("got %+v", two)
		}
		net.SetLink(customer, cloud2, simnet.Link{Latency: 10 * time.Millisecond})
		left.want("1: UP UP", 5*time.Second)
		if right.events("tunnel.down") != 0 {
			t.Error("the peer has closed a tunnel")
		}
	})
}

// R24: without traffic for idle_timeout the tunnels rest, though they are pinged; a packet brings them back and is not lost.
func TestIdleTunnelsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, rightConfig, nil)
		left := open(t, net, strings.Replace(leftConfig, "routing: static", "routing: static\n    idle_timeout: 1m\n    keepalive: {mode: on, interval: 5s}", 1), nil)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		for range 6 {
			time.Sleep(20 * time.Second)
			if !left.send(right, 1) {
				t.Fatal("no traffic")
			}
		}
		left.want("1: UP UP", 0)
		left.want("-: DOWN DOWN", 63*time.Second)
		for _, tun := range left.connection().Tunnels {
			if tun.Reason != "IDLE" || tun.NextRetry != nil {
				t.Errorf("got %s, retry %v", tun.Reason, tun.NextRetry)
			}
		}
		time.Sleep(10 * time.Minute)
		left.want("-: DOWN DOWN", 0)
		if !left.send(right, 2) {
			t.Error("the packet that ended the rest was lost")
		}
		left.want("1: UP UP", time.Second)
	})
}

// F1: active-active spreads flows over both tunnels; when one goes silent its flows move, the others stay.
func TestActiveActiveUsesBothTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		both := func(text string) string { return strings.Replace(text, "ha: {", "ha: {mode: active-active, ", 1) }
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right, left := open(t, net, both(rightConfig), nil), open(t, net, both(leftConfig), nil)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(2 * time.Second)
		pass := func(rounds int) (came int) {
			for range rounds {
				for host := range byte(20) {
					src, dst := netip.AddrFrom4([4]byte{10, 1, 0, host}), netip.AddrFrom4([4]byte{10, 2, 0, host})
					left.host.Out <- packet(src, dst, 7)
					right.host.Out <- packet(dst, src, 7)
				}
				time.Sleep(tick)
				came += left.drain() + right.drain()
			}
			time.Sleep(100 * time.Millisecond)
			return came + left.drain() + right.drain()
		}
		if n := pass(100); n != 100*40 {
			t.Errorf("%d of %d packets came", n, 100*40)
		}
		used := func(tunnel string) uint64 { return left.d.gateway.Signs("hq/" + tunnel).Tx }
		one, two := used("1"), used("2")
		if one == 0 || two == 0 {
			t.Fatalf("tunnel 1 has carried %d packets, tunnel 2 %d", one, two)
		}
		net.BlackholeBoth(customer, cloud1)
		pass(150)
		left.want("2: DOWN UP", 0)
		if n := pass(10); n != 10*40 {
			t.Errorf("with one tunnel %d of %d packets came", n, 10*40)
		}
	})
}

// Two gateways of the cloud have a tunnel each, and both send to the customer. One of them freezes or is killed: nothing comes of
// it, and it takes nothing. Or packets are lost in one direction, and the other one shows nothing of it. What the customer sends
// arrives by the other tunnel in less than a second.
func TestOneOfTwoPeersIsLost(t *testing.T) { // EV-02, F1
	for _, c := range []struct {
		name string
		cut  func(*simnet.Net)
	}{
		{"both ways", func(n *simnet.Net) { n.BlackholeBoth(customer, cloud1) }},
		{"our packets alone", func(n *simnet.Net) { n.Blackhole(customer, cloud1) }},
		{"the peer's packets alone", func(n *simnet.Net) { n.Blackhole(cloud1, customer) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				var clouds []*site
				for i, addr := range []netip.Addr{cloud1, cloud2} {
					text := strings.Replace(oneTunnel(rightConfig), "[198.51.100.1, 198.51.100.2]", addr.String(), 1)
					if i == 1 {
						text = strings.NewReplacer("tunnel one", "tunnel two", "169.254.1.1", "169.254.2.1").Replace(text)
					}
					clouds = append(clouds, open(t, net, text, nil))
				}
				left := open(t, net, leftConfig, nil)
				left.want("1: UP UP", 2*time.Second)
				time.Sleep(2 * time.Second)
				src, dst := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
				there := way{last: time.Now()}
				run := func(d time.Duration) {
					for n := range uint32(d / tick) {
						left.host.Out <- packet(src, dst, n)
						clouds[0].host.Out <- packet(dst, src, n)
						time.Sleep(tick)
						left.drain()
						if n := clouds[0].drain() + clouds[1].drain(); n > 0 {
							there.gap, there.last = max(there.gap, time.Since(there.last)), time.Now()
						}
					}
				}
				run(time.Second)
				c.cut(net)
				run(2 * time.Second)
				if there.gap >= time.Second || time.Since(there.last) > 2*tick || there.gap < 2*tick && !strings.HasPrefix(c.name, "the peer") {
					t.Errorf("nothing arrived for %s", there.gap)
				}
				t.Logf("nothing arrived for %s", there.gap)
				left.want("2: DOWN UP", 0)
			})
		})
	}
}

// Nothing is looked at while no tunnel is up, and seldom while nothing is sent; a connection without a keepalive sends
// nothing by itself but the few pings at its beginning.
func TestIdleTunnelsCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(10 * time.Second)
		var packets int
		net.Tap(func(_ time.Time, m transport.Message) {
			if dropESP(time.Time{}, m).Drop {
				packets++
			}
		})
		time.Sleep(10 * time.Minute)
		if packets != 0 {
			t.Errorf("%d packets in ten minutes without traffic", packets)
		}
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Down, Connection: "hq"}); err != nil {
			t.Fatal(err)
		}
		left.want("-: DOWN DOWN", time.Second)
		time.Sleep(2 * time.Second)
		left.stop()
		if at := left.d.loop.watchAt; !at.IsZero() {
			t.Errorf("with no tunnel up packets are looked at next %s", at)
		}
	})
}
