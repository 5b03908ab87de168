package daemon

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"twinbore/tunnel/simnet"
)

// K-01, K-04: the status of each end says which PPK is in the keys, with certificates as with pre-shared keys, and that
// none is where the ends have different ones and neither insists.
func TestStatusSaysWhichPPKIsUsed(t *testing.T) {
	const key = "secret: {inline: 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f, encoding: hex}}\n    tunnels:"
	with := func(config, id string) string {
		return strings.Replace(config, "tunnels:", "ppk: {id: "+id+", "+key, 1)
	}
	for _, c := range []struct{ name, left, right, want string }{
		{"one key", "quantum", "quantum", "quantum"},
		{"two keys", "quantum", "other", ""},
	} {
		for _, certificates := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				net := simnet.New(1)
				t.Cleanup(net.Close)
				net.SetLinks(simnet.Link{Latency: 10 * time.Millisecond})
				left, right := leftConfig, rightConfig
				load := func(text string) *site { return open(t, net, text, nil) }
				if certificates {
					p := newPKI(t)
					left, right = certConfig, certRight
					load = func(text string) *site {
						s, run := buildFrom(t, net, p.load(t, text), nil)
						run()
						return s
					}
				}
				r, l := load(with(right, c.right)), load(with(left, c.left))
				l.want("1: UP UP", 3*time.Second)
				r.want("1: UP UP", 3*time.Second)
				for _, s := range []*site{l, r} {
					for _, tunnel := range s.connection().Tunnels {
						got := ""
						if tunnel.IKE.PPK != nil {
							got = *tunnel.IKE.PPK
						}
						if got != c.want {
							t.Errorf("%s, certificates %v: tunnel %s of %s has ppk %q, want %q", c.name, certificates, tunnel.Name, s.connection().Name, got, c.want)
						}
					}
				}
			})
		}
	}
}
