package ikev2

import (
	"testing"
	"time"

	"twinbore/esp"
	"twinbore/ike/session"
)

// TestExpiredIsNotUsed is N-29 (RFC 7296 §2.8): where no rekey succeeds and no other IKE SA is begun, an IKE SA whose time is over goes with its Child SAs,
// and a Child SA whose time is over is out of the data path at that moment, not only when the peer has heard of it. Then
// new ones may be made.
func TestExpiredIsNotUsed(t *testing.T) {
	const life = 10 * time.Minute
	for _, what := range []string{"IKE SA", "Child SA"} {
		t.Run(what, func(t *testing.T) {
			l := newLab(t)
			l.a.cfg.IKELifetime, l.b.cfg.IKELifetime, l.a.cfg.ChildLifetime, l.b.cfg.ChildLifetime = 0, 0, 0, 0
			if what == "IKE SA" {
				l.a.cfg.IKELifetime = life
			} else {
				l.a.cfg.ChildLifetime = life
			}
			l.initiate(l.a)
			l.settle()
			l.paired()
			l.a.sessions[0].(*peer).begunOn = esp.Path{} // as if b had begun: a has nowhere to begin another from
			old, b := l.a.sa().children[0].id, &l.b.sessions[0].(*peer).cfg
			b.IKE, b.ESP = ikeProposals(t, "aes256-sha512-modp2048"), espProposals(t, "aes256-sha512-noesn") // no rekey succeeds
			l.wait(life-time.Second, l.settle)
			if l.a.sa() == nil || l.a.children[old] == nil {
				t.Fatalf("it ended before its time\n%s", l.log.String())
			}
			if failed := l.event(l.a, session.Failed); failed.Reason != session.RekeyFailed {
				t.Errorf("the rekeys failed with %s", failed.Reason)
			}
			l.wait(time.Second+1, func() {})
			if l.a.children[old] != nil {
				t.Error("a Child SA whose time is over is in the data path")
			}
			if down := l.event(l.a, session.ChildDown); down.Reason != session.LifetimeExpired {
				t.Errorf("the Child SA is down with %s", down.Reason)
			}
			if down := filter(l.a.events, session.IKEDown); (what == "IKE SA") != (len(down) == 1 && down[0].Reason == session.LifetimeExpired) {
				t.Errorf("%d IKE SAs are down", len(down))
			}
			l.settle()
			if sa := l.b.sa(); sa != nil && (what == "IKE SA" || len(sa.children) > 0) {
				t.Errorf("b was not told\n%s", l.log.String())
			}
			b.IKE, b.ESP = l.a.cfg.IKE, l.a.cfg.ESP
			l.initiate(l.a)
			l.settle()
			l.unharmed()
		})
	}
}
