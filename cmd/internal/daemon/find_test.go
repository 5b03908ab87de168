package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/tunnel"
	"twinbore/tunnel/simnet"
)

// DOS-19, EV-15: whatever a resolver does, asking it takes no time of the loop's, ends within lookupTime and has one outcome.
func TestLookups(t *testing.T) {
	ours := netip.MustParseAddr("192.0.2.10")
	servfail := &net.DNSError{Err: "server misbehaving", Name: "vpn.example", Server: "192.0.2.53:53", IsTemporary: true}
	for _, c := range []struct {
		name   string
		lookup func(ctx context.Context, host string) ([]netip.Addr, error)
		took   time.Duration
		remote string
		hint   string
	}{
		{"an answer", answers("198.51.100.1"), 0, "198.51.100.1:500", ""},
		{"an answer for IPv4 in IPv6", answers("::ffff:198.51.100.1"), 0, "198.51.100.1:500", ""},
		{"the first of our family", answers("2001:db8::1", "198.51.100.7", "198.51.100.8"), 0, "198.51.100.7:500", ""},
		{"none of our family", answers("2001:db8::1"), 0, "", "no address of the family"},
		{"none at all", answers(), 0, "", "no address of the family"},
		{"a thousand", func(context.Context, string) ([]netip.Addr, error) {
			var out []netip.Addr
			for i := range 1000 {
				out = append(out, netip.AddrFrom4([4]byte{198, 51, byte(100 + i>>8), byte(i)}))
			}
			return out, nil
		}, 0, "198.51.100.0:500", ""},
		{"no such host", func(context.Context, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}, 0, "", "no such host"},
		{"SERVFAIL", func(context.Context, string) ([]netip.Addr, error) { return nil, servfail }, 0, "", "server misbehaving"},
		{"an answer after nine seconds", func(ctx context.Context, host string) ([]netip.Addr, error) {
			time.Sleep(9 * time.Second)
			return answers("198.51.100.1")(ctx, host)
		}, 9 * time.Second, "198.51.100.1:500", ""},
		{"no answer", func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, lookupTime, "", "deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running sync.WaitGroup
				f := finder{lookup: c.lookup, localPort: 500, peerPort: 500, running: &running}
				mail, e := newMailbox(), &end{remote: "vpn.example", local: ours}
				start := time.Now()
				f.find(t.Context(), e, 7, mail)
				if waited := time.Since(start); waited > 0 {
					t.Errorf("the loop waited %v", waited)
				}
				running.Wait()
				got := mail.take()
				if len(got) != 1 {
					t.Fatalf("%d outcomes", len(got))
				}
				out := got[0].(found)
				if took := time.Since(start); took != c.took || out.number != 7 || out.end != e {
					t.Errorf("after %v came %+v", took, out)
				}
				if c.remote != "" && (out.reason != "" || out.path.Remote.String() != c.remote || out.path.Local.Addr() != ours) {
					t.Errorf("found %v, %s: %s", out.path, out.reason, out.hint)
				}
				if c.remote == "" && (out.reason != tunnel.DNSFailed || !strings.Contains(out.hint, c.hint) || strings.Contains(out.hint, "192.0.2.53")) {
					t.Errorf("%s: %q", out.reason, out.hint)
				}
			})
		})
	}
}

func answers(addrs ...string) func(context.Context, string) ([]netip.Addr, error) {
	return func(context.Context, string) (out []netip.Addr, err error) {
		for _, a := range addrs {
			out = append(out, netip.MustParseAddr(a))
		}
		return out, nil
	}
}

// DOS-19, EV-15: a tunnel that is up does not ask, whatever its peer's name would say by now: other addresses, errors, nothing.
// One that comes down asks at its next attempt, and an answer that never comes does not hold up the other tunnel.
func TestNameOfATunnelThatIsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New(1)
		t.Cleanup(network.Close)
		network.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, network, rightConfig, nil)
		var asked atomic.Int32
		var now atomic.Pointer[func(context.Context, string) ([]netip.Addr, error)]
		says := func(f func(context.Context, string) ([]netip.Addr, error)) { now.Store(&f) }
		says(answers("198.51.100.1"))
		left := open(t, network, strings.Replace(leftConfig, "remote: 198.51.100.1,", "remote: vpn.example, remote_id: 198.51.100.1,", 1), func(d *Daemon) {
			d.loop.finder.lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
				asked.Add(1)
				return (*now.Load())(ctx, host)
			}
		})
		left.want("1: UP UP", 2*time.Second)
		before := asked.Load()
		for _, f := range []func(context.Context, string) ([]netip.Addr, error){answers("203.0.113.66"), answers(),
			func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("server misbehaving") }} {
			says(f)
			time.Sleep(2 * time.Minute)
			left.want("1: UP UP", 0)
		}
		if n := asked.Load(); n != before || before > 2 {
			t.Errorf("asked %d times, and %d times more while the tunnel was up", before, n-before)
		}
		says(func(ctx context.Context, _ string) ([]netip.Addr, error) { <-ctx.Done(); return nil, ctx.Err() })
		network.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 5*time.Second)
		time.Sleep(2 * time.Minute)
		left.want("2: DOWN UP", 0)
		if n := asked.Load() - before; n < 2 || n > 12 {
			t.Errorf("asked %d times in two minutes without an answer", n)
		}
		network.Heal(customer, cloud1)
		network.Heal(cloud1, customer)
		says(answers("198.51.100.1"))
		left.want("1: UP UP", 2*time.Minute)
	})
}
