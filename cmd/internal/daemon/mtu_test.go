package daemon

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/cmd/internal/api"
	"twinbore/tunnel/simnet"
)

// measure measures from the left site to the right one's inside address of tunnel 1.
func (s *site) measure(tunnel, target string) (api.Measured, error) {
	return s.d.MTU(s.t.Context(), api.MTUQuery{Connection: "hq", Tunnel: tunnel, Target: netip.MustParseAddr(target)})
}

func TestMTUOfAPathThatTakesEverything(t *testing.T) { // F7
	synctest.Test(t, func(t *testing.T) {
		_, left, _ := world(t)
		left.want("1: UP UP", 2*time.Second)
		got, err := left.measure("1", "169.254.1.1")
		if err != nil {
			t.Fatal(err)
		}
		one := got.Tunnels[0]
		sum := one.InnerMTU
		for _, o := range one.Around {
			sum += o.Octets
		}
		if one.Error != nil || one.PathMTU != 1500 || one.InnerMTU != 1438 || sum != 1500 || *one.Measured != 1438 || *one.Outer != 1500 || one.Probes != 2 ||
			*one.From != "169.254.1.2" || one.Suite != "aes256gcm16" || one.Refused != nil {
			t.Errorf("got %+v", one)
		}
		if !slices.Contains(one.Around, api.Overhead{What: "UDP header", Octets: 8}) {
			t.Errorf("around the packet are %v", one.Around)
		}
	})
}

// F7: some router on the way takes less, and says nothing.
func TestMTUOfANarrowPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, _ := world(t)
		left.want("1: UP UP", 2*time.Second)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond, MTU: 1300, Loss: 0.1}) // of UDP's payload
		begun := time.Now()
		got, err := left.measure("1", "169.254.1.1")
		if err != nil {
			t.Fatal(err)
		}
		one := got.Tunnels[0]
		if one.Error != nil || one.Measured == nil || *one.Measured != 1266 || *one.Outer != 1328 || one.InnerMTU != 1438 {
			t.Errorf("got %+v, want 1266 octets, which come to 1300 behind the UDP header", one)
		}
		if took := time.Since(begun); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestMTUThatCannotBeMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		for _, tt := range []struct{ target, why string }{
			{"10.2.0.9", "does not answer"}, {"8.8.8.8", "not behind"}, {"2001:db8::1", "no inside address of its family"},
		} {
			got, err := left.measure("1", tt.target)
			if err != nil || got.Tunnels[0].Measured != nil || got.Tunnels[0].Error == nil || !strings.Contains(*got.Tunnels[0].Error, tt.why) || got.Tunnels[0].InnerMTU != 1438 {
				t.Errorf("%s: %+v, %v, want an error with %q", tt.target, got.Tunnels, err, tt.why)
			}
		}
		for len(right.host.In) > 0 {
			<-right.host.In // what 10.2.0.9 did not answer
		}
		done := make(chan struct{})
		go func() { // a router behind the peer
			defer close(done)
			ask := <-right.host.In
			right.host.Out <- icmpError(netip.MustParseAddr("10.2.0.254"), netip.MustParseAddr("169.254.1.2"), 3, 1, ask[:28])
		}()
		got, err := left.measure("1", "10.2.0.9")
		<-done
		if err != nil || got.Tunnels[0].Error == nil || !strings.Contains(*got.Tunnels[0].Error, "10.2.0.254 says that 10.2.0.9 is unreachable") {
			t.Errorf("unreachable: %+v, %v", got.Tunnels, err)
		}
		_, err = left.measure("3", "10.2.0.9")
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Reason != api.NotFound {
			t.Errorf("no such tunnel: %v", err)
		}
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 4*time.Second)
		if got, err := left.measure("", "169.254.2.1"); err != nil || *got.Tunnels[0].Error != "the tunnel is down" || *got.Tunnels[1].Measured != 1438 {
			t.Errorf("one tunnel of two: %+v, %v", got.Tunnels, err)
		}
	})
}

// A router behind the peer takes less, and says how much: few probes find it.
func TestMTUThatARouterTells(t *testing.T) { // RFC 1191
	synctest.Test(t, func(t *testing.T) {
		_, left, right := world(t)
		left.want("1: UP UP", 2*time.Second)
		done := make(chan struct{})
		defer close(done)
		go func() {
			for {
				select {
				case <-done:
					return
				case ask := <-right.host.In:
					if len(ask) <= 1300 {
						right.host.Out <- echoReply(ask)
						continue
					}
					b := icmpError(netip.MustParseAddr("10.2.0.254"), netip.MustParseAddr("169.254.1.2"), 3, 4, ask[:28])
					b[26], b[27] = 1300>>8, 1300&0xff
					resum(b[20:])
					right.host.Out <- b
				}
			}
		}()
		got, err := left.measure("1", "10.2.0.9")
		one := got.Tunnels[0]
		if err != nil || one.Measured == nil || *one.Measured != 1300 || one.Refused == nil || one.Refused.By != "10.2.0.254" || *one.Refused.MTU != 1300 || one.Probes > 12 {
			t.Errorf("got %+v, %v", one, err)
		}
	})
}
