package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/routing"
	"twinbore/routing/kernel"
	"twinbore/tunnel/simnet"
)

// A paperHost writes down what is wanted of it, each change once.
type paperHost struct {
	mu    sync.Mutex // guards the rest
	peers int
	lines []string
	fail  error
}

func (h *paperHost) note(line string) {
	if len(h.lines) == 0 || h.lines[len(h.lines)-1] != line {
		h.lines = append(h.lines, line)
	}
}

func (h *paperHost) Apply(_ context.Context, want []routing.Route) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	var words []string
	for _, r := range want {
		word := r.Prefix.String() + " unreachable"
		if r.Up {
			word = fmt.Sprintf("%s up, %d peers pinned", r.Prefix, h.peers)
		}
		words = append(words, word)
	}
	h.note(strings.Join(words, "; "))
	return h.fail
}

func (h *paperHost) PinPeers(_ context.Context, peers []netip.Addr) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.peers = len(peers)
	return nil
}

func (h *paperHost) SetLink(_ string, addrs []netip.Prefix, mtu int) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note(fmt.Sprintf("device: %v, %d octets", addrs, mtu))
	return h.fail
}

func (h *paperHost) Close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.note("closed")
	return nil
}

func (h *paperHost) breaks(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fail = err
}

func (h *paperHost) page() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Join(h.lines, "\n")
}

// withHost gives a daemon a host before it runs.
func withHost(h host) func(*Daemon) {
	return func(d *Daemon) { d.host, d.routes.host = h, h }
}

// TS-06: while the connection is down its networks are unreachable, from the start, and at the end the host is told that we go.
// TS-10: the peers are pinned before a route may cover them.
func TestRoutesFollowTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, net, rightConfig, nil)
		paper := new(paperHost)
		left := open(t, net, leftConfig, withHost(paper))
		left.want("1: UP UP", 2*time.Second)
		synctest.Wait()
		if r := left.connection().Routes[0]; !r.Installed {
			t.Errorf("the status says %+v", r)
		}
		net.BlackholeBoth(customer, cloud1)
		left.want("2: DOWN UP", 5*time.Second) // which is no business of the host's
		net.BlackholeBoth(customer, cloud2)
		left.want("-: DOWN DOWN", 5*time.Second)
		synctest.Wait()
		if r := left.connection().Routes[0]; r.Installed || r.Tunnel != nil {
			t.Errorf("the status says %+v", r)
		}
		left.stop()
		const want = "10.2.0.0/16 unreachable\n10.2.0.0/16 up, 2 peers pinned\n10.2.0.0/16 unreachable\nclosed"
		if got := paper.page(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}

// SM-18, EV-19: what the host refuses is said once, and tried again.
func TestRoutesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		open(t, net, rightConfig, nil)
		paper := new(paperHost)
		paper.breaks(errors.New("no buffer space"))
		left := open(t, net, leftConfig, withHost(paper))
		time.Sleep(5 * time.Minute)
		if c := left.connection(); c.Routes[0].Installed || c.Tunnels[0].Status != "UP" {
			t.Errorf("the status says %+v", c)
		}
		paper.breaks(nil)
		time.Sleep(reconcileEvery + time.Second)
		if !left.connection().Routes[0].Installed {
			t.Error("not tried again")
		}
		log := left.log.String()
		if n := strings.Count(log, "routes are not as they should be"); n != 1 || !strings.Contains(log, "no buffer space") {
			t.Errorf("said %d times", n)
		}
		if !strings.Contains(log, "routes are as they should be") {
			t.Error("that it is mended is not said")
		}
	})
}

// A part that fails ends the rest, and the error says which it was. Without its sockets the gateway cannot tell the peers
// any more; they find out by themselves.
func TestAFailingDeviceEndsTheGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		right := open(t, net, rightConfig, nil)
		left := open(t, net, leftConfig, nil)
		left.want("1: UP UP", 2*time.Second)
		left.fails = true
		close(left.host.Out)
		if err := left.stop(); !errors.Is(err, os.ErrClosed) {
			t.Errorf("ended with %v", err)
		}
		right.want("-: DOWN DOWN", 5*time.Second)
	})
}

// What the host has something else for is not installed, and why is told; everything else is. Of an error that says not which
// route it is about nothing is known.
func TestARouteThatIsInTheWayIsTold(t *testing.T) { // EV-19
	synctest.Test(t, func(t *testing.T) {
		net := simnet.New(1)
		t.Cleanup(net.Close)
		net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
		open(t, net, rightConfig, nil)
		paper := new(paperHost)
		problem := &kernel.Problem{Domain: "default", Prefix: netip.MustParsePrefix("10.2.0.0/16"), Route: "10.2.0.0/16", Reason: "there is the administrator's"}
		paper.breaks(errors.Join(errors.Join(problem), problem))
		left := open(t, net, strings.Replace(leftConfig, "[10.2.0.0/16]", "[10.2.0.0/16, 10.3.0.0/16]", 1), withHost(paper))
		left.want("1: UP UP", 2*time.Second)
		synctest.Wait()
		got, err := left.d.Routes(t.Context(), "hq")
		if err != nil {
			t.Fatal(err)
		}
		if r := got.Routes; r[0].Installed || r[0].Hint != problem.Reason || !r[1].Installed || r[1].Hint != "" {
			t.Errorf("got %+v", r)
		}
		paper.breaks(errors.Join(problem, errors.New("no buffer space")))
		left.d.routes.stir()
		time.Sleep(time.Second)
		if r := left.connection().Routes; r[0].Installed || r[1].Installed {
			t.Errorf("got %+v", r)
		}
		paper.breaks(nil)
		time.Sleep(tryAgain + time.Millisecond) // it is not waited for the next round
		if r := left.connection().Routes; !r[0].Installed || !r[1].Installed {
			t.Errorf("got %+v", r)
		}
	})
}
