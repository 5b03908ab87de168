package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/tunnel/simnet"
)

// A nameServer answers as a test wants.
type nameServer struct {
	mu     sync.Mutex
	addrs  []netip.Addr
	err    error
	silent bool
	asked  int
	atOnce int
	most   int // that asked at once
}

func (n *nameServer) set(err error, addrs ...netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addrs, n.err = addrs, err
}

func (n *nameServer) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.asked
}

func (n *nameServer) ask(ctx context.Context, _ string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.asked++
	n.atOnce++
	n.most = max(n.most, n.atOnce)
	silent, addrs, err := n.silent, n.addrs, n.err
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.atOnce--
		n.mu.Unlock()
	}()
	if silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	time.Sleep(20 * time.Millisecond)
	return addrs, err
}

var servfail = &net.DNSError{Err: "server misbehaving", Name: "hq.example", IsTemporary: true}

// named is a left site with one tunnel, to hq.example, and a right one that is there at both of its addresses.
func named(t *testing.T, dns *nameServer) (net *simnet.Net, left, right *site) {
	net = simnet.New(1)
	t.Cleanup(net.Close)
	net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
	right = open(t, net, strings.NewReplacer("remote: 192.0.2.10,", `remote: 192.0.2.10, local_id: "fqdn:hq.example",`,
		"the key of tunnel two", "the key of tunnel one").Replace(rightConfig), nil)
	text := strings.Replace(leftConfig, "remote: 198.51.100.1,", "remote: hq.example,", 1)
	text = text[:strings.Index(text, "      - {remote: 198.51.100.2")]
	left = open(t, net, text, func(d *Daemon) { d.loop.finder.lookup = newResolver(dns.ask).lookup })
	return net, left, right
}

// EV-15, DOS-19: another answer changes nothing while the tunnel lives, and nobody even asks; after dead peer detection the
// next attempt goes where the name leads by then.
func TestNamesAreAskedForEachAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &nameServer{addrs: []netip.Addr{cloud1}}
		net, left, right := named(t, dns)
		left.want("1: UP", 2*time.Second)
		right.want("1: UP DOWN", time.Second)
		spi, asked := left.connection().Tunnels[0].IKE.SPIInitiator, dns.count()
		for _, answer := range []error{nil, servfail} {
			dns.set(answer, cloud2)
			time.Sleep(10 * time.Minute)
			if now := left.connection().Tunnels[0]; now.IKE.SPIInitiator != spi || dns.count() != asked {
				t.Errorf("the live tunnel was touched: asked %d times, %+v", dns.count()-asked, now.IKE)
			}
		}
		dns.set(nil, cloud2)
		net.BlackholeBoth(customer, cloud1)
		time.Sleep(5 * time.Second)
		left.want("1: UP", 2*time.Second)
		right.want("2: DOWN UP", 2*time.Second)
		if got := *left.connection().Tunnels[0].Remote; !strings.HasPrefix(got, cloud2.String()) {
			t.Errorf("the tunnel goes to %s", got)
		}
	})
}

// DOS-19: a resolver that says nothing, or that it cannot, costs its time and holds nobody up; when it can, the tunnel comes up.
func TestResolverFails(t *testing.T) {
	for name, dns := range map[string]*nameServer{"timeout": {silent: true}, "SERVFAIL": {err: servfail}, "no answer": {},
		"another family": {addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, left, _ := named(t, dns)
				for range 100 {
					begun := time.Now()
					left.connection()
					if took := time.Since(begun); took > 0 {
						t.Fatalf("the loop was held up for %s", took)
					}
					time.Sleep(200 * time.Millisecond)
				}
				if down := left.connection().Tunnels[0]; down.Reason != "DNS_FAILED" || !strings.Contains(down.Hint, "hq.example") || down.NextRetry == nil {
					t.Errorf("got %s: %s", down.Reason, down.Hint)
				}
				dns.mu.Lock()
				dns.silent = false
				dns.mu.Unlock()
				dns.set(nil, cloud1)
				left.want("1: UP", 2*time.Minute)
			})
		})
	}
}

// DOS-19: of a thousand answers sixteen count, each attempt takes the next, and the one that works is found.
func TestOfManyAnswersEachIsTried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &nameServer{}
		var addrs []netip.Addr
		for i := range 1000 {
			addrs = append(addrs, netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}))
		}
		addrs[2] = cloud1
		dns.set(nil, addrs...)
		_, left, _ := named(t, dns)
		left.want("1: UP", 5*time.Minute)
		if got, err := newResolver(dns.ask).lookup(t.Context(), "hq.example"); err != nil || len(got) != answersMost {
			t.Errorf("%d answers are kept (%v)", len(got), err)
		}
	})
}

// DOS-19: ten thousand names are not asked for all at once, and one that many want is asked for once.
func TestQuestionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &nameServer{addrs: []netip.Addr{cloud1}}
		r := newResolver(dns.ask)
		var asking sync.WaitGroup
		for i := range 1000 {
			asking.Go(func() {
				if _, err := r.lookup(t.Context(), "host"+string(rune('a'+i%500))); err != nil {
					t.Error(err)
				}
			})
		}
		asking.Wait()
		if dns.most > lookupsMost || dns.asked != 500 {
			t.Errorf("%d questions, %d of them at once; want 500 and at most %d", dns.asked, dns.most, lookupsMost)
		}
		if r.lookup(t.Context(), "hosta"); dns.asked != 500 {
			t.Error("what is known was asked for again")
		}
		time.Sleep(answerKept)
		if r.lookup(t.Context(), "hosta"); dns.asked != 501 {
			t.Error("what was known is believed for too long")
		}
		dns.set(servfail)
		time.Sleep(answerKept)
		for range 2 {
			if _, err := r.lookup(t.Context(), "hosta"); !errors.Is(err, servfail) {
				t.Errorf("got %v", err)
			}
		}
		if dns.asked != 503 {
			t.Error("a failure is kept")
		}
	})
}
