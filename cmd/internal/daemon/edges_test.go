package daemon

import (
	"net/netip"
	"slices"
	"testing"
	"testing/fstest"

	"twinbore/config"
)

// load reads a configuration with one connection to 198.51.100.1.
func load(t *testing.T, gateway, connection string) *config.Config {
	t.Helper()
	text := "gateway: {" + gateway + "}\nconnections:\n  - name: hq\n    routing: static\n    remote_networks: [10.2.0.0/16]\n" +
		connection + "    tunnels: [{remote: 198.51.100.1, inside: 169.254.1.2/30, psk: {env: NOWHERE}}]\n"
	cfg, err := config.Load(fstest.MapFS{"f.yaml": {Data: []byte(text), Mode: 0o600}}, nil, "f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// The MTU of the device is what the largest overhead of all offered suites leaves (vendors.md 2.10 has the figures: 1500
// octets less IPv4, UDP, ESP, IV, padding and tag).
func TestDeviceMTUFitsEveryOfferedSuite(t *testing.T) {
	for crypto, want := range map[string]int{
		"[aes256gcm16]":             1438,
		"[chacha20poly1305]":        1438,
		"[aes256-sha256]":           1422,
		"[aes256gcm16,aes256-sha1]": 1422,
		"[aes256-sha256-sha512]":    1406,
	} {
		cfg := load(t, "", "    allow_weak: true\n    crypto: {esp: "+crypto+"}\n")
		if got := deviceMTU(cfg.Connections); got != want {
			t.Errorf("%s: got %d, want %d", crypto, got, want)
		}
	}
}

// A device for jumbo frames is of use only if the data path lets such packets through, so it takes the path to be as
// large; the path of a provider that is known stays what it is.
func TestALargeDeviceMeansALargePath(t *testing.T) {
	for _, c := range []struct {
		gateway, connection string
		want                int
	}{
		{"", "", 1500},
		{"datapath: {tun: {mtu: 1400}}", "", 1500},
		{"datapath: {tun: {mtu: 8938}}", "", 9066},
		{"datapath: {tun: {mtu: 8938}}", "    provider: gcp\n", 1460},
	} {
		cfg := load(t, c.gateway, c.connection)
		if got := forwarding(cfg.Connections[0], cfg.Gateway.Datapath.TUN).PathMTU; got != c.want {
			t.Errorf("%q, %q: got %d, want %d", c.gateway, c.connection, got, c.want)
		}
	}
}

func TestOutsideAddresses(t *testing.T) {
	cfg := load(t, "", "")
	if addrs, fixed := outsideAddrs(cfg.Gateway.Outside, cfg.Connections); fixed || len(addrs) != 2 || !addrs[0].IsUnspecified() {
		t.Errorf("auto: got %v, %v", addrs, fixed)
	}
	cfg = load(t, "outside: {address: 192.0.2.10}", "")
	if addrs, fixed := outsideAddrs(cfg.Gateway.Outside, cfg.Connections); !fixed || len(addrs) != 1 || addrs[0] != netip.MustParseAddr("192.0.2.10") {
		t.Errorf("fixed: got %v, %v", addrs, fixed)
	}
}

func TestSourcesAreOurOwnAddressesInOurNetworks(t *testing.T) {
	own := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("fd00::1")}
	got := sourcesIn([]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/64")}, own)
	if want := []netip.Addr{own[1], own[3]}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestIdentities(t *testing.T) {
	for _, row := range []struct{ gateway, local, remote string }{
		{"outside: {address: 192.0.2.10}", "192.0.2.10", "198.51.100.1"},
		{"outside: {address: 192.0.2.10, identity: 203.0.113.10}", "203.0.113.10", "198.51.100.1"},
		{"outside: {identity: gw.example}", "gw.example", "198.51.100.1"},
	} {
		cfg := load(t, row.gateway, "")
		p, err := peerOf(cfg.Gateway, cfg.Connections[0], cfg.Connections[0].Tunnels[0], Options{})
		if err != nil || p.LocalID.String() != row.local || p.RemoteID.String() != row.remote {
			t.Errorf("%s: got %v and %v, %v", row.gateway, p.LocalID, p.RemoteID, err)
		}
	}
}
