package daemon

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/esp"
	"twinbore/ike/auth"
	"twinbore/ike/ikev2"
	"twinbore/ike/session"
	"twinbore/ike/suite"
	"twinbore/tunnel/simnet"
	"twinbore/tunnel/transport"
)

// A guesser begins IKE SAs from the address of a peer, with keys that it makes up.
type guesser struct {
	t     *testing.T
	cfg   ikev2.Config
	socks map[uint16]transport.Socket
	mail  chan letter
}

type letter struct {
	msg []byte
	on  esp.Path
}

func newGuesser(t *testing.T, net *simnet.Net, at string, cfg ikev2.Config) *guesser {
	g := &guesser{t: t, cfg: cfg, socks: map[uint16]transport.Socket{}, mail: make(chan letter, 100)}
	for _, port := range []uint16{500, 4500} {
		sock := net.Listen(netip.AddrPortFrom(netip.MustParseAddr(at), port))
		g.socks[port] = sock
		t.Cleanup(func() { sock.Close() })
		go func() {
			ms := []transport.Message{{Buf: make([]byte, 65536)}}
			for {
				if _, err := sock.Read(ms); err != nil {
					return
				}
				use := map[uint16]transport.Use{500: transport.ForIKE, 4500: transport.ForNATT}[port]
				if kind, msg := transport.Classify(use, ms[0].Buf[:ms[0].N]); kind == transport.IKE {
					g.mail <- letter{append([]byte(nil), msg...), ms[0].Path}
				}
			}
		}()
	}
	return g
}

// guess is one attempt; it reports why it ended.
func (g *guesser) guess(key string) (ended session.Reason) {
	cfg := g.cfg
	cfg.Auth.Secrets = []auth.Secret{{Peer: cfg.Peer, Key: []byte(key)}}
	s := ikev2.New(cfg)
	carry := func(out session.Output) bool {
		for _, d := range out.Send {
			b := d.Bytes
			port := d.Path.Local.Port()
			if port == 4500 {
				b = transport.AddMarker(nil, b)
			}
			g.socks[port].Write([]transport.Message{{Buf: b, N: len(b), Path: d.Path}})
		}
		for _, e := range out.Events {
			if e.Kind == session.Failed || e.Kind == session.IKEUp {
				ended = e.Reason
			}
		}
		return out.Done
	}
	to := esp.Path{Local: netip.MustParseAddrPort("192.0.2.66:500"), Remote: netip.MustParseAddrPort("198.51.100.2:500")}
	done := carry(s.Do(time.Now(), session.Initiate{Path: to}))
	for give := time.After(200 * time.Millisecond); !done; {
		select {
		case l := <-g.mail:
			done = carry(s.Receive(time.Now(), l.msg, l.on))
		case <-give:
			return ended
		}
	}
	return ended
}

// AUT-09: a thousand attempts with wrong keys from the address of one peer, as fast as answers come: the source is slowed down
// by the limits of one address, the operator reads of it a bounded number of times and sees it in the status of that tunnel, and a peer at another
// address comes up all the while. A minute later nothing is left of it.
func TestGuessingKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: time.Millisecond})
		right := open(t, net, strings.Replace(rightConfig, "- {remote: 192.0.2.10, inside: 169.254.2.1/30", "- {remote: 192.0.2.66, inside: 169.254.2.1/30", 1), nil)
		offer, err := suite.ParseIKE("aes256gcm16-prfsha256-x25519")
		if err != nil {
			t.Fatal(err)
		}
		child, err := suite.ParseESP("aes256gcm16-x25519")
		if err != nil {
			t.Fatal(err)
		}
		local, remote := netip.MustParseAddr("192.0.2.66"), netip.MustParseAddr("198.51.100.2")
		g := newGuesser(t, net, local.String(), ikev2.Config{Peer: "branch/2", LocalID: auth.IDFromAddr(local), RemoteID: auth.IDFromAddr(remote),
			IKE: []suite.Proposal{offer}, ESP: []suite.Proposal{child}, Local: []esp.Selector{esp.AnyIPv4()}, Remote: []esp.Selector{esp.AnyIPv4()},
			IKELifetime: time.Hour, ChildLifetime: time.Hour, AllocSPI: func() esp.SPI { return 4711 }, LastInbound: func(esp.ChildID) time.Time { return time.Time{} }})
		refused, silent := 0, 0
		var guessing sync.WaitGroup
		began := time.Now()
		guessing.Go(func() {
			for range 1000 {
				switch g.guess("a guess") {
				case session.AuthFailed:
					refused++
				case "":
					silent++
				default:
					t.Error("an attempt ended otherwise")
				}
			}
		})
		time.Sleep(time.Second)
		left := open(t, net, leftConfig, nil)
		left.want("1: UP DOWN", 3*time.Second)
		guessing.Wait()
		took := time.Since(began)

		status := right.connection().Tunnels[1]
		if status.Status != "DOWN" || status.Reason != "AUTH_FAILED" && status.Reason != "RATE_LIMITED" {
			t.Errorf("the tunnel is %s, %s: %s", status.Status, status.Reason, status.Hint)
		}
		if refused+silent != 1000 || float64(refused) > 21+20*took.Seconds() || silent == 0 {
			t.Errorf("%d refused and %d not heard in %v, want 20 a second at most", refused, silent, took)
		}
		lines := strings.Count(right.log.String(), "level=WARN msg=failed peer=branch/2")
		if most := 20 * (int(took.Minutes()) + 1); lines == 0 || lines > most { // ten of each of two reasons
			t.Errorf("%d lines in the log in %v, want 1 to %d", lines, took, most)
		}
		left.want("1: UP DOWN", time.Second)
		if !left.send(right, 1) || !right.send(left, 2) {
			t.Error("no traffic through the tunnel that nobody attacks")
		}
		if err := left.stop(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if c := right.d.engine.Counters(); c.HalfOpen != 0 || c.Panics != 0 || c.Drops["source_rate"]+c.Drops["half_open_limit"] < uint64(silent) {
			t.Errorf("a minute later: %+v", c)
		}
	})
}
