package daemon

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun/tuntest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The outer addresses of the two sites: tunnel n joins customer and cloud n.
var (
	customer = netip.MustParseAddr("192.0.2.10")
	cloud1   = netip.MustParseAddr("198.51.100.1")
	cloud2   = netip.MustParseAddr("198.51.100.2")
)

const leftConfig = `
gateway:
  name: left
  outside: {address: 192.0.2.10}
  networks: [10.1.0.0/16]
connections:
  - name: hq
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.2.0.0/16]
    dpd: {interval: 1s, retries: 2}
    ha: {preempt_after: 5s}
    tunnels:
      - {remote: 198.51.100.1, inside: 169.254.1.2/30, psk: {inline: "the key of tunnel one"}}
      - {remote: 198.51.100.2, inside: 169.254.2.2/30, psk: {inline: "the key of tunnel two"}}
`

const rightConfig = `
gateway:
  name: right
  outside: {address: [198.51.100.1, 198.51.100.2]}
  networks: [10.2.0.0/16]
connections:
  - name: branch
    role: cloud
    start: wait
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.1.0.0/16]
    dpd: {interval: 1s, retries: 2}
    ha: {preempt_after: 5s}
    tunnels:
      - {remote: 192.0.2.10, inside: 169.254.1.1/30, psk: {inline: "the key of tunnel one"}}
      - {remote: 192.0.2.10, inside: 169.254.2.1/30, psk: {inline: "the key of tunnel two"}}
`

// A site is a running gateway with its inside.
type site struct {
	t    *testing.T
	d    *Daemon
	host *tuntest.Fake
	stop func() error // ends it and waits
	log  *journal

	fails bool // it is meant to end with an error
}

// open runs a gateway of this configuration on net until the test ends.
func open(t *testing.T, net *simnet.Net, text string, change func(*Daemon)) *site {
	t.Helper()
	s, run := build(t, net, text, nil)
	if change != nil {
		change(s.d)
	}
	run()
	return s
}

// openWith is open with other options.
func openWith(t *testing.T, net *simnet.Net, text string, change func(*Options)) *site {
	t.Helper()
	s, run := build(t, net, text, change)
	run()
	return s
}

func build(t *testing.T, net *simnet.Net, text string, change func(*Options)) (_ *site, run func()) {
	t.Helper()
	cfg, err := config.Load(fstest.MapFS{"f.yaml": {Data: []byte(text), Mode: 0o600}}, nil, "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return buildFrom(t, net, cfg, change)
}

// buildFrom is build with a configuration that is read already.
func buildFrom(t *testing.T, net *simnet.Net, cfg *config.Config, change func(*Options)) (_ *site, run func()) {
	t.Helper()
	s := &site{t: t, host: tuntest.New(1400), log: new(journal)}
	opts := Options{
		Version: "test", Device: s.host.Device(), NoAPI: true,
		Listen: func(c transport.Config) (transport.Socket, error) { return net.Listen(c.Addr), nil },
		Log:    slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&opts)
	}
	var err error
	if s.d, err = Build(t.Context(), cfg, opts); err != nil {
		t.Fatal(err)
	}
	return s, func() { s.run(t, cfg.Gateway.Name) }
}

// run starts the gateway and ends it with the test.
func (s *site) run(t *testing.T, name string) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.d.Run(ctx) }()
	s.stop = sync.OnceValue(func() error {
		if !s.fails {
			cancel()
		}
		defer cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := s.stop(); err != nil && !s.fails {
			t.Errorf("gateway %s ended with %v", name, err)
		}
	})
}

func (s *site) connection() api.Connection {
	s.t.Helper()
	st, err := s.d.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st.Connections[0]
}

// want waits until the connection's active tunnel and the status of its tunnels are as said: "1: UP UP".
func (s *site) want(state string, within time.Duration) {
	s.t.Helper()
	var got string
	for end := time.Now().Add(within); ; time.Sleep(20 * time.Millisecond) {
		c := s.connection()
		got = "-:"
		if c.ActiveTunnel != nil {
			got = *c.ActiveTunnel + ":"
		}
		for _, t := range c.Tunnels {
			got += " " + t.Status
		}
		if got == state {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("after %s the connection is %q, want %q\n%s", within, got, state, s.log)
		}
	}
}

// send puts a packet into the inside, and reports whether it comes out at the other site.
func (s *site) send(to *site, number uint32) bool {
	s.t.Helper()
	src, dst := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
	if s.connection().Name == "branch" {
		src, dst = dst, src
	}
	s.host.Out <- packet(src, dst, number)
	deadline := time.After(time.Second)
	for {
		select {
		case p := <-to.host.In:
			if len(p) >= 32 && binary.BigEndian.Uint32(p[28:]) == number {
				return true
			}
		case <-deadline:
			return false
		}
	}
}

// packet is a UDP packet with a number in it.
func packet(src, dst netip.Addr, number uint32) []byte {
	p := make([]byte, 32)
	p[0], p[8], p[9] = 0x45, 64, 17
	binary.BigEndian.PutUint16(p[2:], 32)
	copy(p[12:], src.AsSlice())
	copy(p[16:], dst.AsSlice())
	binary.BigEndian.PutUint16(p[20:], 7000)
	binary.BigEndian.PutUint16(p[22:], 7000)
	binary.BigEndian.PutUint16(p[24:], 12)
	binary.BigEndian.PutUint32(p[28:], number)
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(p[i:]))
	}
	sum = sum>>16 + sum&0xffff
	binary.BigEndian.PutUint16(p[10:], ^uint16(sum+sum>>16))
	return p
}

// world is both sites on a network with 10 ms of latency.
func world(t *testing.T) (net *simnet.Net, left, right *site) {
	net = simnet.New(1)
	t.Cleanup(net.Close)
	net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	right = open(t, net, rightConfig, nil)
	left = open(t, net, leftConfig, nil)
	return net, left, right
}

// R21, EV-32: both tunnels come up and carry traffic, the second takes over within the DPD budget when the
// first dies, and the first gets the traffic back when it has been up for preempt_after.
func TestTrafficMovesToTheOtherTunnelAndBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		if !left.send(right, 1) || !right.send(left, 2) {
			t.Fatal("no traffic through tunnel 1")
		}
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 4*time.Second)
		right.want("2: DOWN UP", 4*time.Second)
		if !left.send(right, 3) || !right.send(left, 4) {
			t.Fatal("no traffic through tunnel 2")
		}
		down := left.connection().Tunnels[0]
		if down.Reason != "DPD_TIMEOUT" || down.Hint == "" || down.NextRetry == nil {
			t.Errorf("tunnel 1 is down and the status says %+v", down)
		}
		net.Heal(customer, cloud1)
		net.Heal(cloud1, customer)
		left.want("2: UP UP", 80*time.Second)
		left.want("1: UP UP", 6*time.Second)
		if !left.send(right, 5) || !right.send(left, 6) {
			t.Fatal("no traffic after the return")
		}
	})
}

// EV-04: the end tells the peers, and takes no longer than 2 s even when one of them is silent.
func TestEndingTellsThePeers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		net.BlackholeBoth(customer, cloud2)
		began := time.Now()
		left.stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the end took %s", took)
		}
		c := right.connection()
		if c.Tunnels[0].Status != "DOWN" || c.Tunnels[0].Reason != "PEER_DELETED" {
			t.Errorf("the peer that could hear it says %+v", c.Tunnels[0])
		}
		if _, err := left.d.Status(t.Context()); err == nil {
			t.Error("a gateway that has ended tells its status")
		}
		if _, err := left.d.Act(t.Context(), api.Action{Verb: api.Up, Connection: "hq"}); err == nil {
			t.Error("a gateway that has ended takes orders")
		}
	})
}

func TestStatusShowsTheNegotiation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		if !left.send(right, 1) {
			t.Fatal("no traffic")
		}
		st, err := left.d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		c := st.Connections[0]
		if st.Gateway.Name != "left" || st.Gateway.Mode != "memory" || c.State != "available" || c.Role != "customer" || c.Domain != "default" {
			t.Errorf("got %+v, %+v", st.Gateway, c)
		}
		one := c.Tunnels[0]
		if one.IKE == nil || one.IKE.Role != "initiator" || one.IKE.Version != 2 || one.IKE.Suite != "aes256gcm16-prfsha256-curve25519" ||
			one.IKE.RemoteID != "198.51.100.1" || len(one.IKE.SPIInitiator) != 16 || one.IKE.RekeyInSeconds == nil {
			t.Errorf("ike: %+v", one.IKE)
		}
		if len(one.Children) != 1 || !strings.HasPrefix(one.Children[0].Suite, "aes256gcm16") || one.Children[0].RemoteTS[0] != "0.0.0.0/0" {
			t.Errorf("children: %+v", one.Children)
		}
		if one.Traffic.TXPackets != 1 || one.Traffic.TXBytes != 32 || *one.Remote == "" || *one.Inside != "169.254.1.2/30" {
			t.Errorf("tunnel: %+v", one)
		}
		if r := c.Routes; len(r) != 1 || r[0].Prefix != "10.2.0.0/16" || r[0].Source != "static" || *r[0].Tunnel != "1" || r[0].Installed {
			t.Errorf("routes: %+v", r)
		}
	})
}

func TestOperatorActions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		act := func(a api.Action, want string) {
			t.Helper()
			done, err := left.d.Act(t.Context(), a)
			if err != nil || strings.Join(done.Tunnels, " ") != want {
				t.Errorf("%+v: got %+v, %v", a, done, err)
			}
		}
		act(api.Action{Verb: api.Down, Connection: "hq", Tunnel: "1"}, "1")
		left.want("2: DOWN UP", time.Second)
		if down := left.connection().Tunnels[0]; down.Admin != "down" || down.Reason != "ADMIN_DOWN" || down.NextRetry != nil {
			t.Errorf("got %+v", down)
		}
		right.want("2: DOWN UP", time.Second)
		act(api.Action{Verb: api.Up, Connection: "hq"}, "1 2")
		left.want("2: UP UP", time.Second)

		before := left.connection().Tunnels[1]
		act(api.Action{Verb: api.Rekey, Connection: "hq", Tunnel: "2"}, "2")
		time.Sleep(2 * time.Second)
		after := left.connection().Tunnels[1]
		if after.Status != "UP" || after.IKE.SPIInitiator == before.IKE.SPIInitiator || len(after.Children) != 1 ||
			after.Children[0].SPIIn == before.Children[0].SPIIn || !after.Since.Equal(before.Since) {
			t.Errorf("rekey: before %+v %+v, after %+v %+v", before.IKE, before.Children, after.IKE, after.Children)
		}
		act(api.Action{Verb: api.Restart, Connection: "hq"}, "1 2")
		time.Sleep(10 * time.Millisecond)
		left.want("1: UP UP", 10*time.Second)
		if again := left.connection().Tunnels[1]; !again.Since.After(after.Since) {
			t.Errorf("restart did not take the tunnel down: up since %s", again.Since)
		}
		act(api.Action{Verb: api.Down, Connection: "hq"}, "1 2")
		left.want("-: DOWN DOWN", time.Second)
		for _, a := range []api.Action{{Verb: api.Rekey, Connection: "hq"}, {Verb: api.Up, Connection: "nowhere"}, {Verb: api.Up, Connection: "hq", Tunnel: "3"}} {
			if _, err := left.d.Act(t.Context(), a); err == nil {
				t.Errorf("%+v: done", a)
			}
		}
	})
}

// Each cause shows its own reason, a hint that names it and a next retry.
func TestReasons(t *testing.T) {
	for name, test := range map[string]struct {
		left   [2]string // replaced in the configuration
		reason string
		hint   string
	}{
		"wrong key":        {[2]string{"the key of tunnel one", "another key altogether"}, "AUTH_FAILED", "key"},
		"wrong identity":   {[2]string{"remote: 198.51.100.1,", "remote: 198.51.100.1, remote_id: gw.example,"}, "AUTH_FAILED", ""},
		"no IKE proposal":  {[2]string{"ike: [aes256gcm16-prfsha256-x25519]", "ike: [aes128-sha256-modp3072]"}, "NO_PROPOSAL_IKE", ""},
		"no ESP proposal":  {[2]string{"esp: [aes256gcm16-x25519]", "esp: [chacha20poly1305]"}, "NO_PROPOSAL_ESP", ""},
		"no host of this":  {[2]string{"remote: 198.51.100.1,", "remote: vpn.invalid,"}, "DNS_FAILED", "vpn.invalid"},
		"nobody there":     {[2]string{"remote: 198.51.100.1,", "remote: 198.51.100.77,"}, "NO_RESPONSE", ""},
		"secret not there": {[2]string{`inline: "the key of tunnel one"`, "env: TWINBORE_TEST_NO_SUCH_KEY"}, "SECRET_UNAVAILABLE", "psk"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				open(t, net, rightConfig, nil)
				text := strings.Replace(leftConfig, test.left[0], test.left[1], 1)
				if text == leftConfig {
					t.Fatal("nothing was replaced")
				}
				left := open(t, net, text, func(d *Daemon) {
					d.loop.finder.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, context.DeadlineExceeded }
				})
				time.Sleep(20 * time.Second)
				got := left.connection().Tunnels[0]
				if got.Status != "DOWN" || got.Reason != test.reason || !strings.Contains(got.Hint, test.hint) || got.Hint == "" || got.NextRetry == nil {
					t.Errorf("got %s: %q, retry %v\n%s", got.Reason, got.Hint, got.NextRetry, left.log)
				}
				for _, word := range []string{"the key of tunnel", "another key"} {
					if strings.Contains(left.log.String(), word) {
						t.Error("SEC-02: the key is in the log")
					}
				}
			})
		})
	}
}

// R23: the first packet brings the tunnels up and is not lost.
func TestTrafficStartsTheTunnels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, rightConfig, nil)
		left := open(t, net, strings.Replace(leftConfig, "routing: static", "routing: static\n    start: on-traffic", 1), nil)
		time.Sleep(time.Minute)
		left.want("-: DOWN DOWN", time.Second)
		if got := left.connection().Tunnels[0]; got.Reason != "WAITING_FOR_TRAFFIC" {
			t.Errorf("got %+v", got)
		}
		if !left.send(right, 1) {
			t.Errorf("the packet that started the tunnels was lost\n%s", left.log)
		}
		left.want("1: UP UP", time.Second)
	})
}
