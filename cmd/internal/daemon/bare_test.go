package daemon

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/config"
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
	"twinbore/tunnel/tun/tuntest"
)

// withBare lets a site send ESP without UDP.
func withBare(net *simnet.Net) func(*Options) {
	return func(o *Options) {
		o.ListenESP = func(c transport.Config) (transport.Socket, error) { return net.ListenESP(c.Addr.Addr()), nil }
	}
}

// wantEncap checks what the status says of every Child SA.
func (s *site) wantEncap(encap, reason string) {
	s.t.Helper()
	for _, tun := range s.connection().Tunnels {
		for _, c := range tun.Children {
			got := ""
			if c.EncapReason != nil {
				got = *c.EncapReason
			}
			if c.Encap != encap || got != reason {
				s.t.Errorf("tunnel %s: ESP is %s because of %q, want %s because of %q", tun.Name, c.Encap, got, encap, reason)
			}
		}
	}
}

// N-61: what each end may and what is on the way decide how ESP goes, and the status says so.
func TestESPGoesWithoutUDPWhereItCan(t *testing.T) {
	encap := func(text, how string) string {
		return strings.Replace(text, "routing: static", "encap: "+how+"\n    routing: static", 1)
	}
	for _, tt := range []struct {
		left, right       string
		bare              [2]bool // whether left and right have a socket for it
		encap             string
		leftWhy, rightWhy string
	}{
		{"auto", "auto", [2]bool{true, true}, "esp", "", ""},
		{"never", "auto", [2]bool{true, true}, "esp", "", ""},
		{"always", "auto", [2]bool{true, true}, "udp", "always", "nat"},
		{"auto", "always", [2]bool{true, true}, "udp", "nat", "always"},
		{"auto", "auto", [2]bool{false, true}, "udp", "no_raw_socket", "nat"},
		{"auto", "auto", [2]bool{true, false}, "udp", "nat", "no_raw_socket"},
	} {
		synctest.Test(t, func(t *testing.T) {
			net := simnet.New(1)
			t.Cleanup(net.Close)
			with := func(bare bool) func(*Options) {
				if bare {
					return withBare(net)
				}
				return func(*Options) {}
			}
			udp := 0
			net.Tap(func(_ time.Time, m transport.Message) {
				if kind, _ := transport.Classify(transport.ForNATT, m.Buf[:m.N]); m.Path.Local.Port() == 4500 && kind == transport.ESP {
					udp++
				}
			})
			right := openWith(t, net, encap(rightConfig, tt.right), with(tt.bare[1]))
			left := openWith(t, net, encap(leftConfig, tt.left), with(tt.bare[0]))
			left.want("1: UP UP", 2*time.Second)
			right.want("1: UP UP", 2*time.Second)
			left.wantEncap(tt.encap, tt.leftWhy)
			right.wantEncap(tt.encap, tt.rightWhy)
			if !left.send(right, 1) || !right.send(left, 2) {
				t.Errorf("%+v: no traffic", tt)
			}
			if (udp > 0) != (tt.encap == "udp") {
				t.Errorf("%+v: %d packets of ESP in UDP", tt, udp)
			}
		})
	}
}

// behindNAT is the right side where the left one is behind a NAT.
var behindNAT = strings.ReplaceAll(rightConfig, "remote: 192.0.2.10", "remote: 203.0.113.1, remote_id: 192.0.2.10")

// A NAT that is there from the start, and one that comes later (RFC 4555 §3.5).
func TestANATPutsESPIntoUDP(t *testing.T) {
	inside := netip.MustParsePrefix("192.0.2.0/24")
	outside := netip.MustParseAddr("203.0.113.1")
	for _, later := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			net := simnet.New(1)
			t.Cleanup(net.Close)
			config := rightConfig
			if !later {
				net.NAT(inside, outside)
				config = behindNAT
			}
			right := openWith(t, net, config, withBare(net))
			left := openWith(t, net, leftConfig, withBare(net))
			left.want("1: UP UP", 2*time.Second)
			if later {
				left.wantEncap("esp", "")
				if !left.send(right, 1) {
					t.Fatal("no traffic without a NAT")
				}
				net.NAT(inside, outside)
				for end := time.Now().Add(10 * time.Second); left.connection().Tunnels[0].Children[0].Encap != "udp" && time.Now().Before(end); {
					time.Sleep(100 * time.Millisecond)
				}
				time.Sleep(time.Second)
			}
			left.wantEncap("udp", "nat")
			right.wantEncap("udp", "nat")
			if !left.send(right, 2) || !right.send(left, 3) {
				t.Error("no traffic through the NAT")
			}
		})
	}
}

func TestNeverBehindANATSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.NAT(netip.MustParsePrefix("192.0.2.0/24"), netip.MustParseAddr("203.0.113.1"))
		openWith(t, net, behindNAT, withBare(net))
		left := openWith(t, net, strings.Replace(leftConfig, "routing: static", "encap: never\n    routing: static", 1), withBare(net))
		time.Sleep(5 * time.Second)
		down := left.connection().Tunnels[0]
		if down.Status != "DOWN" || down.Reason != string(session.DatapathError) || !strings.Contains(down.Hint, "encap: auto") {
			t.Errorf("%s, %s: %q", down.Status, down.Reason, down.Hint)
		}
	})
}

// Without the privilege auto goes on and says so once, never does not start, and always does not ask.
func TestWithoutARawSocket(t *testing.T) {
	for how, want := range map[string]struct {
		logged int
		encap  ikev2.Encap
		err    string
	}{
		"auto":   {1, ikev2.EncapAlways, ""},
		"always": {0, ikev2.EncapAlways, ""},
		"never":  {0, 0, `connection "hq" has encap: never: `},
	} {
		cfg := load(t, "outside: {address: 192.0.2.10}", "    encap: "+how+"\n")
		net := simnet.New(1)
		log := new(journal)
		opts := Options{Device: tuntest.New(1400).Device(), NoAPI: true, Log: slog.New(slog.NewTextHandler(log, nil)),
			Listen: func(c transport.Config) (transport.Socket, error) { return net.Listen(c.Addr), nil },
			ListenESP: func(transport.Config) (transport.Socket, error) {
				return nil, syscall.EPERM
			}}
		d, err := Build(t.Context(), cfg, opts)
		switch {
		case want.err == "" && err != nil:
			t.Errorf("%s: %v", how, err)
		case want.err != "" && (err == nil || !strings.Contains(err.Error(), want.err) || !errors.Is(err, syscall.EPERM)):
			t.Errorf("%s: %v, want %q", how, err, want.err)
		}
		if err == nil {
			if got := d.encapOf(config.Encap(how)); got != want.encap {
				t.Errorf("%s: IKE is told %v, want %v", how, got, want.encap)
			}
			d.Close()
		}
		if n := strings.Count(log.String(), "no ESP without UDP"); n != want.logged {
			t.Errorf("%s: said %d times, want %d\n%s", how, n, want.logged, log)
		}
		net.Close()
	}
}

// A host without IPv6 does without, and what was opened is closed when another address fails.
func TestBareSocketsOfEachAddress(t *testing.T) {
	closed := 0
	try := func(gateway string, refuse func(netip.Addr) error) (int, error) {
		cfg := load(t, gateway, "")
		net := simnet.New(1)
		defer net.Close()
		var opened cleanup
		sockets, why, err := openBare(cfg.Gateway, cfg.Connections, Options{ListenESP: func(c transport.Config) (transport.Socket, error) {
			if err := refuse(c.Addr.Addr()); err != nil {
				return nil, err
			}
			return closing{&closed}, nil
		}}, &opened)
		if err != nil || len(opened) != len(sockets) {
			t.Errorf("%s: %d sockets, %d to close, %v", gateway, len(sockets), len(opened), err)
		}
		return len(sockets), why
	}
	noIPv6 := func(a netip.Addr) error {
		if a.Is6() {
			return syscall.EAFNOSUPPORT
		}
		return nil
	}
	if n, why := try("", noIPv6); n != 1 || why != nil {
		t.Errorf("without IPv6: %d sockets, %v", n, why)
	}
	if n, why := try("outside: {address: [192.0.2.10, 2001:db8::1]}", noIPv6); n != 0 || why != syscall.EAFNOSUPPORT || closed != 1 {
		t.Errorf("an IPv6 address and no IPv6: %d sockets, %d closed, %v", n, closed, why)
	}
}

type closing struct{ count *int }

func (closing) Read([]transport.Message) (int, error)  { return 0, io.EOF }
func (closing) Write([]transport.Message) (int, error) { return 0, io.EOF }
func (closing) Port() uint16                           { return 0 }
func (closing) Drops() transport.Drops                 { return transport.Drops{} }
func (closing) Offloads() transport.Offloads           { return transport.Offloads{} }
func (c closing) Close() error                         { *c.count++; return nil }
