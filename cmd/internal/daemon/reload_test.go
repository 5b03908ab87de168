package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun/tuntest"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Load(fstest.MapFS{"f.yaml": {Data: []byte(text), Mode: 0o600}}, nil, "f.yaml")
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return cfg
}

// reconfigure brings a site to another configuration, which must succeed.
func (s *site) reconfigure(text string) Report {
	s.t.Helper()
	report, err := s.d.Reconfigure(s.t.Context(), parse(s.t, text))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, s.log)
	}
	return report
}

// allSPIs returns what a gateway's status says of SAs, one line for each tunnel: what a reload must not touch.
func (s *site) allSPIs() map[string]string {
	s.t.Helper()
	st, err := s.d.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for _, c := range st.Connections {
		for _, t := range c.Tunnels {
			line := t.Status
			if t.IKE != nil {
				line += " " + t.IKE.SPIInitiator + " " + t.IKE.SPIResponder
			}
			for _, child := range t.Children {
				line += " " + child.SPIIn + "/" + child.SPIOut
			}
			out[c.Name+"/"+t.Name] = line
		}
	}
	return out
}

// most is how many connections the right gateway is open to from the start: it has a socket for each of their addresses.
const most = 8

// pairs are the configurations of two gateways with connections between them, c1, c2 and so on, each of two tunnels: the left
// one has n of them, the right one all. change may edit the text of connection i at both ends.
func pairs(n int, change func(i int, text string) string) (left, right string) {
	l := "gateway: {name: left, outside: {address: 192.0.2.10}, networks: [10.0.0.0/8]}\nconnections:\n"
	r := "gateway: {name: right, outside: {address: 198.51.100.100}, networks: [172.16.0.0/12]}\nconnections:\n"
	for i := 1; i <= most; i++ {
		edit := func(text string) string {
			there := fmt.Sprintf("172.%d.0.0/16", 16+i)
			if strings.Contains(text, "wait") {
				there = fmt.Sprintf("10.%d.0.0/16", i)
			}
			text += fmt.Sprintf("    routing: static\n    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}\n    dpd: {interval: 10s, retries: 2}\n    remote_networks: [%s]\n    tunnels:\n", there)
			for n := 1; n <= 2; n++ {
				ends := fmt.Sprintf("remote: 198.51.%d.%d", 100+n, i)
				if strings.Contains(text, "wait") {
					ends = fmt.Sprintf("local: 198.51.%d.%d, remote: 192.0.2.10", 100+n, i)
				}
				text += fmt.Sprintf("      - {%s, psk: {inline: \"the key of tunnel %d of c%d\"}}\n", ends, n, i)
			}
			if change != nil {
				return change(i, text)
			}
			return text
		}
		if i <= n {
			l += edit(fmt.Sprintf("  - name: c%d\n", i))
		}
		r += edit(fmt.Sprintf("  - name: c%d\n    role: cloud\n    start: wait\n", i))
	}
	return l, r
}

// two runs both gateways until every tunnel of n connections is up.
func two(t *testing.T, n int) (left, right *site) {
	t.Helper()
	return twoOn(t, simnet.New(1), n)
}

func twoOn(t *testing.T, net *simnet.Net, n int) (left, right *site) {
	t.Helper()
	t.Cleanup(net.Close)
	net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	l, r := pairs(n, nil)
	right = open(t, net, r, nil)
	left = open(t, net, l, nil)
	left.allUp(2 * n)
	return left, right
}

// allUp waits until so many tunnels are up.
func (s *site) allUp(n int) {
	s.t.Helper()
	up := func() (n int) {
		for _, line := range s.allSPIs() {
			if strings.HasPrefix(line, "UP") {
				n++
			}
		}
		return n
	}
	for end := time.Now().Add(time.Minute); up() != n; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("%d tunnels are up, want %d\n%s", up(), n, s.log)
		}
	}
}

// untouched compares SAs before and after, but for the tunnels of the connections that were meant.
func untouched(t *testing.T, before, after map[string]string, but ...string) {
	t.Helper()
	for peer, was := range before {
		conn, _, _ := strings.Cut(peer, "/")
		if slices.Contains(but, conn) || slices.Contains(but, peer) {
			if after[peer] == was {
				t.Errorf("%s was to change and has not: %s", peer, was)
			}
			continue
		}
		if after[peer] != was {
			t.Errorf("%s was %q and is %q", peer, was, after[peer])
		}
	}
}

// EV-27: what a reload does not change is not touched: nothing, one connection, one tunnel, or five hundred edits.
func TestReloadTouchesWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := two(t, 8)
		step := func(name string, change func(i int, text string) string, restarts string, but ...string) {
			t.Helper()
			mine, theirs := left.allSPIs(), right.allSPIs()
			l, r := pairs(8, change)
			right.reconfigure(r)
			if got := strings.Join(left.reconfigure(l).Restarts, " "); got != restarts {
				t.Errorf("%s: restarts %q, want %q", name, got, restarts)
			}
			time.Sleep(90 * time.Second)
			left.allUp(16)
			untouched(t, mine, left.allSPIs(), but...)
			untouched(t, theirs, right.allSPIs(), but...)
		}
		only := func(which int, old, new string) func(i int, text string) string {
			return func(i int, text string) string {
				if i == which {
					if !strings.Contains(text, old) {
						t.Fatalf("%q does not stand in\n%s", old, text)
					}
					return strings.Replace(text, old, new, 1)
				}
				return text
			}
		}
		step("nothing", nil, "")
		step("a tunnel's key", only(3, "tunnel 2 of", "tunnel II of"), "c3/2", "c3/2")
		step("and back", nil, "c3/2", "c3/2")
		step("IKE proposals", only(5, "prfsha256", "prfsha384"), "c5/1 c5/2", "c5")
		step("ESP proposals", func(i int, text string) string {
			text = only(5, "prfsha256", "prfsha384")(i, text)
			return only(2, "esp: [aes256gcm16", "esp: [aes128gcm16")(i, text)
		}, "", "c2")
		step("back", nil, "c5/1 c5/2", "c2", "c5")
		step("in place, all of them", func(i int, text string) string {
			return strings.Replace(text, "dpd: {interval: 10s", fmt.Sprintf("description: x%d\n    ha: {preempt_after: 1m, prefer: \"1\"}\n    dpd: {interval: 7s", i), 1)
		}, "")
		l, _ := pairs(2, nil)
		left.reconfigure(l)
		time.Sleep(10 * time.Second)
		for n := range 500 {
			l, _ := pairs(2, func(i int, text string) string {
				return strings.Replace(text, "routing:", fmt.Sprintf("tags: {edit: \"%d\"}\n    idle_timeout: 0s\n    ha: {preempt_after: %ds}\n    routing:", n*i, n%60), 1)
			})
			mine := left.allSPIs()
			left.reconfigure(l)
			untouched(t, mine, left.allSPIs())
		}
	})
}

// R8, EV-27: connections come and go beside others that carry on.
func TestConnectionsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		left, right := twoOn(t, net, 3)
		mine := left.allSPIs()
		l, _ := pairs(5, nil)
		left.reconfigure(l)
		left.allUp(10)
		untouched(t, mine, left.allSPIs())
		l, _ = pairs(2, nil)
		left.reconfigure(l)
		time.Sleep(time.Second)
		now := left.allSPIs()
		if len(now) != 4 {
			t.Errorf("left are %v", now)
		}
		if gone := right.allSPIs()["c3/1"]; !strings.HasPrefix(gone, "DOWN") {
			t.Errorf("the peer has not heard of it: %s", gone)
		}
		for peer, line := range now {
			if mine[peer] != line {
				t.Errorf("%s was %q and is %q", peer, mine[peer], line)
			}
		}
		l, _ = pairs(3, nil)
		left.reconfigure(l)
		left.allUp(6)
		left.d.Reconfigure(t.Context(), parse(t, strings.Split(l, "connections:")[0]+"connections: []\n"))
		left.reconfigure(l) // the same names, while their SAs are being deleted
		left.allUp(6)

		net.BlackholeBoth(customer, netip.MustParseAddr("198.51.101.3")) // so that the peer does not answer the Delete
		l, _ = pairs(2, nil)
		left.reconfigure(l)
		time.Sleep(10 * time.Second)
		if now := left.allSPIs(); len(now) != 4 {
			t.Errorf("a peer that is silent keeps %v", now)
		}
	})
}

// A tunnel more, and one less, leave the other alone.
func TestTunnelsOfAConnectionComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _ := two(t, 2)
		mine := left.allSPIs()
		l, _ := pairs(2, nil)
		lines := strings.SplitAfter(l, "\n")
		less := strings.Join(slices.DeleteFunc(slices.Clone(lines), func(s string) bool { return strings.Contains(s, "tunnel 1 of c2") }), "")
		less = strings.Replace(less, "{remote: 198.51.102.2,", "{name: \"2\", remote: 198.51.102.2,", 1)
		left.reconfigure(less)
		time.Sleep(time.Second)
		now := left.allSPIs()
		if _, there := now["c2/1"]; there || now["c2/2"] != mine["c2/2"] || now["c1/1"] != mine["c1/1"] {
			t.Errorf("before %v, now %v", mine, now)
		}
		left.reconfigure(l)
		left.allUp(4)
		untouched(t, mine, left.allSPIs(), "c2/1")
	})
}

// F6: of two tunnels that are restarted the second waits until the first is up again, so that one always carries the traffic.
func TestTunnelsRestartOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := two(t, 1)
		l, r := pairs(1, func(_ int, text string) string { return strings.Replace(text, "prfsha256", "prfsha384", 1) })
		right.reconfigure(r)
		left.reconfigure(l)
		for range 400 {
			time.Sleep(20 * time.Millisecond)
			now := left.allSPIs()
			if !strings.HasPrefix(now["c1/1"], "UP") && !strings.HasPrefix(now["c1/2"], "UP") {
				t.Fatalf("both tunnels are down at once: %v\n%s", now, left.log)
			}
		}
		left.allUp(2)
	})
}

// What the operator has taken down or drained stays so, whatever is changed of it, and comes up as configured then.
func TestRestartsLeaveAloneWhatTheOperatorHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := two(t, 2)
		act := func(verb api.Verb, conn string) {
			t.Helper()
			if _, err := left.d.Act(t.Context(), api.Action{Verb: verb, Connection: conn, Tunnel: "2"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		act(api.Down, "c1")
		act(api.Drain, "c2")
		held := left.allSPIs()
		l, r := pairs(2, func(_ int, text string) string {
			return strings.Replace(text, "the key of tunnel 2", "another key of tunnel 2", 1)
		})
		right.reconfigure(r)
		if got := left.reconfigure(l).Restarts; len(got) != 0 {
			t.Errorf("restarts %v", got)
		}
		time.Sleep(time.Minute)
		if now := left.allSPIs(); !maps.Equal(held, now) || !strings.HasPrefix(now["c1/2"], "DOWN") || !strings.HasPrefix(now["c2/2"], "DOWN") {
			t.Errorf("held back were %v, and now there is %v", held, now)
		}
		act(api.Up, "c1")
		act(api.Undrain, "c2")
		left.allUp(4)
	})
}

// EV-27: what is wrong anywhere changes nothing anywhere, and says everything.
func TestARefusedConfigurationChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, _ := two(t, 2)
		l, _ := pairs(3, nil)
		mine := left.allSPIs()
		for _, c := range []struct{ name, old, new, want string }{
			{"a port", "name: left, outside: {", "name: left, outside: {ike_port: 5555, ", "gateway.outside.ike_port can only change with a restart of the gateway; nothing was applied"},
			{"an address without a socket", "{remote: 198.51.101.3", "{local: 192.0.2.77, remote: 198.51.101.3", "connections.c3.tunnels.1.local can only"},
			{"a secret that is not there", `psk: {inline: "the key of tunnel 2 of c3"}`, "psk: {env: NOT_SET_ANYWHERE}", "secret not available"},
			{"ESP without UDP", "  - name: c3\n", "  - name: c3\n    encap: never\n", "no socket for ESP without UDP"},
		} {
			text := strings.Replace(l, c.old, c.new, 1)
			if text == l {
				t.Fatalf("%s: %q does not stand there", c.name, c.old)
			}
			_, err := left.d.Reconfigure(t.Context(), parse(t, text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %q", c.name, err, c.want)
			}
			if restart, ok := errors.AsType[*RestartError](err); ok && len(restart.Keys) != 1 {
				t.Errorf("%s: %v", c.name, restart.Keys)
			}
			time.Sleep(time.Second)
			if now := left.allSPIs(); len(now) != 4 {
				t.Errorf("%s: there is %v now", c.name, now)
			}
			untouched(t, mine, left.allSPIs())
		}
		left.reconfigure(l)
	})
}

// EV-27: reloads lose no packet of the connections that they do not change: a key, a connection more and one less, routes.
func TestReloadLosesNothingForTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left, right := two(t, 3)
		var sent uint32
		arrived := map[uint32]int{}
		take := func() {
			for {
				select {
				case p := <-right.host.In:
					arrived[binary.BigEndian.Uint32(p[28:])]++
				default:
					return
				}
			}
		}
		pass := func(d time.Duration) {
			for range d / (5 * time.Millisecond) {
				for _, net := range []byte{1, 3} {
					sent++
					left.host.Out <- packet(netip.AddrFrom4([4]byte{10, net, 0, 5}), netip.AddrFrom4([4]byte{172, 16 + net, 0, 9}), sent)
				}
				time.Sleep(5 * time.Millisecond)
				take()
			}
		}
		pass(100 * time.Millisecond)
		for n, change := range []func(i int, text string) string{
			func(i int, text string) string {
				if i == 2 {
					return strings.Replace(text, "the key of tunnel 1", "another key of tunnel 1", 1)
				}
				return text
			},
			func(i int, text string) string {
				if i == 2 {
					return strings.Replace(text, "172.18.0.0/16", "172.18.0.0/17, 172.30.0.0/16", 1)
				}
				return strings.Replace(text, "retries: 2", "retries: 4", 1)
			},
			nil,
		} {
			l, r := pairs(3+n, change)
			right.reconfigure(r)
			left.reconfigure(l)
			pass(500 * time.Millisecond)
		}
		one, _ := pairs(3, nil)
		left.reconfigure(strings.Replace(one, "name: c2\n", "name: c2\n    enabled: false\n", 1))
		pass(500 * time.Millisecond)
		time.Sleep(time.Second)
		take()
		for n := uint32(1); n <= sent; n++ {
			if arrived[n] != 1 {
				t.Fatalf("packet %d of %d has arrived %d times", n, sent, arrived[n])
			}
		}
	})
}

// thousand is a configuration of 1,000 connections whose peers are to begin. key is the secret of one tunnel in its middle.
func thousand(key string) string {
	var b strings.Builder
	b.WriteString("gateway: {name: large, networks: [10.0.0.0/16], outside: {address: 192.0.2.10}}\nconnections:\n")
	for i := range 1000 {
		one := "the key of this tunnel"
		if i == 500 {
			one = key
		}
		fmt.Fprintf(&b, "  - name: c%04d\n    start: wait\n    routing: static\n    remote_networks: [100.%d.%d.0/24]\n    tunnels:\n", i, 64+i/256, i%256)
		fmt.Fprintf(&b, "      - {remote: 198.18.%d.%d, psk: {inline: %q}}\n      - {remote: 198.19.%d.%d, psk: {inline: \"the key of that tunnel\"}}\n", i/256, i%256, one, i/256, i%256)
	}
	return b.String()
}

// F6: of a thousand connections one is different, and one is touched: one tunnel is told to the engine, none is looked up besides
// those of its connection, and every other connection is the same value as before.
func TestReloadOfOneInAThousandTouchesOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		s := open(t, net, thousand("one key of this tunnel"), nil)
		before := slices.Clone(s.d.loop.conns)
		to := parse(t, thousand("another key of this tunnel"))
		plan := config.Diff(s.d.cfg.Load(), to)
		secrets := s.d.keeper.prepare(t.Context(), to, []int{500})
		sw, err := s.d.newSwap(to, plan, map[string]int{"c0500": 500}, secrets, change{})
		secrets.end()
		if err != nil || len(sw.set) != 1 || len(sw.replaced) != 1 || sw.replaced[0].Peer != "c0500/1" || len(secrets.found) != 1 {
			t.Errorf("told to the engine are %d and %d tunnels, looked up %d connections: %v", len(sw.set), len(sw.replaced), len(secrets.found), err)
		}
		report, err := s.d.Reconfigure(t.Context(), to)
		if err != nil || report.Plan.Unchanged != 999 || len(report.Plan.Connections) != 1 || strings.Join(report.Restarts, " ") != "c0500/1" {
			t.Errorf("got %+v, %v", report, err)
		}
		if err := s.stop(); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(before, s.d.loop.conns) {
			t.Error("connections were made anew")
		}
	})
}

// BenchmarkThousandConnections is the whole of a change of one of 1,000 connections: load, plan and apply.
func BenchmarkThousandConnections(b *testing.B) {
	net := simnet.New(1)
	defer net.Close()
	load := func(text string) *config.Config {
		cfg, err := config.Load(fstest.MapFS{"f.yaml": {Data: []byte(text), Mode: 0o600}}, nil, "f.yaml")
		if err != nil {
			b.Fatal(err)
		}
		return cfg
	}
	texts := []string{thousand("one key of this tunnel"), thousand("another key of this tunnel")}
	d, err := Build(b.Context(), load(texts[0]), Options{Device: tuntest.New(1400).Device(), NoAPI: true,
		Listen: func(c transport.Config) (transport.Socket, error) { return net.Listen(c.Addr), nil }})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	n := 0
	for b.Loop() {
		n++
		cfg := load(texts[n%2])
		if plan := d.Plan(cfg); len(plan.Connections) != 1 {
			b.Fatal(plan)
		}
		if _, err := d.Reconfigure(ctx, cfg); err != nil {
			b.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
