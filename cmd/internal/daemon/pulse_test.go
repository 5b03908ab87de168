package daemon

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel"
	"twinbore/tunnel/datapath"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/tun/tuntest"
)

// A pulse under test: looks every 50 ms, at counters that the test moves on.
type feeler struct {
	pulse
	now, before time.Time
	signs       datapath.Signs
	own         uint64
}

func newFeeler() *feeler {
	f := &feeler{now: time.Unix(1_800_000_000, 0)}
	f.before = f.now
	f.step(0, 0, 0)
	return f
}

// step lets so many packets pass, of which own are for the gateway itself, and looks.
func (f *feeler) step(sent, came, own uint64) beat {
	f.before, f.now = f.now, f.now.Add(lookQuick)
	f.signs.Tx += sent
	f.signs.Rx += came
	f.own += own
	if came > 0 {
		f.signs.LastRx = f.now
	}
	return f.look(f.now, f.before, f.signs, f.own)
}

// silentAfter steps until silence is to be told, at most so often, and returns how long that took; 0: it was not.
func (f *feeler) silentAfter(sent uint64, steps int, rtt time.Duration) time.Duration {
	for n := range steps {
		f.step(sent, 0, 0)
		if at := f.silence(f.now, rtt); !at.IsZero() && !at.After(f.now) {
			return time.Duration(n+1) * lookQuick
		}
	}
	return 0
}

// Routing §6.2: silence is told 400 ms after the last packet of a busy tunnel, later where packets come seldom or the path is long.
func TestSilenceIsToldByWhatIsUsual(t *testing.T) {
	for _, c := range []struct {
		name  string
		every int // of these looks a packet comes in one
		rtt   time.Duration
		want  time.Duration
	}{
		{"a thousand packets a second", 1, 0, 400 * time.Millisecond},
		{"four packets a second", 5, 0, time.Second},
		{"one packet a second", 20, 0, 2 * time.Second},
		{"one packet in five seconds", 100, 0, 2 * time.Second},
		{"a satellite", 1, 600 * time.Millisecond, 1200 * time.Millisecond},
	} {
		f := newFeeler()
		for n := range 1000 {
			came := uint64(0)
			if n%c.every == 0 {
				came = 50
				if c.every > 1 {
					came = 1
				}
			}
			f.step(50, came, 0)
		}
		f.step(50, 1, 0)
		got := f.silentAfter(50, 100, c.rtt)
		if got < c.want*3/4 || got > c.want+lookQuick {
			t.Errorf("%s: silence is told after %s, want about %s", c.name, got, c.want)
		}
	}
}

// What nobody waits for an answer to is no silence: single packets with pauses, and what was sent before a pause.
func TestPausesAreNoSilence(t *testing.T) {
	f := newFeeler()
	for range 20 {
		f.step(1, 0, 0)
		if f.silentAfter(0, 40, 0) != 0 {
			t.Fatal("a packet every two seconds, and silence is told")
		}
	}
	if got := f.silentAfter(1, 20, 0); got < silenceLeast || got > silenceLeast+2*lookQuick {
		t.Errorf("silence is told %s after sending began", got)
	}
	f.told = f.now
	if got := f.silentAfter(1, 40, 0); got != silenceAgain {
		t.Errorf("it is told again after %s", got)
	}
	if f.step(1, 1, 0); !f.silence(f.now, 0).IsZero() {
		t.Error("a packet has come, and silence is told")
	}
}

// F1: three packets of the peer's hosts that begin to come by another tunnel, where its packets have just ceased to come by
// this one, say that it has moved. Pings do not, nor does a tunnel by which it has sent all the time.
func TestPeersMoveIsSeen(t *testing.T) {
	one, two := newFeeler(), newFeeler()
	both := func(steps int, cameOne, cameTwo, ownTwo uint64) (moved bool) {
		for range steps {
			one.step(50, cameOne, 0)
			two.step(0, cameTwo, ownTwo)
			moved = moved || two.replaces(&one.pulse, two.now)
		}
		return moved
	}
	if both(100, 50, 0, 0) || both(3, 0, 1, 1) {
		t.Fatal("moved, and there were pings alone")
	}
	both(40, 50, 0, 0)
	if !both(3, 0, 50, 0) {
		t.Error("the peer has moved, and that is not seen")
	}
	two.followed = true
	if both(30, 0, 50, 0) {
		t.Error("it is seen twice")
	}
	one, two = newFeeler(), newFeeler()
	both(100, 50, 50, 0)
	if both(30, 0, 50, 0) {
		t.Error("the peer sends by the other tunnel all the time, and has moved")
	}
}

// A tunnel whose counters have begun anew is looked at as one that is new.
func TestCountersThatBeginAnew(t *testing.T) {
	f := newFeeler()
	f.step(10, 10, 0)
	f.signs = datapath.Signs{}
	if b := f.step(0, 0, 0); b != (beat{}) || !f.asked.IsZero() {
		t.Errorf("got %+v", b)
	}
	if b := f.step(2, 3, 1); b != (beat{2, 3, 2}) {
		t.Errorf("got %+v", b)
	}
}

// BenchmarkWatch is one look at the packets of 2,000 tunnels that are up: 20 a second at most.
func BenchmarkWatch(b *testing.B) {
	net := simnet.New(1)
	defer net.Close()
	gateway, err := datapath.New(datapath.Config{Device: tuntest.New(1400).Device(), NATTPort: 4500,
		Sockets: []datapath.Socket{{Socket: net.Listen(netip.AddrPortFrom(customer, 4500)), Addr: customer}}})
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	l := &loop{gateway: gateway, ledger: newLedger(), ends: map[string]*end{}}
	var all []datapath.Connection
	for i := range 1000 {
		c := &connection{shown: api.Connection{Name: fmt.Sprint("c", i)}}
		cfg, forward := tunnel.Config{Name: c.shown.Name}, datapath.Connection{Name: c.shown.Name}
		for _, name := range []string{"1", "2"} {
			c.ends = append(c.ends, &end{conn: c, name: name, peer: c.shown.Name + "/" + name})
			cfg.Tunnels = append(cfg.Tunnels, tunnel.TunnelConfig{Name: name})
			forward.Tunnels = append(forward.Tunnels, datapath.Tunnel{Name: name})
		}
		all = append(all, forward)
		c.logic = tunnel.New(cfg, now)
		for i := range c.ends {
			c.logic.Handle(now, tunnel.Event{Kind: tunnel.IKEUp, Tunnel: i, Initiator: true})
			c.logic.Handle(now, tunnel.Event{Kind: tunnel.ChildUp, Tunnel: i, Child: 7})
		}
		l.conns = append(l.conns, c)
	}
	if err := gateway.SetConnections(all); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(lookQuick)
		l.watch(b.Context(), now)
	}
}
