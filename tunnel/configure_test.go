package tunnel

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// A desk is a connection whose tunnels the test plays, and what it said last.
type desk struct {
	*Connection
	now time.Time
	out Output
}

func newDesk(cfg Config) *desk {
	now := time.Unix(1_800_000_000, 0)
	d := &desk{Connection: New(cfg, now), now: now}
	d.tell(Event{Kind: Begin})
	return d
}

func (d *desk) tell(ev Event) {
	d.now = d.now.Add(time.Millisecond)
	d.out = d.Handle(d.now, ev)
}

// up brings tunnel i up.
func (d *desk) up(i int) {
	d.tell(Event{Kind: IKEUp, Tunnel: i, Initiator: true})
	d.tell(Event{Kind: ChildUp, Tunnel: i, Child: 7})
}

func (d *desk) configure(cfg Config) {
	d.now = d.now.Add(10 * time.Second)
	d.out = d.Configure(d.now, cfg)
}

// want compares who is up and who carries traffic, by name: "2: one UP two UP".
func (d *desk) want(t *testing.T, want string) {
	t.Helper()
	r := d.Report(d.now)
	got := "-:"
	if r.Active >= 0 {
		got = r.Tunnels[r.Active].Name + ":"
	}
	for _, tun := range r.Tunnels {
		got += " " + tun.Name + " "
		if tun.Up {
			got += "UP"
		} else {
			got += string(tun.Reason)
		}
	}
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func tunnels(names ...string) Config {
	cfg := Config{Name: "hq", PreemptAfter: 30 * time.Second}
	for _, n := range names {
		cfg.Tunnels = append(cfg.Tunnels, TunnelConfig{Name: n})
	}
	return cfg
}

// EV-27: what is known of tunnels goes with their names, and IKE is told of those alone that are new.
func TestTunnelsComeAndGoByName(t *testing.T) {
	d := newDesk(tunnels("one", "two"))
	d.up(0)
	d.up(1)
	d.want(t, "one: one UP two UP")
	d.configure(tunnels("two", "one"))
	d.want(t, "two: two UP one UP") // the first is preferred, unless the configuration names another
	d.configure(tunnels("three", "two", "one"))
	d.want(t, "two: three NO_RESPONSE two UP one UP")
	if got := fmt.Sprint(d.out.IKE); got != "[{0 initiate }]" {
		t.Errorf("IKE is told %s, want one attempt of the new tunnel", got)
	}
	d.configure(tunnels("three", "one"))
	d.want(t, "one: three NO_RESPONSE one UP")
	if !d.out.Choose.Changed || len(d.out.IKE) != 0 {
		t.Errorf("the tunnel that carried the traffic is gone: got %+v", d.out)
	}
	d.configure(tunnels("three"))
	d.want(t, "-: three NO_RESPONSE")
	if !d.out.Routes.Changed || d.out.Routes.Up {
		t.Errorf("no tunnel is left that is UP: got %+v", d.out.Routes)
	}
	if r := d.Report(d.now); r.State != Available {
		t.Errorf("the connection is %v", r.State)
	}
}

// EV-27: keys without consequence for SAs take effect at once and close nothing.
func TestWhatIsPreferredAndWhoBeginsChangesInPlace(t *testing.T) {
	d := newDesk(tunnels("one", "two"))
	d.up(0)
	d.up(1)
	cfg := tunnels("one", "two")
	cfg.Prefer = 1
	d.configure(cfg)
	d.want(t, "two: one UP two UP")
	cfg.Start = Wait
	d.configure(cfg)
	d.want(t, "two: one UP two UP")
	if len(d.out.IKE) != 0 {
		t.Errorf("IKE is told %v", d.out.IKE)
	}
	d.tell(Event{Kind: IKEDown, Tunnel: 1, Reason: PeerDeleted})
	d.tell(Event{Kind: Wake})
	if d.want(t, "one: one UP two PEER_DELETED"); len(d.out.IKE) != 0 {
		t.Errorf("who waits begins: %v", d.out.IKE)
	}
}

// R22: who waits for the peer, or for traffic, says so from the moment on that it is configured.
func TestWhoBeginsChangesWhileDown(t *testing.T) {
	for _, c := range []struct {
		from, to Start
		want     Reason
		begins   bool
	}{
		{Wait, Always, NoResponse, true},
		{OnTraffic, Wait, WaitingForPeer, false},
		{Wait, OnTraffic, WaitingForTraffic, false},
	} {
		cfg := tunnels("one")
		cfg.Start = c.from
		d := newDesk(cfg)
		cfg.Start = c.to
		d.configure(cfg)
		if r := d.Report(d.now).Tunnels[0]; r.Reason != c.want || (len(d.out.IKE) > 0) != c.begins {
			t.Errorf("from %v to %v: %s, IKE is told %v", c.from, c.to, r.Reason, d.out.IKE)
		}
	}
}

// What the operator has taken down stays so, and a connection that is being deleted is not brought back.
func TestConfigureBringsNothingBack(t *testing.T) {
	d := newDesk(tunnels("one", "two"))
	d.tell(Event{Kind: AdminDown, Tunnel: 1})
	d.configure(tunnels("two", "one"))
	if r := d.Report(d.now); !r.Tunnels[0].AdminDown || r.Tunnels[1].AdminDown {
		t.Errorf("got %+v", r.Tunnels)
	}
	d.tell(Event{Kind: Delete})
	d.configure(tunnels("one", "two"))
	if r := d.Report(d.now); r.State < Deleting {
		t.Errorf("the connection is %v", r.State)
	}
}

// EV-27: a keepalive begins, changes and ends in place. What it had taken down is UP with the next answer.
func TestKeepaliveChangesInPlace(t *testing.T) {
	cfg := tunnels("one")
	cfg.Tunnels[0].Ping = netip.MustParseAddr("169.254.1.1")
	d := newDesk(cfg)
	d.up(0)
	d.now = d.out.Wake
	d.tell(Event{Kind: Wake})
	d.tell(Event{Kind: PingAnswered, Number: 1, RTT: time.Millisecond})
	if !d.out.Wake.IsZero() {
		t.Fatalf("without a keepalive a tunnel that has answered is pinged again at %s", d.out.Wake)
	}
	cfg.Keepalive.Interval = 10 * time.Second
	d.configure(cfg)
	if len(d.out.Probe) != 1 || d.out.Probe[0].Way != Ping {
		t.Fatalf("with a keepalive: %+v", d.out.Probe)
	}
	for range 3 {
		d.now = d.out.Wake
		d.out = d.Handle(d.now, Event{Kind: Wake})
	}
	d.want(t, "-: one PROBE_LOST")
	cfg.Keepalive.Interval = 0
	d.configure(cfg)
	d.want(t, "-: one PROBE_LOST")
	d.tell(Event{Kind: PingAnswered, Number: d.tunnels[0].health.number, RTT: time.Millisecond})
	d.want(t, "one: one UP")
	if len(d.out.IKE) != 0 {
		t.Errorf("IKE is told %v", d.out.IKE)
	}
}

// EV-27: with active-active the choice goes with the tunnels' names, and one that is being drained stays so.
func TestChoiceGoesWithTheNames(t *testing.T) {
	cfg := tunnels("one", "two", "three")
	cfg.ActiveActive = true
	d := newDesk(cfg)
	d.up(0)
	d.up(1)
	d.up(2)
	d.tell(Event{Kind: Drain, Tunnel: 0})
	next := tunnels("three", "one")
	next.ActiveActive = true
	d.configure(next)
	if r := d.Report(d.now); !r.Tunnels[0].Active || r.Tunnels[1].Active || !r.Tunnels[1].Drained {
		t.Errorf("got %+v", r.Tunnels)
	}
}
