package daemon

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// The outer addresses of the second connection between the two sites.
var cloud3 = netip.MustParseAddr("198.51.100.3")

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
