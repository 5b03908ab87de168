package daemon

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/esp"
	"twinbore/ike/wire"
	"twinbore/tunnel"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// A cause is a way for tunnel 1 to be down for a reason, or to fail in keeping up.
type cause struct {
	left, right []string           // pairs of what is replaced in the configuration, and by what
	options     func(*Options)     // of left
	during      func(*scene)       // once both ends run
	alone       bool               // there is no right
	at          func(*scene) *site // where the reason is told; nil: left
	wait        time.Duration      // until it is, 8 s if zero
	status      bool               // it is still the reason at the end
	hint        string             // part of the hint, where the status is looked at
}

// A scene is what a cause may act on.
type scene struct {
	t           *testing.T
	net         *simnet.Net
	left, right *site
}

func onTheRight(s *scene) *site { return s.right }

// What makes the peer refuse a rekey: it has another opinion of PFS.
var (
	short  = []string{"dpd: {interval: 1s", "lifetimes: {esp: 10m, ike: 8h}\n    dpd: {interval: 2m"}
	stingy = []string{"esp: [aes256gcm16-x25519]", "esp: [aes256gcm16]", "dpd: {interval: 1s", "lifetimes: {esp: 1h, ike: 8h}\n    dpd: {interval: 2m"}
)

// ikeCauses has every reason of product.md §3 that IKE, its addresses, its keys or its operator can give.
var ikeCauses = map[tunnel.Reason]cause{
	tunnel.NoResponse: {left: []string{"remote: 198.51.100.1,", "remote: 198.51.100.77,"}, wait: 20 * time.Second, status: true},
	tunnel.DNSFailed:  {left: []string{"remote: 198.51.100.1,", "remote: vpn.invalid,"}, status: true, hint: "vpn.invalid"},
	tunnel.PortBlocked: {options: func(o *Options) {
		listen := o.Listen
		o.Listen = func(c transport.Config) (transport.Socket, error) {
			s, err := listen(c)
			return firewalled{s}, err
		}
	}, wait: 20 * time.Second, status: true, hint: "operation not permitted"},
	tunnel.NoProposalIKE: {left: []string{"ike: [aes256gcm16-prfsha256-x25519]", "ike: [aes128-sha256-modp3072]"}, status: true},
	tunnel.NoProposalESP: {left: []string{"esp: [aes256gcm16-x25519]", "esp: [chacha20poly1305]"}, status: true},
	tunnel.InvalidKELoop: {alone: true, during: asksForAnotherGroup, wait: 20 * time.Second, status: true, hint: "group"},
	tunnel.AuthFailed:    {left: []string{"the key of tunnel one", "another key altogether"}, status: true, hint: "key"},
	tunnel.IDMismatch:    {left: []string{"remote: 198.51.100.1,", "remote: 198.51.100.1, local_id: branch.example,"}, at: onTheRight, status: true, hint: "branch.example"},
	tunnel.TSUnacceptable: {left: []string{"remote_networks: [10.2.0.0/16]", "selectors: networks\n    local_networks: [10.9.0.0/16]\n    remote_networks: [10.2.0.0/16]"},
		right: []string{"remote_networks: [10.1.0.0/16]", "selectors: networks\n    local_networks: [10.2.0.0/16]\n    remote_networks: [10.1.0.0/16]"}, status: true, hint: "network"},
	tunnel.DPDTimeout:        {during: func(s *scene) { s.net.BlackholeBoth(customer, cloud1) }},
	tunnel.PeerDeleted:       {during: func(s *scene) { s.order(s.left, api.Down) }, at: onTheRight, status: true},
	tunnel.AdminIsDown:       {during: func(s *scene) { s.order(s.left, api.Down) }, status: true},
	tunnel.RekeyFailed:       {left: short, right: stingy, wait: 11 * time.Minute},
	tunnel.LifetimeExpired:   {left: stingy, right: short, at: onTheRight, wait: 11 * time.Minute}, // who was asked cannot begin anew
	tunnel.SecretUnavailable: {left: []string{`inline: "the key of tunnel one"`, "env: TWINBORE_TEST_NO_SUCH_KEY"}, status: true, hint: "psk"},
	tunnel.WaitingForPeer:    {alone: true, left: []string{"routing: static", "routing: static\n    start: wait"}, status: true},
	tunnel.WaitingForTraffic: {left: []string{"routing: static", "routing: static\n    start: on-traffic"}, status: true},
	tunnel.RateLimited:       {alone: true, left: []string{"routing: static", "routing: static\n    start: wait"}, during: floods, status: true, hint: "198.51.100.1"},
	tunnel.DatapathError:     dryRandomness(),
}

// otherReasons are given by what is not IKE.
var otherReasons = []tunnel.Reason{tunnel.Idled, tunnel.BGPIdle, tunnel.BGPHoldExpired, tunnel.BGPMaxPrefix, tunnel.ProbeLost,
	tunnel.ReplayStorm, tunnel.Drained}

// F3, R24: every reason code is reached by what it is named after, is told in the tunnel's record, and stands in its status
// with a hint as long as it holds.
func TestEveryIKEReasonIsReached(t *testing.T) {
	for _, code := range tunnel.Reasons() {
		if _, ours := ikeCauses[code]; !ours && !slices.Contains(otherReasons, code) {
			t.Errorf("%s: no test reaches it", code)
		}
	}
	for code, c := range ikeCauses {
		t.Run(string(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.play(t, code) })
		})
	}
}

func (c cause) play(t *testing.T, code tunnel.Reason) {
	s := &scene{t: t, net: simnet.New(1)}
	t.Cleanup(s.net.Close)
	s.net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	if !c.alone {
		s.right = open(t, s.net, replaced(t, rightConfig, c.right), nil)
	}
	var run func()
	s.left, run = build(t, s.net, replaced(t, leftConfig, c.left), c.options)
	s.left.d.loop.finder.lookup = func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	run()
	if c.during != nil {
		time.Sleep(2 * time.Second)
		c.during(s)
	}
	time.Sleep(max(c.wait, 8*time.Second))
	at := s.left
	if c.at != nil {
		at = c.at(s)
	}
	got := at.connection().Tunnels[0]
	if c.status && (got.Status != "DOWN" || got.Reason != string(code) || got.Hint == "" || !strings.Contains(got.Hint, c.hint)) {
		t.Errorf("tunnel 1 is %s, %s: %q\n%s", got.Status, got.Reason, got.Hint, at.log)
	}
	logs, err := at.d.Logs(api.LogQuery{Connection: at.connection().Name, Tunnel: "1"})
	if err != nil {
		t.Fatal(err)
	}
	resting := code == tunnel.WaitingForPeer || code == tunnel.WaitingForTraffic // it never was anything else
	if !resting && !slices.ContainsFunc(logs.Entries, func(e api.LogEntry) bool { return e.Reason == string(code) }) {
		t.Errorf("nothing in the record of tunnel 1 says %s: %+v", code, logs.Entries)
	}
}

// replaced makes a configuration of another.
func replaced(t *testing.T, text string, pairs []string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(text, pairs[i]) {
			t.Fatalf("there is no %q to replace", pairs[i])
		}
		text = strings.Replace(text, pairs[i], pairs[i+1], 1)
	}
	return text
}

// order has a site's operator do something to tunnel 1.
func (s *scene) order(at *site, verb api.Verb) {
	if _, err := at.d.Act(s.t.Context(), api.Action{Verb: verb, Connection: at.connection().Name, Tunnel: "1"}); err != nil {
		s.t.Fatal(err)
	}
}

// A firewalled socket sends nothing: Linux says so when a rule of its own drops a packet (EV-37).
type firewalled struct{ transport.Socket }

func (firewalled) Write(ms []transport.Message) (int, error) { return 0, syscall.EPERM }

// asksForAnotherGroup is a peer that wants a group that left does not offer, whatever it is sent.
func asksForAnotherGroup(s *scene) {
	sock := s.net.Listen(netip.AddrPortFrom(cloud1, 500))
	go func() {
		for {
			ms := []transport.Message{{Buf: make([]byte, 2000)}}
			if _, err := sock.Read(ms); err != nil {
				return
			}
			h, err := wire.ParseHeader(ms[0].Buf[:ms[0].N])
			if err != nil {
				continue
			}
			h.Flags = wire.FlagResponse
			b := (&wire.Message{Header: h, Payloads: []wire.Payload{&wire.Notify{Kind: wire.NotifyInvalidKEPayload,
				Data: binary.BigEndian.AppendUint16(nil, 14)}}}).Marshal()
			sock.Write([]transport.Message{{Buf: b, N: len(b), Path: ms[0].Path}})
		}
	}()
}

// floods is a peer that begins a hundred times in a second.
func floods(s *scene) {
	sock := s.net.Listen(netip.AddrPortFrom(cloud1, 500))
	for i := range uint64(100) {
		b := (&wire.Message{Header: wire.Header{SPIi: i + 1, Version: wire.V2, Exchange: wire.IKESAInit, Flags: wire.FlagInitiator},
			Payloads: []wire.Payload{&wire.Nonce{Data: make([]byte, 32)}}}).Marshal()
		sock.Write([]transport.Message{{Buf: b, N: len(b), Path: esp.Path{Local: netip.AddrPortFrom(cloud1, 500), Remote: netip.AddrPortFrom(customer, 500)}}})
	}
}

// dryRandomness is a fault in the middle of a session: its source of randomness fails it.
func dryRandomness() cause {
	var dry atomic.Bool
	seeded := rand.NewChaCha8([32]byte{7})
	return cause{
		options: func(o *Options) {
			dry.Store(false)
			o.Rand = readerFunc(func(b []byte) (int, error) {
				if dry.Load() {
					return 0, io.ErrUnexpectedEOF
				}
				return seeded.Read(b)
			})
		},
		during: func(s *scene) {
			dry.Store(true)
			if _, err := s.left.d.Act(s.t.Context(), api.Action{Verb: api.Rekey, Connection: "hq", Tunnel: "1", SA: "ike"}); err != nil {
				s.t.Fatal(err)
			}
		},
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
