package daemon

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/config"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/tun"
	"twinbore/tunnel/tun/tuntest"
)

// spare is the other connection of a site, which stands in for the first.
func spare(text, name, of, networks, tunnel string) string {
	role := ""
	if strings.Contains(text, "role: cloud") {
		role = "    role: cloud\n    start: wait\n"
	}
	return text + "  - name: " + name + "\n" + role + `    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [` + networks + `]
    dpd: {interval: 1s, retries: 2}
    ha: {backup_of: ` + of + `}
    tunnels: [{` + tunnel + `, psk: {inline: "the key of the spare tunnel"}}]
`
}

func (s *site) status() api.Status {
	s.t.Helper()
	st, err := s.d.Status(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return st
}

// R28, R42, F11: a second connection to the same site, by another of its addresses, carries the networks while the first
// has no tunnel up, and gives them back. The host is not bothered: its routes lead to us either way.
func TestABackupConnectionStandsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		right := open(t, net, spare(rightConfig, "branch-b", "branch", "10.1.0.0/16", "remote: 192.0.2.10, local: 198.51.100.3"), nil)
		paper := new(paperHost)
		left := open(t, net, spare(leftConfig, "hq-b", "hq", "10.2.0.0/16, 10.5.0.0/16", "remote: 198.51.100.3"), withHost(paper))
		left.want("1: UP UP", 2*time.Second)
		right.want("1: UP UP", 2*time.Second)
		time.Sleep(time.Second)
		pass := func(number uint32) {
			t.Helper()
			if !left.send(right, number) || !right.send(left, number+1) {
				t.Fatal("no traffic")
			}
		}
		carried := func(first, second uint64) {
			t.Helper()
			a, b := left.d.gateway.Signs("hq/1").Tx, left.d.gateway.Signs("hq-b/1").Tx // pings of the gateway's own are not counted
			if a != first || b != second {
				t.Errorf("hq has carried %d packets and hq-b %d, want %d and %d", a, b, first, second)
			}
		}
		pass(1)
		carried(1, 0)
		net.BlackholeBoth(customer, cloud1)
		net.BlackholeBoth(customer, cloud2)
		left.want("-: DOWN DOWN", 5*time.Second)
		right.want("-: DOWN DOWN", 5*time.Second)
		pass(3)
		carried(1, 1)
		if r := left.status().Connections[1].Routes; len(r) != 2 || !r[0].Installed || *r[0].Tunnel != "1" {
			t.Errorf("routes of hq-b: %+v", r)
		}
		net.Heal(customer, cloud1)
		net.Heal(cloud1, customer)
		left.want("1: UP DOWN", 80*time.Second)
		// The other end may find out later. What still comes by the backup is taken.
		pass(5)
		carried(2, 1)
		left.stop()
		for line := range strings.Lines(paper.page()) {
			if strings.HasPrefix(line, "10.2.0.0/16 unreachable") && strings.Contains(line, "10.5.0.0/16 up") {
				t.Errorf("the host was told that the networks are unreachable: %s", line)
			}
		}
	})
}

// F11, R12, R32: two customers with the same networks on both sides, one gateway each, and one gateway in the middle where they
// are in two domains: what comes by the device of a domain leaves by that domain's connection, and the other way, always.
func TestDomainsNeverMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		hub := `
gateway:
  name: hub
  outside: {address: [198.51.100.1, 198.51.100.2]}
  networks: [10.2.0.0/16]
domains:
  - {name: default}
  - {name: blue, tun: twinbore1, table: 100}
connections:
` + customerOf("red", "default", "192.0.2.10", "198.51.100.1") + customerOf("blue", "blue", "192.0.2.11", "198.51.100.2")
		inside := tuntest.New(1400)
		middle, run := build(t, net, hub, func(o *Options) { o.Domains = map[string]tun.Device{"blue": inside.Device()} })
		paper := new(paperHost)
		withHost(paper)(middle.d)
		run()
		red := open(t, net, siteOf("red", "192.0.2.10", "198.51.100.1"), nil)
		blue := open(t, net, siteOf("blue", "192.0.2.11", "198.51.100.2"), nil)
		time.Sleep(2 * time.Second)
		for _, c := range middle.status().Connections {
			if c.Tunnels[0].Status != "UP" || len(c.Routes) != 1 || c.Routes[0].Prefix != "10.1.0.0/16" || !c.Routes[0].Installed || c.Routes[0].Tunnel == nil {
				t.Fatalf("%s: %+v\n%s", c.Name, c, middle.log)
			}
		}
		synctest.Wait()
		if got := paper.page(); !strings.Contains(got, "10.1.0.0/16 up, 2 peers pinned; 10.1.0.0/16 up") {
			t.Errorf("the host has\n%s", got)
		}
		site, here := netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.2.0.9")
		number := uint32(0)
		for _, way := range []struct {
			name     string
			from     chan<- []byte
			to, not  <-chan []byte
			src, dst netip.Addr
		}{
			{"to red", middle.host.Out, red.host.In, blue.host.In, here, site},
			{"to blue", inside.Out, blue.host.In, red.host.In, here, site},
			{"from red", red.host.Out, middle.host.In, inside.In, site, here},
			{"from blue", blue.host.Out, inside.In, middle.host.In, site, here},
		} {
			for range 3 {
				number++
				way.from <- packet(way.src, way.dst, number)
				select {
				case p := <-way.to:
					if got := binary.BigEndian.Uint32(p[28:]); got != number {
						t.Errorf("%s: packet %d, want %d", way.name, got, number)
					}
				case <-way.not:
					t.Errorf("%s: packet %d has come out in the other domain", way.name, number)
				case <-time.After(time.Second):
					t.Errorf("%s: packet %d has come out nowhere", way.name, number)
				}
			}
		}
		// When red is down, its packets stay where they are.
		if _, err := middle.d.Act(t.Context(), api.Action{Verb: api.Down, Connection: "red"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		middle.host.Out <- packet(here, site, 99)
		select {
		case <-blue.host.In:
			t.Error("a packet of red's has come out at blue's")
		case <-red.host.In:
			t.Error("a packet has passed a connection that is down")
		case <-time.After(time.Second):
		}
		// Each domain has its own table to add to.
		if _, err := middle.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: "blue", Prefixes: []string{"10.5.0.0/16"}}); err != nil {
			t.Error(err)
		}
		if _, err := middle.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: "red", Prefixes: []string{"10.5.0.0/16"}}); err != nil {
			t.Error(err)
		}
	})
}

// Domains that share one of the host's tables may not come to overlap at run time either.
func TestDomainsInOneTableMayNotOverlap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		text := "gateway: {networks: [10.2.0.0/16], outside: {address: [198.51.100.1, 198.51.100.2]}}\ndomains:\n  - {name: default}\n  - {name: blue, tun: twinbore1}\nconnections:\n" +
			customerOf("red", "default", "192.0.2.10", "198.51.100.1") + strings.Replace(customerOf("blue", "blue", "192.0.2.11", "198.51.100.2"), "10.1.0.0/16", "10.3.0.0/16", 1)
		inside := tuntest.New(1400)
		s := openWith(t, net, text, func(o *Options) { o.Domains = map[string]tun.Device{"blue": inside.Device()} })
		_, err := s.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: "blue", Prefixes: []string{"10.1.7.0/24"}})
		if err == nil || !strings.Contains(err.Error(), `10.1.7.0/24 would meet a network of connection "red"`) {
			t.Errorf("got %v", err)
		}
		if _, err := s.d.ChangeRoutes(t.Context(), api.RouteChange{Connection: "blue", Prefixes: []string{"10.4.0.0/16"}}); err != nil {
			t.Error(err)
		}
	})
}

// A domain without a device is no gateway.
func TestADomainNeedsADevice(t *testing.T) {
	cfg := load(t, "", "")
	cfg.Domains = append(cfg.Domains, config.Domain{Name: "blue", TUN: "twinbore1"})
	_, err := Build(t.Context(), cfg, Options{Device: tuntest.New(1400).Device(), NoAPI: true})
	if err == nil || !strings.Contains(err.Error(), `domain "blue" has no device`) {
		t.Errorf("Build = %v", err)
	}
}

// customerOf is a connection of the middle to the site of that name.
func customerOf(name, domain, remote, local string) string {
	return `  - name: ` + name + `
    domain: ` + domain + `
    role: cloud
    start: wait
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.1.0.0/16]
    tunnels: [{remote: ` + remote + `, local: ` + local + `, psk: {inline: "the key of ` + name + ` and nobody"}}]
`
}

// siteOf is the other end of a customerOf.
func siteOf(name, local, remote string) string {
	return `
gateway:
  name: ` + name + `
  outside: {address: ` + local + `}
  networks: [10.1.0.0/16]
connections:
  - name: hub
    routing: static
    crypto: {ike: [aes256gcm16-prfsha256-x25519], esp: [aes256gcm16-x25519]}
    remote_networks: [10.2.0.0/16]
    tunnels: [{remote: ` + remote + `, psk: {inline: "the key of ` + name + ` and nobody"}}]
`
}
